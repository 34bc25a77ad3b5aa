"""Which feature networks the losses look through: one short text that every command understands."""

from __future__ import annotations

from stylenorm.errors import InputError
from stylenorm.perceptual.vgg import Vgg, load_vgg

__all__ = ["load_feature_network", "load_features"]


def load_features(text: str) -> list[Vgg]:
    """Return the feature networks that ``text`` names, for a `PerceptualLoss`.

    ``"vgg16"`` ships; ``"vgg19"`` is downloaded at its first use. Both, separated by a comma, are used
    together.

    Raises:
        UnknownNameError: there is no network of that name.
        InputError: a network's weights cannot be read.
        DownloadError: a network's weights cannot be downloaded.
    """
    return [load_vgg(name.strip()) for name in text.split(",")]


def load_feature_network(text: str) -> Vgg:
    """Return the one feature network that ``text`` names, for a `PaintingLoss`; see `load_features`.

    Raises:
        InputError: it names several.
    """
    networks = load_features(text)
    if len(networks) != 1:
        raise InputError(f"features: expected one network (vgg16, vgg19), got {text!r}")
    return networks[0]
