"""Scans with their labels for training: random patches of them, and what is kept out."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylenorm.configurations import VolumesConfig
from stylenorm.errors import InputError, TrainingError
from stylenorm.media.scan_layouts import ScanCase, ct_channels, find_labelled_scans
from stylenorm.media.scans import ScanGrid, grid_of
from stylenorm.models import Intensities
from stylenorm.training import ranks
from stylenorm.training.data.prepared_scans import Case, Preparation, foreground_of, normalize, prepared
from stylenorm.training.segmentation_plan import (
    SegmentationPlan,
    asked_patch,
    by,
    cubic_patch,
    median_sides,
    planned_patch,
    planned_spacing,
)

__all__ = ["Cases", "augmented", "held_out_names"]

_Number = TypeVar("_Number", int, float)

_UNLIKE = 1.5  # spacings that differ by more are told
_SHUFFLED_BY = 12345  # folds are the same in every training, whatever its seed


class Cases:
    """Random patches of a folder's scans: what is drawn is a pure function of (seed, step).

    All scans are read at the start, brought to one spacing and normalized, and laid into a temporary folder;
    patches are cut there.

    Args:
        config: the folder, and what is asked for.
        augment: mirror, and change intensities.

    Attributes:
        training, held_out: the cases.
        channels: names of the channels, as far as they are known.
        num_channels: images a case.
        num_classes: one more than the largest label.
        intensities: how each channel is normalized.
        plan: spacing, patch, kernels and strides.

    Raises:
        TrainingError: too few cases, or none with foreground.
        InputError: a file is not as expected, or what is asked for does not fit together.
    """

    def __init__(self, config: VolumesConfig, *, augment: bool = True) -> None:
        share = config.foreground_share
        if config.batch_size < 1 or not 0 <= share <= 1:
            raise InputError(
                "expected a batch of at least 1 and a share of foreground from 0 to 1, "
                f"got {config.batch_size} and {share:g}"
            )
        self.folder, self.batch_size, self.seed = config.cases, config.batch_size, config.seed
        self._augment = augment
        self._first_foreground = round(config.batch_size * (1 - share))
        wanted = [each.strip() for each in config.channels.split(",") if each.strip()]
        layout = find_labelled_scans(config.cases, wanted)
        self.channels, self._note = layout.channels, layout.note
        kept_out = held_out_names([case.name for case in layout.cases], config)
        grids = [grid_of(case.images[0]) for case in layout.cases]
        self.num_channels = _num_channels(layout.cases, grids)
        self.plan, self.resamples = planned(config, grids)
        self._kept = Path(tempfile.mkdtemp(prefix="stylenorm-"))
        weakref.finalize(self, shutil.rmtree, self._kept, ignore_errors=True)
        how = Preparation(
            self._kept, self.plan.spacing_mm if self.resamples else None, config.interpolation, config.seed
        )
        cases = [prepared(case, how) for case in layout.cases]
        self.held_out = [case for case in cases if case.name in kept_out]
        self.training = [case for case in cases if case.name not in kept_out]
        self.num_classes = 1 + max((label for case in cases for label in case.places), default=0)
        if not any(case.places for case in self.training):
            raise TrainingError(
                f"{config.cases}: expected labels above 0 in a scan that is trained on, found none"
            )
        self.intensities = self._ways(config)
        normalize(cases, self.intensities)

    @property
    def patch(self) -> tuple[int, int, int]:
        """Sides of the patches."""
        return self.plan.patch

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """What scans were brought to; their median where nothing was resampled."""
        return self.plan.spacing_mm

    def _ways(self, config: VolumesConfig) -> list[Intensities]:
        """How each channel is normalized."""
        if (config.window_low is None) != (config.window_high is None):
            raise InputError("expected both window_low and window_high, or neither, got one of them")
        if config.window_low is not None and config.window_high is not None:
            if config.intensities not in ("auto", "window"):
                raise InputError(f"intensities: expected window with window_low, got {config.intensities!r}")
            if not config.window_low < config.window_high:
                raise InputError(
                    f"window_low: expected less than window_high, got {config.window_low:g} and "
                    f"{config.window_high:g}"
                )
            return [Intensities.of_window(config.window_low, config.window_high)] * self.num_channels
        if config.intensities == "auto":
            is_ct = ct_channels(config.cases, self.num_channels)
        elif config.intensities in ("scan", "ct"):
            is_ct = (config.intensities == "ct",) * self.num_channels
        else:
            known = "auto, scan or ct, or window with window_low and window_high"
            raise InputError(f"intensities: expected {known}, got {config.intensities!r}")
        return [foreground_of(self.training, i) if as_ct else Intensities() for i, as_ct in enumerate(is_ct)]

    def notes(self) -> list[str]:
        """Return what a user should know: what is not used, and voxels of another size where they stay so."""
        notes = [self._note] if self._note else []
        unlike = [
            case
            for case in (*self.held_out, *self.training)
            if any(max(a / b, b / a) > _UNLIKE for a, b in zip(case.spacing_mm, self.spacing_mm, strict=True))
        ]
        if unlike and not self.resamples:
            notes.append(
                f"{self.folder}: {len(unlike)} of {len(self.held_out) + len(self.training)} scans "
                "have voxels of "
                f"another size than the median's {by(self.spacing_mm)} mm; the first: {unlike[0].name}, "
                f"{by(unlike[0].spacing_mm)} mm; nothing is resampled"
            )
        return notes

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the patches of ``step``: (N, C, X, Y, Z) float32, and their labels (N, X, Y, Z) int64.

        Of several processes each gets its share.
        """
        images, labels = [], []
        for number in ranks.shard(range(self.batch_size)):
            rng = np.random.default_rng([self.seed, step, number])
            image, truth = self._patch(rng, foreground=number >= self._first_foreground)
            if self._augment:
                image, truth = augmented(image, truth, rng)
            images.append(torch.from_numpy(np.ascontiguousarray(image)))
            labels.append(torch.from_numpy(np.ascontiguousarray(truth)).long())
        return torch.stack(images), torch.stack(labels)

    def cut(self, case: Case, middle: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the patch around a voxel, moved into the scan; what lies behind a small one is 0."""
        where, missing = [], []
        for side, patch, place in zip(case.labels.shape, self.patch, middle, strict=True):
            start = max(0, min(int(place) - patch // 2, side - patch))
            where.append(slice(start, start + patch))
            missing.append((0, max(0, patch - side)))
        image, labels = case.image[(slice(None), *where)], case.labels[tuple(where)]
        return np.pad(image, [(0, 0), *missing]), np.pad(labels, missing)

    def _patch(
        self, rng: np.random.Generator, *, foreground: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        case = self.training[int(rng.integers(len(self.training)))]
        sides = case.labels.shape
        middle = np.array([int(rng.integers(side)) for side in sides])
        if foreground and case.places:
            places = case.places[int(rng.choice(sorted(case.places)))]
            middle = places[int(rng.integers(len(places)))]
        else:  # uniformly among the places that a patch can have
            room = [max(0, side - patch) for side, patch in zip(sides, self.patch, strict=True)]
            middle = np.array(
                [int(rng.integers(r + 1)) + p // 2 for r, p in zip(room, self.patch, strict=True)]
            )
        return self.cut(case, middle)


def held_out_names(names: Sequence[str], config: VolumesConfig) -> set[str]:
    """Return which cases are never trained on: the first ones, or those of a fold.

    Folds depend on the names alone, so that the trainings of all folds have each case held out once.

    Args:
        names: of all cases, sorted.
        config: `num_held_out`, or `fold` and `folds`.

    Raises:
        TrainingError: there are too few cases.
        InputError: no such fold.
    """
    if config.fold is None:
        least = max(config.num_held_out, 1)
        if config.num_held_out < least or len(names) <= least:
            raise TrainingError(
                f"{config.cases}: expected at least {least + 1} scans, of which {least} are held out, "
                f"found {len(names)} and {config.num_held_out}"
            )
        return set(names[: config.num_held_out])
    if not (config.folds >= 2 and 0 <= config.fold < config.folds):
        raise InputError(
            f"fold: expected 0 to {config.folds - 1} of 2 folds or more, got {config.fold} of {config.folds}"
        )
    if len(names) < config.folds:
        raise TrainingError(
            f"{config.cases}: expected at least a scan a fold, {config.folds}, found {len(names)}"
        )
    order = np.random.default_rng(_SHUFFLED_BY).permutation(len(names))
    return {names[i] for i in np.array_split(order, config.folds)[config.fold]}


def planned(config: VolumesConfig, grids: Sequence[ScanGrid]) -> tuple[SegmentationPlan, bool]:
    """Return the plan for scans on these grids, and whether they are brought to its spacing.

    Raises:
        InputError: what is asked for is none that can be.
    """
    sides, spacings = [grid.sides for grid in grids], [grid.spacing_mm for grid in grids]
    resamples = config.spacing != "none"
    if config.spacing == "median":
        spacing = planned_spacing(spacings, sides)
    elif resamples:
        spacing = _numbers("spacing", config.spacing, "median, none or three numbers such as 1,1,2.5", float)
    else:
        x, y, z = (float(each) for each in np.median(spacings, axis=0))
        spacing = (x, y, z)
    if config.patch == "auto":
        there = median_sides(sides, spacings, spacing if resamples else None)
        return planned_patch(config.patch_voxels**3, there, spacing, config.num_levels), resamples
    if config.patch == "cube":
        return cubic_patch(config.patch_voxels, spacing, config.num_levels), resamples
    wanted = _numbers("patch", config.patch, "auto, cube or three numbers such as 160,160,32", int)
    return asked_patch(wanted, spacing, config.num_levels), resamples


def _numbers(name: str, text: str, expected: str, kind: type[_Number]) -> tuple[_Number, _Number, _Number]:
    try:
        x, y, z = (kind(each) for each in text.replace("x", ",").split(","))
    except ValueError:
        raise InputError(f"{name}: expected {expected}, got {text!r}") from None
    if not all(0 < each < math.inf for each in (x, y, z)):
        raise InputError(f"{name}: expected {expected}, above 0, got {text!r}")
    return x, y, z


def _num_channels(cases: Sequence[ScanCase], grids: Sequence[ScanGrid]) -> int:
    counts = [
        len(c.images) if len(c.images) > 1 else g.num_channels for c, g in zip(cases, grids, strict=True)
    ]
    for case, count in zip(cases, counts, strict=True):
        if count != counts[0]:
            raise InputError(
                f"{case.images[0]}: expected {counts[0]} channels as {cases[0].images[0].name} has, "
                f"got {count}"
            )
    return counts[0]


def augmented(
    image: NDArray[np.float32], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Mirror along each axis by half, and change intensities, each change with nnU-Net's probability.

    Noise (0.1; variance to 0.1), brightness (0.15; 0.75 to 1.25 times), contrast (0.15; 0.75 to 1.25 times,
    within the range), gamma (0.3; 0.7 to 1.5, mean and deviation kept). nnU-Net's rotations, scales, blur and
    lower resolutions are left out.

    Args:
        image: (C, X, Y, Z); each channel is changed by itself.
        labels: (X, Y, Z).
        rng: what is drawn is drawn from.
    """
    axes = tuple(axis for axis in range(3) if rng.uniform() < 0.5)
    labels = np.flip(labels, axes)
    channels = [_other_intensities(np.flip(channel, axes), rng) for channel in image]
    return np.stack(channels).astype(np.float32, copy=False), labels


def _other_intensities(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    if rng.uniform() < 0.1:
        image = image + rng.normal(0, np.sqrt(rng.uniform(0, 0.1)), image.shape).astype(np.float32)
    if rng.uniform() < 0.15:
        image = image * np.float32(rng.uniform(0.75, 1.25))
    if rng.uniform() < 0.15:
        low, high, mean = image.min(), image.max(), image.mean()
        image = np.clip((image - mean) * np.float32(rng.uniform(0.75, 1.25)) + mean, low, high)
    if rng.uniform() < 0.3:
        low, span = image.min(), np.ptp(image)
        if span > 0:
            bent = ((image - low) / span) ** np.float32(rng.uniform(0.7, 1.5))
            deviation = bent.std()
            image = (bent - bent.mean()) / max(deviation, np.float32(1e-6)) * image.std() + image.mean()
    return image
