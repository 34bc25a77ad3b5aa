"""Volumes: patches, losses, what is learned, how it goes on, and how it is used."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from material.synthetic_volumes import write_volumes
from stylenorm.training import LoopConfig, Volumes, VolumesConfig, fit
from stylenorm.training.recipes.volumes import dice_loss, drawn_over, segmentation_losses
from tests.cli.conftest import Run, hidden_files, run  # noqa: F401 (a fixture)
from tests.requirements_met import need
from tests.tolerances import assert_close

nibabel = need("nibabel")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    write_volumes(folder, 10, 24, seed=5)
    return folder


def volumes(scans: Path, out: Path, **changes: object) -> Volumes:
    config = VolumesConfig(scans, patch="cube", spacing="none", patch_voxels=16, num_levels=3, width=6)
    return Volumes(replace(config, **changes), out)  # type: ignore[arg-type]


def loop(out: Path, steps: int, **changes: object) -> LoopConfig:
    defaults = {"learning_rate": 5e-3, "clip": 12.0, "average": 0.9, "sample_every": 0}
    return LoopConfig(out, steps=steps, **{**defaults, **changes})  # type: ignore[arg-type]


def dice(found: np.ndarray, truth: np.ndarray, label: int) -> float:
    both = ((found == label) & (truth == label)).sum()
    return float(2 * both / max(1, (found == label).sum() + (truth == label).sum()))


def test_it_learns_and_labels_held_out_scans_without_torch(
    scans: Path,
    tmp_path: Path,
    run: Run,  # noqa: F811 (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = volumes(scans, tmp_path / "run", deep_supervision=True)
    fit(recipe, loop(recipe.out, 70))
    with Image.open(recipe.out / "samples" / "000070.png") as sample:
        assert sample.size == (3 * 128, 2 * 128)
    described = json.loads((recipe.out / "segmenter.json").read_text())
    assert described["record"]["recipe"] == "volumes"
    assert described["record"]["cases"] == f"8 + 2 ({scans.name})"
    assert (described["num_classes"], described["window"], described["norm"]) == (4, [16] * 3, "instance")

    monkeypatch.setitem(sys.modules, "torch", None)
    done = run("segment", scans / "images", "--network", recipe.out, "-o", tmp_path / "out", "--threads", "1")
    assert (done.code, done.err) == (0, "")
    scores = []
    for name in ("0000", "0001"):
        scan = nibabel.load(scans / "images" / f"{name}.nii.gz")
        made = nibabel.load(tmp_path / "out" / f"{name}.nii.gz")
        assert np.array_equal(made.affine, scan.affine)
        truth = np.asarray(nibabel.load(scans / "labels" / f"{name}.nii.gz").dataobj)
        scores.append([dice(np.asarray(made.dataobj), truth, label) for label in (1, 2)])
    # Measured: 0.77 and 0.77. The organ everywhere would have 0.2 and 0.
    assert np.mean(scores, axis=0).min() > 0.6


def test_the_command_trains_and_says_what_to_do_next(
    scans: Path,
    tmp_path: Path,
    run: Run,  # noqa: F811 (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Volumes, "finish", lambda *_: None)
    command = ["train", "volumes", "--cases", scans, "-o", tmp_path / "run", "--patch-voxels", "16"]
    command += ["--patch", "cube", "--num-levels", "2", "--width", "2", "--sample-every", "0"]
    done = run(*command, "--steps", "2")
    assert done.code == 0, done.err
    assert "stylenorm segment scan.nii.gz --network" in done.out.decode()
    done = run(*command, "--steps", "2")
    assert done.code == 1
    assert "go on with --resume" in done.lines[-1]
    done = run(*command, "--steps", "3", "--resume")
    assert done.code == 0, done.err
    done = run(*command[:-2], "--patch-voxels", "15")
    assert (done.code, len(done.lines)) == (2, 1)
    assert "expected a multiple of 2 of at least 4" in done.err
    done = run("train", "volumes", "--cases", tmp_path, "-o", tmp_path / "other")
    assert (done.code, len(done.lines)) == (2, 1)
    assert "expected folders imagesTr and labelsTr, or images and labels" in done.err


def test_batch_norms_result_has_statistics_of_its_own_weights(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = []
    monkeypatch.setattr(
        "stylenorm.training.recipes.volumes.export_segmenter",
        lambda network, *_, **__: exported.append(network),
    )
    recipe = volumes(scans, tmp_path / "run", norm="batch", num_levels=2)
    fit(recipe, loop(recipe.out, 2, learning_rate=0.0))
    (network,) = exported
    first = copy.deepcopy(network.down[0].convs[0]).double()
    seen = torch.cat([first(recipe.cases.batch(step)[0].double()) for step in range(50)])
    norm = network.down[0].norms[0][0]
    assert_close(norm.running_mean, seen.mean((0, 2, 3, 4)), atol=1e-4)
    assert norm.num_batches_tracked == 50


def losses_in_float64(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    z, t = logits.double().numpy(), labels.numpy()
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    scores = []
    for n in range(len(z)):
        for k in range(1, z.shape[1]):
            truth = t[n] == k
            scores.append((2 * p[n, k][truth].sum() + 1e-5) / (p[n, k].sum() + truth.sum() + 1e-5))
    entropy = -np.log(np.take_along_axis(p, t[:, None], 1)).mean()
    return 1 - float(np.mean(scores)), float(entropy)


def test_losses_are_the_formulas_at_every_level() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (2, 8, 8, 12), generator=generator)
    labels[1][labels[1] == 2] = 0  # a class that is not there
    levels = [torch.randn(2, 3, 8 >> i, 8 >> i, 12 >> i, generator=generator) for i in range(3)]
    expected = [
        losses_in_float64(x, labels[:, :: 1 << i, :: 1 << i, :: 1 << i]) for i, x in enumerate(levels)
    ]
    found = segmentation_losses(levels[:1], labels)
    assert abs(found["dice"].item() - expected[0][0]) < 1e-5
    assert abs(found["entropy"].item() - expected[0][1]) < 1e-5
    found = segmentation_losses(levels, labels)
    for name, which in (("dice", 0), ("entropy", 1)):
        weighted = sum(w * each[which] for w, each in zip((4 / 7, 2 / 7, 1 / 7), expected, strict=True))
        assert abs(found[name].item() - weighted) < 1e-5, name
    sure = 50.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    assert dice_loss(sure, labels).item() < 1e-5


def test_deep_supervision_has_a_head_for_all_but_the_coarsest(scans: Path, tmp_path: Path) -> None:
    recipe = volumes(scans, tmp_path, num_levels=4, deep_supervision=True)
    assert len(recipe.model.heads) == 2
    assert len(volumes(scans, tmp_path).model.heads) == 1
    assert [recipe.rate(step, 100) for step in (0, 50)] == [1, 0.5**0.9]


def test_slices_are_drawn_with_their_labels_over_them() -> None:
    grey = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    labels = np.zeros((3, 4), int)
    labels[1, 2] = 9
    drawn = drawn_over(grey, labels)
    assert drawn.shape == (3, 4, 3)
    assert np.array_equal(drawn[labels == 0], np.repeat(grey[labels == 0][:, None], 3, 1))
    assert np.ptp(drawn[1, 2]) > 0.1
