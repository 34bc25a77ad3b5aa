"""A training's state, and the file that it is kept in: ``checkpoint.pt`` (entries: docs/training.md)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stylenorm.errors import TrainingError
from stylenorm.media import atomic_write
from stylenorm.training import ranks
from stylenorm.training.recipe import Recipe

__all__ = ["State"]

_FORMAT = "stylenorm-checkpoint-1"


class State:
    """Model, running average of its weights, and optimiser.

    Of several processes every one holds it, and the first alone writes and reads the file.

    Args:
        recipe: what is learned.
        path: the file.
        average: factor of the running average of the weights; 0 for none.
        seed: what all randomness is drawn from.
        tunable: settings of the loop that may be changed when a run is resumed.

    Attributes:
        history: what may change when a run is resumed, from which step on it had which values.
    """

    def __init__(
        self, recipe: Recipe, path: Path, *, average: float, seed: int, tunable: Mapping[str, Any]
    ) -> None:
        self.recipe, self.path, self.average, self.seed = recipe, path, average, seed
        self._loop_tunable = dict(tunable)
        self.history: list[list[Any]] = [[0, self.tunable()]]
        groups = [{"params": parameters, "rate": rate} for parameters, rate in recipe.rates()]
        self.optimizer = torch.optim.Adam(groups, betas=recipe.betas)
        self.averaged = torch.optim.swa_utils.AveragedModel(
            recipe.model,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(average),  # type: ignore[no-untyped-call]
            use_buffers=False,
        )

    def update_average(self) -> None:
        """Take the weights as they are now into their running average; buffers as they are."""
        self.averaged.update_parameters(self.recipe.model)
        for kept, now in zip(self.averaged.module.buffers(), self.recipe.model.buffers(), strict=True):
            kept.copy_(now)

    def identity(self) -> dict[str, Any]:
        """Return what must be the same when a checkpoint is resumed."""
        tunable = self.recipe.tunable()
        fixed = {key: value for key, value in self.recipe.config().items() if key not in tunable}
        return {"recipe": self.recipe.name, "average": self.average, "seed": self.seed, **fixed}

    def tunable(self) -> dict[str, Any]:
        """Return what need not be."""
        config = self.recipe.config()
        return {**self._loop_tunable, **{key: config[key] for key in self.recipe.tunable()}}

    def save(self, step: int) -> None:
        """Write the file, whole or not at all; only the first process does."""
        if not ranks.is_first():
            return
        content = {
            "format": _FORMAT,
            "identity": self.identity(),
            "step": step,
            "history": self.history,
            "model": self.recipe.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }
        with atomic_write(self.path, overwrite=True) as file:
            torch.save(content, file)

    def start(self, *, resume: bool) -> int:
        """Take up the file's state, or with none begin; return the step to go on with.

        Raises:
            TrainingError: there is a file, and it shall not be resumed, or is not this training's.
        """
        content = ranks.from_first(lambda: self._read(resume))
        if content is None:
            ranks.same_as_first(self.recipe.model)
            ranks.same_as_first(self.averaged)
            return 0
        self.recipe.model.load_state_dict(content["model"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["random"])
        step = int(content["step"])
        self.history = [list(entry) for entry in content["history"]]
        if self.history[-1][1] != self.tunable():
            self.history.append([step, self.tunable()])
        return step

    def _read(self, resume: bool) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        if not resume:
            raise TrainingError(f"{self.path} exists: go on with --resume, or start anew in another folder")
        content: dict[str, Any] = {}
        try:
            content = torch.load(self.path, weights_only=True, map_location="cpu")
            theirs = content["identity"] if content["format"] == _FORMAT else {}
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError):
            theirs = {}
        mine = self.identity()
        if mine.keys() != theirs.keys():
            raise TrainingError(f"{self.path}: expected a checkpoint of {self.recipe.name}, got another file")
        for key, value in mine.items():
            if theirs[key] != value:
                raise TrainingError(
                    f"{self.path} was made with {key} = {theirs[key]}, not {value}: "
                    "resume with the same settings, or start anew in another folder"
                )
        return content
