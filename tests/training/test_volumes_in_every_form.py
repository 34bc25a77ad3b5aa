"""Volumes as people have them: channels, CT, other spacings, folds; learned from, and segmented."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stylenorm.errors import InputError, TrainingError
from stylenorm.export import export_segmenter
from stylenorm.media.scans import nifti_image, write_nifti
from stylenorm.models import Segmenter
from stylenorm.training import Volumes, VolumesConfig
from stylenorm.training.data.labelled_scans import Cases, held_out_names
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)
from tests.requirements_met import need

nibabel = need("nibabel")
ndimage = need("scipy.ndimage", "scipy")

SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 2.0), (1.0, 1.0, 1.0), (1.0, 1.0, 0.5))


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Balls of two channels, CT and another, in scans of 20 mm with voxels of several sizes."""
    folder, rng = tmp_path_factory.mktemp("ct"), np.random.default_rng(0)
    for i, spacing in enumerate(SPACINGS):
        sides = [round(20 / mm) for mm in spacing]
        x, y, z = np.meshgrid(*((np.arange(n) + 0.5) * 20 / n for n in sides), indexing="ij")
        labels = ((x - 9) ** 2 + (y - 11) ** 2 + (z - 10) ** 2 < 36).astype(np.uint8)
        affine = np.diag([*spacing, 1.0])
        write_nifti(nifti_image(labels, affine), folder / "labelsTr" / f"ball_{i}.nii.gz")
        grey = np.where(labels, 60, -900) + rng.normal(0, 10, sides)
        other = np.where(labels, 5, 1) + rng.normal(0, 0.3, sides)
        for channel, voxels in enumerate((grey, other)):
            path = folder / "imagesTr" / f"ball_{i}_{channel:04d}.nii.gz"
            write_nifti(nifti_image(voxels.astype(np.float32), affine), path)
    names = {"channel_names": {"0": "CT", "1": "MR"}}
    (folder / "dataset.json").write_text(json.dumps(names))
    return folder


def config(folder: Path, **changes: object) -> VolumesConfig:
    asked = VolumesConfig(folder, patch_voxels=16, num_levels=3, width=4, num_held_out=1)
    return replace(asked, **changes)  # type: ignore[arg-type]


