"""Old houses along a quay, boats before them: flat patches with painted surfaces, and the sun."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from . import surfaces as paint
from .boats import boat
from .common import Array, fbm, mix, random01, rgb, smoothstep, unit, water
from .fronts import Front
from .patches import Camera, Patch, View, box, pole

SUN = unit([0.52, 0.37, -0.60])  # towards the sun: from the water, over the camera's right shoulder
SUNLIGHT = np.float32([3.9, 2.85, 1.85])
SKYLIGHT = np.float32([0.21, 0.29, 0.42])
# x across the canal, y up from the water, z along the houses
CAMERA = Camera(np.float32([29.0, 4.6, 0.0]), unit([-0.52, 0, 0.86]), focal=0.95, horizon=0.64)
SUNBEAMS = Camera(np.float32([8, 0, 70]), -SUN, span_m=170.0)
QUAY_Y, QUAY_X = 1.5, 7.0  # the quay's height above the water and its edge; the houses stand at x = 0
END_Z = 132.0
SHADOW_CELLS = 1800


def house(rng: np.random.Generator, origin: Array, along: Array, width: float, number: int) -> list[Patch]:
    """A front with windows and a gable or eaves, a tiled roof, a chimney, perhaps a dormer."""
    origin, along = np.float32(origin), np.float32(along)
    back = np.cross(np.float32([0, 1, 0]), along)
    back = back if back @ CAMERA.forward > 0 or back[0] < 0 else -back
    floors = int(rng.choice([3, 3, 4]))
    eaves = 3.7 + (floors - 1) * float(rng.uniform(2.65, 3.0))
    style = ("eaves", "step", "eaves", "bell", "triangle")[number * 3 % 5]
    depth, rise = 9.0, float(rng.uniform(3.2, 4.4))
    look = Front(width, eaves, rise, floors, style, number, rng)
    tiles = paint.tiles(
        rgb(*[(148, 82, 60), (126, 70, 56), (92, 76, 74), (158, 96, 70)][int(rng.integers(4))]), number
    )
    up = np.float32([0, 1, 0])
    patches = [Patch(origin, along * width, up * (eaves + rise + 0.9), look.surface, look.mask, sky=0.75)]
    wall = paint.plaster(look.colour * 0.9, number)
    if style == "eaves":
        top = origin + up * (eaves - 0.1) - back * 0.35
        slope = back * (depth / 2 + 0.35) + up * rise
        patches.append(Patch(top, along * width, slope, tiles))
        for side in (0.0, width):  # the end walls, seen above a lower neighbour
            foot = origin + along * side
            patches.append(Patch(foot, back * depth, up * eaves, wall))
            for half in (back * depth / 2, -back * depth / 2):
                middle = foot + back * depth / 2 + up * eaves
                patches.append(Patch(middle, half, up * rise, wall, triangle=True))
        for k in range(int(rng.integers(1, 3))):
            at = origin + along * width * (0.3 + 0.4 * k) + up * (eaves + 0.35 * rise) + back * 0.9
            patches.append(Patch(at - along * 0.65, along * 1.3, up * 1.5, look.dormer))
            patches.append(
                Patch(
                    at - along * 0.85 + up * 1.45,
                    along * 0.85,
                    up * 0.65 + along * 0,
                    paint.plain(look.trim),
                    triangle=True,
                )
            )
            patches.append(
                Patch(
                    at + along * 0.85 + up * 1.45,
                    -along * 0.85,
                    up * 0.65,
                    paint.plain(look.trim),
                    triangle=True,
                )
            )
            for side in (-1, 1):
                patches.append(
                    Patch(at + up * 2.1 - back * 0.1, back * 2.4, along * 0.95 * side - up * 0.72, tiles)
                )
                patches.append(Patch(at + along * 0.65 * side, back * 2.2, up * 1.5, wall))
    else:
        ridge = origin + along * width / 2 + up * (eaves + rise - 0.15) + back * 0.3
        for side in (-1, 1):
            patches.append(Patch(ridge, back * depth, along * side * width / 2 - up * (rise - 0.1), tiles))
            foot = origin + along * (width / 2 + side * width / 2)
            patches.append(Patch(foot, back * depth, up * (eaves - 0.1), wall))
    stack = (
        origin
        + along * float(rng.uniform(0.15, 0.85)) * width
        + back * depth * 0.46
        + up * (eaves + rise * 0.55)
    )
    brick = paint.bricks(rgb(128, 72, 54), number)
    patches += box(
        stack - np.float32([0.45, 0, 0.35]), stack + np.float32([0.45, rise * 0.45 + 1.2, 0.35]), brick
    )
    return patches


def parasol(x: float, z: float, colour: Array) -> list[Patch]:
    """A café's parasol with a table and two chairs under it."""
    y = QUAY_Y
    ring = [
        np.float32([x + 1.6 * np.cos(a), y + 2.25, z + 1.6 * np.sin(a)]) for a in np.arange(9) * np.pi / 4
    ]
    tip = np.float32([x, y + 3.0, z])
    cloth = [
        Patch(tip, p - tip, q - tip, paint.plain(colour, 0.06), triangle=True) for p, q in pairwise(ring)
    ]
    wood = paint.plain(rgb(96, 66, 44), 0.2)
    seats = [
        box([x + a, y, z + b], [x + a + 0.4, y + 0.75, z + b + 0.45], wood, 0.5)
        for a, b in ((-0.2, -1.2), (-0.2, 0.8))
    ]
    table = box(
        [x - 0.4, y + 0.68, z - 0.4], [x + 0.4, y + 0.75, z + 0.4], paint.plain(rgb(200, 190, 170)), 0.6
    )
    return [
        *cloth,
        *(p for s in seats for p in s),
        *table,
        pole(CAMERA, [x, y, z], [x, y + 2.9, z], 0.03, rgb(80, 60, 44)),
    ]


