"""Where a training is not told how long and how fast, it does what its recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stylenorm.configurations import LoopConfig, LoopDefaults
from stylenorm.training import Recipe, fit


class Slope(Recipe):
    """One number that goes down a slope of 1: Adam moves it by the rate in each step."""

    name = "slope"
    loop_defaults = LoopDefaults(steps=3, learning_rate=0.25, clip=0.0, average=0.0)

    def __init__(self) -> None:
        self.model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.model.weight)

    def to(self, device: torch.device) -> None:
        self.model.to(device)

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


def test_each_step_draws_anew_and_each_run_the_same(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        recipe = Drawn()
        fit(recipe, LoopConfig(tmp_path / name, device="cpu", steps=5))
        runs.append(recipe.drawn)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 5


def test_the_rate_goes_up_over_a_twentieth_and_down_by_a_cosine() -> None:
    recipe = Slope()
    rates = [Recipe.rate(recipe, step, 1000) for step in range(1001)]
    np.testing.assert_allclose(rates[:50], np.arange(1, 51) / 50)
    np.testing.assert_allclose(rates[50:], (1 + np.cos(np.pi * np.arange(951) / 950)) / 2, atol=1e-12)
