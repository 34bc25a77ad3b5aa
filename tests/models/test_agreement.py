"""Dice, distances of surfaces and errors of pixels, against counting and geometry."""

from __future__ import annotations

import numpy as np
import pytest

from stylenorm.errors import ShapeError
from stylenorm.models import dice_scores, pixel_errors, surface_distances
from tests.requirements_met import need


def test_dice_is_counted() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 7, 6, 5))
    b[b == 3] = 0
    found = dice_scores(a, b)
    assert list(found) == [1, 2, 3]
    for label in (1, 2, 3):
        one, other = set(np.flatnonzero(a == label)), set(np.flatnonzero(b == label))
        assert found[label] == pytest.approx(2 * len(one & other) / (len(one) + len(other)))
    assert dice_scores(np.zeros((2, 2), int), np.zeros((2, 2), int)) == {}
    with pytest.raises(ShapeError, match="expected 7 x 6 x 4 as the true one has, got 7 x 6 x 5"):
        dice_scores(a, b[..., 1:])


def test_surfaces_are_as_far_apart_as_they_were_moved() -> None:
    need("scipy")
    wall = np.zeros((12, 9, 9), np.uint8)
    wall[3] = 1  # a plane of one voxel: all of it is surface
    moved = np.roll(wall, 2, axis=0)
    assert surface_distances(wall, moved, (1.5, 1, 1))[1] == pytest.approx((3.0, 3.0))
    assert surface_distances(wall, wall, (1, 1, 1)) == {1: (0.0, 0.0)}
    wall[5, 4, 4] = 2
    assert set(surface_distances(wall, moved, (1, 1, 1))) == {1}, "labels that one lacks have no distance"

    rng = np.random.default_rng(1)
    a, b = (rng.random((2, 6, 6, 6)) > 0.6).astype(np.uint8)
    spacing = np.array([1.0, 0.5, 2.0])

    def surface(of: np.ndarray) -> np.ndarray:
        padded = np.pad(of, 1)
        inside = padded[1:-1, 1:-1, 1:-1].astype(bool)
        for axis in range(3):
            for step in (-1, 1):
                inside &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1].astype(bool)
        return np.argwhere(of.astype(bool) & ~inside) * spacing

    one, other = surface(a), surface(b)
    away = np.linalg.norm(one[:, None] - other[None], axis=2)
    both = np.concatenate([away.min(1), away.min(0)])
    assert surface_distances(a, b, spacing.tolist())[1] == pytest.approx(
        (both.mean(), np.percentile(both, 95))
    )


def test_errors_of_pixels() -> None:
    black, grey = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 51, np.uint8)
    found = pixel_errors(grey, black)
    assert found["L1"] == 51
    assert found["PSNR"] == pytest.approx(20 * np.log10(5))
    assert pixel_errors(black, black)["PSNR"] == float("inf")
