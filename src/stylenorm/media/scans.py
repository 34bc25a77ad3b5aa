"""Volumes in and out: NIfTI files, through nibabel (extra ``volumes``).

Whatever way the voxels of a file run, they are handed out running to the right, to the front and to the top
of the patient (RAS+, to the nearest axes), so that a network sees every scan alike; what is written runs as
the file did. Nothing is resampled.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError, MissingExtraError, ShapeError
from stylenorm.media import atomic_write

__all__ = [
    "SUFFIXES",
    "ScanGrid",
    "Volume",
    "check_name",
    "check_same_grid",
    "grid_of",
    "nifti_image",
    "read_labels",
    "read_scan",
    "read_volume",
    "write_labels",
    "write_nifti",
]

SUFFIXES = (".nii", ".nii.gz")

_SAME_AFFINE = 1e-2  # mm


@dataclass(frozen=True)
class ScanGrid:
    """What a file's header says of its voxels.

    Attributes:
        sides: (X, Y, Z) to the right, front and top.
        spacing_mm: size of a voxel along these.
        num_channels: volumes in the file.
    """

    sides: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    num_channels: int


@dataclass(frozen=True)
class Volume:
    """One scan, or its labels.

    Attributes:
        voxels: (X, Y, Z) to the right, front and top, or (C, X, Y, Z); float32 intensities, or uint8 labels.
        spacing_mm: size of a voxel along these.
        image: nibabel's image of the file, without its data.
        path: where it was read.
    """

    voxels: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    image: Any
    path: Path

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4), from `voxels` to millimetres: the file's, after its voxels were turned."""
        return _turned_affine(self.image, self.image.shape[:3])


def grid_of(path: str | Path) -> ScanGrid:
    """Return what a NIfTI file's header says; its voxels are not read.

    Raises:
        MissingExtraError: nibabel is not installed.
        InputError: it is no such file.
        ShapeError: it has other dimensions than a volume, or a volume of several channels.
    """
    path = Path(path)
    image = _open(path)
    x, y, z, channels = _shape(image, path)
    turned = _nibabel().io_orientation(image.affine)[:, 0].argsort()
    there = [(x, y, z)[int(axis)] for axis in turned]
    return ScanGrid((there[0], there[1], there[2]), _spacing(image), channels)


def read_volume(path: str | Path) -> Volume:
    """Read a scan: a NIfTI file with one image in three dimensions.

    Raises:
        MissingExtraError: nibabel is not installed.
        InputError: it is no such file, it is cut short, or an intensity is not finite.
        ShapeError: it has another number of dimensions.
    """
    path = Path(path)
    image = _open(path)
    if _shape(image, path)[3] != 1:
        raise ShapeError(
            f"{path}: expected one volume in 3 dimensions, got {' x '.join(map(str, image.shape))}: "
            "save the one that is meant in a file of its own"
        )
    return Volume(_read(image, path)[0], _spacing(image), image, path)


def read_scan(paths: str | Path | Sequence[str | Path]) -> Volume:
    """Read a scan of one or several channels: ``voxels`` is (C, X, Y, Z).

    Args:
        paths: a file with all channels (4-D, the last axis is theirs), or a file of each on one grid.

    Raises:
        MissingExtraError: nibabel is not installed.
        InputError: a file is none that can be read, or is on another grid than the first.
        ShapeError: a file has other dimensions.
    """
    if not isinstance(paths, str | Path) and len(paths) > 1:
        first, *others = [read_volume(path) for path in paths]
        for other in others:
            check_same_grid(other, first)
        voxels = np.stack([each.voxels for each in (first, *others)])
        return Volume(voxels, first.spacing_mm, first.image, first.path)
    path = Path(paths if isinstance(paths, str | Path) else paths[0])
    image = _open(path)
    return Volume(_read(image, path), _spacing(image), image, path)


def check_same_grid(volume: Volume, other: Volume) -> None:
    """Refuse a volume whose voxels are not where another's are, in whatever order the files have them.

    Raises:
        InputError: they are not.
    """
    if volume.voxels.shape[-3:] != other.voxels.shape[-3:]:
        wanted, got = (" x ".join(map(str, each.voxels.shape[-3:])) for each in (other, volume))
        raise InputError(f"{volume.path}: expected {wanted} voxels as {other.path} has, got {got}")
    if not np.allclose(volume.affine, other.affine, atol=_SAME_AFFINE):
        raise InputError(
            f"{volume.path}: expected the affine of {other.path}, got another: bring both on one grid"
        )


def read_labels(path: str | Path) -> Volume:
    """Read labels: whole numbers from 0 to 255, 0 for the background; as uint8.

    Raises:
        InputError: as `read_volume`, or a voxel has another number.
    """
    volume = read_volume(path)
    labels = volume.voxels.astype(np.uint8)
    if not np.array_equal(labels, volume.voxels):
        wrong = volume.voxels[labels != volume.voxels][0]
        raise InputError(f"{path}: expected labels, whole numbers from 0 to 255, got {wrong:g}")
    return Volume(labels, volume.spacing_mm, volume.image, volume.path)


