"""The networks: one paper, one file."""

from collections.abc import Mapping

from stylenorm.errors import UnknownNameError
from stylenorm.networks.johnson import JohnsonNetwork
from stylenorm.networks.predictor import StylePredictor
from stylenorm.networks.quarter import QuarterNetwork
from stylenorm.networks.stylizer import NetworkConfig, StylizerNetwork

__all__ = [
    "FAMILIES",
    "JohnsonNetwork",
    "NetworkConfig",
    "QuarterNetwork",
    "StylePredictor",
    "StylizerNetwork",
    "build_network",
]

FAMILIES: Mapping[str, type[JohnsonNetwork] | type[QuarterNetwork]] = {
    "johnson": JohnsonNetwork,
    "quarter": QuarterNetwork,
    "quarter-nearest": QuarterNetwork,
}


def build_network(config: NetworkConfig) -> StylizerNetwork:
    """Build the network that ``config`` describes, with fresh weights.

    Raises:
        UnknownNameError: no such family.
    """
    if config.family not in FAMILIES:
        raise UnknownNameError("network family", config.family, FAMILIES)
    return FAMILIES[config.family](config)
