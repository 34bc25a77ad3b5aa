"""The losses of an optimization as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PIL import Image

from stylenorm.media.pictures.line_chart import draw_lines
from stylenorm.optimize.gatys import Evaluation

__all__ = ["draw_curve"]

_COLORS = {"total": (40, 40, 40), "content": (31, 119, 180), "style": (214, 39, 40), "palette": (44, 160, 44)}


def draw_curve(history: Sequence[Evaluation]) -> Image.Image:
    """Draw content, style, palette and total over the evaluations; losses on a logarithmic axis.

    Thin vertical lines stand where a larger size begins.

    Args:
        history: at least one evaluation.
    """
    lines = {name: [(i, getattr(e, name)) for i, e in enumerate(history)] for name in _COLORS}
    larger = [
        i for i, (before, after) in enumerate(pairwise(history), start=1) if after.height != before.height
    ]
    footer = f"{len(history)} evaluations, {history[-1].seconds:.0f} s"
    return draw_lines(lines, colors=_COLORS, marks=larger, footer=footer)
