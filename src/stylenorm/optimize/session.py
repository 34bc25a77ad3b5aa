"""An optimization that runs at a terminal: a bar, previews, a curve, a checkpoint, Ctrl-C."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stylenorm.allocation import keep_freed_memory
from stylenorm.checkpoint_files import UNREADABLE, read_checkpoint, write_checkpoint
from stylenorm.errors import InputError
from stylenorm.interrupts import DeferredInterrupt
from stylenorm.media import atomic_write
from stylenorm.optimize.curve import draw_curve
from stylenorm.optimize.gatys import Evaluation, Optimization

__all__ = ["Session", "run_session"]

_FORMAT = "stylenorm-optimization-1"


@dataclass(frozen=True)
class Session:
    """What is kept while an optimization runs.

    Attributes:
        checkpoint: file that it goes on from; removed at the end.
        resume: go on from the checkpoint, if there is one.
        record: folder for previews, the curve and the losses as a table; None for none.
        preview_every: evaluations between previews.
        checkpoint_every_s: seconds between checkpoints.
        quiet: no bar.
    """

    checkpoint: Path
    resume: bool = False
    record: Path | None = None
    preview_every: int = 10
    checkpoint_every_s: float = 60.0
    quiet: bool = False


def run_session(run: Optimization, session: Session, about: str = "") -> Tensor:
    """Run to the end and return the picture, (1, 3, H, W), 0..1.

    Ctrl-C finishes the step, writes the checkpoint and raises KeyboardInterrupt; going on gives the same
    picture, to the bit, as if nothing had been. A second Ctrl-C does not wait.

    Args:
        run: what is run; it has not begun.
        session: what is kept.
        about: what else must be the same to go on, beside pictures and settings (the feature networks).

    Raises:
        InputError: there is a checkpoint and ``resume`` is False, or it is of another optimization.
        TrainingError: the loss is no longer finite.
    """
    from tqdm import tqdm

    keep_freed_memory()
    identity = _identity(run, about)
    if session.checkpoint.exists():
        if not session.resume:
            raise InputError(
                f"{session.checkpoint} is there: go on with --resume, or remove it to begin anew"
            )
        run.load_state_dict(_load(session.checkpoint, identity, run.original.device))
    saved, shown = time.monotonic(), len(run.history)
    with (
        tqdm(total=run.num_steps, initial=shown, unit="step", disable=session.quiet or None) as progress,
        DeferredInterrupt() as interrupt,
    ):
        while not run.done:
            for evaluation in run.step():
                progress.set_postfix_str(
                    f"{evaluation.width} x {evaluation.height}, content {evaluation.content:.3f}, "
                    f"style {evaluation.style:.4f}, palette {evaluation.palette:.4f}",
                    refresh=False,
                )
                progress.update()
            if session.record is not None and len(run.history) - shown >= session.preview_every:
                shown = len(run.history)
                _write_record(run, session.record)
            if interrupt.came or time.monotonic() - saved > session.checkpoint_every_s:
                write_checkpoint(session.checkpoint, _FORMAT, identity, {"state": run.state_dict()})
                saved = time.monotonic()
            if interrupt.came:
                raise KeyboardInterrupt
    if session.record is not None:
        _write_record(run, session.record)
    return run.picture()


def _write_record(run: Optimization, folder: Path) -> None:
    """A preview, the curve, and all losses so far."""
    with atomic_write(folder / f"{len(run.history):05d}.png", overwrite=True) as file:
        Image.fromarray(_pixels(run.picture())).save(file, format="PNG", compress_level=4)
    with atomic_write(folder / "curve.png", overwrite=True) as file:
        draw_curve(run.history).save(file, format="PNG")
    text = io.StringIO()
    table = csv.writer(text)
    names = [field.name for field in fields(Evaluation)]
    table.writerow(names)
    table.writerows([getattr(evaluation, name) for name in names] for evaluation in run.history)
    with atomic_write(folder / "losses.csv", overwrite=True) as file:
        file.write(text.getvalue().encode())


def _pixels(picture: Tensor) -> NDArray[np.uint8]:
    pixels = (picture[0] * 255).round().byte().permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy())


def _identity(run: Optimization, about: str) -> dict[str, Any]:
    digest = hashlib.sha256()
    pictures: list[Tensor | None] = [run.original]
    for source in run.sources:
        pictures += [source.painting, source.painting_mask, source.photo_mask]
    for picture in pictures:
        digest.update(b"none" if picture is None else picture.detach().cpu().contiguous().numpy().tobytes())
    weights = [source.weight for source in run.sources]
    return {
        **asdict(run.config),
        "size": list(run.original.shape),
        "weights": weights,
        "features": about,
        "pictures": digest.hexdigest(),
    }


def _load(path: Path, identity: Mapping[str, Any], device: torch.device) -> Mapping[str, Any]:
    try:
        content = read_checkpoint(path, _FORMAT, ["state"], device)
        differing = [name for name in identity if content["identity"].get(name) != identity[name]]
    except UNREADABLE as error:
        raise InputError(f"{path}: expected the checkpoint of an optimization, got another file") from error
    if differing:
        raise InputError(
            f"{path} was made with other {', '.join(differing)}: resume with the same, or remove it to "
            "begin anew"
        )
    state: Mapping[str, Any] = content["state"]
    return state
