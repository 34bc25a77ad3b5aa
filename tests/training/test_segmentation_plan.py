"""Plans: what the paper's rules give for scans like those of known data sets, and what cannot be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylenorm.errors import InputError
from stylenorm.networks import UNet3d
from stylenorm.training.segmentation_plan import (
    asked_patch,
    cubic_patch,
    median_sides,
    planned_levels,
    planned_patch,
    planned_spacing,
)

THREES, TWOS, ONES = (3, 3, 3), (2, 2, 2), (1, 1, 1)


def test_even_voxels_are_halved_alike_down_to_four() -> None:
    kernels, strides = planned_levels((128, 128, 128), (1.0, 1.0, 1.0), 6)
    assert kernels == (THREES,) * 6
    assert strides == (ONES, *[TWOS] * 5)
    assert planned_levels((40, 56, 40), (1.0, 1.0, 1.0), 6)[1] == (ONES, TWOS, TWOS, TWOS)


def test_thick_slices_are_left_alone_until_the_others_are_as_thick() -> None:
    """As the paper plans the prostate: 0.6 x 0.6 x 3.6 mm, patches of 320 x 256 x 20."""
    kernels, strides = planned_levels((320, 256, 20), (0.62, 0.62, 3.6), 7)
    assert kernels[:3] == ((3, 3, 1), (3, 3, 1), THREES)
    assert strides == (ONES, (2, 2, 1), (2, 2, 1), TWOS, TWOS, (2, 2, 1), (2, 2, 1))
    assert planned_levels((20, 256, 320), (3.6, 0.62, 0.62), 2)[0] == ((1, 3, 3), (1, 3, 3))
    # Fine along an axis that has no room: the others are halved, and convolved along from there on.
    assert planned_levels((4, 32, 32), (1.0, 3.0, 3.0), 2) == (((3, 1, 1), THREES), (ONES, (1, 2, 2)))


def test_patches_are_as_wide_as_there_are_voxels_for_and_scans() -> None:
    plan = planned_patch(128**3, (512, 512, 400), (1.0, 1.0, 1.0), 6)
    assert plan.patch == (128, 128, 128)
    assert planned_patch(128**3, (35, 51, 35), (1.0, 1.0, 1.0), 6).patch == (40, 56, 40)  # covers the scan
    thick = planned_patch(64**3, (300, 300, 20), (0.6, 0.6, 3.6), 6)
    assert thick.patch == (128, 128, 16)
    wide = [
        n * mm
        for n, mm in zip(planned_patch(64**3, (500,) * 3, (1.0, 1.0, 2.0), 4).patch, (1, 1, 2), strict=True)
    ]
    assert max(wide) <= 1.5 * min(wide)


def test_spacing_is_the_median_and_finer_across_thick_slices() -> None:
    assert planned_spacing([(1, 1, 1), (1, 2, 1.5), (3, 2, 2)], [(50, 50, 50)] * 3) == (1, 2, 1.5)
    spacings = [(0.7, 0.7, thick) for thick in (3.0, 5.0, 5.0, 5.0, 7.0)]
    x, y, z = planned_spacing(spacings, [(512, 512, 60)] * 5)  # type: ignore[arg-type]
    assert (x, y) == (0.7, 0.7)
    assert z == pytest.approx(3.8)  # numpy's tenth percentile of the five
    assert planned_spacing(spacings, [(90, 90, 60)] * 5)[2] == 5.0  # type: ignore[arg-type]
    assert median_sides([(100, 100, 20)] * 3, [(1.0, 1.0, 5.0)] * 3, (2.0, 1.0, 2.5)) == (50, 100, 40)
    assert median_sides([(10, 30, 20), (20, 10, 40)], [(1.0, 1.0, 1.0)] * 2, None) == (15, 20, 30)


@given(
    sides=st.tuples(*[st.integers(1, 300)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 8.0)] * 3),
    side=st.integers(8, 160),
    most=st.integers(2, 7),
)
def test_every_plan_is_a_network_of_at_most_so_many_voxels(
    sides: tuple[int, int, int], spacing: tuple[float, float, float], side: int, most: int
) -> None:
    try:
        plan = planned_patch(side**3, sides, spacing, most)
    except InputError as error:
        assert "expected 8 voxels or more along an axis" in str(error)  # noqa: PT017 (or it is planned)
        return
    assert 2 <= plan.num_levels <= most
    multiples = [math.prod(each) for each in zip(*plan.strides, strict=True)]
    assert all(a % n == 0 for a, n in zip(plan.patch, multiples, strict=True))
    assert math.prod(plan.patch) <= max(side**3, math.prod(multiples))
    for kernel, stride in zip(plan.kernels, plan.strides, strict=True):
        assert all(k == 3 for k, s in zip(kernel, stride, strict=True) if s == 2)
    covering = [-(-a // n) * n for a, n in zip(sides, multiples, strict=True)]
    assert all(a <= b for a, b in zip(plan.patch, covering, strict=True))


def test_a_patch_that_is_asked_for() -> None:
    plan = asked_patch((160, 160, 32), (0.7, 0.7, 3.0), 5)
    assert plan.strides == (ONES, (2, 2, 1), (2, 2, 1), TWOS, TWOS)
    assert plan.lines()[0] == "patches of 160 x 160 x 32 voxels (112 x 112 x 96 mm)"
    assert UNet3d(2, 5, 4, kernels=plan.kernels, strides=plan.strides).multiple == (16, 16, 4)
    with pytest.raises(
        InputError, match="patch: expected multiples of 4 x 4 x 4 for 3 levels, got 17 x 16 x 16"
    ):
        asked_patch((17, 16, 16), (1.0, 1.0, 1.0), 3)
    with pytest.raises(InputError, match="patch_voxels: expected a multiple of 4 of at least 8 for 3 levels"):
        cubic_patch(6, (1.0, 1.0, 1.0), 3)
    with pytest.raises(InputError, match="patch: expected 8 voxels or more along an axis"):
        planned_levels((7, 7, 7), (1.0, 1.0, 1.0), 6)
