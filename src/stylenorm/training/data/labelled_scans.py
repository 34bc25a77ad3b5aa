"""Scans with their labels for training: random patches of them, and what is kept out."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylenorm.errors import InputError, TrainingError
from stylenorm.media.scans import SUFFIXES, read_labels, read_volume
from stylenorm.models import standardized
from stylenorm.training import ranks

__all__ = ["Case", "Cases", "augmented", "find_cases"]

_FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"))
_OTHER_CHANNEL = re.compile(r"_\d{4}")
_CHANNEL = "_0000"  # nnU-Net's name of the first image of a case
_UNLIKE = 1.5  # spacings that differ by more are told
_NUM_PLACES = 10_000  # of each class, as in nnU-Net


@dataclass(frozen=True, eq=False)
class Case:
    """One scan.

    Attributes:
        name: of its files.
        image: (X, Y, Z) float32, mean 0 and deviation 1.
        labels: (X, Y, Z) uint8.
        places: of each class that it has but the background, some of its voxels (n, 3).
        spacing_mm: size of a voxel.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    places: dict[int, NDArray[np.int32]]
    spacing_mm: tuple[float, float, float]


class Cases:
    """Random patches of a folder's scans: what is drawn is a pure function of (seed, step).

    All scans are read at the start and laid, normalized, into a temporary folder; patches are cut there.

    Args:
        folder: with ``imagesTr`` and ``labelsTr``, or ``images`` and ``labels``; see `find_cases`.
        patch: sides of the patches.
        batch_size: patches a step, of all processes together.
        seed: what is drawn is drawn from.
        num_held_out: the first so many cases (by name) are kept out of training.
        foreground_share: share of each batch, from its end, whose patches have foreground in the middle.
        augment: mirror, and change intensities.

    Attributes:
        training, held_out: the cases.
        num_classes: one more than the largest label.
        spacing_mm: the median.

    Raises:
        TrainingError: too few cases, or none with foreground.
        InputError: a file is not as expected.
    """

    def __init__(
        self,
        folder: Path,
        *,
        patch: tuple[int, int, int],
        batch_size: int,
        seed: int,
        num_held_out: int,
        foreground_share: float = 1 / 3,
        augment: bool = True,
    ) -> None:
        if batch_size < 1 or not 0 <= foreground_share <= 1:
            raise InputError(
                "expected a batch of at least 1 and a share of foreground from 0 to 1, "
                f"got {batch_size} and {foreground_share:g}"
            )
        self.folder, self.patch, self.batch_size, self.seed = folder, patch, batch_size, seed
        self._augment = augment
        self._first_foreground = round(batch_size * (1 - foreground_share))
        paths = find_cases(folder)
        least = max(num_held_out, 1)
        if num_held_out < least or len(paths) <= least:
            raise TrainingError(
                f"{folder}: expected at least {least + 1} scans, of which {least} are held out, "
                f"found {len(paths)} and {num_held_out}"
            )
        self._kept = Path(tempfile.mkdtemp(prefix="stylenorm-"))
        weakref.finalize(self, shutil.rmtree, self._kept, ignore_errors=True)
        cases = [self._prepared(name, *pair) for name, pair in paths.items()]
        self.held_out, self.training = cases[:num_held_out], cases[num_held_out:]
        self.num_classes = 1 + max((label for case in cases for label in case.places), default=0)
        if not any(case.places for case in self.training):
            raise TrainingError(f"{folder}: expected labels above 0 in a scan that is trained on, found none")
        self.spacing_mm: tuple[float, float, float] = tuple(  # type: ignore[assignment]
            float(np.median([case.spacing_mm[axis] for case in cases])) for axis in range(3)
        )

    def notes(self) -> list[str]:
        """Return what a user should know: which scans have voxels of another size than most."""
        unlike = [
            case
            for case in (*self.held_out, *self.training)
            if any(max(a / b, b / a) > _UNLIKE for a, b in zip(case.spacing_mm, self.spacing_mm, strict=True))
        ]
        if not unlike:
            return []
        here, there = (" x ".join(f"{s:.2g}" for s in x) for x in (unlike[0].spacing_mm, self.spacing_mm))
        return [
            f"{self.folder}: {len(unlike)} of {len(self.held_out) + len(self.training)} scans have voxels of "
            f"another size than the median's {there} mm; the first: {unlike[0].name}, {here} mm; nothing is "
            "resampled: bring them to one spacing"
        ]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the patches of ``step``: (N, 1, X, Y, Z) float32, and their labels (N, X, Y, Z) int64.

        Of several processes each gets its share.
        """
        images, labels = [], []
        for number in ranks.shard(range(self.batch_size)):
            rng = np.random.default_rng([self.seed, step, number])
            image, truth = self._patch(rng, foreground=number >= self._first_foreground)
            if self._augment:
                image, truth = augmented(image, truth, rng)
            images.append(torch.from_numpy(np.ascontiguousarray(image))[None])
            labels.append(torch.from_numpy(np.ascontiguousarray(truth)).long())
        return torch.stack(images), torch.stack(labels)

    def cut(self, case: Case, middle: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the patch around a voxel, moved into the scan; what lies behind a small one is 0."""
        where, missing = [], []
        for side, patch, place in zip(case.image.shape, self.patch, middle, strict=True):
            start = max(0, min(int(place) - patch // 2, side - patch))
            where.append(slice(start, start + patch))
            missing.append((0, max(0, patch - side)))
        image, labels = case.image[tuple(where)], case.labels[tuple(where)]
        return np.pad(image, missing), np.pad(labels, missing)

    def _patch(
        self, rng: np.random.Generator, *, foreground: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        case = self.training[int(rng.integers(len(self.training)))]
        middle = np.array([int(rng.integers(side)) for side in case.image.shape])
        if foreground and case.places:
            places = case.places[int(rng.choice(sorted(case.places)))]
            middle = places[int(rng.integers(len(places)))]
        else:  # uniformly among the places that a patch can have
            room = [max(0, side - patch) for side, patch in zip(case.image.shape, self.patch, strict=True)]
            middle = np.array(
                [int(rng.integers(r + 1)) + p // 2 for r, p in zip(room, self.patch, strict=True)]
            )
        return self.cut(case, middle)

    def _prepared(self, name: str, image: Path, truth: Path) -> Case:
        volume, labels = read_volume(image), read_labels(truth)
        if labels.voxels.shape != volume.voxels.shape:
            wanted, got = (" x ".join(map(str, each.voxels.shape)) for each in (volume, labels))
            raise InputError(f"{truth}: expected labels of {wanted} voxels as its scan has, got {got}")
        if not np.allclose(labels.affine, volume.affine, atol=1e-2):  # turned: voxels may run another way
            raise InputError(f"{truth}: expected the affine of its scan, got another: bring both on one grid")
        folder = self._kept
        np.save(folder / f"{name}.image.npy", standardized(volume.voxels))
        np.save(folder / f"{name}.labels.npy", labels.voxels)
        rng = np.random.default_rng([self.seed, 1])
        places = {}
        for label in np.unique(labels.voxels):
            if label:
                where = np.argwhere(labels.voxels == label).astype(np.int32)
                places[int(label)] = where[rng.permutation(len(where))[:_NUM_PLACES]]
        return Case(
            name,
            np.load(folder / f"{name}.image.npy", mmap_mode="r"),
            np.load(folder / f"{name}.labels.npy", mmap_mode="r"),
            places,
            volume.spacing_mm,
        )


def find_cases(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return image and labels of each case of a folder, by name, sorted.

    Images lie in ``imagesTr`` and labels in ``labelsTr`` (as in nnU-Net and the Medical Segmentation
    Decathlon), or in ``images`` and ``labels``; both have the case's name, images perhaps with ``_0000``.

    Raises:
        TrainingError: there are no such folders, or an image has no labels.
    """
    for images, labels in _FOLDERS:
        if (folder / images).is_dir() and (folder / labels).is_dir():
            break
    else:
        raise TrainingError(
            f"{folder}: expected folders imagesTr and labelsTr, or images and labels, found neither"
        )
    known = {_name(path): path for path in _files(folder / labels)}
    cases = {}
    for path in _files(folder / images):
        name = _name(path)
        if name not in known and name.endswith(_CHANNEL):
            name = name.removesuffix(_CHANNEL)
        if name not in known and _OTHER_CHANNEL.fullmatch(name[-5:]) and name[:-5] in known:
            raise TrainingError(
                f"{path}: expected one image a case, got another of {name[:-5]}: several are not read; keep "
                f"one of them in {folder / images}"
            )
        if name not in known:
            raise TrainingError(f"{path}: expected labels of the same name in {folder / labels}, found none")
        cases[name] = (path, known[name])
    return dict(sorted(cases.items()))


def augmented(
    image: NDArray[np.float32], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Mirror along each axis by half, and change intensities, each change with nnU-Net's probability.

    Noise (0.1; variance to 0.1), brightness (0.15; 0.75 to 1.25 times), contrast (0.15; 0.75 to 1.25 times,
    within the range), gamma (0.3; 0.7 to 1.5, mean and deviation kept). nnU-Net's rotations, scales, blur and
    lower resolutions are left out.

    Args:
        image: (X, Y, Z).
        labels: the same.
        rng: what is drawn is drawn from.
    """
    axes = tuple(axis for axis in range(3) if rng.uniform() < 0.5)
    image, labels = np.flip(image, axes), np.flip(labels, axes)
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
    return image.astype(np.float32, copy=False), labels


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")
    )


def _name(path: Path) -> str:
    return path.name[: path.name.lower().rindex(".nii")]
