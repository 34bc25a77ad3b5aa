"""The one training loop: progress, samples, checkpoints, full resume, a NaN guard.

A recipe says what is learned and how a step's losses are computed; everything else is here. All randomness
of a step is drawn from (seed, step), so a run that was killed and resumed ends with the same weights, to the
bit, as one that was not.
"""

from __future__ import annotations

import json
import math
import pickle
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from stylenorm.errors import InputError, TrainingError
from stylenorm.media import atomic_write

__all__ = ["LoopConfig", "Recipe", "fit"]

_CHECKPOINT_FORMAT = "stylenorm-checkpoint-1"
_TUNABLE = ("steps", "learning_rate", "clip")
_AVERAGED_STEPS = 50  # the progress line shows losses averaged over about so many steps


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train, and what to keep.

    Attributes:
        out: folder for checkpoint, samples and results.
        steps: optimiser steps. These, the rate, the clip and a recipe's `Recipe.tunable` settings may be
            changed when a run is resumed: the rate goes on along the cosine of the new length, and the record
            says from which step on what held.
        learning_rate: peak rate of Adam; it warms up over the first 5 % and falls to 0 by a cosine.
        clip: largest norm of the gradient.
        average: factor of the running average of the weights, from which results are made; 0 for none.
        checkpoint_every_s: seconds between checkpoints.
        sample_every: steps between pictures of samples; 0 for none.
        seed: what all randomness is drawn from.
        resume: go on from the checkpoint in ``out``; without one, start anew.
        device: where to compute: cpu, cuda, cuda:1, ...; auto takes a GPU if there is one. A run may be
            resumed on another device; only on the CPU is it the same to the bit.
    """

    out: Path
    steps: int = 6500
    learning_rate: float = 3e-3
    clip: float = 1.0
    average: float = 0.998
    checkpoint_every_s: float = 60.0
    sample_every: int = 500
    seed: int = 0
    resume: bool = False
    device: str = "auto"


class Recipe(ABC):
    """What is learned: the model, and the losses of a step.

    Attributes:
        name: registry name, kebab-case.
        model: its parameters are trained, its buffers saved.
    """

    name: str
    model: nn.Module

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Move the model, and all else that a step computes with, to ``device``."""

    def running(self) -> AbstractContextManager[None]:
        """Return what holds while steps are made, such as threads that make batches ahead."""
        return nullcontext()

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters in groups, each with its learning rate in units of the loop's."""
        return [(list(self.model.parameters()), 1.0)]

    @abstractmethod
    def config(self) -> Mapping[str, Any]:
        """Return the settings; all but `tunable` must be the same when a checkpoint is resumed."""

    def tunable(self) -> Collection[str]:
        """Return the settings that may be changed when a checkpoint is resumed."""
        return ()

    @abstractmethod
    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step; their sum is minimised."""

    @abstractmethod
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a picture (H, W, 3) of what the model does now."""

    @abstractmethod
    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Write the results."""


def fit(recipe: Recipe, config: LoopConfig) -> None:
    """Train until ``config.steps`` and write the results.

    Ctrl-C finishes the step, writes a checkpoint and raises KeyboardInterrupt; run again with ``resume`` to
    go on. A second Ctrl-C does not wait for the step, and leaves the checkpoint before it.

    Raises:
        TrainingError: the loss is no longer finite, or the checkpoint belongs to another training.
    """
    from tqdm import tqdm

    if config.steps < 1:
        raise InputError(f"steps: expected at least 1, got {config.steps}")
    config.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    recipe.to(_device(config.device))
    state = _State(recipe, config)
    step = state.load() if config.resume else 0
    state.check_fresh(config.resume)

    shown: dict[str, float] = {}
    last_save = time.monotonic()
    progress = tqdm(total=config.steps, initial=step, desc=recipe.name, unit="step", dynamic_ncols=True)
    with progress, recipe.running(), _HeldInterrupt() as interrupt:
        while step < config.steps:
            generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
            for group in state.optimizer.param_groups:
                group["lr"] = config.learning_rate * group["rate"] * _rate(step, config.steps)
            losses = recipe.losses(step, generator)
            total = torch.stack(list(losses.values())).sum()
            if not torch.isfinite(total):
                terms = ", ".join(f"{name} {value.item():g}" for name, value in losses.items())
                raise TrainingError(
                    f"step {step}: the loss is no longer finite ({terms}); the checkpoint before it is "
                    f"kept in {state.path}: lower --learning-rate and resume"
                )
            state.optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(recipe.model.parameters(), config.clip, error_if_nonfinite=False)
            state.optimizer.step()
            state.update_average()
            step += 1

            for name, value in losses.items():
                shown[name] = _running(shown.get(name), value.item())
            progress.set_postfix({name: f"{value:.3f}" for name, value in shown.items()}, refresh=False)
            progress.update()
            if time.monotonic() - last_save > config.checkpoint_every_s:
                state.save(step)
                last_save = time.monotonic()
            if config.sample_every and step % config.sample_every == 0:
                _write_sample(recipe, state.averaged.module, config.out, step)
            if interrupt.came:
                state.save(step)
                raise KeyboardInterrupt
    state.save(step)
    record = {
        "recipe": recipe.name,
        "steps": str(step),
        "history": json.dumps(state.history),
        "seed": str(config.seed),
        "torch": torch.__version__,
    }
    _write_sample(recipe, state.averaged.module, config.out, step)
    recipe.finish(state.averaged.module, record)


class _HeldInterrupt:
    """Holds the first Ctrl-C back until the step is done: half a step in a checkpoint could not be resumed.

    Attributes:
        came: whether there was one.
    """

    def __init__(self) -> None:
        self.came = False

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        # Signals reach the main thread alone; and who ignores Ctrl-C (nohup) shall go on ignoring it.
        self._holds = (
            threading.current_thread() is threading.main_thread()
            and self._before is signal.default_int_handler
        )
        if self._holds:
            signal.signal(signal.SIGINT, self._hold)
        return self

    def __exit__(self, *_: object) -> None:
        if self._holds:
            signal.signal(signal.SIGINT, self._before)

    def _hold(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (a signal handler's arguments)
        self.came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _State:
    """Model, running average and optimiser, and the file that they are kept in."""

    def __init__(self, recipe: Recipe, config: LoopConfig) -> None:
        self.recipe, self.config = recipe, config
        self.path = config.out / "checkpoint.pt"
        # What may change when a run is resumed, from which step on it had which values.
        self.history: list[list[Any]] = [[0, self.tunable()]]
        groups = [{"params": parameters, "rate": rate} for parameters, rate in recipe.rates()]
        self.optimizer = torch.optim.Adam(groups, lr=config.learning_rate)
        self.averaged = torch.optim.swa_utils.AveragedModel(
            recipe.model,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.average),  # type: ignore[no-untyped-call]
            use_buffers=False,
        )

    def update_average(self) -> None:
        self.averaged.update_parameters(self.recipe.model)
        for kept, now in zip(self.averaged.module.buffers(), self.recipe.model.buffers(), strict=True):
            kept.copy_(now)

    def identity(self) -> dict[str, Any]:
        tunable = self.recipe.tunable()
        fixed = {key: value for key, value in self.recipe.config().items() if key not in tunable}
        return {"recipe": self.recipe.name, "average": self.config.average, "seed": self.config.seed, **fixed}

    def tunable(self) -> dict[str, Any]:
        loop = {key: value for key, value in asdict(self.config).items() if key in _TUNABLE}
        config = self.recipe.config()
        return {**loop, **{key: config[key] for key in self.recipe.tunable()}}

    def save(self, step: int) -> None:
        content = {
            "format": _CHECKPOINT_FORMAT,
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

    def load(self) -> int:
        if not self.path.exists():
            return 0
        try:
            content = torch.load(self.path, weights_only=True, map_location="cpu")
            theirs = content["identity"] if content["format"] == _CHECKPOINT_FORMAT else {}
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
        self.recipe.model.load_state_dict(content["model"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["random"])
        step = int(content["step"])
        self.history = [list(entry) for entry in content["history"]]
        if self.history[-1][1] != self.tunable():
            self.history.append([step, self.tunable()])
        return step

    def check_fresh(self, resume: bool) -> None:
        if self.path.exists() and not resume:
            raise TrainingError(f"{self.path} exists: go on with --resume, or start anew in another folder")


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device: expected auto, cpu or a device of this machine, got {name!r}: {reason}"
        ) from error
    return device


def _rate(step: int, steps: int) -> float:
    """Warm up linearly over the first 5 %, then fall to 0 by a cosine."""
    warmup = max(1, round(0.05 * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _running(average: float | None, value: float) -> float:
    return value if average is None else average + (value - average) / _AVERAGED_STEPS


def _write_sample(recipe: Recipe, averaged: nn.Module, out: Path, step: int) -> None:
    pixels = recipe.sample(averaged)
    with atomic_write(out / "samples" / f"{step:06d}.png", overwrite=True) as file:
        Image.fromarray(pixels).save(file, format="PNG", compress_level=4)
