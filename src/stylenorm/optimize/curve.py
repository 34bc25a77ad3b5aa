"""The losses of an optimization as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageDraw

from stylenorm.optimize.gatys import Evaluation

__all__ = ["draw_curve"]

_SIZE = (720, 400)
_LEFT, _TOP, _RIGHT, _BOTTOM = 60, 28, 16, 28
_COLORS = {"total": (40, 40, 40), "content": (31, 119, 180), "style": (214, 39, 40), "palette": (44, 160, 44)}
_GRID = (222, 222, 222)


def draw_curve(history: Sequence[Evaluation]) -> Image.Image:
    """Draw content, style, palette and total over the evaluations; losses on a logarithmic axis.

    Thin vertical lines stand where a larger size begins.

    Args:
        history: at least one evaluation.
    """
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    values = [v for e in history for v in (e.total, e.content, e.style, e.palette) if v > 0]
    low = math.floor(math.log10(min(values))) if values else -1
    high = max(low + 1, math.ceil(math.log10(max(values)))) if values else 0
    width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM

    def at(number: int, value: float) -> tuple[float, float]:
        share = (math.log10(value) - low) / (high - low)
        return _LEFT + width * number / max(1, len(history) - 1), _TOP + height * (1 - share)

    for exponent in range(low, high + 1):
        y = at(0, 10.0**exponent)[1]
        draw.line([(_LEFT, y), (_LEFT + width, y)], fill=_GRID)
        draw.text((_LEFT - 6, y), f"{10.0**exponent:g}", fill="black", anchor="rm")
    for number, (before, after) in enumerate(pairwise(history), start=1):
        if after.height != before.height:
            x = at(number, 10.0**low)[0]
            draw.line([(x, _TOP), (x, _TOP + height)], fill=_GRID)
    for column, (name, color) in enumerate(_COLORS.items()):
        points = [at(i, getattr(e, name)) for i, e in enumerate(history) if getattr(e, name) > 0]
        if len(points) > 1:
            draw.line(points, fill=color, width=2)
        draw.text((_LEFT + 90 * column, 8), name, fill=color)
    last = history[-1]
    text = f"{len(history)} evaluations, {last.seconds:.0f} s"
    draw.text((_LEFT + width, _SIZE[1] - 18), text, fill="black", anchor="ra")
    return image
