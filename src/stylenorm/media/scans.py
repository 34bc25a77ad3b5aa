"""Volumes in and out: NIfTI files, through nibabel (extra ``volumes``).

Whatever way the voxels of a file run, they are handed out running to the right, to the front and to the top
of the patient (RAS+, to the nearest axes), so that a network sees every scan alike; what is written runs as
the file did. Nothing is resampled.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError, MissingExtraError, ShapeError
from stylenorm.media import atomic_write

__all__ = [
    "SUFFIXES",
    "Volume",
    "check_name",
    "nifti_image",
    "read_labels",
    "read_volume",
    "write_labels",
    "write_nifti",
]

SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Volume:
    """One scan, or its labels.

    Attributes:
        voxels: (X, Y, Z) to the right, front and top; float32 intensities, or uint8 labels.
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


def read_volume(path: str | Path) -> Volume:
    """Read a scan: a NIfTI file with one image in three dimensions.

    Raises:
        MissingExtraError: nibabel is not installed.
        InputError: it is no such file, it is cut short, or an intensity is not finite.
        ShapeError: it has another number of dimensions.
    """
    path = Path(path)
    image = _open(path)
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(f"{path}: expected one number a voxel, got {image.get_data_dtype()}: convert it")
    shape = tuple(int(side) for side in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        raise ShapeError(
            f"{path}: expected one volume in 3 dimensions, got {' x '.join(map(str, image.shape))}: "
            "save the one that is meant in a file of its own"
        )
    try:
        data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)  # scaled as the header says
    except (OSError, EOFError, ValueError, gzip.BadGzipFile) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected a whole NIfTI file, cannot read its voxels: {reason}") from error
    if not np.isfinite(data).all():
        raise InputError(f"{path}: expected finite intensities, got NaN or infinity: replace them first")
    nibabel = _nibabel()
    turned = nibabel.orientations.apply_orientation(data, nibabel.io_orientation(image.affine))
    zooms = nibabel.affines.voxel_sizes(_turned_affine(image, shape))
    spacing = cast("tuple[float, float, float]", tuple(float(zoom) for zoom in zooms))
    return Volume(np.ascontiguousarray(turned, dtype=np.float32), spacing, image, path)


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
    if labels.shape != like.voxels.shape or labels.dtype != np.uint8:
        raise ShapeError(
            f"labels: expected uint8 {like.voxels.shape} as the scan, got {labels.dtype} {labels.shape}"
        )
    nibabel = _nibabel()
    orientations = nibabel.orientations
    there = nibabel.io_orientation(like.image.affine)
    back = orientations.ornt_transform(orientations.axcodes2ornt(("R", "A", "S")), there)
    data = orientations.apply_orientation(labels, back).reshape(like.image.shape)
    header = like.image.header.copy()
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
