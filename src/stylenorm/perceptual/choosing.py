"""Which feature networks the losses look through: one short text that every command understands."""

from __future__ import annotations

from pathlib import Path

from stylenorm.errors import InputError, UnknownNameError
from stylenorm.perceptual.darknet import DARKNETS, load_darknet
from stylenorm.perceptual.distilled import DISTILLED, load_distilled
from stylenorm.perceptual.features import FeatureNetwork
from stylenorm.perceptual.vgg import VGGS, load_vgg

__all__ = ["load_feature_network", "load_features"]


def load_features(text: str) -> list[FeatureNetwork]:
    """Return the feature networks that ``text`` names, for a `PerceptualLoss`.

    ``"vgg16"`` ships; ``"vgg19"`` is downloaded at its first use; ``"distilled"`` stands for two small
    networks that ship; the name of a folder stands for the Darknets whose weights are in it. Several,
    separated by commas, are used together.

    Raises:
        UnknownNameError: the text is neither.
        InputError: a network's weights cannot be read.
        DownloadError: a network's weights cannot be downloaded.
    """
    networks: list[FeatureNetwork] = []
    for part in text.split(","):
        name = part.strip()
        if name == DISTILLED:
            networks += load_distilled()
        elif name in VGGS:
            networks.append(load_vgg(name))
        elif Path(name).is_dir():
            networks += [load_darknet(darknet, Path(name)) for darknet in DARKNETS]
        else:
            raise UnknownNameError("feature network, or folder of some,", name, [DISTILLED, *VGGS])
    return networks


def load_feature_network(text: str) -> FeatureNetwork:
    """Return the one feature network that ``text`` names, for a `PaintingLoss`; see `load_features`.

    Raises:
        InputError: it names several.
    """
    networks = load_features(text)
    if len(networks) != 1:
        raise InputError(f"features: expected one network (vgg16, vgg19), got {text!r}")
    return networks[0]