def write_labels(
    labels: NDArray[np.uint8], like: Volume, path: str | Path, *, overwrite: bool = False
) -> None:
    """Write labels on the grid of a scan, with its affine, spacing and header; whole or not at all.

    Args:
        labels: (X, Y, Z) as `Volume.voxels` runs.
        like: the scan.
        path: ``.nii`` or ``.nii.gz``.
        overwrite: replace what is there.

    Raises:
        ShapeError: the labels are not of the scan's size.
        InputError: the name ends in something else.
        OutputError: it exists, or cannot be written.
    """
    sides = like.voxels.shape[-3:]
    if labels.shape != sides or labels.dtype != np.uint8:
        raise ShapeError(f"labels: expected uint8 {sides} as the scan, got {labels.dtype} {labels.shape}")
    nibabel = _nibabel()
    orientations = nibabel.orientations
    there = nibabel.io_orientation(like.image.affine)
    back = orientations.ornt_transform(orientations.axcodes2ornt(("R", "A", "S")), there)
    shape = like.image.shape
    is_one = math.prod(shape[3:]) == 1
    data = orientations.apply_orientation(labels, back).reshape(shape if is_one else shape[:3])
    header = like.image.header.copy()
    if not is_one:
        header.set_intent("none")  # no longer a vector
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    made = type(like.image)(data, None, header)  # the header has the affine, both kinds with their codes
    write_nifti(made, path, overwrite=overwrite)


def nifti_image(voxels: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    """Return nibabel's image of some voxels (X, Y, Z), in millimetres of the scanner.

    Args:
        voxels: int16, uint8 or float32.
        affine: (4, 4), from voxels to millimetres.

    Raises:
        MissingExtraError: nibabel is not installed.
    """
    image = _nibabel().Nifti1Image(voxels, affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return image


def write_nifti(image: Any, path: str | Path, *, overwrite: bool = False) -> None:
    """Write one of nibabel's NIfTI images, whole or not at all; the same image makes the same file.

    Raises:
        InputError: the name ends in something else than ``.nii`` or ``.nii.gz``.
        OutputError: it exists, or cannot be written.
    """
    path = check_name(path)
    with atomic_write(path, overwrite=overwrite) as file:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                image.to_stream(packed)
        else:
            image.to_stream(file)


def check_name(path: str | Path) -> Path:
    """Return the path, if it is a NIfTI file's.

    Raises:
        InputError: it ends in something else.
    """
    path = Path(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    return path


def _shape(image: Any, path: Path) -> tuple[int, int, int, int]:
    """Sides in the file's order, and channels."""
    shape = tuple(int(side) for side in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 5 and shape[3] == 1:  # a vector a voxel, as the standard has it
        shape = (*shape[:3], shape[4])
    if not 3 <= len(shape) <= 4 or 0 in shape:
        raise ShapeError(
            f"{path}: expected one volume in 3 dimensions, or in 4 its channels, got "
            f"{' x '.join(map(str, image.shape))}: save what is meant in a file of its own"
        )
    x, y, z, *channels = shape
    return x, y, z, *(channels or [1])  # type: ignore[return-value]  # one number behind the sides


def _read(image: Any, path: Path) -> NDArray[np.float32]:
    """The voxels (C, X, Y, Z), turned."""
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(f"{path}: expected one number a voxel, got {image.get_data_dtype()}: convert it")
    shape = _shape(image, path)
    try:
        data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)  # scaled as the header says
    except (OSError, EOFError, ValueError, gzip.BadGzipFile) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected a whole NIfTI file, cannot read its voxels: {reason}") from error
    if not np.isfinite(data).all():
        raise InputError(f"{path}: expected finite intensities, got NaN or infinity: replace them first")
    orientations = _nibabel().orientations
    turned = orientations.apply_orientation(
        data, _nibabel().io_orientation(image.affine)
    )  # the first three axes
    return np.ascontiguousarray(np.moveaxis(turned, 3, 0), dtype=np.float32)


def _spacing(image: Any) -> tuple[float, float, float]:
    zooms = _nibabel().affines.voxel_sizes(_turned_affine(image, image.shape[:3]))
    return cast("tuple[float, float, float]", tuple(float(zoom) for zoom in zooms))


def _turned_affine(image: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    nibabel = _nibabel()
    orientation = nibabel.io_orientation(image.affine)
    return np.asarray(image.affine @ nibabel.orientations.inv_ornt_aff(orientation, shape))


def _open(path: Path) -> Any:
    nibabel = _nibabel()
    if not path.is_file():
        raise InputError(f"{path}: expected a NIfTI file, found {'a folder' if path.is_dir() else 'none'}")
    try:
        image = nibabel.load(path)
    except (OSError, EOFError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: expected a NIfTI file, cannot read it: {reason}") from error
    if not isinstance(image, nibabel.Nifti1Image):  # of which the second version is a kind
        raise InputError(f"{path}: expected a NIfTI file (.nii, .nii.gz), got {type(image).__name__}")
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine[:3, :3])) < 1e-12:
        raise InputError(f"{path}: expected an affine that can be inverted, got one of no volume")
    return image


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise MissingExtraError("nibabel", "volumes", "reading NIfTI files") from error
    return nibabel
