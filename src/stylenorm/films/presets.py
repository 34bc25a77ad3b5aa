"""How much quality is given for speed, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import stylenorm.zoo
from stylenorm.errors import UnknownNameError
from stylenorm.zoo import NetworkFolder, shipped_network

__all__ = ["PRESETS", "Preset", "preset_named"]


@dataclass(frozen=True)
class Preset:
    """One trade of quality for speed.

    Attributes:
        summary: one line for people.
        network: name of a network folder inside ``stylenorm/zoo``; None is the network that ships for photos.
        max_side_px: frames are made no larger than this; None leaves them as they are.
        speed: the encoder's preset (x264's names).
        fast: coarser motion for smoothing.
    """

    summary: str
    network: str | None = None
    max_side_px: int | None = None
    speed: str = "medium"
    fast: bool = False

    def open_network(self) -> NetworkFolder:
        """Open the preset's network.

        Raises:
            InputError: this installation has none.
        """
        if self.network is None:
            return shipped_network()
        return NetworkFolder.open(Path(stylenorm.zoo.__file__).parent / self.network)


PRESETS: Mapping[str, Preset] = {
    "standard": Preset("full quality"),
    "live": Preset(
        "as fast as can be: a smaller network and frames, coarser motion",
        network="live",
        max_side_px=1280,
        speed="superfast",
        fast=True,
    ),
}
"""The presets there are; an entry is all that a new one needs."""


def preset_named(name: str) -> Preset:
    """Return a preset.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return PRESETS[name]
