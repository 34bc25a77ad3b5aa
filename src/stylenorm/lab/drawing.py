"""Curves, bars and grids of pictures: small SVG that stays sharp, on light and dark pages alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stylenorm.errors import InputError

__all__ = ["SVG_STYLE", "Line", "bar_chart", "grid", "line_chart", "standalone", "to_pixels"]

_WIDTH, _HEIGHT = 680, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 46
_LEGEND_PX = 20
_NUM_COLORS = 6
_FEW_POINTS = 12  # so few are also drawn as dots
_LETTER_PX = 6.4

SVG_STYLE = """
svg.figure{--ink:#1f2328;--faint:#d5d9de;--s0:#0b6bcb;--s1:#d1242f;--s2:#1a7f37;
--s3:#9a6700;--s4:#8250df;--s5:#57606a}
@media (prefers-color-scheme:dark){svg.figure{--ink:#e6e9ee;--faint:#3b424b;--s0:#58a6ff;--s1:#ff7b72;
--s2:#56d364;--s3:#e3b341;--s4:#bc8cff;--s5:#9aa4af}}
svg.figure text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg.figure .axis{stroke:var(--ink)}svg.figure .grid{stroke:var(--faint)}
svg.figure .line{fill:none;stroke-width:2}svg.figure .dashed{stroke-dasharray:5 4}
svg.figure .band{opacity:.16;stroke:none}svg.figure .whisker{stroke:var(--ink);stroke-width:1.5}
""" + "".join(
    f"svg.figure .c{i}{{stroke:var(--s{i})}}svg.figure .f{i}{{fill:var(--s{i})}}\n"
    for i in range(_NUM_COLORS)
)
"""The style sheet of the figures: readable on a light and on a dark page."""


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        label: for the legend.
        points: x and y of each point.
        deviations: one a point, drawn as a band; none for no band.
        color: 0 to 5.
        dashed: for what is compared against.
    """

    label: str
    points: Sequence[tuple[float, float]]
    deviations: Sequence[float] = ()
    color: int = 0
    dashed: bool = False


def line_chart(
    lines: Sequence[Line], x_label: str, y_label: str, *, log_x: bool = False, log_y: bool = False
) -> str:
    """Draw curves; logarithmic axes leave out what is not positive.

    Raises:
        InputError: there is nothing to draw.
    """
    kept = [_drawable(line, log_x=log_x, log_y=log_y) for line in lines]
    xs = [x for points in kept for x, _, _ in points]
    ys = [y + d for points in kept for _, y, d in points] + [
        y - d for points in kept for _, y, d in points if y > d or not log_y
    ]
    if not xs:
        raise InputError("line_chart: expected at least one point that can be drawn, got none")
    x_axis = _Axis(min(xs), max(xs), _LEFT, _WIDTH - _RIGHT, log=log_x)
    low = min(ys) if log_y else min(0.0, *ys)
    y_axis = _Axis(low, max(ys), _HEIGHT - _BOTTOM, _TOP + _legend_px(len(lines)), log=log_y)
    parts = [_frame(y_axis, x_label, y_label)]
    parts += [_text(x_axis(tick), _HEIGHT - _BOTTOM + 16, _number(tick), "middle") for tick in x_axis.ticks()]
    for line, points in zip(lines, kept, strict=True):
        number = line.color % _NUM_COLORS
        if any(d for _, _, d in points):
            upper = [(x, y + d) for x, y, d in points]
            lower = [(x, max(y - d, y_axis.low)) for x, y, d in points]
            outline = _path([*upper, *reversed(lower)], x_axis, y_axis)
            parts.append(f'<polygon class="band f{number}" points="{outline}"/>')
        dashes = " dashed" if line.dashed else ""
        path = _path([(x, y) for x, y, _ in points], x_axis, y_axis)
        parts.append(f'<polyline class="line c{number}{dashes}" points="{path}"/>')
        for x, y, _ in points if len(points) < _FEW_POINTS else ():
            at = f'cx="{x_axis(x):.1f}" cy="{y_axis(y):.1f}"'
            parts.append(f'<circle class="f{number}" r="3" {at}/>')
    parts.append(_legend([(line.label, line.color) for line in lines]))
    return _svg(parts)


def bar_chart(
    groups: Mapping[str, Sequence[tuple[float, float]]], series: Sequence[str], y_label: str
) -> str:
    """Draw bars: for each group one bar a series, each a mean and a deviation (drawn as a whisker).

    Raises:
        InputError: there is nothing to draw, or a group has another number of bars than there are series.
    """
    if not groups or not series or any(len(bars) != len(series) for bars in groups.values()):
        raise InputError(f"bar_chart: expected {len(series)} bars in each group, one a series")
    values = [mean + deviation for bars in groups.values() for mean, deviation in bars]
    lows = [mean - deviation for bars in groups.values() for mean, deviation in bars]
    y_axis = _Axis(min(0.0, *lows), max(0.0, *values), _HEIGHT - _BOTTOM, _TOP + _legend_px(len(series)))
    parts = [_frame(y_axis, "", y_label)]
    room = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    width = 0.76 * room / len(series)
    for number, (group, bars) in enumerate(groups.items()):
        left = _LEFT + room * (number + 0.12)
        for i, (mean, deviation) in enumerate(bars):
            top, bottom = sorted((y_axis(mean), y_axis(0)))
            x = left + i * width
            parts.append(
                f'<rect class="f{i % _NUM_COLORS}" x="{x:.1f}" y="{top:.1f}" width="{0.9 * width:.1f}" '
                f'height="{max(bottom - top, 0.5):.1f}"><title>{escape(series[i])}, {escape(group)}: '
                f"{mean:.3g} ± {deviation:.2g}</title></rect>"
            )
            if deviation:
                middle = x + 0.45 * width
                a, b = y_axis(mean - deviation), y_axis(mean + deviation)
                parts.append(
                    f'<line class="whisker" x1="{middle:.1f}" x2="{middle:.1f}" y1="{a:.1f}" y2="{b:.1f}"/>'
                )
        for row, words in enumerate(_wrapped(group, room)):
            parts.append(_text(left + 0.38 * room, _HEIGHT - _BOTTOM + 18 + 14 * row, words, "middle"))
    parts.append(_legend([(name, i) for i, name in enumerate(series)]))
    return _svg(parts)


def standalone(svg: str) -> str:
    """Return a figure as a file of its own: with its style sheet inside."""
    start = svg.index(">") + 1
    return f"{svg[:start]}<style>{SVG_STYLE}</style>{svg[start:]}\n"


def to_pixels(picture: Tensor) -> NDArray[np.uint8]:
    """(1, 3, H, W) or (3, H, W), RGB, 0..1, to (H, W, 3) uint8."""
    chw = picture.detach().reshape(picture.shape[-3:]).clamp(0, 1)
    return np.ascontiguousarray((chw * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def grid(rows: Sequence[Sequence[tuple[NDArray[np.uint8], str]]], height_px: int = 150) -> Image.Image:
    """Put pictures with captions into rows; each is scaled to ``height_px``, no column is cropped."""
    gap, caption = 4, 18
    scaled = [[(_scaled(pixels, height_px), text) for pixels, text in row] for row in rows]
    width = max(sum(image.width + gap for image, _ in row) - gap for row in scaled)
    sheet = Image.new("RGB", (width, (height_px + caption) * len(scaled)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for number, row in enumerate(scaled):
        x, y = 0, number * (height_px + caption)
        for image, text in row:
            sheet.paste(image, (x, y))
            draw.text((x + 2, y + height_px + 2), text, fill="black", font=font)
            x += image.width + gap
    return sheet


def _drawable(line: Line, *, log_x: bool, log_y: bool) -> list[tuple[float, float, float]]:
    """x, y and deviation of the points that an axis can show."""
    deviations = line.deviations or [0.0] * len(line.points)
    return [
        (x, y, d)
        for (x, y), d in zip(line.points, deviations, strict=True)
        if (x > 0 or not log_x) and (y > 0 or not log_y)
    ]


def _scaled(pixels: NDArray[np.uint8], height_px: int) -> Image.Image:
    image = Image.fromarray(pixels)
    width = max(1, round(image.width * height_px / image.height))
    return image.resize((width, height_px), Image.Resampling.LANCZOS)


class _Axis:
    """Maps values to pixels, linearly or by their logarithm, with round numbers for ticks."""

    def __init__(self, low: float, high: float, start_px: float, end_px: float, *, log: bool = False) -> None:
        if high <= low:
            low, high = (low / 2, low * 2) if log else (min(0.0, low), low + (abs(low) or 1.0))
        self.low, self.high, self.start_px, self.end_px, self.log = low, high, start_px, end_px, log
        self._scale: Callable[[float], float] = math.log if log else float

    def __call__(self, value: float) -> float:
        a, b = self._scale(self.low), self._scale(self.high)
        value = max(value, self.low) if self.log else value
        return self.start_px + (self.end_px - self.start_px) * (self._scale(value) - a) / (b - a)

    def ticks(self) -> list[float]:
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high / self.low < 1000 else (1,)
            ticks = [s * 10.0**d for d in decades for s in steps]
            return [t for t in ticks if self.low * 0.999 <= t <= self.high * 1.001] or [self.low, self.high]
        raw = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(raw))
        step = unit * next(s for s in (1, 2, 2.5, 5, 10) if s * unit >= raw)
        first = math.ceil(self.low / step - 1e-9)
        return [step * i for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _legend_px(count: int) -> int:
    return _LEGEND_PX * -(-count // 3) + 6


def _legend(entries: Sequence[tuple[str, int]]) -> str:
    column_px = (_WIDTH - _LEFT - _RIGHT) / 3
    parts = []
    for i, (label, color) in enumerate(entries):
        x, y = _LEFT + column_px * (i % 3), _TOP + _LEGEND_PX * (i // 3)
        parts.append(f'<rect class="f{color % _NUM_COLORS}" x="{x:.0f}" y="{y - 9}" width="16" height="9"/>')
        parts.append(_text(x + 22, y, label))
    return "".join(parts)


def _frame(y_axis: _Axis, x_label: str, y_label: str) -> str:
    parts = []
    for tick in y_axis.ticks():
        y = y_axis(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 6, y + 4, _number(tick), "end"))
    base = y_axis(max(0.0, y_axis.low)) if not y_axis.log else y_axis.start_px
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base:.1f}" y2="{base:.1f}"/>')
    parts.append(_text((_LEFT + _WIDTH) / 2, _HEIGHT - 8, x_label, "middle"))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="14" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90 14 {middle:.0f})">'
        f"{escape(y_label)}</text>"
    )
    return "".join(parts)


def _wrapped(text: str, room_px: float) -> list[str]:
    """One line or two, parted at a space or behind a hyphen."""
    if len(text) * _LETTER_PX <= room_px:
        return [text]
    first, space, second = text.replace("-", "- ", 1).partition(" ")
    return [first, second] if space else [text]


def _path(points: Sequence[tuple[float, float]], x_axis: _Axis, y_axis: _Axis) -> str:
    return " ".join(f"{x_axis(x):.1f},{y_axis(y):.1f}" for x, y in points)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) > 1e-12 else "0"


def _svg(parts: Sequence[str]) -> str:
    head = (
        f'<svg class="figure" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
    )
    return head + "".join(parts) + "</svg>"
