"""Cases: what is found in folders, which patches are drawn, how they are changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from material.synthetic_volumes import SYNTHETIC_LABELS, synthetic_volume, write_volumes
from stylenorm.configurations import VolumesConfig
from stylenorm.errors import InputError, TrainingError
from stylenorm.media.scan_layouts import find_labelled_scans
from stylenorm.media.scans import nifti_image, read_labels, read_volume, write_nifti
from stylenorm.training.data.labelled_scans import Cases, augmented
from tests.requirements_met import need

nibabel = need("nibabel")


def as_they_are(folder: Path, patch: str, **changes: object) -> VolumesConfig:
    """What is learned from, not resampled."""
    config = VolumesConfig(folder, patch=patch, spacing="none", num_levels=2, batch_size=1)
    return replace(config, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    write_volumes(folder, 10, 24, seed=5)
    return folder


def test_a_third_of_the_patches_have_foreground_in_the_middle(scans: Path) -> None:
    config = as_they_are(scans, "16,8,12", batch_size=3, seed=1, num_held_out=2, foreground_share=0.33)
    cases = Cases(config, augment=False)
    assert [case.name for case in cases.held_out] == ["0000", "0001"]
    assert cases.num_classes == len(SYNTHETIC_LABELS)
    has_foreground = np.zeros(3)
    for step in range(60):
        images, labels = cases.batch(step)
        assert images.shape == (3, 1, 16, 8, 12)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        # whoever is near an edge of the scan is not in the middle of its patch
        has_foreground += (labels.flatten(1) > 0).any(1).numpy()
    assert has_foreground[2] == 60
    assert has_foreground[:2].max() < 60
    again, _ = cases.batch(59)
    assert torch.equal(again, images)


def test_patches_are_cut_from_the_scan_and_behind_a_small_one_is_the_mean(scans: Path) -> None:
    cases = Cases(as_they_are(scans, "16,40,12", seed=1), augment=False)
    case = cases.held_out[0]
    scan = read_volume(scans / "images" / "0000.nii.gz").voxels.astype(np.float64)
    wanted = (scan - scan.mean()) / scan.std()
    image, labels = cases.cut(case, np.array([0, 5, 10**6]))
    side = scan.shape[1]
    np.testing.assert_allclose(image[0, :, :side], wanted[:16, :, -12:], atol=1e-4)
    assert not image[0, :, side:].any()
    truth = read_labels(scans / "labels" / "0000.nii.gz").voxels
    assert np.array_equal(labels[:, :side], truth[:16, :, -12:])


def test_augmentation_moves_labels_with_the_picture() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(6, 7, 8)) > 0.5).astype(np.uint8)
    image = (labels * 2.0 - 1).astype(np.float32)
    seen = set()
    for _ in range(200):
        (made,), moved = augmented(image[None], labels, rng)
        assert made.dtype == np.float32
        assert np.corrcoef(made.ravel(), moved.ravel())[0, 1] > 0.9
        seen.add(moved.tobytes())
    assert len(seen) == 8  # mirrored in every way
    flat, _ = augmented(np.zeros((2, 4, 4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), rng)
    assert np.isfinite(flat).all()


def test_synthetic_scans_are_drawn_from_their_seed_and_hold_every_label(scans: Path, tmp_path: Path) -> None:
    write_volumes(tmp_path, 2, 24, seed=5)
    for kind in ("images", "labels"):
        path = Path(kind) / "0001.nii.gz"
        assert (tmp_path / path).read_bytes() == (scans / path).read_bytes()
    grids = set()
    for case in find_labelled_scans(scans).cases:
        image, labels = case.images[0], case.labels
        assert labels is not None
        assert set(np.unique(read_labels(labels).voxels)) == set(range(len(SYNTHETIC_LABELS)))
        grids.add(nibabel.aff2axcodes(nibabel.load(image).affine))
    assert len(grids) > 3  # files run in several ways
    image, labels = synthetic_volume((40, 40, 40), np.random.default_rng(0))
    assert len({round(float(np.median(image[labels == label]))) for label in range(4)}) == 4


def test_cases_that_are_none(tmp_path: Path) -> None:
    def refused(message: str, kind: type[Exception] = InputError) -> None:
        with pytest.raises(kind, match=message):
            Cases(as_they_are(tmp_path, "8,8,8", num_held_out=1))

    def write(name: str, voxels: np.ndarray, labels: np.ndarray, affine: float = 1) -> None:
        write_nifti(nifti_image(voxels, np.eye(4)), tmp_path / "images" / name, overwrite=True)
        write_nifti(
            nifti_image(labels, np.diag([affine, 1, 1, 1.0])), tmp_path / "labels" / name, overwrite=True
        )

    scan, none = np.zeros((8, 9, 10), np.int16), np.zeros((8, 9, 10), np.uint8)
    write("a.nii", scan, none)
    refused("expected at least 2 scans, of which 1 are held out, found 1", TrainingError)
    write("b.nii", scan, none)
    refused("expected labels above 0 in a scan", TrainingError)
    write("b.nii", scan, none[1:])
    refused(r"labels.b\.nii: expected 8 x 9 x 10 voxels as .*images.b\.nii has, got 7 x 9 x 10")
    write("b.nii", scan, none, affine=2)
    refused(r"expected the affine of .*images.b\.nii, got another")


def test_labels_whose_voxels_run_another_way_on_the_same_grid(scans: Path, tmp_path: Path) -> None:
    """What tools that think in LPS write: the same places, with the first two axes backwards."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for name in ("0000.nii.gz", "0001.nii.gz"):
            os.link(scans / kind / name, tmp_path / kind / name)
    path = tmp_path / "labels" / "0001.nii.gz"
    before = nibabel.load(path)
    voxels, affine = np.asarray(before.dataobj), before.affine.copy()
    affine[:3, 3] = (affine @ [voxels.shape[0] - 1, voxels.shape[1] - 1, 0, 1])[:3]
    affine[:3, :2] *= -1
    path.unlink()
    write_nifti(nifti_image(np.ascontiguousarray(voxels[::-1, ::-1]), affine), path)
    turned, plain = (Cases(as_they_are(folder, "8,8,8", num_held_out=1)) for folder in (tmp_path, scans))
    assert np.array_equal(turned.training[0].labels, plain.training[0].labels)


def test_scans_with_another_spacing_are_named(tmp_path: Path) -> None:
    for i, depth in enumerate((1.0, 1.2, 4.0)):
        affine = np.diag([1, 1, depth, 1.0])
        labels = np.ones((8, 9, 10), np.uint8)
        write_nifti(nifti_image(labels.astype(np.int16), affine), tmp_path / "images" / f"{i}.nii")
        write_nifti(nifti_image(labels, affine), tmp_path / "labels" / f"{i}.nii")
    (note,) = Cases(as_they_are(tmp_path, "8,8,8", num_held_out=1)).notes()
    assert not Cases(VolumesConfig(tmp_path, num_held_out=1, patch_voxels=8)).notes()  # is resampled
    assert "1 of 3 scans have voxels of another size than the median's 1 x 1 x 1.2 mm" in note
    assert "the first: 2, 1 x 1 x 4 mm; nothing is resampled" in note
