"""The loop's checkpoints, with a recipe of a few numbers: damaged, exploding, and photos that change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from stylenorm.errors import TrainingError
from stylenorm.training.data.photos import Photos
from stylenorm.training.loop import LoopConfig, fit
from stylenorm.training.recipe import Recipe


class Mean(Recipe):
    """Learns the mean colour of some photos."""

    name = "mean"

    def __init__(self, folder: Path) -> None:
        self.model = nn.Linear(1, 3)
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)
        self.photos = Photos(folder, crop_px=8, batch_size=2, seed=0, num_held_out=1)
        self.record: dict[str, str] = {}
        self.poison: dict[int, float] = {}
        self.seen: list[int] = []

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    def config(self) -> Mapping[str, Any]:
        return {}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        self.seen.append(step)
        wanted = self.photos.batch(step).mean(dim=(2, 3))
        found = self.model(torch.ones(2, 1))
        return {"color": (found - wanted).square().mean() * self.poison.get(step, 1.0)}

    def sample(self, model: nn.Module) -> Any:  # noqa: ARG002
        return np.zeros((1, 1, 3), np.uint8)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:  # noqa: ARG002
        self.record = {**record, "unreadable_photos": str(len(self.photos.unreadable))}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "3.png").write_bytes(b"no picture")
    return folder


def loop(out: Path, steps: int, **options: Any) -> LoopConfig:
    fixed = {"checkpoint_every_s": 0.0, "sample_every": 0, "device": "cpu"}
    return LoopConfig(out=out, steps=steps, **{**fixed, **options})


def weights(recipe: Mean) -> list[float]:
    return [*recipe.model.weight.flatten().tolist(), *recipe.model.bias.tolist()]


def stop_at(recipe: Mean, step: int) -> None:
    """Let Ctrl-C come in a step."""
    losses = recipe.losses

    def interrupted(now: int, generator: torch.Generator) -> dict[str, Tensor]:
        if now == step:
            raise KeyboardInterrupt
        return losses(now, generator)

    recipe.losses = interrupted  # type: ignore[method-assign]


def half_trained(photos: Path, out: Path, *, stop: int = 4, steps: int = 8) -> None:
    recipe = Mean(photos)
    stop_at(recipe, stop)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, loop(out, steps))


def test_the_record_after_a_resume_is_that_of_one_run(photos: Path, tmp_path: Path) -> None:
    whole = Mean(photos)
    fit(whole, loop(tmp_path / "whole", 8))
    assert whole.record["unreadable_photos"] == "1"
    half_trained(photos, tmp_path / "halves", stop=7)
    rest = Mean(photos)
    fit(rest, loop(tmp_path / "halves", 8, resume=True))
    assert rest.seen == [7]
    assert weights(rest) == weights(whole)
    assert rest.record == whole.record


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "missing"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    photos: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Mean(photos)
    fit(whole, loop(tmp_path / "whole", 8))
    half_trained(photos, tmp_path / "out")
    path = tmp_path / "out" / "checkpoint.pt"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "noise": b"x" * 500}[damage])
    recipe = Mean(photos)
    fit(recipe, loop(tmp_path / "out", 8, resume=True))
    assert recipe.seen[0] == 3
    assert weights(recipe) == weights(whole)
    said = capsys.readouterr().err
    if damage != "missing":
        assert "got a damaged file" in said
        assert "going on from checkpoint-previous.pt, of step 3" in said


def test_two_damaged_checkpoints(photos: Path, tmp_path: Path) -> None:
    half_trained(photos, tmp_path / "out")
    for name in ("checkpoint.pt", "checkpoint-previous.pt"):
        (tmp_path / "out" / name).write_bytes(b"PK")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: expected a checkpoint, got a damaged file"):
        fit(Mean(photos), loop(tmp_path / "out", 8, resume=True))


def test_no_checkpoint_is_promised_that_is_not_there(photos: Path, tmp_path: Path) -> None:
    recipe = Mean(photos)
    recipe.poison[2] = float("nan")
    with pytest.raises(TrainingError, match=r"there is no checkpoint to go on from: .*start anew"):
        fit(recipe, loop(tmp_path / "out", 8, checkpoint_every_s=1e9))
    assert not list((tmp_path / "out").glob("*.pt"))


def test_a_checkpoint_that_explodes_is_put_aside(photos: Path, tmp_path: Path) -> None:
    recipe = Mean(photos)
    recipe.poison[3] = float("inf")
    with pytest.raises(TrainingError, match=r"the checkpoint of step 2 is kept in .*resume"):
        fit(recipe, loop(tmp_path / "out", 8))
    assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["step"] == 2
    assert torch.load(tmp_path / "out" / "checkpoint-failed.pt", weights_only=True)["step"] == 3
    recipe = Mean(photos)
    fit(recipe, loop(tmp_path / "out", 8, resume=True, learning_rate=1e-4))  # as advised
    assert recipe.seen == [2, 3, 4, 5, 6, 7]


def test_weights_that_are_not_finite_are_not_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Mean(photos)
    step = torch.optim.Adam.step

    def exploding(self: torch.optim.Adam, *arguments: Any) -> Any:
        done = step(self, *arguments)
        if recipe.seen[-1] == 3:
            with torch.no_grad():
                recipe.model.bias.fill_(float("nan"))
        return done

    monkeypatch.setattr(torch.optim.Adam, "step", exploding)
    with pytest.raises(TrainingError, match=r"step 4: the weights are no longer finite; the .* of step 3"):
        fit(recipe, loop(tmp_path / "out", 8))
    kept = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert kept["step"] == 3
    assert all(value.isfinite().all() for value in kept["model"].values())


@pytest.mark.parametrize("change", ["gone", "new", "changed"])
def test_photos_that_change_between_runs_are_noticed(
    photos: Path, tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    half_trained(photos, tmp_path / "out")
    if change == "gone":
        (photos / "5.png").unlink()
    elif change == "new":
        shutil.copy(photos / "1.png", photos / "6.png")
    else:
        Image.new("RGB", (20, 20)).save(photos / "5.png")
    recipe = Mean(photos)
    fit(recipe, loop(tmp_path / "out", 8, resume=True))
    name = "6.png" if change == "new" else "5.png"
    assert f"1 {change} ({name}); the result is not" in capsys.readouterr().err
    ((step, what),) = json.loads(recipe.record["photos_changed"])
    assert step == 4
    assert f"1 {change} ({name})" in what


def test_photos_that_moved_are_the_same(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half_trained(photos, tmp_path / "out", stop=7)
    capsys.readouterr()
    moved = photos.rename(tmp_path / "elsewhere")
    recipe = Mean(moved)
    fit(recipe, loop(tmp_path / "out", 8, resume=True))
    (note,) = [line for line in capsys.readouterr().err.splitlines() if "note:" in line]
    assert "elsewhere: skipped 1 of 6 photos; the first: " in note
    assert recipe.record["unreadable_photos"] == "1"
