"""Layouts of scans: whose files belong together, which are left out, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stylenorm.errors import InputError
from stylenorm.media.scan_layouts import ct_channels, find_labelled_scans, find_scans
from stylenorm.media.scans import grid_of, read_scan, write_labels
from tests.requirements_met import need

nibabel = need("nibabel")


def scan(path: Path, shape: tuple[int, ...] = (3, 4, 5), affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    nibabel.Nifti1Image(voxels, np.diag([2, 1.5, 1, 1.0]) if affine is None else affine).to_filename(path)
    return path


def names(cases: object) -> dict[str, list[str]]:
    return {case.name: [path.name for path in case.images] for case in cases}  # type: ignore[attr-defined]


def test_nnunets_folders_with_channels_in_files(tmp_path: Path) -> None:
    for name in ("liver_0001", "liver_0002"):  # a case's own number, then the channel's
        scan(tmp_path / "labelsTr" / f"{name}.nii.gz")
        for channel in (0, 1):
            scan(tmp_path / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
    scan(tmp_path / "imagesTr" / "._liver_0001_0000.nii.gz")  # what macOS leaves
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT", "1": "PET"}}))
    layout = find_labelled_scans(tmp_path)
    assert names(layout.cases) == {
        name: [f"{name}_0000.nii.gz", f"{name}_0001.nii.gz"] for name in ("liver_0001", "liver_0002")
    }
    assert [case.labels.name for case in layout.cases if case.labels] == [
        "liver_0001.nii.gz",
        "liver_0002.nii.gz",
    ]
    assert (layout.channels, layout.note) == (("CT", "PET"), "")
    scan(tmp_path / "labelsTr" / "liver_0009.nii.gz")
    note = find_labelled_scans(tmp_path).note
    assert note == f"{tmp_path / 'labelsTr'}: 1 of 3 labels have no images; the first: liver_0009"
    assert ct_channels(tmp_path, 2) == (True, False)
    (tmp_path / "imagesTr" / "liver_0002_0000.nii.gz").unlink()
    with pytest.raises(InputError, match="found no _0000"):
        find_labelled_scans(tmp_path)
    (tmp_path / "imagesTr" / "liver_0002_0001.nii.gz").unlink()
    scan(tmp_path / "imagesTr" / "liver_0002_0000.nii.gz")
    with pytest.raises(InputError, match="expected 2 channels of liver_0002, got 1"):
        find_labelled_scans(tmp_path)
    (tmp_path / "labelsTr" / "liver_0002.nii.gz").unlink()
    with pytest.raises(InputError, match=r"liver_0002_0000\.nii\.gz: expected labels of the same name"):
        find_labelled_scans(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset\.json: expected JSON"):
        ct_channels(tmp_path, 1)


def test_plain_folders_whose_cases_end_in_four_digits(tmp_path: Path) -> None:
    for i in (1, 2):
        scan(tmp_path / "images" / f"img_{i:04d}.nii")
        scan(tmp_path / "labels" / f"img_{i:04d}.nii")
    assert names(find_labelled_scans(tmp_path).cases) == {
        "img_0001": ["img_0001.nii"],
        "img_0002": ["img_0002.nii"],
    }
    assert names(find_scans([tmp_path / "images"], 1)) == {
        "img_0001": ["img_0001.nii"],
        "img_0002": ["img_0002.nii"],
    }
    assert ct_channels(tmp_path, 2) == (False, False)
    with pytest.raises(InputError, match="channels: expected none for"):
        find_labelled_scans(tmp_path, ["T1w"])
    with pytest.raises(InputError, match="expected folders imagesTr and labelsTr, or images and labels, or"):
        find_labelled_scans(tmp_path / "images")


def test_scans_to_segment_in_every_layout(tmp_path: Path) -> None:
    folder = tmp_path / "imagesTs"
    for name in ("a", "b"):
        scan(folder / f"{name}_0000.nii.gz")
    assert names(find_scans([folder], 1)) == {"a": ["a_0000.nii.gz"], "b": ["b_0000.nii.gz"]}
    with pytest.raises(InputError, match=r"a_0000\.nii\.gz: expected 2 channels of a, got 1"):
        find_scans([folder], 2)
    for name in ("a", "b"):
        scan(folder / f"{name}_0001.nii.gz")
    scan(folder / "c.nii.gz", (3, 4, 5, 2))
    scan(folder / "d_0007.nii.gz", (3, 4, 5, 2))  # its own number, all of its channels
    scan(folder / "a.labels.nii.gz")  # what an earlier run wrote
    assert names(find_scans([folder], 2)) == {
        "a": ["a_0000.nii.gz", "a_0001.nii.gz"],
        "b": ["b_0000.nii.gz", "b_0001.nii.gz"],
        "c": ["c.nii.gz"],
        "d_0007": ["d_0007.nii.gz"],
    }
    t1, flair = scan(tmp_path / "t1.nii.gz"), scan(tmp_path / "flair.nii.gz")
    assert names(find_scans([t1, flair], 2)) == {"t1": ["t1.nii.gz", "flair.nii.gz"]}
    assert names(find_scans([t1, flair], 1)) == {"t1": ["t1.nii.gz"], "flair": ["flair.nii.gz"]}
    both = [scan(tmp_path / "x.nii", (3, 4, 5, 2)), scan(tmp_path / "y.nii", (3, 4, 5, 2))]
    assert names(find_scans(both, 2)) == {"x": ["x.nii"], "y": ["y.nii"]}
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found none in it"):
        find_scans([tmp_path / "empty"], 1)


def test_bids(tmp_path: Path) -> None:
    for subject in ("sub-01", "sub-02", "sub-03"):
        for session in ("ses-a", "ses-b"):
            anat = tmp_path / subject / session / "anat"
            for suffix in ("T1w", "FLAIR"):
                scan(anat / f"{subject}_{session}_{suffix}.nii.gz")
    scan(tmp_path / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_T2w.nii.gz")
    scan(tmp_path / "sub-01" / "ses-a" / "func" / "sub-01_ses-a_task-rest_bold.nii.gz", (3, 4, 5, 7))
    for name in ("sub-01_ses-a", "sub-02_ses-b"):
        scan(tmp_path / "derivatives" / "by-hand" / name[:6] / f"{name}_desc-tumour_dseg.nii.gz")
    layout = find_labelled_scans(tmp_path)
    assert names(layout.cases) == {
        name: [f"{name}_FLAIR.nii.gz", f"{name}_T1w.nii.gz"] for name in ("sub-01_ses-a", "sub-02_ses-b")
    }
    assert layout.channels == ("FLAIR", "T1w")
    assert layout.note == f"{tmp_path}: 4 of 6 subjects have no labels; T2w not used"
    assert find_labelled_scans(tmp_path, ["T1w"]).cases[0].images[0].name == "sub-01_ses-a_T1w.nii.gz"
    with pytest.raises(InputError, match="expected a T2w of sub-02_ses-b, found FLAIR, T1w"):
        find_labelled_scans(tmp_path, ["T2w"])
    found = find_scans([tmp_path], 2, ("T1w", "FLAIR"))
    assert len(found) == 6
    assert names(found)["sub-03_ses-b_dseg"] == ["sub-03_ses-b_T1w.nii.gz", "sub-03_ses-b_FLAIR.nii.gz"]
    with pytest.raises(InputError, match="expected the 1 channels of the network, found FLAIR, T1w"):
        find_scans([tmp_path], 1)
    scan(tmp_path / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_run-2_T1w.nii.gz")
    with pytest.raises(InputError, match="expected one T1w of sub-01_ses-a, got"):
        find_labelled_scans(tmp_path)


def test_channels_are_read_in_order_and_labels_written_on_their_grid(tmp_path: Path) -> None:
    lps = np.diag([-2, -1.5, 1, 1.0])
    lps[:3, 3] = (4, 4.5, 0)  # the same grid, with two axes backwards
    first, second = scan(tmp_path / "a.nii"), scan(tmp_path / "b.nii", affine=lps)
    voxels = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    read = read_scan([first, second])
    assert np.array_equal(read.voxels, np.stack([voxels, voxels[::-1, ::-1]]))
    four = scan(tmp_path / "4d.nii", (3, 4, 5, 2), lps)
    read = read_scan(four)
    whole = np.arange(120, dtype=np.float32).reshape(3, 4, 5, 2)
    assert np.array_equal(read.voxels, whole[::-1, ::-1].transpose(3, 0, 1, 2))
    grid = grid_of(four)
    assert (grid.sides, grid.spacing_mm, grid.num_channels) == ((3, 4, 5), (2, 1.5, 1), 2)
    labels = (voxels > 20).astype(np.uint8)
    write_labels(labels, read, tmp_path / "labels.nii")
    back = nibabel.load(tmp_path / "labels.nii")
    assert back.shape == (3, 4, 5)
    assert np.array_equal(back.affine, lps)
    assert np.array_equal(np.asarray(back.dataobj), labels[::-1, ::-1])
    other = scan(tmp_path / "c.nii", affine=np.diag([2, 1.5, 3, 1.0]))
    with pytest.raises(InputError, match=r"c\.nii: expected the affine of .*a\.nii, got another"):
        read_scan([first, other])
    with pytest.raises(InputError, match=r"d\.nii: expected 3 x 4 x 5 voxels as .*a\.nii has, got 3 x 4 x 6"):
        read_scan([first, scan(tmp_path / "d.nii", (3, 4, 6))])


def test_a_grid_is_told_in_the_patients_order(tmp_path: Path) -> None:
    sagittal = np.array([[0, 0, 3, 0], [1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1.0]])
    path = scan(tmp_path / "sagittal.nii", (7, 8, 9), sagittal)
    assert grid_of(path).sides == read_scan(path).voxels.shape[1:] == (9, 7, 8)
    assert grid_of(path).spacing_mm == (3, 1, 2)
