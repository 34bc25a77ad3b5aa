"""Faint smooth noise on the photo, from which a network's motifs begin where the photo is flat.

A convolutional network paints a constant where it sees a constant: a cloudless sky gets no swirls, however
well swirls were learned. Ulyanov et al. give their texture networks noise for that reason (arXiv:1603.03417).
Here the photo itself gets some before it is painted, in full where it is flat, and less where it has detail
that the noise would blur. It is smooth, and a fixed function of place and photo, so that a photo is always
painted alike, in one piece or in tiles, in Python or in a browser.

It is a sum of octaves of value noise (Perlin, "An Image Synthesizer", SIGGRAPH 1985): random numbers on a
grid of `SPACINGS` pixels, between which cubic B-splines run. The numbers are hashes of their place on the
grid, so that there is no period, and nothing to store.
"""

from __future__ import annotations

import numbers
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.c_library import library
from stylenorm.errors import InputError

__all__ = ["SPACINGS", "checked_noise", "smooth_noise", "with_noise"]

SPACINGS = (16, 32, 64)
"""Pixels between the random numbers of each octave."""

# of uniform numbers in -1..1 between which a cubic B-spline runs in both directions, over all its phases
_OCTAVE_VARIANCE = (151 / 315) ** 2 / 3
_SCALE = (len(SPACINGS) * _OCTAVE_VARIANCE) ** -0.5
_ROWS_AT_ONCE = 256
_CELL = 16  # pixels
_DETAIL = 0.03  # the deviation at which half of the noise is left
_arguments = struct.Struct("=14qd").pack  # struct noise of kernels/_c/noise.h


def checked_noise(amplitude: Any) -> float:
    """Return an amplitude of the noise.

    Raises:
        InputError: it is no number in 0..1.
    """
    is_number = isinstance(amplitude, numbers.Real) and not isinstance(amplitude, bool)
    if not is_number or not 0 <= float(amplitude) <= 1:
        raise InputError(f"noise: expected a standard deviation in 0..1, got {amplitude!r}")
    return float(amplitude)


def smooth_noise(height: int, width: int, top: int = 0, left: int = 0) -> NDArray[np.float32]:
    """Return the noise of a window.

    Args:
        height: rows.
        width: columns.
        top: the window's first row; may be negative.
        left: its first column.

    Returns:
        (height, width), mean 0 and standard deviation 1 over large windows.

    Example:
        >>> whole = smooth_noise(100, 100)
        >>> bool(np.allclose(smooth_noise(20, 30, top=40, left=50), whole[40:60, 50:80], atol=1e-5))
        True
    """
    noise = np.zeros((height, width), np.float32)
    for octave, spacing in enumerate(SPACINGS):
        rows, down = _splines(top, height, spacing)
        columns, across = _splines(left, width, spacing)
        noise += down @ _random(rows, columns, octave) @ across.T
    return noise


def with_noise(
    photo: NDArray[Any],
    amplitude: float,
    part: tuple[int, int, int, int] | None = None,
    origin: tuple[int, int] = (0, 0),
) -> NDArray[Any]:
    """Return a photo with noise, the same in all channels: all of it where the photo is flat, else less.

    Args:
        photo: (H, W, 3), uint8 or uint16, or float in 0..1; is not changed. May be mapped from a file.
        amplitude: the noise's standard deviation where the photo is flat, of a range of 0..1; with 0 the
            photo itself is returned.
        part: top, left, bottom and right of the part that is wanted; None for all of it.
        origin: where in the noise the photo's first pixel is: row and column.

    Returns:
        The part, in the photo's type and within its range.
    """
    top, left, bottom, right = part or (0, 0, *photo.shape[:2])
    if amplitude == 0:
        return photo if part is None else photo[top:bottom, left:right]
    if _suits_c(photo) and not isinstance(library(), str):
        return _by_c(photo, amplitude, (top, left, bottom, right), origin)
    whole = float(np.iinfo(photo.dtype).max) if photo.dtype.kind == "u" else 1.0
    flat = _Flatness(photo, top, left, bottom, right)
    noisy = np.empty((bottom - top, right - left, photo.shape[2]), photo.dtype)
    for first in range(top, bottom, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, bottom)
        strip = photo[first:last, left:right]
        noise = smooth_noise(last - first, right - left, origin[0] + first, origin[1] + left)
        noise = noise * flat.rows(first, last) * np.float32(amplitude * whole)
        if photo.dtype.kind == "u":
            np.rint(noise, out=noise)
            noisy[first - top : last - top] = (strip + noise.astype(np.int32)[..., None]).clip(0, int(whole))
        else:
            noisy[first - top : last - top] = (strip + noise[..., None]).clip(0, 1)
    return noisy


