"""Lines over numbers, drawn: losses over steps, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

__all__ = ["draw_lines"]

_SIZE = (720, 400)
_LEFT, _RIGHT, _BOTTOM, _LINE_PX = 60, 16, 28, 14
_NAMES_A_LINE, _NAME_PX = 6, 108
_GRID = (222, 222, 222)
_COLORS = (
    (31, 119, 180),
    (214, 39, 40),
    (44, 160, 44),
    (148, 103, 189),
    (255, 127, 14),
    (23, 190, 207),
    (140, 86, 75),
    (127, 127, 127),
)

Color = tuple[int, int, int]


def draw_lines(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    colors: Mapping[str, Color] | None = None,
    marks: Sequence[float] = (),
    footer: str = "",
) -> Image.Image:
    """Draw lines over x, values on a logarithmic axis; what is not above 0 is left out.

    Args:
        lines: points (x, value) by name, at least one.
        colors: of lines; the others take their turn.
        marks: x of thin vertical lines.
        footer: text at the lower right.
    """
    top = 14 + _LINE_PX * -(-len(lines) // _NAMES_A_LINE)
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    values = [value for points in lines.values() for _, value in points if value > 0]
    places = [x for points in lines.values() for x, _ in points]
    low = math.floor(math.log10(min(values))) if values else -1
    high = max(low + 1, math.ceil(math.log10(max(values)))) if values else 0
    first, last = min(places, default=0.0), max(places, default=1.0)
    width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - top - _BOTTOM

    def at(x: float, value: float) -> tuple[float, float]:
        share = (math.log10(value) - low) / (high - low)
        return _LEFT + width * (x - first) / ((last - first) or 1), top + height * (1 - share)

    for exponent in range(low, high + 1):
        y = at(first, 10.0**exponent)[1]
        draw.line([(_LEFT, y), (_LEFT + width, y)], fill=_GRID)
        draw.text((_LEFT - 6, y), f"{10.0**exponent:g}", fill="black", anchor="rm")
    for mark in marks:
        x = at(mark, 10.0**low)[0]
        draw.line([(x, top), (x, top + height)], fill=_GRID)
    for number, (name, points) in enumerate(lines.items()):
        color = (colors or {}).get(name, _COLORS[number % len(_COLORS)])
        shown = [at(x, value) for x, value in points if value > 0]
        if len(shown) > 1:
            draw.line(shown, fill=color, width=2)
        row, column = divmod(number, _NAMES_A_LINE)
        draw.text((_LEFT + _NAME_PX * column, 8 + _LINE_PX * row), name, fill=color)
    draw.text((_LEFT, _SIZE[1] - 18), f"{first:g} to {last:g}", fill="black")
    draw.text((_LEFT + width, _SIZE[1] - 18), footer, fill="black", anchor="ra")
    return image
