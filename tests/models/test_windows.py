"""Windows: where they lie, how much they count, and what they add up to."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylenorm.errors import InputError
from stylenorm.models import blended, gaussian_weights, window_starts


@given(st.integers(1, 200), st.integers(1, 64), st.sampled_from([0.0, 0.25, 0.5, 0.8]))
def test_windows_cover_all_and_overlap_as_much_as_asked(side: int, window: int, overlap: float) -> None:
    side = max(side, window)
    starts = window_starts(side, window, overlap)
    assert starts[0] == 0
    assert starts[-1] == side - window
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert len(starts) == 1 or steps.max() <= max(1, int(window * (1 - overlap)) + 1)
    assert np.ptp(steps) <= 1 if len(steps) else True  # evenly


def test_nnunets_own_example() -> None:
    # as its source explains its steps: 110 voxels, windows of 64, half a window apart at most
    assert window_starts(110, 64, 0.5) == [0, 23, 46]
    with pytest.raises(InputError, match="overlap: expected 0 to below 1, got 1"):
        window_starts(110, 64, 1.0)


def test_weights_are_a_gaussian_of_an_eighth_of_the_side() -> None:
    sides = (9, 16, 5)
    weights = gaussian_weights(sides)
    expected = np.empty(sides)
    for place in itertools.product(*map(range, sides)):
        z = [(p - (n - 1) / 2) / (n / 8) for p, n in zip(place, sides, strict=True)]
        expected[place] = np.exp(-sum(v * v for v in z) / 2)
    np.testing.assert_allclose(weights, np.maximum(expected / expected.max(), 1e-3), rtol=1e-6)
    assert weights.dtype == np.float32


def padded_mean(window: np.ndarray) -> np.ndarray:
    """A convolution that pads with zeros: two classes, the mean of 3 x 3 x 3 voxels, and its square."""
    padded = np.pad(window[0, 0], 1)
    x, y, z = window.shape[2:]
    mean = (
        sum(padded[i : i + x, j : j + y, k : k + z] for i, j, k in itertools.product(range(3), repeat=3)) / 27
    )
    return np.stack([mean, mean**2])[None].astype(np.float32)


def together(volume: np.ndarray, window: tuple[int, int, int], overlap: float, run=padded_mean):  # type: ignore[no-untyped-def]
    return np.concatenate(list(blended(run, volume, window, 2, overlap)), axis=1)


VOLUME = np.random.default_rng(0).normal(size=(19, 14, 11)).astype(np.float32)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.7])
def test_a_network_of_single_voxels_does_not_see_the_windows(overlap: float) -> None:
    def pointwise(x: np.ndarray) -> np.ndarray:
        return np.concatenate([np.tanh(x), x * x], axis=1)

    whole = together(VOLUME, (8, 6, 5), overlap, pointwise)
    np.testing.assert_allclose(whole, pointwise(VOLUME[None, None])[0], rtol=1e-5, atol=1e-6)


def test_a_convolution_differs_from_the_whole_only_where_a_window_ends() -> None:
    window = (8, 6, 5)
    found, whole = together(VOLUME, window, 0.5), padded_mean(VOLUME[None, None])[0]
    ends = np.zeros(VOLUME.shape, bool)
    for axis, (side, w) in enumerate(zip(VOLUME.shape, window, strict=True)):
        at = np.moveaxis(ends, axis, 0)
        for start in window_starts(side, w, 0.5):
            at[start] |= start > 0
            at[start + w - 1] |= start + w < side
    assert 0.1 < ends.mean() < 0.9
    np.testing.assert_allclose(found[:, ~ends], whole[:, ~ends], rtol=1e-5, atol=1e-6)
    assert np.abs(found[:, ends] - whole[:, ends]).max() > 1e-3


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5])
def test_rows_one_by_one_are_the_weighted_mean_of_all_windows(overlap: float) -> None:
    window = (8, 6, 5)
    weights = gaussian_weights(window).astype(np.float64)
    total, weight = np.zeros((2, *VOLUME.shape)), np.zeros(VOLUME.shape)
    num_windows = 0
    for starts in itertools.product(
        *(window_starts(side, w, overlap) for side, w in zip(VOLUME.shape, window, strict=True))
    ):
        there = tuple(slice(s, s + w) for s, w in zip(starts, window, strict=True))
        total[:, *there] += padded_mean(VOLUME[there][None, None])[0] * weights
        weight[there] += weights
        num_windows += 1
    told: list[None] = []
    found = list(blended(padded_mean, VOLUME, window, 2, overlap, lambda: told.append(None)))
    np.testing.assert_allclose(np.concatenate(found, axis=1), total / weight, rtol=1e-4, atol=1e-5)
    assert len(told) == num_windows
    assert max(rows.shape[1] for rows in found) <= window[0]
