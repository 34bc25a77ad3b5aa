"""The plan of a batch: which picture is painted in which style, how strongly, and where it goes."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stylenorm.batches.drawing import Shard, StrengthRange
from stylenorm.batches.task import Task
from stylenorm.media import LeftOut, StyleDraw, plan_outputs

__all__ = ["plan_tasks"]


def plan_tasks(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    styles: Sequence[str] | StyleDraw,
    strengths: StrengthRange | None = None,
    format: str | None = None,  # noqa: A002 (Pillow's and everyone's word for it)
    shard: Shard | None = None,
    left_out: LeftOut | None = None,
) -> list[Task]:
    """Plan a batch: `stylenorm.media.plan_outputs` with strengths, and of it one part.

    Args:
        inputs: files and folders; ``"-"`` is standard input.
        output: file or folder; ``"-"`` is standard output; None is beside the photos.
        styles: names of styles, or what draws each picture's.
        strengths: what strengths are drawn from; None for 1.
        format: the format to write; None takes the output's suffix, or the photo's.
        shard: the part that is wanted; None for all. Names are given before parts are taken, so that all
            parts agree on them.
        left_out: as in `stylenorm.media.plan_outputs`.

    Returns:
        Tasks, pictures in the order given, folders sorted.

    Raises:
        InputError, PictureError, OutputError, UnknownNameError: as `stylenorm.media.plan_outputs` does.
    """
    drawn = strengths or StrengthRange(1.0, 1.0)
    with _uncollected():
        jobs = plan_outputs(inputs, output, styles=styles, format=format, left_out=left_out)
        wanted = (job for job in jobs if shard is None or shard.has(job.key))
        return [
            Task(
                each.source,
                each.target,
                each.style,
                each.format,
                each.key,
                drawn.strength(each.key, each.style),
            )
            for each in wanted
        ]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let Python's collector rest: a plan is all live objects; looking through them takes half its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
