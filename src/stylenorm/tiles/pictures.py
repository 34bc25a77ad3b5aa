"""Where tiles of the photo come from, and where tiles of the painting go."""

from __future__ import annotations

import zlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stylenorm.noise import with_noise
from stylenorm.tiles.boxes import Box, window

__all__ = ["Sink", "array_checksum", "photo_tile"]

FloatArray = NDArray[np.float32]
_ROWS_AT_ONCE = 256


class Sink(Protocol):
    """Takes the tiles of a painting, in any order, each as often as it comes."""

    def write(self, box: Box, painting: FloatArray) -> None:
        """Take (h, w, 3) float32, 0..1 but for rounding."""

    def checksum(self, box: Box) -> int:
        """Return the checksum of what was taken for a box."""


def array_checksum(array: NDArray[Any]) -> int:
    """CRC-32 of an array's content: tells a file that was cut off or changed from one that was not.

    It is taken by rows, since the array may be mapped from a file.
    """
    value = 0
    for top in range(0, len(array), _ROWS_AT_ONCE):
        value = zlib.crc32(np.ascontiguousarray(array[top : top + _ROWS_AT_ONCE]).data, value)
    return value


def photo_tile(photo: NDArray[Any], box: Box, noise: float = 0.0) -> FloatArray:
    """Return a box of a photo (H, W, 3 or more) as (1, 3, h, w) float32, 0..1, with replicated borders.

    Args:
        photo: of any type that `stylenorm.Stylizer` takes.
        box: which part of it.
        noise: how much noise it gets (`stylenorm.noise`); its borders are replicated with theirs.
    """
    pixels = np.empty((box.height, box.width, 3), photo.dtype)
    seen = box.within(*photo.shape[:2])
    window(with_noise(photo[..., :3], noise, seen), box.moved(-seen.top, -seen.left), pixels)
    tile = np.empty((1, 3, box.height, box.width), np.float32)
    tile[0] = pixels.transpose(2, 0, 1)
    if photo.dtype in (np.uint8, np.uint16):
        tile /= np.float32(np.iinfo(photo.dtype).max)
    return tile
