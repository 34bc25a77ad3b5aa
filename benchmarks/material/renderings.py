"""The same scenes in two renderings: pictures to try translation on.

``a`` is by day: flat colours on a meadow. ``b`` is by night: the same shapes in darker colours, with an edge
that shines, on dark ground. So the true translation of every picture is known.

Unpaired pictures tell it, too. Each kind of shape has hues of its own: were all hues alike, a night of other
hues would be as likely as the true one. And shapes are brighter than the ground in both: a first, coarse
translation of light ground into dark turns every colour into its opposite, and CycleGAN was seen to stay
there.
"""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from stylenorm.media import atomic_write

__all__ = ["write_renderings"]

_FINE = 4  # drawn so much larger, and scaled down: no steps at the edges
_GROUND = {"a": (0.24, 0.36, 0.20), "b": (0.07, 0.09, 0.18)}
_NIGHT = 0.6  # of the day's brightness
# How often a disk, a square and a triangle is drawn, and the hues of each.
_SHARES = (0.5, 0.3, 0.2)
_HUES = ((-0.05, 0.12), (0.28, 0.42), (0.55, 0.72))


def write_renderings(folder: Path, count: int, size_px: int, *, seed: int = 0, paired: bool = True) -> None:
    """Write ``folder/a/0000.png``, ... and ``folder/b/0000.png``, ...

    Args:
        folder: made if it is not there.
        count: pictures of each rendering.
        size_px: their side.
        seed: what the scenes are drawn from.
        paired: whether pictures of one name show one scene; else no scene is in both folders.
    """
    for rendering in ("a", "b"):
        for i in range(count):
            scene = i if paired or rendering == "a" else count + i
            with atomic_write(folder / rendering / f"{i:04d}.png", overwrite=True) as file:
                _draw(np.random.default_rng([seed, scene]), size_px, rendering).save(file, format="PNG")


def _draw(rng: np.random.Generator, size_px: int, rendering: str) -> Image.Image:
    size, is_night = size_px * _FINE, rendering == "b"
    image = Image.new("RGB", (size, size), _rgb(_GROUND[rendering]))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 5))):
        kind = int(rng.choice(3, p=_SHARES))
        hue = rng.uniform(*_HUES[kind]) % 1
        x, y = rng.uniform(0.1, 0.9, 2) * size
        radius = rng.uniform(0.12, 0.28) * size
        day = colorsys.hsv_to_rgb(hue, 0.75, 0.9)
        style: dict[str, Any] = {"fill": _rgb(day)}
        if is_night:
            night = colorsys.hsv_to_rgb(hue, 0.75, 0.9 * _NIGHT)
            style = {"fill": _rgb(night), "outline": _rgb(day), "width": round(0.03 * size)}
        box = (x - radius, y - radius, x + radius, y + radius)
        if kind == 0:
            draw.ellipse(box, **style)
        elif kind == 1:
            draw.rectangle(box, **style)
        else:
            draw.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], **style)
    return image.resize((size_px, size_px), Image.Resampling.LANCZOS)


def _rgb(color: tuple[float, float, float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * each) for each in color)
    return red, green, blue
