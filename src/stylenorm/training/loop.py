"""The one training loop: progress, samples, checkpoints, full resume, a NaN guard.

A recipe says what is learned and how a step's losses are computed; everything else is here. All randomness
of a step is drawn from (seed, step), so a run that was killed and resumed ends with the same weights, to the
bit, as one that was not. Under ``torchrun`` several processes share each step's batch
(`stylenorm.training.ranks`), and end with the weights, within rounding, that one would have ended with.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from stylenorm.allocation import keep_freed_memory
from stylenorm.configurations import LoopConfig, LoopDefaults
from stylenorm.errors import InputError, TrainingError
from stylenorm.interrupts import DeferredInterrupt
from stylenorm.media import atomic_write
from stylenorm.training import ranks
from stylenorm.training.batch_statistics import share_statistics
from stylenorm.training.checkpoints import State
from stylenorm.training.journal import Journal
from stylenorm.training.recipe import Recipe

__all__ = ["LoopConfig", "Recipe", "estimated", "fit"]

_TUNABLE = ("steps", "learning_rate", "clip")
_REPORT_EVERY_S = 60.0  # between two lines of a log
_TIMED_FROM, _TIMED = 5, 10  # steps: the first ones are slower
_LONG_S = 86400.0
_AVERAGED_STEPS = 50  # the progress line shows losses averaged over about so many steps


def fit(recipe: Recipe, config: LoopConfig) -> None:
    """Train for as many steps as are asked for, and write the results.

    Ctrl-C finishes the step, writes a checkpoint and raises KeyboardInterrupt; run again with ``resume`` to
    go on. A second Ctrl-C does not wait for the step, and leaves the checkpoint before it.

    In a process that ``torchrun`` started, the batch of each step is shared with the others, and the first
    process alone shows progress and writes.

    Raises:
        TrainingError: more than one in ten of the photos cannot be used, the loss is no longer finite, the
            checkpoint belongs to another training, or another process is lost.
    """
    schedule = recipe.loop_defaults.asked(config)
    if schedule.steps < 1:
        raise InputError(f"steps: expected at least 1, got {schedule.steps}")
    device = _device(config.device)
    notes = recipe.notes()
    config.out.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    torch.manual_seed(config.seed)
    with ranks.process_group(device):
        recipe.to(device)
        share_statistics(recipe.model)
        state = State(
            recipe,
            config.out / "checkpoint.pt",
            average=schedule.average,
            seed=config.seed,
            tunable={key: value for key, value in asdict(schedule).items() if key in _TUNABLE},
        )
        step = state.start(resume=config.resume)
        if ranks.is_first():
            from tqdm import tqdm

            for note in (*notes, *state.notes):
                tqdm.write(f"stylenorm: note: {note}", file=sys.stderr)
        try:
            step = _train(recipe, config, schedule, state, step)
        except ranks.LostProcessError as error:
            kept = (
                "the last checkpoint is kept in" if state.path.exists() else "there was no checkpoint yet in"
            )
            raise TrainingError(f"{error}; {kept} {config.out}: run again with --resume") from error
    if ranks.is_first():
        _write_sample(recipe, state.averaged.module, config.out, step)
        held_out = _measured(recipe, state.averaged.module)
        record = {
            "recipe": recipe.name,
            "steps": str(step),
            "history": json.dumps(state.history),
            "seed": str(config.seed),
            "torch": torch.__version__,
        }
        if held_out:
            record["held_out"] = json.dumps(held_out)
            journal = Journal(config.out, step, tensorboard=config.tensorboard)
            journal.write(step, held_out=held_out)
            journal.close()
        if state.changes:
            record["photos_changed"] = json.dumps(state.changes)
        with ranks.single_process():
            recipe.finish(state.averaged.module, record)


def _train(recipe: Recipe, config: LoopConfig, schedule: LoopDefaults, state: State, step: int) -> int:
    """Go on from ``step``; return the step that was come to."""
    from tqdm import tqdm

    shown: dict[str, float] = {}
    sums: dict[str, float] = {}
    first, timed_from = step, time.monotonic()
    num_summed = 0
    journal = Journal(config.out, step, tensorboard=config.tensorboard) if ranks.is_first() else None
    last_save = time.monotonic()
    progress = tqdm(
        total=schedule.steps,
        initial=step,
        desc=recipe.name,
        unit="step",
        dynamic_ncols=True,
        disable=None if ranks.is_first() else True,  # None: shown in a terminal alone
    )
    reported = time.monotonic()
    told = ranks.is_first() and progress.disable  # lines for a log instead of a bar
    with progress, recipe.prefetch(), DeferredInterrupt() as interrupt:
        while step < schedule.steps:
            generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
            for group in state.optimizer.param_groups:
                group["lr"] = schedule.learning_rate * group["rate"] * recipe.rate(step, schedule.steps)
            interrupted = False
            for parameters, losses in recipe.phases(step, generator):
                terms = torch.stack(list(losses.values()))
                state.optimizer.zero_grad(set_to_none=True)  # who has no gradient now, does not move
                terms.sum().backward(inputs=parameters)  # type: ignore[no-untyped-call]
                # What is not finite in one process, and a Ctrl-C that reached one, are so in all from here.
                came = terms.new_tensor([interrupt.came])
                numbers = ranks.average_gradients(parameters, torch.cat([terms.detach(), came]))
                *values, any_came = numbers.tolist()
                interrupted |= any_came > 0
                norm = nn.utils.clip_grad_norm_(parameters, schedule.clip or math.inf).item()
                if not math.isfinite(sum(values)) or not math.isfinite(norm):
                    raise TrainingError(
                        _not_finite(step, dict(zip(losses, values, strict=True)), norm, state)
                    )
                state.optimizer.step()
                for name, value in zip(losses, values, strict=True):
                    shown[name] = _running(shown.get(name), value)
                    sums[name] = sums.get(name, 0.0) + value
            state.update_average()
            step += 1
            num_summed += 1
            if ranks.is_first() and step - first == _TIMED_FROM:
                timed_from = time.monotonic()
            if ranks.is_first() and step - first == _TIMED_FROM + _TIMED and step < schedule.steps:
                a_step = (time.monotonic() - timed_from) / _TIMED
                if text := estimated(a_step * (schedule.steps - step)):
                    tqdm.write(f"{recipe.name}: {text}", file=sys.stderr)

            if journal and config.log_every and step % config.log_every == 0:
                means = {name: total / num_summed for name, total in sums.items()}
                journal.write(
                    step, means, rate=schedule.learning_rate * recipe.rate(step - 1, schedule.steps)
                )
                sums, num_summed = {}, 0
            progress.set_postfix({name: f"{value:.3f}" for name, value in shown.items()}, refresh=False)
            progress.update()
            if told and time.monotonic() - reported > _REPORT_EVERY_S:
                reported = time.monotonic()
                losses_now = ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
                tqdm.write(f"{recipe.name}: step {step} of {schedule.steps}, {losses_now}", file=sys.stderr)
            if time.monotonic() - last_save > config.checkpoint_every_s:
                _save(state, step)
                last_save = time.monotonic()
            if config.sample_every and step % config.sample_every == 0 and ranks.is_first():
                _write_sample(recipe, state.averaged.module, config.out, step)
                if (
                    journal
                    and step < schedule.steps
                    and (held_out := _measured(recipe, state.averaged.module))
                ):
                    journal.write(step, held_out=held_out)
                    journal.draw()
            if interrupted:
                _save(state, step)
                raise KeyboardInterrupt
    _save(state, step)
    if journal:
        journal.close()
    return step


def _save(state: State, step: int) -> None:
    """Write a checkpoint, but none that nobody could go on from."""
    if not state.is_finite():
        raise TrainingError(
            f"step {step}: the weights are no longer finite; {_kept(state)}: lower --learning-rate and resume"
        )
    state.save(step)


def _not_finite(step: int, losses: Mapping[str, float], norm: float, state: State) -> str:
    terms = ", ".join(f"{name} {value:g}" for name, value in losses.items())
    what = "loss" if math.isfinite(norm) or not math.isfinite(sum(losses.values())) else "gradient"
    if state.saved_step == step:  # its weights were exploding already: whatever the rate, it fails here again
        state.step_back()
    return (
        f"step {step}: the {what} is no longer finite ({terms}); {_kept(state)}: lower --learning-rate and "
        f"{'start anew' if state.saved_step is None else 'resume'}"
    )


def _kept(state: State) -> str:
    if state.saved_step is None:
        return "there is no checkpoint to go on from"
    return f"the checkpoint of step {state.saved_step} is kept in {state.path}"


def _device(name: str) -> torch.device:
    local = int(os.environ["LOCAL_RANK"]) if ranks.is_launched() else 0
    if name == "auto":
        name = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    elif name == "cuda" and local:
        name = f"cuda:{local}"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device: expected auto, cpu or a device of this machine, got {name!r}: {reason}"
        ) from error
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _running(average: float | None, value: float) -> float:
    return value if average is None else average + (value - average) / _AVERAGED_STEPS


def estimated(left_s: float) -> str:
    """Say how long a training will take; empty where it is over in a minute.

    Example:
        >>> estimated(30), estimated(5400)
        ('', 'about 1.5 hours to go')
    """
    if left_s < _REPORT_EVERY_S:
        return ""
    if left_s < 2 * 3600:
        minutes = left_s / 60
        return (
            f"about {minutes:.0f} minutes to go" if minutes < 90 else f"about {minutes / 60:.1f} hours to go"
        )
    if left_s < _LONG_S:
        return f"about {left_s / 3600:.0f} hours to go"
    return (
        f"about {left_s / 86400:.1f} days to go: the sizes are a GPU's; take smaller ones, or fewer --steps, "
        "on a machine like this"
    )


def _measured(recipe: Recipe, averaged: nn.Module) -> dict[str, float]:
    with ranks.single_process(), torch.no_grad():
        return {name: float(f"{value:.6g}") for name, value in recipe.metrics(averaged).items()}


def _write_sample(recipe: Recipe, averaged: nn.Module, out: Path, step: int) -> None:
    with ranks.single_process():
        pixels = recipe.sample(averaged)
    with atomic_write(out / "samples" / f"{step:06d}.png", overwrite=True) as file:
        Image.fromarray(pixels).save(file, format="PNG", compress_level=4)
