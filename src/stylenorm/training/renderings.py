"""The same scenes in two renderings: pictures to try translation on.

``a`` is by day: flat colours on light ground. ``b`` is by night: the same shapes in darker colours, with
bright outlines, on dark ground. So the true translation of every picture is known.
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
_GROUND = {"a": (0.93, 0.91, 0.86), "b": (0.07, 0.09, 0.18)}
_OUTLINE = (1.0, 0.92, 0.65)
_NIGHT = 0.6  # of the day's brightness


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
        kind, hue = int(rng.integers(3)), rng.uniform()
        x, y = rng.uniform(0.1, 0.9, 2) * size
        radius = rng.uniform(0.12, 0.28) * size
        color = colorsys.hsv_to_rgb(hue, 0.75, 0.9 * _NIGHT if is_night else 0.9)
        style: dict[str, Any] = {"fill": _rgb(color)}
        if is_night:
            style |= {"outline": _rgb(_OUTLINE), "width": round(0.03 * size)}
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
