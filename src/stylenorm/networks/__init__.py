"""The networks: one paper, one file."""

from collections.abc import Mapping
from typing import Any

from stylenorm.errors import UnknownNameError
from stylenorm.networks.adain import ADAIN_GRID, AdainDecoder, AdainNetwork, reflect_borders
from stylenorm.networks.cyclegan import CycleGanGenerator
from stylenorm.networks.folding import fold_batch_norm
from stylenorm.networks.ibn import IBN_NORMS, IbnResNet
from stylenorm.networks.johnson import JohnsonNetwork
from stylenorm.networks.johnson_2016 import JohnsonNetwork2016
from stylenorm.networks.johnson_examples import JohnsonExamplesNetwork
from stylenorm.networks.multiscale_discriminator import MultiscaleDiscriminator
from stylenorm.networks.normalizing import NORMS, PADDINGS, NormConv2d, make_norm
from stylenorm.networks.patch_discriminator import PatchDiscriminator
from stylenorm.networks.pix2pix import UNetGenerator
from stylenorm.networks.predictor import StylePredictor
from stylenorm.networks.quarter import QuarterNetwork
from stylenorm.networks.single import GENERATORS, SingleStyleConfig, SingleStyleNetwork
from stylenorm.networks.spade import SpadeEncoder, SpadeGenerator
from stylenorm.networks.stylegan import StyleGanDiscriminator, StyleGanGenerator
from stylenorm.networks.stylegan2 import StyleGan2Discriminator, StyleGan2Generator
from stylenorm.networks.stylizer import NetworkConfig, StylizerNetwork
from stylenorm.networks.ulyanov import UlyanovNetwork
from stylenorm.networks.unet_3d import VOLUME_NORMS, UNet3d
from stylenorm.networks.widening import widen, widened_style

__all__ = [
    "ADAIN_GRID",
    "FAMILIES",
    "GENERATORS",
    "IBN_NORMS",
    "NORMS",
    "PADDINGS",
    "VOLUME_NORMS",
    "AdainDecoder",
    "AdainNetwork",
    "CycleGanGenerator",
    "IbnResNet",
    "JohnsonExamplesNetwork",
    "JohnsonNetwork",
    "JohnsonNetwork2016",
    "MultiscaleDiscriminator",
    "NetworkConfig",
    "NormConv2d",
    "PatchDiscriminator",
    "QuarterNetwork",
    "SingleStyleConfig",
    "SingleStyleNetwork",
    "SpadeEncoder",
    "SpadeGenerator",
    "StyleGan2Discriminator",
    "StyleGan2Generator",
    "StyleGanDiscriminator",
    "StyleGanGenerator",
    "StylePredictor",
    "StylizerNetwork",
    "UNet3d",
    "UNetGenerator",
    "UlyanovNetwork",
    "build_described",
    "build_network",
    "fold_batch_norm",
    "make_norm",
    "reflect_borders",
    "widen",
    "widened_style",
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


def build_described(config: Mapping[str, Any]) -> StylizerNetwork:
    """Build the network that a ``network.json`` describes, whichever class it is of.

    Args:
        config: as the ``to_dict`` of its configuration gave it.

    Raises:
        UnknownNameError: no such family.
    """
    if config.get("family") in GENERATORS:
        options = {key: value for key, value in config.items() if key != "family"}
        return SingleStyleNetwork(SingleStyleConfig(config["family"], options))
    return build_network(NetworkConfig(**config))
