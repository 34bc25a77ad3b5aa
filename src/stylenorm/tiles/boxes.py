"""Rectangles of a picture, and arrays read around them as if the picture went on beyond its borders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from numpy.typing import NDArray

from stylenorm._moved import warn

__all__ = ["Box", "TileGrid", "window"]


class Box(NamedTuple):
    """Rows ``top`` to ``bottom``, columns ``left`` to ``right``; the ends are excluded."""

    top: int
    left: int
    bottom: int
    right: int

    def scaled(self, scale: Fraction) -> Box:
        """Return the box on a grid of ``scale`` positions a pixel; its sides fall on positions."""
        return Box(*(int(side * scale) for side in self))

    def padded(self, before: int, after: int) -> Box:
        """Return the box with a margin; it may go beyond the picture."""
        return Box(self.top - before, self.left - before, self.bottom + after, self.right + after)

    def grown(self, before: int, after: int) -> Box:
        """Return `padded`; its old name."""
        warn("Box.grown", "padded")
        return self.padded(before, after)

    def clipped(self, height: int, width: int) -> Box:
        """Return the part within a picture."""
        return Box(max(self.top, 0), max(self.left, 0), min(self.bottom, height), min(self.right, width))

    def within(self, height: int, width: int) -> Box:
        """Return `clipped`, or of a box that is all beyond the picture, the nearest row or column of it."""
        return Box(
            min(max(self.top, 0), height - 1),
            min(max(self.left, 0), width - 1),
            max(min(self.bottom, height), 1),
            max(min(self.right, width), 1),
        )

    def moved(self, down: int, right: int) -> Box:
        """Return the box at another place."""
        return Box(self.top + down, self.left + right, self.bottom + down, self.right + right)

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def num_pixels(self) -> int:
        """Rows times columns."""
        return self.height * self.width


@dataclass(frozen=True)
class TileGrid:
    """A picture's tiles, row by row. They cover the picture, padded to a multiple, once.

    Attributes:
        height, width: of the picture.
        tile: side of a tile; the last of a row or column are smaller.
        multiple: sides of tiles are multiples of it.
    """

    height: int
    width: int
    tile: int
    multiple: int

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width, padded."""
        return _up(self.height, self.multiple), _up(self.width, self.multiple)

    def boxes(self) -> Iterator[Box]:
        """Yield the tiles."""
        height, width = self.padded
        side = _up(self.tile, self.multiple)
        for top in range(0, height, side):
            for left in range(0, width, side):
                yield Box(top, left, min(top + side, height), min(left + side, width))

    def __len__(self) -> int:
        """Return how many there are."""
        height, width = self.padded
        side = _up(self.tile, self.multiple)
        return -(-height // side) * -(-width // side)


def window(array: NDArray[Any], box: Box, out: NDArray[Any]) -> None:
    """Copy a box of ``array`` (H, W, C) to ``out`` (h, w, C); beyond the array its borders are replicated."""
    height, width = array.shape[:2]
    inside = box.within(height, width)
    # of a box that is all beyond, the nearest row or column
    top, left = max(inside.top - box.top, 0), max(inside.left - box.left, 0)
    bottom = min(top + inside.height, out.shape[0]) if box.top < height else 1
    right = min(left + inside.width, out.shape[1]) if box.left < width else 1
    out[top:bottom, left:right] = array[inside.top : inside.bottom, inside.left : inside.right]
    out[:top, left:right] = out[top : top + 1, left:right]
    out[bottom:, left:right] = out[bottom - 1 : bottom, left:right]
    out[:, :left] = out[:, left : left + 1]
    out[:, right:] = out[:, right - 1 : right]


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
