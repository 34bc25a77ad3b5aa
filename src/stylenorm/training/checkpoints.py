"""A training's state, and the files that it is kept in (entries: docs/training.md).

``checkpoint.pt`` is the last one, ``checkpoint-previous.pt`` the one before it: a file that a broken disk or
an interrupted copy has cut short, or one whose weights were exploding already, does not end a training.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stylenorm.checkpoint_files import UNREADABLE, read_checkpoint, write_checkpoint
from stylenorm.errors import TrainingError
from stylenorm.training import ranks
from stylenorm.training.recipe import Recipe

__all__ = ["State"]

_FORMAT = "stylenorm-checkpoint-1"
_NAMES = ("step", "history", "model", "averaged", "optimizer", "random")


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
        saved_step: the step of the file; None without one.
        notes: what a user should know of the file that was taken up.
        changes: what had changed in the photos when a run was resumed, each with the step.
    """

    def __init__(
        self, recipe: Recipe, path: Path, *, average: float, seed: int, tunable: Mapping[str, Any]
    ) -> None:
        self.recipe, self.path, self.average, self.seed = recipe, path, average, seed
        self._loop_tunable = dict(tunable)
        self.history: list[list[Any]] = [[0, self.tunable()]]
        self.saved_step: int | None = None
        self.notes: list[str] = []
        self.changes: list[list[Any]] = []
        groups = [{"params": parameters, "rate": rate} for parameters, rate in recipe.param_groups()]
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

    @property
    def previous(self) -> Path:
        """The file before the last one."""
        return self.path.with_name(f"{self.path.stem}-previous{self.path.suffix}")

    def is_finite(self) -> bool:
        """Whether all weights are; those that are not could not be gone on from."""
        return all(
            bool(torch.isfinite(value).all())
            for value in (*self.recipe.model.parameters(), *self.averaged.parameters())
        )

    def save(self, step: int) -> None:
        """Write the file, whole or not at all, and keep the one before it; only the first process does."""
        previous_step, self.saved_step = self.saved_step, step
        if not ranks.is_first():
            return
        if self.path.exists() and previous_step not in (None, step):
            self._keep_previous()
        content = {
            "step": step,
            "history": self.history,
            "model": self.recipe.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "changes": self.changes,
            "photos": {name: photos.memory() for name, photos in self.recipe.photo_sources().items()},
        }
        write_checkpoint(self.path, _FORMAT, self.identity(), content)

    def step_back(self) -> None:
        """Put the file before the last one in its place: the last one fails at its first step.

        What the last one held is kept beside it, as ``checkpoint-failed.pt``.
        """
        self.saved_step = None
        if not ranks.is_first() or not self.path.exists():
            return
        self.path.replace(self.path.with_name(f"{self.path.stem}-failed{self.path.suffix}"))
        if self.previous.exists():
            self.saved_step = int(read_checkpoint(self.previous, _FORMAT, _NAMES)["step"])
            self.previous.replace(self.path)

    def _keep_previous(self) -> None:
        beside = self.previous.with_name(f".{self.previous.name}")
        beside.unlink(missing_ok=True)
        try:
            os.link(self.path, beside)  # the old name stays until the new file takes it
        except OSError:  # a file system without links
            shutil.copyfile(self.path, beside)
        beside.replace(self.previous)

    def start(self, *, resume: bool) -> int:
        """Take up the file's state, or with none begin; return the step to go on with.

        A file that is damaged is passed over for the one before it, with a note.

        Raises:
            TrainingError: there is a file, and it shall not be resumed, or is not this training's.
        """
        content = ranks.broadcast_result(lambda: self._read(resume))
        if content is None:
            ranks.broadcast_state(self.recipe.model)
            ranks.broadcast_state(self.averaged)
            return 0
        self.recipe.model.load_state_dict(content["model"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["random"])
        step = self.saved_step = int(content["step"])
        self.changes = [list(entry) for entry in content.get("changes", [])]
        for name, photos in self.recipe.photo_sources().items():
            if name in content.get("photos", {}) and (changed := photos.recall(content["photos"][name])):
                self.notes.append(f"{changed}; the result is not that of a training without the change")
                self.changes.append([step, changed])
        self.history = [list(entry) for entry in content["history"]]
        if self.history[-1][1] != self.tunable():
            self.history.append([step, self.tunable()])
        return step

    def _read(self, resume: bool) -> dict[str, Any] | None:
        if not self.path.exists() and not self.previous.exists():
            return None
        if not resume:
            raise TrainingError(f"{self.path} exists: go on with --resume, or start anew in another folder")
        problems = []
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            try:
                content = read_checkpoint(path, _FORMAT, _NAMES)
            except UNREADABLE as error:
                reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
                problems.append(
                    f"{path}: expected a checkpoint, got a damaged file, or another one ({reason})"
                )
                continue
            self._check(path, content)
            if problems:
                self.notes.append(f"{problems[0]}; going on from {path.name}, of step {content['step']}")
            return content
        raise TrainingError(f"{problems[0]}; start anew in another folder, or put a good copy in its place")

    def _check(self, path: Path, content: dict[str, Any]) -> None:
        mine, theirs = self.identity(), content["identity"]
        if mine.keys() != theirs.keys():
            raise TrainingError(f"{path}: expected a checkpoint of {self.recipe.name}, got one of another")
        for key, value in mine.items():
            if theirs[key] != value:
                raise TrainingError(
                    f"{path} was made with {key} = {theirs[key]}, not {value}: "
                    "resume with the same settings, or start anew in another folder"
                )
