"""How well labels and pictures agree with the true ones: Dice, distances of surfaces, errors of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import MissingExtraError, ShapeError

__all__ = ["dice_scores", "pixel_errors", "surface_distances"]


def dice_scores(found: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]]) -> dict[int, float]:
    """Return the Dice of each label above 0 that either has: twice what both have, by the sum of their sizes.

    Example:
        >>> dice_scores(np.array([0, 1, 1, 2]), np.array([0, 1, 0, 3]))
        {1: 0.6666666666666666, 2: 0.0, 3: 0.0}
    """
    _check(found, truth)
    labels = sorted({*np.unique(found).tolist(), *np.unique(truth).tolist()} - {0})
    scores = {}
    for label in labels:
        a, b = found == label, truth == label
        scores[int(label)] = float(2 * (a & b).sum() / (a.sum() + b.sum()))
    return scores


def surface_distances(
    found: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], spacing_mm: Sequence[float]
) -> dict[int, tuple[float, float]]:
    """Return for each label that both have how far their surfaces are apart, in millimetres.

    The distances are those of the surface voxels of either to the nearest surface voxel of the other; a
    surface voxel is one of the label beside one that is not, or at the edge of the volume.

    Args:
        found: labels.
        truth: the true ones.
        spacing_mm: size of a voxel along each axis.

    Returns:
        Mean, and 95th percentile, by label.

    Raises:
        MissingExtraError: SciPy is not installed.
        ShapeError: the volumes differ in size.
    """
    try:
        from scipy import ndimage
    except ImportError as error:
        raise MissingExtraError("scipy", "volumes", "distances of surfaces") from error
    _check(found, truth)
    distances = {}
    for label in sorted((set(np.unique(found).tolist()) & set(np.unique(truth).tolist())) - {0}):
        surfaces = [of & ~ndimage.binary_erosion(of) for of in (found == label, truth == label)]
        away = [ndimage.distance_transform_edt(~surface, sampling=spacing_mm) for surface in surfaces]
        both = np.concatenate([away[1][surfaces[0]], away[0][surfaces[1]]])
        distances[int(label)] = (float(both.mean()), float(np.percentile(both, 95)))
    return distances


def pixel_errors(made: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, float]:
    """Return ``L1``, the mean absolute difference in grey levels of 256, and ``PSNR`` in decibels.

    Args:
        made: (H, W, 3) uint8.
        truth: of the same size.

    Raises:
        ShapeError: the sizes differ.
    """
    _check(made, truth)
    difference = made.astype(np.float64) - truth
    square = float(np.square(difference).mean())
    return {
        "L1": float(np.abs(difference).mean()),
        "PSNR": float(10 * np.log10(255**2 / square)) if square else float("inf"),
    }


def _check(found: NDArray[Any], truth: NDArray[Any]) -> None:
    if found.shape != truth.shape:
        wanted, got = (" x ".join(map(str, each.shape)) for each in (truth, found))
        raise ShapeError(f"expected {wanted} as the true one has, got {got}")
