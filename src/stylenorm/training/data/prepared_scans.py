"""Scans made ready for training: on one spacing, with the network's intensities, in files to cut from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError
from stylenorm.media.scan_layouts import ScanCase
from stylenorm.media.scans import check_same_grid, read_labels, read_scan
from stylenorm.models import Intensities, coarse_axis, normalized, resampled_image, resampled_labels, sides_at

__all__ = ["Case", "Preparation", "foreground_of", "normalize", "prepared"]

_NUM_PLACES = 10_000  # of each class, as in nnU-Net
_NUM_INTENSITIES = 10_000  # of each scan's foreground

Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Case:
    """One scan.

    Attributes:
        name: of its files.
        image: (C, X, Y, Z) float32, as the network sees it.
        labels: (X, Y, Z) uint8.
        places: of each class that it has but the background, some of its voxels (n, 3).
        spacing_mm: size of a voxel in its file.
        foreground: (C, n): intensities of some labelled voxels, as they are in the file.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    places: dict[int, NDArray[np.int32]]
    spacing_mm: Spacing
    foreground: NDArray[np.float32]


@dataclass(frozen=True)
class Preparation:
    """How scans are made ready.

    Attributes:
        folder: where they are laid.
        spacing_mm: what they are brought to; None for as they are.
        interpolation: of images; see `stylenorm.models.resampled_image`.
        seed: which voxels are remembered is drawn from.
    """

    folder: Path
    spacing_mm: Spacing | None
    interpolation: str
    seed: int


def prepared(case: ScanCase, how: Preparation) -> Case:
    """Read a scan and its labels, bring both to the spacing, and lay them into files.

    Intensities are still those of the file; `normalize` comes when all scans are known.

    Raises:
        InputError: a file is none that can be read, or the labels are on another grid.
    """
    assert case.labels is not None  # noqa: S101 (narrows the type: cases of a training have labels)
    volume, truth = read_scan(case.images), read_labels(case.labels)
    check_same_grid(truth, volume)
    voxels, labels = volume.voxels, truth.voxels
    rng = np.random.default_rng([how.seed, 1])
    where = np.flatnonzero(labels)
    where = where[rng.permutation(len(where))[:_NUM_INTENSITIES]]
    foreground = voxels.reshape(len(voxels), -1)[:, where]
    if how.spacing_mm is not None:
        sides = sides_at(labels.shape, volume.spacing_mm, how.spacing_mm)
        axis = coarse_axis(volume.spacing_mm)
        coarse = coarse_axis(how.spacing_mm) if axis is None else axis
        voxels = np.stack([resampled_image(each, sides, how.interpolation, coarse) for each in voxels])
        labels = resampled_labels(labels, sides)
    return Case(
        case.name,
        _laid(how.folder / f"{case.name}.image.npy", voxels),
        _laid(how.folder / f"{case.name}.labels.npy", labels),
        _places(labels, rng),
        volume.spacing_mm,
        foreground,
    )


def normalize(cases: Sequence[Case], ways: Sequence[Intensities]) -> None:
    """Give all scans the intensities that the network sees, in their files.

    Args:
        cases: of `prepared`.
        ways: one a channel.
    """
    for case in cases:
        case.image[:] = normalized(np.asarray(case.image), ways)


def foreground_of(cases: Sequence[Case], channel: int) -> Intensities:
    """Return nnU-Net's way with CT, of the scans that are trained on.

    Raises:
        InputError: nothing is labelled in them.
    """
    found = np.concatenate([case.foreground[channel] for case in cases])
    if not found.size:
        raise InputError("intensities: expected labels above 0 to take CT's percentiles from, found none")
    return Intensities.of_foreground(found)


def _places(labels: NDArray[np.uint8], rng: np.random.Generator) -> dict[int, NDArray[np.int32]]:
    places = {}
    for label in np.unique(labels):
        if label:
            where = np.argwhere(labels == label).astype(np.int32)
            places[int(label)] = where[rng.permutation(len(where))[:_NUM_PLACES]]
    return places


def _laid(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    """The array in a file of its own, mapped: scans together need not fit into memory."""
    np.save(path, array)
    laid: NDArray[Any] = np.load(path, mmap_mode="r+")
    return laid