def _suits_c(photo: NDArray[Any]) -> bool:
    """Whether the compiled library can read a photo where it lies."""
    is_whole = all(step % photo.itemsize == 0 for step in photo.strides)
    return photo.dtype in (np.uint8, np.uint16) and photo.dtype.isnative and photo.shape[2] == 3 and is_whole


def _by_c(
    photo: NDArray[Any], amplitude: float, part: tuple[int, int, int, int], origin: tuple[int, int]
) -> NDArray[Any]:
    """The same by the compiled library, for uint8 and uint16."""
    top, left, bottom, right = part
    noisy = np.empty((bottom - top, right - left, 3), photo.dtype)
    strides = (step // photo.itemsize for step in photo.strides)
    arguments = _arguments(
        photo.ctypes.data, noisy.ctypes.data, photo.itemsize - 1, *photo.shape[:2], *strides, *part, *origin,
        amplitude,
    )  # fmt: skip
    if library().sn_noise(arguments):
        raise MemoryError(f"no memory left for the noise of {bottom - top} x {right - left} pixels")
    return noisy


class _Flatness:
    """How flat a part of a photo is, 0..1: by the deviation of green in cells, linear between middles."""

    def __init__(self, photo: NDArray[Any], top: int, left: int, bottom: int, right: int) -> None:
        height, width = photo.shape[:2]
        self._rows, self._columns = (
            _cells(start, end, size) for start, end, size in ((top, bottom, height), (left, right, width))
        )
        first, last = self._rows[0] * _CELL, min((self._rows[1] + 1) * _CELL, height)
        start, end = self._columns[0] * _CELL, min((self._columns[1] + 1) * _CELL, width)
        scale = 1.0 if photo.dtype.kind == "f" else 1 / float(np.iinfo(photo.dtype).max)
        self._last = ((height - 1) // _CELL, (width - 1) // _CELL)
        rows = []
        for row in range(first, last, _CELL):
            green = photo[row : min(row + _CELL, last), start:end, 1].astype(np.float64) * scale
            sums = np.add.reduceat(
                np.stack([green, green**2]).sum(axis=1), range(0, end - start, _CELL), axis=1
            )
            counts = len(green) * np.minimum(_CELL, end - start - np.arange(0, end - start, _CELL))
            mean, square = sums / counts
            rows.append(1 / (1 + np.maximum(square - mean**2, 0) / _DETAIL**2))
        self._flat: NDArray[np.float32] = np.array(rows, dtype=np.float32)
        self._across = self._weights(left, right, *self._columns, self._last[1])

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """Return it of so many rows, of all columns of the part."""
        down = self._weights(first, last, *self._rows, self._last[0])
        return np.asarray(down @ self._flat @ self._across.T, np.float32)

    @staticmethod
    def _weights(start: int, end: int, first: int, last: int, very_last: int) -> NDArray[np.float32]:
        """How much each pixel sees of the cells ``first`` to ``last``."""
        place = (np.arange(start, end) + 0.5) / _CELL - 0.5
        before = np.floor(place).astype(np.int64)
        weights = np.zeros((end - start, last - first + 1), np.float32)
        pixels = np.arange(end - start)
        for cell, share in ((before, before + 1 - place), (before + 1, place - before)):
            np.add.at(weights, (pixels, cell.clip(0, very_last) - first), share.astype(np.float32))
        return weights


def _cells(start: int, end: int, size: int) -> tuple[int, int]:
    """The first and the last cell that pixels from ``start`` to ``end`` see."""
    most = (size - 1) // _CELL
    return max((2 * start - _CELL) // (2 * _CELL), 0), min((2 * end + _CELL) // (2 * _CELL), most)


def _splines(start: int, count: int, spacing: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the places on the grid that ``count`` pixels from ``start`` see, and how much."""
    pixels = np.arange(start, start + count)
    cells, t = pixels // spacing, (pixels % spacing) / spacing
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    first = start // spacing
    seen = np.zeros((count, (start + count - 1) // spacing - first + 4), np.float32)
    for tap in range(4):
        seen[np.arange(count), cells - first + tap] = weights[tap]
    return np.arange(first, first + seen.shape[1]), seen


def _random(rows: NDArray[np.int64], columns: NDArray[np.int64], octave: int) -> NDArray[np.float32]:
    """Return hashes of places on an octave's grid, -1..1, scaled: the finalizer of MurmurHash3 (Appleby)."""
    i, j = (places.astype(np.uint32) for places in (rows, columns))  # modulo 2**32
    h = i[:, None] * np.uint32(0x9E3779B1) + j * np.uint32(0x85EBCA77) + np.uint32(octave * 0x27D4EB2F)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    h ^= h >> np.uint32(16)
    uniform: NDArray[np.float32] = ((h.astype(np.float64) / 2**31 - 1) * _SCALE).astype(np.float32)
    return uniform