def voxels_of(folder: Path, name: str, channel: int) -> np.ndarray:
    image = nibabel.load(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
    return np.asarray(image.dataobj, dtype=np.float64)


def test_scans_are_brought_to_one_spacing_with_their_labels(ct: Path) -> None:
    cases = Cases(config(ct), augment=False)
    assert (cases.num_channels, cases.spacing_mm, cases.num_classes) == (2, (1, 1, 1), 2)
    assert {case.image.shape for case in cases.training} == {(2, 20, 20, 20)}
    x, y, z = np.meshgrid(*[np.arange(20) + 0.5] * 3, indexing="ij")
    ball = (x - 9) ** 2 + (y - 11) ** 2 + (z - 10) ** 2 < 36
    for case in cases.training:
        both = 2 * (ball & (case.labels > 0)).sum() / (ball.sum() + (case.labels > 0).sum())
        assert both > 0.93  # measured: 0.948 from slices of 2 mm
        assert np.array_equal(np.unique(case.labels), [0, 1])
    thick = next(case for case in cases.training if case.name == "ball_1")
    wanted = ndimage.zoom(voxels_of(ct, "ball_1", 1), (1, 1, 2), order=3, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(thick.image[1], (wanted - wanted.mean()) / wanted.std(), atol=1e-3)


def test_ct_is_clipped_to_the_foreground_of_what_is_trained_on(ct: Path) -> None:
    cases = Cases(config(ct, spacing="none"), augment=False)
    inside = []
    for case in cases.training:
        labels = np.asarray(nibabel.load(ct / "labelsTr" / f"{case.name}.nii.gz").dataobj)
        inside.append(voxels_of(ct, case.name, 0)[labels > 0])
    whole = np.concatenate(inside)
    low, high = np.percentile(whole, [0.5, 99.5])
    scan = voxels_of(ct, "ball_0", 0)
    (held_out,) = cases.held_out
    wanted = (scan.clip(low, high) - whole.mean()) / whole.std()
    np.testing.assert_allclose(held_out.image[0], wanted, atol=1e-4)
    other = voxels_of(ct, "ball_0", 1)
    np.testing.assert_allclose(held_out.image[1], (other - other.mean()) / other.std(), atol=1e-4)
    window = Cases(config(ct, spacing="none", window_low=-160.0, window_high=240.0), augment=False)
    wanted = (scan.clip(-160, 240) - 40) / (400 / 12**0.5)
    np.testing.assert_allclose(window.held_out[0].image[0], wanted, atol=1e-4)


def test_folds_hold_every_case_out_once_whatever_the_seed(ct: Path) -> None:
    names = [f"case {i}" for i in range(11)]
    folds = [held_out_names(names, config(ct, fold=i, folds=3, seed=i)) for i in range(3)]
    assert sorted(len(each) for each in folds) == [3, 4, 4]
    assert set().union(*folds) == set(names)
    assert folds[1] == held_out_names(names, config(ct, fold=1, folds=3, num_held_out=5))
    assert folds[0] != set(names[:4])
    recipe = Volumes(config(ct, fold=1, folds=2), Path("unused"))
    held_out = [case.name for case in recipe.cases.held_out]
    assert recipe.config()["held_out_cases"] == ",".join(held_out)
    assert len(held_out) == 2
    assert any("2 held out (fold 1 of 2)" in line for line in recipe.plan())
    for changes in ({"fold": 3, "folds": 3}, {"fold": -1}, {"fold": 0, "folds": 1}):
        with pytest.raises(InputError, match="fold: expected 0 to"):
            held_out_names(names, config(ct, **changes))
    with pytest.raises(TrainingError, match="expected at least a scan a fold, 5, found 3"):
        held_out_names(names[:3], config(ct, fold=0))


def test_a_network_of_two_channels_labels_scans_on_their_own_grid(
    ct: Path,
    tmp_path: Path,
    run: Run,  # noqa: F811 (the fixture)
) -> None:
    """The network is written by hand: class 1 is where the second channel is large."""
    import torch

    recipe = Volumes(config(ct, deep_supervision=True, norm="batch"), tmp_path / "run")
    images, labels = recipe.cases.batch(0)
    assert images.shape == (2, 2, *recipe.cases.patch)
    assert labels.shape == (2, *recipe.cases.patch)
    assert torch.isfinite(sum(recipe.losses(0, torch.Generator()).values()))
    network = recipe.model.eval()
    with torch.no_grad():
        for block in (network.down[0], network.up[0]):
            for conv in block.convs:
                conv.weight.zero_()
        network.down[0].convs[0].weight[0, 1, 1, 1, 1] = 1.0
        for conv in (network.down[0].convs[1], network.up[0].convs[1]):
            conv.weight[0, 0, 1, 1, 1] = 1.0
        beside = network.up[0].convs[0].in_channels // 2
        network.up[0].convs[0].weight[0, beside, 1, 1, 1] = 1.0
        network.heads[0].weight.zero_()
        network.heads[0].weight[1, 0] = 1.0
        network.heads[0].bias.copy_(torch.tensor([1.0, 0.0]))
    cases = recipe.cases
    export_segmenter(
        network,
        tmp_path / "run",
        window=cases.patch,
        spacing_mm=cases.spacing_mm,
        record={},
        interpolation="cubic",
        intensities=cases.intensities,
        channels=cases.channels,
    )
    segmenter = Segmenter(tmp_path / "run", threads=1)
    assert (segmenter.num_channels, segmenter.channels, segmenter.resamples) == (2, ("CT", "MR"), True)
    done = run("segment", ct / "imagesTr", "--network", tmp_path / "run", "-o", tmp_path / "out", "-q")
    assert (done.code, done.err) == (0, "")
    for i, spacing in enumerate(SPACINGS):
        made = nibabel.load(tmp_path / "out" / f"ball_{i}.nii.gz")
        truth = nibabel.load(ct / "labelsTr" / f"ball_{i}.nii.gz")
        assert np.array_equal(made.affine, truth.affine)
        a, b = (np.asarray(each.dataobj) > 0 for each in (made, truth))
        assert a.shape == b.shape
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9, spacing
    first = ct / "imagesTr" / "ball_0_0000.nii.gz"
    done = run("segment", first, "--network", tmp_path / "run", "-o", tmp_path / "x.nii.gz")
    assert (done.code, len(done.lines)) == (2, 1)
    assert "expected 2 channels of ball_0, got 1" in done.err
    assert not (tmp_path / "x.nii.gz").exists()


def test_the_plan_is_told_and_nothing_trained(
    ct: Path,
    tmp_path: Path,
    run: Run,  # noqa: F811 (the fixture)
) -> None:
    command = [
        "train",
        "volumes",
        "--cases",
        ct,
        "-o",
        tmp_path / "run",
        "--plan-only",
        "--patch-voxels",
        "16",
    ]
    done = run(*command, "--num-held-out", "1", "--norm", "group", "--width", "4")
    assert done.code == 0, done.err
    told = done.out.decode()
    assert "plan: 3 scans to train on, 1 held out; channels: CT, MR; 2 classes" in told
    assert "voxels resampled to 1 x 1 x 1 mm; intensities: " in told
    assert "2 patches of 16 x 16 x 16 voxels (16 x 16 x 16 mm); strides 2 x 2 x 2, 2 x 2 x 2" in told
    assert "3 levels, group norm" in told
    assert "deep supervision off" in told
    assert not (tmp_path / "run").exists()
    for words, message in {
        ("--spacing", "1,1"): "spacing: expected median, none or three numbers",
        ("--patch", "16,a,8"): "patch: expected auto, cube or three numbers",
        ("--intensities", "hu"): "intensities: expected auto, scan or ct",
        ("--window-low", "-160"): "expected both window_low and window_high",
        ("--window-low", "9", "--window-high", "-9"): "window_low: expected less than window_high",
        ("--channels", "T1w"): "channels: expected none for",
        ("--fold", "7"): "fold: expected 0 to 4",
    }.items():
        done = run(*command, *words)
        assert (done.code, len(done.lines)) == (2, 1), words
        assert message in done.err
