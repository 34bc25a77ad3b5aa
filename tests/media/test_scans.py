"""NIfTI in and out: what is kept, what is turned, what is refused."""

from __future__ import annotations

import gzip
import itertools
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from stylenorm.errors import InputError, MissingExtraError, OutputError, ShapeError
from stylenorm.media.scans import nifti_image, read_labels, read_volume, write_labels, write_nifti
from tests.requirements_met import need

nibabel = need("nibabel")

VOXELS = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
OBLIQUE = np.array([[1.9, 0.2, 0.1, -20], [-0.2, 1.4, 0.3, 12], [-0.1, -0.3, 0.8, 5], [0, 0, 0, 1]])


def saved(path: Path, voxels: np.ndarray = VOXELS, affine: np.ndarray | None = None) -> Path:
    nibabel.Nifti1Image(voxels, np.diag([2, 1.5, 1, 1.0]) if affine is None else affine).to_filename(path)
    return path


@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_affine_spacing_and_header_are_kept(tmp_path: Path, kind: str, suffix: str) -> None:
    image = getattr(nibabel, kind)(VOXELS.astype(np.float32) * 0.5 + 3, OBLIQUE)
    image.set_qform(np.diag([1.9, 1.4, 0.9, 1.0]), code=2)  # another than the sform, as registered scans have
    image.set_sform(OBLIQUE, code=3)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"a scan"
    image.header["cal_max"] = 80
    image.header["toffset"] = 1.5
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"kept"))
    image.to_filename(tmp_path / f"scan{suffix}")
    scan = read_volume(tmp_path / f"scan{suffix}")
    labels = (scan.voxels > 20).astype(np.uint8)
    write_labels(labels, scan, tmp_path / f"labels{suffix}")

    back = nibabel.load(tmp_path / f"labels{suffix}")
    assert type(back) is getattr(nibabel, kind)
    assert back.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(back.dataobj), (VOXELS * 0.5 + 3 > 20))
    old = nibabel.load(tmp_path / f"scan{suffix}").header
    changed = {"datatype", "bitpix", "cal_max", "cal_min", "scl_slope", "scl_inter", "vox_offset", "magic"}
    for field in set(old.keys()) - changed:
        assert np.array_equal(old[field], back.header[field], equal_nan=old[field].dtype.kind == "f"), field
    assert back.header["cal_max"] == 0
    assert [e.get_content() for e in back.header.extensions] == [e.get_content() for e in old.extensions]
    again = tmp_path / f"again{suffix}"
    write_labels(labels, scan, again)
    assert again.read_bytes() == (tmp_path / f"labels{suffix}").read_bytes()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_however_the_voxels_run_they_come_out_alike(tmp_path: Path, order: tuple[int, int, int]) -> None:
    straight = read_volume(saved(tmp_path / "straight.nii"))
    assert np.array_equal(straight.voxels, VOXELS)
    assert straight.spacing_mm == (2, 1.5, 1)
    for signs in itertools.product((1, -1), repeat=3):
        affine = np.diag([2, 1.5, 1, 1.0])
        for axis, sign in enumerate(signs):
            if sign < 0:
                affine[:3, 3] += affine[:3, axis] * (VOXELS.shape[axis] - 1)
                affine[:, axis] *= -1
        turned = VOXELS[:: signs[0], :: signs[1], :: signs[2]].transpose(order)
        path = saved(tmp_path / "turned.nii", turned, affine[:, [*order, 3]])
        scan = read_volume(path)
        assert np.array_equal(scan.voxels, VOXELS)
        assert scan.spacing_mm == (2, 1.5, 1)
        write_labels(VOXELS.astype(np.uint8), scan, tmp_path / "labels.nii", overwrite=True)
        assert np.array_equal(np.asarray(nibabel.load(tmp_path / "labels.nii").dataobj), turned)


