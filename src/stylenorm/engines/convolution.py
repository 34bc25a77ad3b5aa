"""A convolution on NumPy arrays: Winograd's in C where it serves, else a product of matrices."""

from __future__ import annotations

import struct
import threading
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stylenorm.c_library import library
from stylenorm.winograd import winograd_panels

__all__ = ["Convolution"]

_LANES = 8  # channels of a vector, as in winograd.h with AVX2
_STEP = 4  # rows of a tile's output
_BAND_NUMBERS = 1 << 22  # of the neighbourhoods that are laid out at once
_arguments = struct.Struct("=4q6qq3qqq").pack  # struct spatial_arguments of kernels/_c/spatial.h

Array = NDArray[np.float32]


class Convolution:
    """Filters made ready. Groups and dilations are 1.

    Args:
        weight: (K, C, height, width) float32.
        bias: (K,), or None.
        stride: the same along both sides.
        padding: positions of zeros around, the same on all sides.
        threads: how many; a product of matrices uses those of NumPy's BLAS.
    """

    def __init__(
        self, weight: Array, bias: Array | None, *, stride: int = 1, padding: int = 0, threads: int = 1
    ) -> None:
        self.num_outputs, num_inputs, *self._size = weight.shape
        self._bias, self._stride, self._padding, self._threads = bias, stride, padding, threads
        lib = library()
        fits = weight.shape[2:] == (3, 3) and stride == 1 and num_inputs % _LANES == 0
        self._lib = lib if fits and not isinstance(lib, str) else None
        if self._lib is not None:
            filled = ((0, -self.num_outputs % _LANES), (0, 0), (0, 0), (0, 0))
            self._filters = winograd_panels(np.pad(weight, filled))
        else:
            matrix = weight.transpose(2, 3, 1, 0).reshape(-1, self.num_outputs)
            self._filters = np.ascontiguousarray(matrix)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return the shape that comes of (N, C, H, W)."""
        height, width = (
            (side + 2 * self._padding - size) // self._stride + 1
            for side, size in zip(shape[2:], self._size, strict=True)
        )
        return (shape[0], self.num_outputs, height, width)

    def __call__(self, x: Array) -> Array:
        """Convolve (N, C, H, W); what is returned lies channels last in memory."""
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        if self._padding:
            x = np.pad(x, ((0, 0), (self._padding,) * 2, (self._padding,) * 2, (0, 0)))
        height, width = ((s - k) // self._stride + 1 for s, k in zip(x.shape[1:3], self._size, strict=True))
        num_stored = self.num_outputs if self._lib is None else self.num_outputs + -self.num_outputs % _LANES
        y = np.empty((len(x), height, width, num_stored), np.float32)
        for one, out in zip(x, y, strict=True):
            if self._lib is None:
                self._multiply(one, out)
            else:
                self._run(one, out)
        y = y[..., : self.num_outputs]
        if self._bias is not None:
            y += self._bias
        return y.transpose(0, 3, 1, 2)

    def _multiply(self, x: Array, y: Array) -> None:
        """Each neighbourhood becomes a row of a matrix; some rows of the picture at a time."""
        rows = max(1, _BAND_NUMBERS // (y.shape[1] * len(self._filters)))
        neighbours = sliding_window_view(x, self._size, axis=(0, 1))
        neighbours = neighbours[:: self._stride, :: self._stride].transpose(0, 1, 3, 4, 2)
        for top in range(0, len(y), rows):
            matrix = neighbours[top : top + rows].reshape(-1, len(self._filters))
            y[top : top + rows] = (matrix @ self._filters).reshape(-1, *y.shape[1:])

    def _run(self, x: Array, y: Array) -> None:
        """Each thread computes a band of whole tiles."""
        lib: Any = self._lib
        bands = -(-len(y) // _STEP)
        share = -(-bands // self._threads) * _STEP
        failures: list[int] = []

        def band(top: int) -> None:
            rows = min(share, len(y) - top)
            packed = _arguments(
                x[top:].ctypes.data, self._filters.ctypes.data, 0, y[top:].ctypes.data,
                1, 1, rows + 2, *x.shape[1:], y.shape[2], 1, 0, 0, 0, 0, 1,
            )  # fmt: skip
            failures.append(lib.sn_spatial_alone(packed))

        others = [threading.Thread(target=band, args=(top,)) for top in range(share, len(y), share)]
        for each in others:
            each.start()
        band(0)
        for each in others:
            each.join()
        if any(failures):
            raise MemoryError(f"no memory left for a convolution of {x.shape[0]} x {x.shape[1]}")
