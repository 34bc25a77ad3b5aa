"""Windows over a volume: where they lie, how they are weighted, and how their results are put together.

As in nnU-Net (Isensee 2021): windows overlap by half, the last one ends where the volume does, all are
equally far apart, and what a window says counts by a Gaussian around its middle, since at its border it has
seen but half of what is there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError

__all__ = ["blended", "gaussian_weights", "window_starts"]

FloatArray = NDArray[np.float32]

_SIGMA = 1 / 8  # of the window's side
_LEAST = 1e-3  # of the largest weight: no voxel may count for nothing


def window_starts(side: int, window: int, overlap: float) -> list[int]:
    """Return where windows begin along one axis.

    Args:
        side: of the volume; at least ``window``.
        window: of a window.
        overlap: share of a window that the next one covers at least, from 0 to below 1.

    Raises:
        InputError: another overlap.

    Example:
        >>> window_starts(100, 40, 0.5)
        [0, 20, 40, 60]
    """
    if not 0 <= overlap < 1:
        raise InputError(f"overlap: expected 0 to below 1, got {overlap:g}")
    room = side - window
    num_steps = -(-room // max(1, int(window * (1 - overlap))))
    return [round(room * i / num_steps) for i in range(num_steps + 1)] if room else [0]


def gaussian_weights(window: tuple[int, ...]) -> FloatArray:
    """Return the weight of each voxel of a window: 1 in the middle, a sigma is an eighth of the side.

    Weights below a thousandth are a thousandth.
    """
    whole = np.ones(())
    for side in window:
        distance = np.arange(side) - (side - 1) / 2
        whole = whole[..., None] * np.exp(-0.5 * (distance / (side * _SIGMA)) ** 2)
    weights: FloatArray = np.maximum(whole / whole.max(), _LEAST).astype(np.float32)
    return weights


def blended(
    run: Callable[[FloatArray], FloatArray],
    volume: FloatArray,
    window: tuple[int, int, int],
    num_classes: int,
    overlap: float = 0.5,
    tell: Callable[[], None] = lambda: None,
) -> Iterator[FloatArray]:
    """Yield the logits of the volume, some rows after the others: (num_classes, rows, Y, Z).

    Only the rows that the windows at hand cover are in memory, of all classes.

    Args:
        run: one window (1, C, x, y, z) to its logits (1, num_classes, x, y, z).
        volume: (X, Y, Z) or (C, X, Y, Z), no side smaller than the window's.
        window: its sides.
        num_classes: of ``run``.
        overlap: see `window_starts`.
        tell: called after each window.
    """
    weights = gaussian_weights(window)
    volume = volume.reshape(-1, *volume.shape[-3:])
    rows, *others = (
        window_starts(side, w, overlap) for side, w in zip(volume.shape[1:], window, strict=True)
    )
    total = np.zeros((num_classes, window[0], *volume.shape[2:]), np.float32)
    weight = np.zeros(total.shape[1:], np.float32)
    for start, following in itertools.pairwise([*rows, volume.shape[1]]):
        for y, z in itertools.product(*others):
            there = slice(y, y + window[1]), slice(z, z + window[2])
            seen = np.ascontiguousarray(volume[:, start : start + window[0], there[0], there[1]])
            (logits,) = run(seen[None])
            total[:, :, there[0], there[1]] += logits * weights
            weight[:, there[0], there[1]] += weights
            tell()
        num_done = following - start  # no later window has these rows
        yield np.divide(total[:, :num_done], weight[:num_done], dtype=np.float32)
        for array in (total, weight[None]):
            array[:, : window[0] - num_done] = array[:, num_done:]
            array[:, window[0] - num_done :] = 0
