"""Scans brought to another spacing, and what was found on it brought back.

As in nnU-Net (Isensee 2021, supplement): images by cubic splines, labels as one plane a label by linear
interpolation, of which the largest is taken; logits linearly. Where voxels are more than three times as
thick as wide, images are cubic within the slices and nearest across them, so that no slice is made of
ringing.

Both grids cover the same space: a voxel is a box, and the boxes of the first and of the last are flush. Needs
SciPy (extra ``volumes``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError, MissingExtraError

__all__ = [
    "INTERPOLATIONS",
    "coarse_axis",
    "labels_of_logits",
    "resampled_image",
    "resampled_labels",
    "sides_at",
]

INTERPOLATIONS = ("cubic", "linear")
"""How images are interpolated."""

Sides = tuple[int, int, int]

_COARSE = 3.0  # times as thick as wide: nnU-Net's bound


def sides_at(sides: Sequence[int], spacing_mm: Sequence[float], wanted_mm: Sequence[float]) -> Sides:
    """Return how many voxels a volume has along each axis at another spacing, at least 1.

    Example:
        >>> sides_at((100, 100, 20), (1, 1, 5), (1, 1, 2.5))
        (100, 100, 40)
    """
    x, y, z = (
        max(1, round(side * here / there))
        for side, here, there in zip(sides, spacing_mm, wanted_mm, strict=True)
    )
    return x, y, z


def coarse_axis(spacing_mm: Sequence[float]) -> int | None:
    """Return the axis along which voxels are more than three times as long as the shortest; None for none.

    Example:
        >>> coarse_axis((0.8, 0.8, 5.0)), coarse_axis((1.0, 1.0, 1.5))
        (2, None)
    """
    axis = int(np.argmax(spacing_mm))
    return axis if spacing_mm[axis] / min(spacing_mm) > _COARSE else None


def resampled_image(
    voxels: NDArray[np.float32], sides: Sides, interpolation: str = "cubic", coarse: int | None = None
) -> NDArray[np.float32]:
    """Return a volume (X, Y, Z) on a grid of ``sides`` over the same space.

    Args:
        voxels: intensities.
        sides: of the result.
        interpolation: one of `INTERPOLATIONS`.
        coarse: the axis along which the nearest voxel is taken; see `coarse_axis`.

    Raises:
        InputError: no such interpolation.
        MissingExtraError: SciPy is not installed.
    """
    if interpolation not in INTERPOLATIONS:
        raise InputError(f"interpolation: expected {' or '.join(INTERPOLATIONS)}, got {interpolation!r}")
    if voxels.shape == sides:
        return voxels
    order = 3 if interpolation == "cubic" else 1
    if coarse is None or voxels.shape[coarse] == sides[coarse]:
        return _zoomed(voxels, sides, order)
    within = list(sides)
    within[coarse] = voxels.shape[coarse]
    return _zoomed(_zoomed(voxels, tuple(within), order), sides, 0)


def resampled_labels(labels: NDArray[np.uint8], sides: Sides) -> NDArray[np.uint8]:
    """Return labels (X, Y, Z) on a grid of ``sides``: of each voxel the one with the largest share."""
    if labels.shape == sides:
        return labels
    found = np.unique(labels)
    kept: NDArray[np.uint8] = found[
        _largest(((labels == each).astype(np.float32) for each in found), sides)
    ].astype(np.uint8)
    return kept


def labels_of_logits(logits: NDArray[np.float32], sides: Sides) -> NDArray[np.uint8]:
    """Return the class (X, Y, Z) with the largest logit (K, x, y, z), interpolated linearly to ``sides``."""
    if logits.shape[1:] == sides:
        labels: NDArray[np.uint8] = logits.argmax(axis=0).astype(np.uint8)
        return labels
    return _largest(iter(logits), sides)


def _largest(planes: Any, sides: Sides) -> NDArray[np.uint8]:
    """The number of the largest plane, one at a time: all of them at full size would not fit into memory."""
    best, where = np.full(sides, -np.inf, np.float32), np.zeros(sides, np.uint8)
    for number, plane in enumerate(planes):
        here = _zoomed(plane, sides, 1)
        larger = here > best
        best[larger], where[larger] = here[larger], number
    return where


def _zoomed(voxels: NDArray[np.float32], sides: Sequence[int], order: int) -> NDArray[np.float32]:
    if voxels.shape == tuple(sides):
        return voxels
    try:
        from scipy import ndimage
    except ImportError as error:
        raise MissingExtraError("scipy", "volumes", "resampling scans") from error
    factors = [there / here for here, there in zip(voxels.shape, sides, strict=True)]
    made: NDArray[np.float32] = ndimage.zoom(
        voxels, factors, output=np.float32, order=order, mode="nearest", grid_mode=True
    )
    return made
