"""Which pictures are small: those that one thread paints, beside others."""

from __future__ import annotations

from stylenorm.batches.options import PaintOptions
from stylenorm.batches.task import Task
from stylenorm.media import picture_size
from stylenorm.tiles import Tiling

__all__ = ["SMALL_PIXELS", "NotSmallError", "check_small"]

SMALL_PIXELS = 1_000_000
"""Of the largest one. One thread paints it in a second, and takes 100 MB."""

_SOURCE_PIXELS = 30_000_000  # of one that is made smaller first, and is decoded whole for that


class NotSmallError(Exception):
    """Only small pictures were to be painted, and this is none."""


def check_small(task: Task, options: PaintOptions, tiling: Tiling) -> None:
    """Leave what takes long to others. It depends on the picture and the options, and on nothing else.

    Raises:
        NotSmallError: the picture is large, no file, or to be painted in tiles.
        PictureError: it is no picture.
    """
    if task.source is None or task.target is None or not task.source.is_file():
        raise NotSmallError
    if tiling.tile not in ("auto", "off") or tiling.memory_bytes is not None or options.stroke_size != 1:
        raise NotSmallError
    width, height = picture_size(task.source, options.max_megapixels)
    if options.crop:
        painted = float(options.size_px or min(width, height)) ** 2
    else:
        scale = 1.0 if options.size_px is None else min(1.0, options.size_px / max(width, height))
        painted = width * height * scale**2
    if width * height > _SOURCE_PIXELS or painted > SMALL_PIXELS:
        raise NotSmallError
