"""All experiments, by name, in the order of the laboratory's list."""

from __future__ import annotations

from collections.abc import Mapping

from stylenorm.errors import UnknownNameError
from stylenorm.lab.batch_sizes import BatchSizes
from stylenorm.lab.channel_statistics import ChannelStatistics
from stylenorm.lab.classification import Classification
from stylenorm.lab.contrast import ContrastOfTheResult
from stylenorm.lab.deeper import GroupNormDeeper
from stylenorm.lab.domains import Domains
from stylenorm.lab.experiment import Experiment
from stylenorm.lab.generators import NormsInGenerators
from stylenorm.lab.padding import Padding
from stylenorm.lab.photos import NumberOfPhotos
from stylenorm.lab.sizes import OneNetworkManySizes
from stylenorm.lab.style_normalized import StyleNormalized

__all__ = ["EXPERIMENTS", "find_experiment"]

_ALL: tuple[type[Experiment], ...] = (
    NormsInGenerators,
    ContrastOfTheResult,
    Padding,
    NumberOfPhotos,
    OneNetworkManySizes,
    StyleNormalized,
    ChannelStatistics,
    BatchSizes,
    Classification,
    GroupNormDeeper,
    Domains,
)
EXPERIMENTS: Mapping[str, type[Experiment]] = {experiment.name: experiment for experiment in _ALL}


def find_experiment(name: str) -> Experiment:
    """Return the experiment of a name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]()
