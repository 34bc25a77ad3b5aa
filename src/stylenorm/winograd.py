"""Filters of 3 x 3 made ready for the C kernels' Winograd convolutions; needs numpy only.

Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016 (arXiv:1509.09308).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PANEL", "panels", "winograd_panels"]

PANEL = 16
"""Output channels that lie side by side, as in ``kernels/_c/winograd.h`` with AVX2."""

# Rows of G: a filter's row at the points 0, 1, -1, 2, -2 and infinity, scaled so that the other two
# transforms have small integers.
_POINTS = np.array(
    [
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ]
)


def panels(matrices: NDArray[Any]) -> NDArray[np.float32]:
    """Return (P, C, K) as (P, K / 16 rounded up, C, 16) float32, zeros where K ends."""
    places, c, k = matrices.shape
    padded = np.pad(matrices, ((0, 0), (0, 0), (0, -k % PANEL)))
    turned = padded.reshape(places, c, -1, PANEL).swapaxes(1, 2)
    return np.ascontiguousarray(turned, dtype=np.float32)


def winograd_panels(weight: NDArray[Any]) -> NDArray[np.float32]:
    """Return the panels of filters (K, C, 3, 3) for F(4 x 4, 3 x 3): a matrix (C, K) a place of a tile."""
    k, c = weight.shape[:2]
    places = _POINTS @ weight.astype(np.float64) @ _POINTS.T  # (K, C, 6, 6)
    return panels(places.reshape(k, c, 36).transpose(2, 1, 0))
