"""What a training writes of itself: losses and held-out figures as JSON lines, a curve, TensorBoard."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from stylenorm.errors import MissingExtraError
from stylenorm.training.loop import LoopConfig, fit
from tests.training.test_checkpoints import Mean, photos  # noqa: F401 (a fixture)


class Measured(Mean):
    """Also says how far it is from the colours that it never sees."""

    def metrics(self, model: nn.Module) -> dict[str, float]:
        return {"bias": float(model.bias.abs().mean())}


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_losses_and_figures_are_on_disk(photos: Path, tmp_path: Path) -> None:  # noqa: F811 (the fixture)
    recipe, out = Measured(photos), tmp_path / "run"
    losses: list[float] = []
    before = recipe.losses

    def kept(step, generator):  # type: ignore[no-untyped-def]
        found = before(step, generator)
        losses.append(float(found["color"].detach()))
        return found

    recipe.losses = kept  # type: ignore[method-assign]
    fit(recipe, LoopConfig(out, steps=7, sample_every=4, log_every=3, average=0.0, learning_rate=0.1))
    found = lines(out)
    assert [line["step"] for line in found] == [3, 4, 6, 7]
    for line, part in zip([found[0], found[2]], (losses[:3], losses[3:6]), strict=True):
        assert line["losses"]["color"] == pytest.approx(np.mean(part), rel=1e-4)
        assert 0 < line["rate"] <= 0.1
    assert set(found[1]) == {"step", "seconds", "held_out"}
    final = float(recipe.model.bias.detach().abs().mean())
    assert found[3]["held_out"]["bias"] == pytest.approx(final, rel=1e-4)
    assert json.loads(recipe.record["held_out"]) == found[3]["held_out"]
    with Image.open(out / "curve.png") as curve:
        pixels = np.asarray(curve.convert("RGB")).astype(int)
    assert (np.ptp(pixels, axis=2) > 60).sum() > 100, "coloured lines"


def test_a_run_that_goes_on_drops_what_its_checkpoint_does_not_know(
    photos: Path,  # noqa: F811 (the fixture)
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    options = {"sample_every": 0, "log_every": 1}
    fit(Mean(photos), LoopConfig(out, steps=4, **options))  # type: ignore[arg-type]
    with (out / "log.jsonl").open("a") as file:
        file.write('{"step": 9, "losses": {"color": 5}}\n{"step": 10, "los')
    fit(Mean(photos), LoopConfig(out, steps=6, resume=True, **options))  # type: ignore[arg-type]
    assert [line["step"] for line in lines(out)] == [1, 2, 3, 4, 5, 6]


def test_tensorboard_where_it_is_installed(
    photos: Path,  # noqa: F811 (the fixture)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "torch.utils.tensorboard"
    options = {"steps": 2, "sample_every": 0, "log_every": 1, "tensorboard": True}
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match="--tensorboard needs tensorboard"):
        fit(Mean(photos), LoopConfig(tmp_path / "none", **options))  # type: ignore[arg-type]

    told: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            assert (Path(folder).name, purge_step) in (("tensorboard", 1), ("tensorboard", 3))

        def add_scalar(self, *what: object) -> None:
            told.append(what)  # type: ignore[arg-type]

        def close(self) -> None:
            told.append(("closed", 0, 0))

    monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(SummaryWriter=Writer))
    fit(Measured(photos), LoopConfig(tmp_path / "run", **options))  # type: ignore[arg-type]
    assert [(what, step) for what, _, step in told] == [
        ("losses/color", 1),
        ("losses/color", 2),
        ("closed", 0),
        ("held_out/bias", 2),
        ("closed", 0),
    ]