def test_scaled_integers_and_a_last_axis_of_one(tmp_path: Path) -> None:
    saved(tmp_path / "scan.nii", VOXELS[..., None], np.eye(4))
    with (tmp_path / "scan.nii").open("r+b") as file:
        file.seek(112)  # scl_slope and scl_inter, by the standard; nibabel would rescale the numbers
        file.write(struct.pack("<2f", 0.5, -10))
    scan = read_volume(tmp_path / "scan.nii")
    np.testing.assert_allclose(scan.voxels, VOXELS * 0.5 - 10)
    write_labels(VOXELS.astype(np.uint8), scan, tmp_path / "labels.nii")
    assert nibabel.load(tmp_path / "labels.nii").shape == (3, 4, 5, 1)


def test_what_is_no_scan(tmp_path: Path) -> None:
    def refused(path: Path, message: str, kind: type[Exception] = InputError) -> None:
        with pytest.raises(kind, match=message) as caught:
            read_volume(path)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)

    refused(saved(tmp_path / "4d.nii", np.zeros((3, 4, 5, 2), np.int16)), "got 3 x 4 x 5 x 2", ShapeError)
    refused(saved(tmp_path / "2d.nii", np.zeros((3, 4), np.int16)), "got 3 x 4:", ShapeError)
    refused(saved(tmp_path / "complex.nii", VOXELS.astype(np.complex64)), "one number a voxel, got complex64")
    refused(saved(tmp_path / "nan.nii", np.full((2, 2, 2), np.nan, np.float32)), "finite intensities")
    flat = nibabel.Nifti1Image(VOXELS, np.eye(4))
    flat.set_sform(np.diag([1, 1, 0, 1.0]), code=1)
    flat.to_filename(tmp_path / "flat.nii")
    refused(tmp_path / "flat.nii", "affine that can be inverted")
    refused(tmp_path / "none.nii", "found none")
    (tmp_path / "folder.nii").mkdir()
    refused(tmp_path / "folder.nii", "found a folder")
    (tmp_path / "text.nii").write_text("no scan at all")
    refused(tmp_path / "text.nii", "cannot read it")
    (tmp_path / "text.nii.gz").write_text("no scan at all")
    refused(tmp_path / "text.nii.gz", "cannot read it")
    whole = saved(tmp_path / "whole.nii", np.random.default_rng(0).integers(0, 999, (20, 20, 20), np.int16))
    (tmp_path / "cut.nii").write_bytes(whole.read_bytes()[:2000])
    refused(tmp_path / "cut.nii", "expected a whole NIfTI file")
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(whole.read_bytes())[:-600])
    refused(tmp_path / "cut.nii.gz", "expected a whole NIfTI file")
    nibabel.MGHImage(VOXELS, np.eye(4)).to_filename(tmp_path / "other.mgz")
    refused(tmp_path / "other.mgz", "got MGHImage")


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    assert read_labels(saved(tmp_path / "a.nii", VOXELS.astype(np.float32))).voxels.dtype == np.uint8
    for number, name in ((0.5, "0.5"), (-1, "-1"), (256, "256")):
        voxels = VOXELS.astype(np.float32)
        voxels[1, 1, 1] = number
        with pytest.raises(InputError, match=f"whole numbers from 0 to 255, got {name}"):
            read_labels(saved(tmp_path / "b.nii", voxels))


def test_writing_refuses_before_it_writes(tmp_path: Path) -> None:
    scan = read_volume(saved(tmp_path / "scan.nii"))
    labels = np.zeros(VOXELS.shape, np.uint8)
    with pytest.raises(ShapeError, match=r"expected uint8 \(3, 4, 5\) as the scan, got uint8 \(3, 4, 4\)"):
        write_labels(labels[..., 1:], scan, tmp_path / "out.nii")
    with pytest.raises(InputError, match=r"out\.png: expected a name that ends in \.nii or \.nii\.gz"):
        write_labels(labels, scan, tmp_path / "out.png")
    with pytest.raises(OutputError, match="exists already"):
        write_labels(labels, scan, tmp_path / "scan.nii")
    assert {path.name for path in tmp_path.iterdir()} == {"scan.nii"}
    write_nifti(nifti_image(labels, np.diag([2, 2, 3, 1.0])), tmp_path / "new.nii.gz")
    assert nibabel.load(tmp_path / "new.nii.gz").header.get_xyzt_units()[0] == "mm"


def test_without_nibabel_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = saved(tmp_path / "scan.nii")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stylenorm\[volumes\]'"):
        read_volume(path)