def lamp(x: float, z: float) -> list[Patch]:
    """A street lamp: post, arm, lantern."""
    iron, y = rgb(34, 40, 38), QUAY_Y
    glass = paint.lantern()
    post = [
        pole(CAMERA, [x, y, z], [x, y + 0.9, z], 0.11, iron),
        pole(CAMERA, [x, y + 0.8, z], [x, y + 3.7, z], 0.055, iron),
    ]
    lid = box([x - 0.26, y + 4.18, z - 0.26], [x + 0.26, y + 4.28, z + 0.26], paint.plain(iron))
    return [
        *post,
        *box([x - 0.19, y + 3.68, z - 0.19], [x + 0.19, y + 4.18, z + 0.19], glass),
        *lid,
        pole(CAMERA, [x, y + 4.28, z], [x, y + 4.5, z], 0.04, iron),
    ]


def street() -> list[Patch]:
    """Everything solid."""
    rng = np.random.default_rng(12)
    patches = [
        Patch([0, QUAY_Y, -20], [0, 0, END_Z + 30], [QUAY_X, 0, 0], paint.cobbles(), sky=0.85),
        Patch([QUAY_X, -0.2, -20], [0, 0, END_Z + 30], [0, QUAY_Y + 0.2, 0], paint.quay_wall(), sky=0.6),
        Patch([0, QUAY_Y, END_Z], [90, 0, 0], [0, 0, 9], paint.cobbles(), sky=0.9),
        Patch([0, -0.2, END_Z], [90, 0, 0], [0, QUAY_Y + 0.2, 0], paint.quay_wall(), sky=0.6),
        *box(
            [QUAY_X - 0.45, QUAY_Y, -20], [QUAY_X, QUAY_Y + 0.14, END_Z], paint.plaster(rgb(150, 144, 132), 3)
        ),
    ]
    z, number = 7.0, 0
    while z < END_Z:
        width = float(rng.uniform(6.2, 9.6))
        patches += house(rng, [0, QUAY_Y, z], [0, 0, 1], width, number)
        z, number = z + width, number + 1
    x = -2.0
    while x < 80:
        width = float(rng.uniform(7, 11))
        patches += house(rng, [x, QUAY_Y, END_Z + 9], [1, 0, 0], width, number)
        x, number = x + width, number + 1
    tower, stone = np.float32([0, QUAY_Y, END_Z + 32]), paint.tower(rgb(156, 130, 104))
    patches += box(tower, tower + np.float32([8, 26, 8]), stone)
    spire, tip = paint.plain(rgb(78, 108, 98), 0.12), tower + np.float32([4, 45, 4])
    corners = [
        tower + np.float32([a, 26, b]) for a, b in ((-0.4, -0.4), (8.4, -0.4), (8.4, 8.4), (-0.4, 8.4))
    ]
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        patches.append(Patch(tip, a - tip, b - tip, spire, triangle=True))
    for k in range(9):
        patches += lamp(5.9, 21.0 + 12.5 * k)
    for k, place in enumerate((24.0, 28.2, 32.4, 46.5, 50.5, 71.0, 75.0, 79.0)):
        patches += parasol(3.3, place, (rgb(226, 218, 200), rgb(176, 52, 40))[k % 3 == 1])
    for place in np.arange(16.0, 120.0, 6.5):
        patches.append(pole(CAMERA, [6.5, QUAY_Y, place], [6.5, QUAY_Y + 0.75, place], 0.13, rgb(44, 46, 48)))
    patches += boat(CAMERA, (9.6, 29.0), 10.5, 3.3, rgb(38, 74, 104), 10.5)
    patches += boat(CAMERA, (9.4, 45.0), 8.5, 2.9, rgb(150, 44, 34), 8.5, (0, -1))
    patches += boat(CAMERA, (9.6, 61.0), 12.0, 3.6, rgb(44, 82, 64), 12.5)
    patches += boat(CAMERA, (9.5, 82.0), 11.0, 3.4, rgb(206, 196, 172), 11.0, (0, -1))
    patches += boat(CAMERA, (9.5, 104.0), 12.0, 3.6, rgb(60, 62, 74), 12.0)
    patches += boat(CAMERA, (15.2, 27.5), 4.6, 1.7, rgb(190, 152, 92), 0.0, (0, -1))
    return patches


