"""When a picture is painted in tiles, and in which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stylenorm.engines import available_bytes
from stylenorm.errors import InputError
from stylenorm.graphs import Plan

__all__ = ["Layout", "Tiling"]

DEFAULT_TILE_PX = 512
_FAST_TILE_PX = 1024  # each tile is painted with what is around it, a third more at 512 and a sixth at 1024
_SMALLEST_PX = 16
_WITHOUT_LIMIT = 4_000_000_000  # what is assumed where the system does not say how much is free
_FREE_SHARE = 0.8  # of the free memory is used: the picture itself and others need some
_BASE_BYTES = 250_000_000  # Python, numpy, the engine and what it compiled, measured
# Activations of the whole network at once, over the maps kept in tiles: 84 to 48 bytes a pixel (OpenVINO,
# 12 megapixels), with a reserve.
_WHOLE_OVER_KEPT = 2.0
_TILE_BYTES_PER_PIXEL = 300  # of one tile while it is computed, with the one before and the next


@dataclass(frozen=True)
class Layout:
    """How one picture is painted.

    Attributes:
        tile: side of its tiles in pixels; 0 paints it whole.
        on_disk: whether feature maps are kept in files.
    """

    tile: int
    on_disk: bool


@dataclass(frozen=True)
class Tiling:
    """Whether pictures are painted in tiles.

    Attributes:
        tile: ``"auto"`` paints in tiles what does not fit into memory whole; ``"off"`` nothing; a number
            everything, in tiles of so many pixels a side.
        memory_bytes: how much memory may be used; None for most of what is free. Pictures that come and go as
            arrays are not counted: they are the caller's.
        fast: in tiles, take statistics from some of the picture instead of all, and paint in one pass.
        folder: where maps are kept that do not fit into memory; None for a temporary one.

    Raises:
        InputError: a tile or a memory that is none.
    """

    tile: int | str = "auto"
    memory_bytes: int | None = None
    fast: bool = False
    folder: Path | None = None

    def __post_init__(self) -> None:
        is_number = isinstance(self.tile, int) and not isinstance(self.tile, bool)
        if self.tile not in ("auto", "off") and not (is_number and int(self.tile) >= _SMALLEST_PX):
            raise InputError(
                f"tile: expected 'auto', 'off', or a side from {_SMALLEST_PX} pixels, got {self.tile!r}"
            )
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise InputError(f"memory: expected more than 0 bytes, got {self.memory_bytes}")

    def budget_bytes(self) -> int:
        """Return how much memory may be used."""
        if self.memory_bytes is not None:
            return self.memory_bytes
        free = available_bytes()
        return _WITHOUT_LIMIT if free is None else int(free * _FREE_SHARE)

    def layout(self, plan: Plan, height: int, width: int) -> Layout:
        """Choose how a picture is painted."""
        if self.tile == "off":
            return Layout(0, False)
        kept = plan.bytes_per_pixel() * height * width
        room = self.budget_bytes() - _BASE_BYTES
        if self.tile == "auto":
            if kept * _WHOLE_OVER_KEPT <= room:
                return Layout(0, False)
            tile = _FAST_TILE_PX if self.fast else DEFAULT_TILE_PX
        else:
            tile = int(self.tile)
        on_disk = not self.fast and kept + tile**2 * _TILE_BYTES_PER_PIXEL > room
        return Layout(tile, on_disk)
