"""Which feature networks the losses look through: one short text that every command understands."""

from __future__ import annotations

from pathlib import Path

from stylenorm.errors import UnknownNameError
from stylenorm.perceptual.darknet import DARKNETS, load_darknet
from stylenorm.perceptual.distilled import DISTILLED, load_distilled
from stylenorm.perceptual.features import FeatureNetwork

__all__ = ["load_features"]


def load_features(text: str) -> list[FeatureNetwork]:
    """Return the feature networks that ``text`` names, for a `PerceptualLoss`.

    ``"distilled"`` is the network that ships; the name of a folder stands for the Darknets whose weights are
    in it; several, separated by commas, are used together.

    Raises:
        UnknownNameError: the text is neither.
        InputError: a network's weights cannot be read.
    """
    networks: list[FeatureNetwork] = []
    for part in text.split(","):
        name = part.strip()
        if name == DISTILLED:
            networks.append(load_distilled())
        elif Path(name).is_dir():
            networks += [load_darknet(darknet, Path(name)) for darknet in DARKNETS]
        else:
            raise UnknownNameError("feature network, or folder of some,", name, [DISTILLED])
    return networks
