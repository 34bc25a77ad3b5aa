"""Wooden boats, with or without a mast."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from . import surfaces as paint
from .common import Array, rgb
from .patches import Camera, Patch, box, pole
from .surfaces import Surface

STATIONS = 15  # cross-sections from stern to bow


def quad(a: Array, b: Array, c: Array, d: Array, look: Surface, sky: float = 1.0) -> list[Patch]:
    """A bent four-cornered piece as two triangles; a, b below c, d."""
    return [
        Patch(a, b - a, c - a, look, triangle=True, sky=sky),
        Patch(d, c - d, b - d, look, triangle=True, sky=sky),
    ]


def boat(
    camera: Camera,
    at: tuple[float, float],
    length: float,
    beam: float,
    colour: Array,
    mast: float,
    bow: tuple[float, float] = (0, 1),
) -> list[Patch]:
    """A boat at (x, z), its bow towards `bow`; without a mast it is an open rowing boat.

    One with a mast, and so with a cabin, must lie along z.
    """
    (x, z), (ahead_x, ahead) = at, bow
    t = np.linspace(0, 1, STATIONS, dtype=np.float32)
    fullness = np.where(t > 0.45, 0.9, 0.42)  # the stern is nearly as wide as the middle, the bow is a point
    half = beam / 2 * np.maximum(1 - np.abs(1.9 * t - 0.85) ** 2.4 * fullness, 0) ** 0.8
    sheer = 0.19 * beam + 0.30 + 0.55 * (t - 0.38) ** 2 * beam
    planks, dark = paint.planks(colour), paint.planks(rgb(58, 40, 32))
    trim, deck = paint.plain(rgb(226, 216, 194), 0.1), paint.planks(rgb(150, 116, 78))

    def point(side: float, i: int, level: float) -> Array:
        # The bow rakes forward as it rises; the sides fall in towards the waterline.
        rake = 0.09 * length * (level - 0.6) * max(0.0, (float(t[i]) - 0.7) / 0.3)
        along, across = length * (float(t[i]) - 0.5) + rake, side * half[i] * (0.78 + 0.22 * level)
        return np.float32(
            [x + along * ahead_x + across * ahead, sheer[i] * level, z + along * ahead - across * ahead_x]
        )

    patches = []
    for low, high, look in ((0.0, 0.22, dark), (0.22, 0.86, planks), (0.86, 1.0, trim)):
        patches += quad(point(-1, 0, low), point(1, 0, low), point(-1, 0, high), point(1, 0, high), look, 0.7)
        for side in (-1, 1):
            for i, j in pairwise(range(STATIONS)):
                corners = (point(side, k, level) for level in (low, high) for k in (i, j))
                patches += quad(*corners, look, 0.7)
    floor = 0.9 if mast else 0.45
    for i, j in pairwise(range(STATIONS)):
        patches += quad(
            point(-1, i, floor), point(-1, j, floor), point(1, i, floor), point(1, j, floor), deck
        )
    if not mast:
        wide = np.float32([0.28 * ahead_x, 0, 0.28 * ahead])
        for i in (3, 7, 10):  # benches
            a, b = point(-0.97, i, 0.78), point(0.97, i, 0.78)
            patches += quad(a, b, a + wide, b + wide, deck)
        return patches
    base, mast_z = float(sheer[5]), z + ahead * 0.12 * length
    wood, wire = rgb(158, 112, 66), rgb(60, 56, 52)
    stern, fore = sorted((z - ahead * 0.24 * length, z + ahead * 0.06 * length))
    cabin = paint.cabin(rgb(222, 214, 196), rgb(112, 74, 46))
    patches += box([x - 0.26 * beam, base * 0.85, stern], [x + 0.26 * beam, base + 0.68, fore], cabin)
    top = np.float32([x, base + mast, mast_z])

    def spar(low: float, high: float, back: float, radius: float, colour: Array, start: float = 0.0) -> Patch:
        foot = np.float32([x, base + low, mast_z - ahead * start])
        return pole(
            camera, foot, np.float32([x, base + high, mast_z - ahead * back * length]), radius, colour
        )

    patches += [spar(-0.1, mast, 0, 0.085, wood), spar(1.5, 1.75, 0.48, 0.07, wood)]
    patches.append(spar(1.72, 1.93, 0.45, 0.20, rgb(214, 200, 170) if mast > 9 else rgb(138, 58, 40), 0.1))
    for side, i, drop in (
        (1, STATIONS - 1, 0.0),
        (1, 0, 0.0),
        (1, 8, 0.25),
        (-1, 8, 0.25),
    ):  # stays and shrouds
        patches.append(pole(camera, point(side, i, 1.0), top - np.float32([0, drop, 0]), 0.012, wire))
    yard = np.float32([x, base + 0.68 * mast, mast_z])
    patches.append(pole(camera, yard - np.float32([0, 0, 0.9]), yard + np.float32([0, 0, 0.9]), 0.03, wood))
    return patches
