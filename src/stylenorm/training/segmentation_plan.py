"""What a segmentation network is like for the scans at hand: spacing, patch, kernels and strides.

As nnU-Net plans them (Isensee et al. 2021, supplement, "Rule-based parameters"):

- *Spacing*: the median of the scans'. If that is anisotropic (an axis three times as coarse as the finest,
  and with a third of the voxels or fewer), the tenth percentile along that axis.
- *Patch*: as wide in millimetres along every axis as the number of voxels allows, but no wider than the
  median scan.
- *Levels*: an axis is halved while 4 voxels or more remain, together with all axes whose voxels are then
  less than twice as long as the shortest; a kernel is 1 along an axis that is coarser than that, and 3 from
  there on.

Differs from the paper: the number of voxels of a patch is asked for, where nnU-Net fills a GPU's memory;
sides of the patch are rounded down, not up, to what the strides divide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError
from stylenorm.models import sides_at

__all__ = [
    "SegmentationPlan",
    "asked_patch",
    "by",
    "cubic_patch",
    "median_sides",
    "planned_levels",
    "planned_patch",
    "planned_spacing",
]

Sides = tuple[int, int, int]
Spacing = tuple[float, float, float]

_SMALLEST = 4  # voxels of the coarsest map
_COARSER = 2.0  # such an axis is neither halved nor convolved along
_ANISOTROPIC = 3.0
_TENTH = 10


@dataclass(frozen=True)
class SegmentationPlan:
    """A network for some scans.

    Attributes:
        spacing_mm: what scans are brought to.
        patch: sides in voxels.
        kernels, strides: of each level.
    """

    spacing_mm: Spacing
    patch: Sides
    kernels: tuple[Sides, ...]
    strides: tuple[Sides, ...]

    @property
    def num_levels(self) -> int:
        """How many sizes the network has."""
        return len(self.strides)

    def lines(self) -> list[str]:
        """Return it in words."""
        extent = " x ".join(f"{n * mm:.0f}" for n, mm in zip(self.patch, self.spacing_mm, strict=True))
        return [
            f"patches of {by(self.patch)} voxels ({extent} mm)",
            f"strides {', '.join(by(each) for each in self.strides[1:])}",
            f"kernels {', '.join(by(each) for each in self.kernels)}",
        ]


def by(numbers: Sequence[float]) -> str:
    """Return numbers as sides are told: ``1 x 1 x 2.5``."""
    return " x ".join(f"{each:.3g}" for each in numbers)


def planned_spacing(spacings_mm: Sequence[Spacing], sides: Sequence[Sides]) -> Spacing:
    """Return what scans are brought to; see the module.

    Args:
        spacings_mm: of each scan.
        sides: of each scan, in voxels.
    """
    wanted = np.median(spacings_mm, axis=0)
    median_sides = np.median(sides, axis=0)
    axis = int(np.argmax(wanted))
    others = [i for i in range(3) if i != axis]
    is_coarse = wanted[axis] > _ANISOTROPIC * wanted.min()
    if is_coarse and median_sides[axis] * _ANISOTROPIC < median_sides[others].min():
        finer = np.percentile([each[axis] for each in spacings_mm], _TENTH)
        wanted[axis] = max(finer, wanted[others].max())
    x, y, z = (float(each) for each in wanted)
    return x, y, z


def planned_levels(
    patch: Sides, spacing_mm: Spacing, most: int
) -> tuple[tuple[Sides, ...], tuple[Sides, ...]]:
    """Return kernels and strides of each level.

    Args:
        patch: about what the network sees, in voxels.
        spacing_mm: of its voxels.
        most: levels, the finest included.

    Raises:
        InputError: the patch is too small to be halved once.
    """
    spacing, sides = np.array(spacing_mm), np.array(patch)
    kernel = np.ones(3, int)
    kernels: list[Sides] = []
    strides: list[Sides] = [(1, 1, 1)]
    while True:
        kernel[spacing < _COARSER * spacing.min()] = 3  # and stays so
        kernels.append(_three(kernel))
        roomy = sides >= 2 * _SMALLEST
        if len(strides) == most or not roomy.any():
            break
        halved = roomy & (spacing < _COARSER * spacing[roomy].min())
        kernel[halved] = 3
        strides.append(_three(1 + halved))
        sides = np.where(halved, -(-sides // 2), sides)
        spacing = np.where(halved, 2 * spacing, spacing)
    if len(strides) < 2:
        raise InputError(
            f"patch: expected 8 voxels or more along an axis, and 2 levels, got {by(patch)} and {most}: "
            "allow more voxels"
        )
    return tuple(kernels), tuple(strides)


def planned_patch(num_voxels: int, median_sides: Sides, spacing_mm: Spacing, most: int) -> SegmentationPlan:
    """Return the network for scans of that size; see the module.

    Args:
        num_voxels: of a patch, at most.
        median_sides: of the scans, at ``spacing_mm``.
        spacing_mm: what they are brought to.
        most: levels.

    Raises:
        InputError: no network fits.
    """
    wide = _as_wide_as_possible(num_voxels, np.array(median_sides, float), np.array(spacing_mm, float))
    kernels, strides = planned_levels(_three(wide.round()), spacing_mm, most)
    # The axes grow step by step: as much as fits, nowhere beyond what covers the median scan.
    multiples = [math.prod(each) for each in zip(*strides, strict=True)]
    covering = [-(-side // n) * n for side, n in zip(median_sides, multiples, strict=True)]
    sides = [max(n, int(side) // n * n) for side, n in zip(wide, multiples, strict=True)]
    while True:
        more = [
            i
            for i in range(3)
            if sides[i] < covering[i]
            and math.prod(sides) // sides[i] * (sides[i] + multiples[i]) <= num_voxels
        ]
        if not more:
            break
        shortest = min(more, key=lambda i: sides[i] * spacing_mm[i])
        sides[shortest] += multiples[shortest]
    return SegmentationPlan(spacing_mm, _three(sides), kernels, strides)


def asked_patch(sides: Sides, spacing_mm: Spacing, most: int) -> SegmentationPlan:
    """Return the network for a patch that is asked for.

    Raises:
        InputError: the sides are no multiples of what its strides ask for.
    """
    kernels, strides = planned_levels(sides, spacing_mm, most)
    multiples = [math.prod(each) for each in zip(*strides, strict=True)]
    if any(side % n for side, n in zip(sides, multiples, strict=True)):
        raise InputError(
            f"patch: expected multiples of {by(multiples)} for {len(strides)} levels, got {by(sides)}"
        )
    return SegmentationPlan(spacing_mm, sides, kernels, strides)


def cubic_patch(side: int, spacing_mm: Spacing, num_levels: int) -> SegmentationPlan:
    """Return a network of kernels of 3 and strides of 2 for a cube.

    Raises:
        InputError: the side is no multiple of what the strides ask for.
    """
    least = 2 ** (num_levels - 1)
    if num_levels < 2 or side % least or side < 2 * least:
        raise InputError(
            f"patch_voxels: expected a multiple of {least} of at least {2 * least} for "
            f"{num_levels} levels (two or more), got {side}"
        )
    strides: tuple[Sides, ...] = ((1, 1, 1), *[(2, 2, 2)] * (num_levels - 1))
    return SegmentationPlan(spacing_mm, (side, side, side), ((3, 3, 3),) * num_levels, strides)


def median_sides(sides: Sequence[Sides], spacings_mm: Sequence[Spacing], wanted_mm: Spacing | None) -> Sides:
    """Return the median size of scans, at the spacing that they are brought to (None: as they are)."""
    there = [
        each if wanted_mm is None else sides_at(each, here, wanted_mm)
        for each, here in zip(sides, spacings_mm, strict=True)
    ]
    return _three(np.median(there, axis=0).round())


def _as_wide_as_possible(
    num_voxels: int, most: NDArray[np.float64], spacing: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sides with as many voxels, alike in millimetres, but for axes on which the scan ends before."""
    sides = most.copy()
    free = np.ones(3, bool)
    while free.any():
        room = num_voxels / math.prod(sides[~free])
        width = (room * math.prod(spacing[free])) ** (1 / free.sum())
        sides[free] = width / spacing[free]
        over = free & (sides >= most)
        if not over.any():
            break
        sides[over], free = most[over], free & ~over
    wide: NDArray[np.float64] = np.maximum(sides, 1.0)
    return wide


def _three(numbers: Sequence[float] | NDArray[np.integer | np.floating]) -> Sides:
    x, y, z = (int(each) for each in numbers)
    return x, y, z