def sky(view: View) -> Array:
    """Blue above, pale at the horizon, fair-weather clouds."""
    row, column = np.mgrid[0 : view.height, 0 : view.width].astype(np.float32)
    up = np.abs(view.horizon - row) / view.focal
    side = (column - view.width / 2) / view.focal
    light = mix([0.80, 0.86, 0.92], [0.10, 0.25, 0.60], smoothstep(-0.15, 0.75, up) ** 0.8)
    px, pz = side / (up + 0.22) * 1.2, 1.5 / (up + 0.22)
    px = px + 0.2 * fbm(px * 1.4, pz * 1.4, 3, 301)
    here, sunward = (fbm(px * 0.9 + dx, pz * 1.1, 6, 310, 0.52) for dx in (0.0, 0.10))
    cover = smoothstep(0.05, 0.38, here) * smoothstep(0.0, 0.10, up) * 0.9
    cloud = mix(
        [0.50, 0.53, 0.60], [1.5, 1.42, 1.32], np.clip(0.6 + 1.8 * (here - sunward) - 0.3 * here, 0, 1.1)
    )
    return mix(light, cloud, cover)


def shade(view: View, patches: list[Patch], sun: View) -> Array:
    """Light for every pixel of a view."""
    light = sky(view)
    order = np.argsort(view.which, axis=None, kind="stable")
    starts = np.searchsorted(view.which.ravel()[order], np.arange(len(patches) + 1))
    for number, patch in enumerate(patches):
        at = order[starts[number] : starts[number + 1]]
        if not len(at):
            continue
        row, column = (k.astype(np.float32) for k in np.divmod(at, view.width))
        t, u, v = view.cast(patch, row, column)
        origin, ray = view.rays(row, column)
        p = origin + t[:, None] * ray
        albedo, glow = patch.surface(u, v)
        normal = np.where((ray @ patch.normal)[:, None] > 0, -patch.normal, patch.normal)
        if patch.round:
            bend = np.clip(2 * u / patch.lengths[0] - 1, -0.95, 0.95)[:, None]
            normal = unit(bend * unit(patch.along) + np.sqrt(1 - bend**2) * normal)
        facing = np.maximum(normal @ SUN, 0)
        r, c, z = sun.project(p + normal * 0.06)
        lit = np.zeros(len(at), np.float32)
        for k in range(6):  # jittered lookups: the edge of a shadow is as soft as the sun is wide
            dr, dc = (random01(column * 7 + k, row, 400 + s) * 2.4 - 1.2 for s in (0, 1))
            ri = np.clip(r + dr, 0, sun.height - 1).astype(int)
            ci = np.clip(c + dc, 0, sun.width - 1).astype(int)
            lit += (sun.depth[ri, ci] > z - 2.4 / sun.scale) / 6
        ambient = SKYLIGHT * patch.sky * (0.72 + 0.28 * normal[:, 1:2])
        bounce = np.float32([0.10, 0.085, 0.065]) * np.exp(-np.maximum(p[:, 1:2] - QUAY_Y, 0) / 6)
        # Corners where walls meet the ground see less sky.
        corner = 1 - 0.35 * np.exp(-np.maximum(p[:, 1:2] - QUAY_Y, 0) / 0.5) * (p[:, 1:2] > QUAY_Y - 0.01)
        colour = albedo * ((facing * lit)[:, None] * SUNLIGHT + (ambient + bounce) * corner) + glow
        air = 1 - np.exp(-np.maximum(t, 0) / 1500)
        light.reshape(-1, 3)[at] = mix(colour, [0.66, 0.72, 0.80], air)
    return light


def draw(height: int, width: int) -> Array:
    """The scene in linear light at this many (supersampled) pixels."""
    patches = street()
    cells = int(np.clip(width, 400, SHADOW_CELLS))
    sun = View(cells, cells, SUNBEAMS)
    here, below = View(height, width, CAMERA), View(height, width, CAMERA.mirrored())
    for number, patch in enumerate(patches):
        for view in (sun, here, below):
            view.draw(number, patch)
    light, mirror = shade(here, patches, sun), shade(below, patches, sun)
    open_water = (here.which < 0) & (np.arange(height)[:, None] + 0.5 > here.horizon)
    # The surface hides what is under it: hulls and walls reach a little below.
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    _, ray = here.rays(row, column)
    with np.errstate(divide="ignore"):
        surface = np.where(ray[..., 1] < 0, -CAMERA.eye[1] / ray[..., 1], np.inf)
    open_water |= here.depth > surface
    deep = (rgb(22, 46, 48), rgb(44, 72, 68))
    water(light, open_water, mirror, float(CAMERA.eye[1]), here.focal, here.horizon, deep, (0.012, 0.040))
    return light
