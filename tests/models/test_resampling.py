"""Resampling: against straight lines, splines evaluated point by point, and shares counted by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from stylenorm.errors import InputError, MissingExtraError
from stylenorm.models import (
    Intensities,
    coarse_axis,
    labels_of_logits,
    normalized,
    resampled_image,
    resampled_labels,
    sides_at,
)
from tests.requirements_met import need

ndimage = need("scipy.ndimage", "scipy")


def middles(side: int, there: int) -> np.ndarray:
    """Where the middles of ``there`` voxels lie among those of ``side``, over the same length."""
    return (np.arange(there) + 0.5) * side / there - 0.5


@pytest.mark.parametrize(("interpolation", "order"), [("cubic", 3), ("linear", 1)])
def test_images_are_splines_through_the_voxels_middles(interpolation: str, order: int) -> None:
    voxels = np.random.default_rng(0).normal(size=(6, 7, 5)).astype(np.float32)
    sides = (9, 5, 11)
    places = np.meshgrid(*(middles(a, b) for a, b in zip(voxels.shape, sides, strict=True)), indexing="ij")
    wanted = ndimage.map_coordinates(voxels.astype(np.float64), places, order=order, mode="nearest")
    found = resampled_image(voxels, sides, interpolation)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert resampled_image(voxels, voxels.shape, interpolation) is voxels


def test_a_ramp_stays_the_same_ramp_in_millimetres() -> None:
    x = np.arange(20, dtype=np.float32) + 0.5
    ramp = np.broadcast_to(x[:, None, None], (20, 4, 4)).copy()
    fine = resampled_image(ramp, (40, 4, 4), "linear")
    np.testing.assert_allclose(fine[2:-2, 0, 0], (np.arange(40)[2:-2] + 0.5) / 2, atol=1e-5)


def test_across_thick_slices_the_nearest_is_taken() -> None:
    assert coarse_axis((0.8, 0.8, 5)) == 2
    assert coarse_axis((3, 1, 1)) is None
    voxels = np.random.default_rng(1).normal(size=(6, 6, 3)).astype(np.float32)
    found = resampled_image(voxels, (6, 6, 9), "cubic", coarse=2)
    assert np.array_equal(found, voxels.repeat(3, axis=2))
    both = resampled_image(voxels, (9, 6, 9), "cubic", coarse=2)
    np.testing.assert_allclose(both, resampled_image(voxels, (9, 6, 3), "cubic").repeat(3, axis=2), atol=1e-6)


def test_labels_go_by_the_largest_share() -> None:
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[2:], labels[3:] = 3, 200
    fine = resampled_labels(labels, (8, 4, 4))
    assert set(np.unique(fine)) == {0, 3, 200}
    assert np.array_equal(fine[:, 0, 0], [0, 0, 0, 0, 3, 3, 200, 200])
    assert resampled_labels(labels, (4, 4, 4)) is labels
    noise = np.random.default_rng(2).integers(0, 3, (5, 6, 7), np.uint8)
    sides = (8, 4, 9)
    places = np.meshgrid(*(middles(a, b) for a, b in zip(noise.shape, sides, strict=True)), indexing="ij")
    shares = [
        ndimage.map_coordinates((noise == k).astype(float), places, order=1, mode="nearest") for k in range(3)
    ]
    ordered = np.sort(shares, axis=0)
    is_clear = ordered[-1] - ordered[-2] > 1e-5
    assert is_clear.mean() > 0.5
    found = resampled_labels(noise, sides)
    assert np.array_equal(found[is_clear], np.argmax(shares, axis=0)[is_clear])
    logits = np.random.default_rng(3).normal(size=(3, 5, 6, 7)).astype(np.float32)
    wanted = [ndimage.map_coordinates(each, places, order=1, mode="nearest") for each in logits]
    assert (labels_of_logits(logits, sides) == np.argmax(wanted, axis=0)).mean() > 0.999
    assert np.array_equal(labels_of_logits(logits, (5, 6, 7)), logits.argmax(0))


def test_sides_and_what_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sides_at((10, 10, 1), (1, 2, 1), (2, 1, 5)) == (5, 20, 1)
    voxels = np.zeros((3, 3, 3), np.float32)
    with pytest.raises(InputError, match="interpolation: expected cubic or linear, got 'quintic'"):
        resampled_image(voxels, (4, 4, 4), "quintic")
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stylenorm\[volumes\]'"):
        resampled_image(voxels, (4, 4, 4))


def test_intensities_of_ct_and_of_a_window() -> None:
    rng = np.random.default_rng(0)
    foreground = rng.normal(60, 30, 5000).astype(np.float32)
    ct = Intensities.of_foreground(foreground)
    scan = rng.normal(0, 400, (4, 5, 6)).astype(np.float32)
    low, high = np.percentile(foreground, [0.5, 99.5])
    wanted = (scan.clip(low, high) - foreground.mean()) / foreground.std()
    np.testing.assert_allclose(ct(scan), wanted, rtol=1e-4, atol=1e-5)
    assert Intensities.from_dict(ct.to_dict()) == ct
    window = Intensities.of_window(-160, 240)
    even = np.linspace(-160, 240, 10_001)
    assert abs(window(even).mean()) < 1e-5
    assert abs(window(even).std() - 1) < 1e-3
    assert window(np.array([-1000.0]))[0] == window(np.array([-160.0]))[0]
    own = Intensities()
    assert Intensities.from_dict(own.to_dict()) == own
    both = normalized(np.stack([scan, scan + 7]), [own, ct])
    np.testing.assert_allclose(both[0], (scan - scan.mean()) / scan.std(), atol=1e-4)
    np.testing.assert_allclose(both[1], ct(scan + 7))
    assert (str(own), str(window)) == ("mean 0, deviation 1", "-160 to 240")
