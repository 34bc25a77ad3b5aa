"""Drawn scenes with their label maps: something to try SPADE on whose true picture is known.

Everything in the picture follows from the map: the sky and the ground have their colours, a disc is lit from
above, a square has a window in its middle, a triangle a white top; all three have dark outlines.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylenorm.media import atomic_write

__all__ = ["SCENE_CLASSES", "write_scenes"]

SCENE_CLASSES = ("sky", "ground", "disc", "square", "triangle")
"""The classes, by their numbers."""

_FINE = 4  # drawn so much larger, and averaged: no steps at the edges
_LINE = 0.025  # width of outlines, of the picture's side
_SKY, _GROUND, _DARK = (0.55, 0.75, 0.95), (0.35, 0.6, 0.3), (0.12, 0.1, 0.15)
_DISC, _SQUARE, _WINDOW = (1.0, 0.8, 0.25), (0.75, 0.3, 0.25), (0.2, 0.3, 0.5)
_TRIANGLE, _TOP = (0.45, 0.35, 0.6), (0.97, 0.97, 1.0)

_Plane = NDArray[np.float64]


def write_scenes(folder: Path, count: int, size_px: int, *, seed: int = 0) -> None:
    """Write ``folder/labels/0000.png``, ... and ``folder/photos/0000.png``, ...

    Args:
        folder: made if it is not there.
        count: scenes.
        size_px: their side.
        seed: what the scenes are drawn from.
    """
    for i in range(count):
        labels, photo = _draw(np.random.default_rng([seed, i]), size_px)
        for name, pixels in (("labels", labels), ("photos", photo)):
            with atomic_write(folder / name / f"{i:04d}.png", overwrite=True) as file:
                Image.fromarray(pixels).save(file, format="PNG")


def _draw(rng: np.random.Generator, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    side = size_px * _FINE
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    is_ground = y > rng.uniform(0.45, 0.7)
    labels = np.where(is_ground, 1, 0).astype(np.uint8)
    photo = np.where(is_ground[..., None], _GROUND, _SKY)
    # no kind twice: where two of a kind meet, the map would not say which is in front
    for kind in rng.permutation(3)[: int(rng.integers(2, 4))]:
        radius = rng.uniform(0.12, 0.24)
        cx, cy = rng.uniform(radius, 1 - radius, 2)
        # inside: how far from the outline, positive within; down: from the top of the shape, 0, to its end, 1
        inside = (_disc, _square, _triangle)[kind](x - cx, y - cy, radius)
        down = (y - cy + radius) / (2 * radius)
        shown = inside > 0
        labels[shown] = 2 + kind
        painted = _painted(kind, np.maximum(abs(x - cx), abs(y - cy)) / radius, down)
        photo[shown] = np.where(inside[..., None] > _LINE, painted, _DARK)[shown]
    whole = photo.reshape(size_px, _FINE, size_px, _FINE, 3).mean(axis=(1, 3))
    half = _FINE // 2
    return labels[half::_FINE, half::_FINE], np.rint(255 * whole).astype(np.uint8)


def _painted(kind: int, out: _Plane, down: _Plane) -> NDArray[np.float64]:
    if kind == 0:
        return np.asarray(_DISC) * (1 - 0.45 * down[..., None])
    is_special, special, usual = (out < 0.4, _WINDOW, _SQUARE) if kind == 1 else (down < 0.4, _TOP, _TRIANGLE)
    return np.where(is_special[..., None], special, usual)


def _disc(x: _Plane, y: _Plane, radius: float) -> _Plane:
    distance: _Plane = np.hypot(x, y)
    return radius - distance


def _square(x: _Plane, y: _Plane, radius: float) -> _Plane:
    return radius - np.maximum(abs(x), abs(y))


def _triangle(x: _Plane, y: _Plane, radius: float) -> _Plane:
    slanted = ((y + radius) / 2 - abs(x)) * 2 / np.sqrt(5)  # sides that come to radius at the foot
    inside: _Plane = np.minimum(slanted, radius - y)
    return inside
