"""Where a training is not told how long and how fast, it does what its recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylenorm.configurations import LoopConfig, LoopDefaults
from stylenorm.errors import InputError
from stylenorm.training import Recipe, fit
from stylenorm.training.recipe import to_pixels, warmed_cosine


class Slope(Recipe):
    """One number that goes down a slope of 1: Adam moves it by the rate in each step."""

    name = "slope"
    loop_defaults = LoopDefaults(steps=3, learning_rate=0.25, clip=0.0, average=0.0)

    def __init__(self) -> None:
        self.model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.model.weight)

    def config(self) -> Mapping[str, Any]:
        return {}

    def rate(self, *_: object) -> float:
        return 1.0

    def losses(self, *_: object) -> dict[str, Tensor]:
        return {"height": self.model.weight.sum()}

    def sample(self, *_: object) -> np.ndarray:
        return np.zeros((1, 1, 3), np.uint8)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        self.steps, self.went = record["steps"], -model.weight.item()


class Drawn(Slope):
    """Keeps what each step drew."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[float] = []

    def losses(self, _: int, generator: torch.Generator) -> dict[str, Tensor]:
        self.drawn.append(torch.rand((), generator=generator).item())
        return super().losses()


def went(out: Path, **changes: Any) -> tuple[str, float]:
    recipe = Slope()
    fit(recipe, LoopConfig(out, device="cpu", **changes))
    return recipe.steps, round(recipe.went, 4)


def test_the_recipe_says_how_long_and_how_fast(tmp_path: Path) -> None:
    assert went(tmp_path / "a") == ("3", 0.75)
    assert went(tmp_path / "b", steps=2) == ("2", 0.5)
    assert went(tmp_path / "c", learning_rate=0.5) == ("3", 1.5)
    assert went(tmp_path / "d", average=0.5)[1] < 0.75  # results are of the running average
    assert went(tmp_path / "e", steps=1) == ("1", 0.25)
    with pytest.raises(InputError, match="steps: expected at least 1, got 0"):
        went(tmp_path / "f", steps=0)


def test_samples_are_drawn_as_often_as_asked_for_and_at_the_end(tmp_path: Path) -> None:
    fit(Slope(), LoopConfig(tmp_path, steps=5, sample_every=2, device="cpu"))
    assert {path.stem for path in (tmp_path / "samples").iterdir()} == {"000002", "000004", "000005"}


def test_a_recipe_of_the_release_before_trains_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="Old.rates is now param_groups; .* next release") as told:

        class Old(Slope):
            def rates(self) -> list[tuple[list[nn.Parameter], float]]:
                return [(list(self.model.parameters()), 2.0)]

    assert told[0].filename == __file__
    recipe = Old()
    fit(recipe, LoopConfig(tmp_path, device="cpu"))
    assert round(recipe.went, 4) == 1.5
    with pytest.warns(DeprecationWarning, match="Recipe.turns is now phases"):
        assert len(list(recipe.turns(0, torch.Generator()))) == 1


def test_each_step_draws_anew_and_each_run_the_same(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        recipe = Drawn()
        fit(recipe, LoopConfig(tmp_path / name, device="cpu", steps=5))
        runs.append(recipe.drawn)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 5


def test_a_log_is_told_the_time_that_is_left_and_the_mean_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=0.0)

    class Slow(Slope):
        def losses(self, *_: object) -> dict[str, Tensor]:
            clock.now += 2.0 if clock.now > 8 else 4.0  # seconds; the first ones are slower
            return super().losses()

    monkeypatch.setattr("stylenorm.training.loop.time", SimpleNamespace(monotonic=lambda: clock.now))
    fit(Slow(), LoopConfig(tmp_path, steps=100, device="cpu", sample_every=0))
    told = capsys.readouterr().err.splitlines()
    assert "slope: about 3 minutes to go" in told  # 85 steps of 2 seconds
    # More than 60 seconds, 4 + 4 + 4 + 2 ..., are over after 28 steps. The loss falls by 0.25 in each.
    mean = 0.0
    for step in range(1, 28):
        mean += (-0.25 * step - mean) / 50
    assert next(line for line in told if " of 100, " in line) == f"slope: step 28 of 100, height {mean:.3f}"


def test_pixels_are_rounded_to_8_bits_with_their_channels_last() -> None:
    picture = torch.tensor([[[0.0, 0.2]], [[0.398, 1.0]], [[0.0, 0.0]]])  # (3, 1, 2)
    assert to_pixels(picture).tolist() == [[[0, 101, 0], [51, 255, 0]]]


def test_the_rate_goes_up_over_a_twentieth_and_down_by_a_cosine() -> None:
    recipe = Slope()
    rates = [Recipe.rate(recipe, step, 1000) for step in range(1001)]
    np.testing.assert_allclose(rates[:50], np.arange(1, 51) / 50)
    down = (1 + np.cos(np.pi * np.arange(951) / 950)) / 2
    np.testing.assert_allclose(rates[50:], down, atol=1e-12)
    to_a_tenth = [warmed_cosine(step, 1000, last=0.1) for step in range(1001)]
    np.testing.assert_allclose(to_a_tenth[:50], rates[:50])
    np.testing.assert_allclose(to_a_tenth[50:], 0.1 + 0.9 * down, atol=1e-12)


def test_a_recipe_is_moved_with_the_networks_of_its_losses() -> None:
    class WithLoss(Slope):
        loss = nn.Linear(2, 2)

        def companions(self) -> list[nn.Module]:
            return [self.loss]

    recipe = WithLoss()
    assert recipe.device == torch.device("cpu")
    recipe.to(torch.device("meta"))
    assert recipe.device == torch.device("meta")
    assert {p.device.type for m in (recipe.model, recipe.loss) for p in m.parameters()} == {"meta"}
