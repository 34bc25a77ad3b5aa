"""Scans that are drawn, with their labels: volumes to try segmentation on.

Each is a body with a skin of bone, an organ (label 1), a vessel that winds through (2) and lesions in the
organ (3), all bent by a smooth field. Bone is as bright as the vessel and lesions are nearly as dark as the
body, so that brightness alone does not tell. Scanners differ: noise, a bias field as coils have it, contrast
(a gamma), gain and offset, the size of the body and of the voxels, and the way the voxels run in the file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylenorm.media.scans import nifti_image, write_nifti

__all__ = ["SYNTHETIC_LABELS", "synthetic_volume", "write_volumes"]

SYNTHETIC_LABELS = ("background", "organ", "vessel", "lesion")
"""What the labels 0, 1, ... are."""

Field = NDArray[np.float64]

_USUAL_MM = (1.1, 1.1, 1.375)  # the middle of `_spacing`
_GREY = {"body": 0.35, "organ": 0.58, "vessel": 0.85, "lesion": 0.42, "bone": 0.88}  # air is 0


def synthetic_volume(
    shape: Sequence[int], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Draw a scan: intensities and labels, both (X, Y, Z), running to the right, front and top.

    Args:
        shape: its sides, about equal, in voxels; from about 24 everything has some voxels.
        rng: what is drawn is drawn from.
    """
    size = rng.uniform(0.88, 1.12)
    axes = np.meshgrid(*((np.arange(n) + 0.5) / n * 2 - 1 for n in shape), indexing="ij")
    soft = 2 / max(shape)  # half a voxel to either side of an edge is of both: a partial volume
    place = [axis / size + 0.06 * _smooth(axes, rng) for axis in axes]

    def ball(middle: Field, radii: Field) -> Field:
        """How much of each voxel is within an ellipsoid, 0..1."""
        u = np.sqrt(sum(((p - m) / r) ** 2 for p, m, r in zip(place, middle, radii, strict=True)))
        return _share((1 - u) * radii.min(), soft)

    around = rng.uniform(-0.05, 0.05, 3)
    body = ball(around, np.array([0.86, 0.74, 1.1]))
    inner = ball(around, np.array([0.77, 0.65, 1.0]))
    middle = np.array([0.3, 0.05, 0.0]) + rng.uniform(-0.08, 0.08, 3)
    radii = np.array([0.36, 0.42, 0.5]) * rng.uniform(0.85, 1.15, 3)
    organ = ball(middle, radii)
    lesions = np.zeros_like(body)
    for _ in range(int(rng.integers(1, 4))):
        direction = rng.normal(size=3)
        at = middle + radii * 0.5 * direction / np.linalg.norm(direction)
        lesions = np.maximum(lesions, ball(at, rng.uniform(0.13, 0.2) * rng.uniform(0.85, 1.15, 3)))
    lesions = np.minimum(lesions, organ)
    turns, phases = rng.uniform(0.6, 1.4, 2), rng.uniform(0, 2 * np.pi, 2)
    path = [-0.38 + 0.1 * np.sin(turns[0] * np.pi * place[2] + phases[0])]
    path.append(0.18 * np.sin(turns[1] * np.pi * place[2] + phases[1]))
    apart = np.sqrt((place[0] - path[0]) ** 2 + (place[1] - path[1]) ** 2)
    vessel = np.minimum(_share(rng.uniform(0.11, 0.16) - apart, soft), inner)

    grey = {name: value + rng.uniform(-0.03, 0.03) for name, value in _GREY.items()}
    image = np.zeros(tuple(shape))
    shares = {"bone": body, "body": inner, "organ": organ, "lesion": lesions, "vessel": vessel}
    for name, share in shares.items():
        image = image * (1 - share) + grey[name] * share
    labels = np.zeros(tuple(shape), np.uint8)
    for label, share in enumerate((organ, vessel, lesions), start=1):
        labels[share > 0.5] = label
    return _scanned(image, axes, rng), labels


def write_volumes(folder: Path, count: int, size: int, *, seed: int = 0, in_mm: bool = False) -> None:
    """Write ``folder/images/0000.nii.gz``, ... and ``folder/labels/0000.nii.gz``, ...

    Args:
        folder: made if it is not there.
        count: scans.
        size: their sides, in voxels, about: each differs by up to an eighth.
        seed: what they are drawn from.
        in_mm: bodies are about as large in millimetres, as patients are, so that a scan with smaller voxels
            has more of them; else bodies are about as large in voxels, whatever these measure.

    Raises:
        MissingExtraError: nibabel is not installed.
    """
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        shape = [size + int(rng.integers(-(size // 8), size // 8 + 1)) for _ in range(3)]
        if in_mm:
            spacing = _spacing(rng)
            shape = [round(n * usual / mm) for n, usual, mm in zip(shape, _USUAL_MM, spacing, strict=True)]
        image, labels = synthetic_volume(shape, rng)
        axes = tuple(axis for axis in range(3) if rng.uniform() < 0.5)
        order = rng.permutation(3)
        if not in_mm:
            spacing = _spacing(rng)
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = rng.uniform(-100, 100, 3)
        for axis in axes:  # the voxels run the other way in the file
            affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
            affine[:, axis] *= -1
        for kind, voxels in (("images", np.rint(image).astype(np.int16)), ("labels", labels)):
            turned = np.flip(voxels, axes).transpose(order)
            made = nifti_image(turned, affine[:, [*order, 3]])
            write_nifti(made, folder / kind / f"{i:04d}.nii.gz", overwrite=True)


def _spacing(rng: np.random.Generator) -> Field:
    """The size of a scan's voxels in mm."""
    return rng.uniform(0.8, 1.4) * np.array([1, 1, rng.uniform(1, 1.5)])


def _scanned(image: Field, axes: Sequence[Field], rng: np.random.Generator) -> NDArray[np.float32]:
    """The picture as a scanner of its own kind gives it: intensities of about -1000..2000."""
    is_ct = rng.uniform() < 0.5
    image = np.clip(image, 0, 1) ** rng.uniform(0.75, 1.35)
    if not is_ct:
        image = image * np.exp(0.25 * _smooth(axes, rng))
    image = image + rng.normal(0, rng.uniform(0.02, 0.05), image.shape)
    if is_ct:
        return (image * rng.uniform(1400, 2200) - 1000).astype(np.float32)
    return (np.abs(image) * rng.uniform(100, 1500)).astype(np.float32)


def _smooth(axes: Sequence[Field], rng: np.random.Generator) -> Field:
    """A field of a few slow waves, about -1..1."""
    field = np.zeros(axes[0].shape)
    for _ in range(4):
        direction = rng.uniform(-1.2, 1.2, 3) * np.pi / 2
        wave = sum(a * d for a, d in zip(axes, direction, strict=True))
        field += 0.5 * np.sin(wave + rng.uniform(0, 2 * np.pi))
    return field


def _share(inward: Field, soft: float) -> Field:
    """How much of a voxel is inside, by how far its middle is."""
    share: Field = np.clip(0.5 + inward / soft, 0, 1)
    return share


def main() -> None:
    """Write scans into a folder."""
    parser = argparse.ArgumentParser(description="Draw scans with their labels into a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--side", type=int, default=48, help="voxels")
    parser.add_argument("--in-mm", action="store_true", help="bodies alike in millimetres, not in voxels")
    options = parser.parse_args()
    write_volumes(options.folder, options.count, options.side, in_mm=options.in_mm)


if __name__ == "__main__":
    main()
