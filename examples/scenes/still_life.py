"""A jug, a bottle, a cup and fruit on a table by a window, traced ray by ray. Arrays of points are (3, N)."""

from __future__ import annotations

import numpy as np

from .common import Array, fbm, mix, random01, rgb, unit
from .solids import Ring, Solid, Turned, curve, dot
from .tabletop import DEPTH, Table
from .wares import apple, glass, glaze, peel, porcelain

EYE = np.float32([0.10, 1.02, -3.25])
TARGET = np.float32([0.06, 0.36, 0.1])
FOCAL = 1.5  # in picture widths
WINDOW_X = -3.2
WINDOW = ((0.75, 2.75), (-1.5, 0.55))  # the window's span in y and in z
DAYLIGHT = np.float32([9.6, 10.0, 10.3])
ROOM = np.float32([0.26, 0.225, 0.185])  # light from the rest of the room
GAP = np.float32(2e-3)  # rays start this far off a surface, or they would find it at once


def solids() -> list[Solid]:
    """Everything that stands on the table."""
    jug = [
        (0, 0), (0.17, 0), (0.17, 0), (0.19, 0.02), (0.27, 0.20), (0.285, 0.32), (0.24, 0.48),
        (0.15, 0.60), (0.135, 0.68), (0.155, 0.76), (0.185, 0.80), (0.185, 0.815), (0.170, 0.810),
        (0.135, 0.74), (0.115, 0.66), (0.12, 0.58), (0, 0.5),
    ]  # fmt: skip
    bottle = [
        (0, 0.0), (0.15, 0), (0.15, 0), (0.165, 0.02), (0.165, 0.05), (0.165, 0.55), (0.160, 0.62),
        (0.11, 0.74), (0.062, 0.82), (0.055, 0.90), (0.055, 1.0), (0.055, 1.0), (0.066, 1.005),
        (0.066, 1.045), (0.066, 1.045), (0.048, 1.06), (0.040, 1.062), (0.042, 1.10), (0.042, 1.10),
        (0, 1.10),
    ]  # fmt: skip
    cup = [
        (0, 0), (0.09, 0), (0.09, 0), (0.095, 0.015), (0.088, 0.03), (0.13, 0.07), (0.165, 0.15),
        (0.178, 0.25), (0.178, 0.255), (0.170, 0.255), (0.167, 0.225), (0.167, 0.225), (0, 0.225),
    ]  # fmt: skip
    saucer = [
        (0, 0), (0.10, 0), (0.13, 0.01), (0.27, 0.042), (0.272, 0.050), (0.26, 0.050), (0.14, 0.024),
        (0, 0.022),
    ]  # fmt: skip
    phi = np.linspace(np.pi, 0, 60, dtype=np.float32)  # from the foot to the top
    size = 0.165 * (1 - 0.45 * np.exp(-((phi / 0.34) ** 2)) - 0.2 * np.exp(-(((np.pi - phi) / 0.35) ** 2)))
    size *= 1 + 0.07 * np.cos(phi) * np.sin(phi) ** 2
    pome = np.stack([size * np.sin(phi), 0.135 + size * np.cos(phi)], -1)
    stem = np.float32([(0.008, pome[-2, 1]), (0.007, 0.30), (0.010, 0.315), (0, 0.318)])
    pome = np.concatenate([pome[:-2], stem]).astype(np.float32)
    ball = np.stack([0.17 * np.sin(phi), 0.162 * np.cos(phi)], -1).astype(np.float32)
    lemon = np.stack(
        [0.122 * np.maximum(np.sin(phi), 0) ** 1.1, 0.165 * np.cos(phi) + 0.03 * np.cos(phi) ** 9], -1
    )
    orange, yellow = rgb(220, 128, 44), rgb(224, 192, 70)
    lie = np.pi / 2 - 0.05
    return [
        Turned(curve(jug), glaze, (-0.20, 0, 0.34)),
        Ring(0.150, 0.026, 0.14, (0.225, 0.52), glaze, (-0.20, 0, 0.34), 0, -0.35),
        Turned(curve(bottle), glass, (-0.70, 0, 0.62)),
        Turned(curve(saucer), porcelain, (0.70, 0.012, 0.02)),
        Turned(curve(cup), porcelain, (0.70, 0.035, 0.02)),
        Ring(0.062, 0.014, 0.165, (0.215, 0.14), porcelain, (0.70, 0.035, 0.02), 0, -0.5),
        Turned(pome, apple(0.5, 61), (0.235, 0.0, 0.02), 0.12, 0.5),
        Turned(pome, apple(-0.25, 71), (0.36, 0.0, 0.48), -0.10, 2.0),
        Turned(pome, apple(0.2, 81), (-0.66, 0.0, -0.02), 0.35, 2.6),
        Turned(ball, peel(orange, 91), (-0.30, 0.165, -0.16), 0.5, -0.9),
        Turned(ball, peel(orange, 95), (-0.98, 0.165, 0.30), 0.9, 1.9),
        Turned(lemon.astype(np.float32), peel(yellow, 98), (0.13, 0.165, -0.48), lie, 0.6),
    ]


class Scene:
    """The solids, the table, the wall and the window, and the light among them."""

    def __init__(self) -> None:
        self.solids, self.table = solids(), Table()

    def hit(self, origin: Array, ray: Array) -> tuple[Array, Array]:
        """Distance and number of what each ray meets: the solids, then the table, then the wall; or -1."""
        far = self.table.walk(origin, ray)
        which = np.where(np.isfinite(far), len(self.solids), -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            wall = (DEPTH - origin[2]) / ray[2]
        nearer = (wall > 0) & (wall < far)
        far, which = np.where(nearer, wall, far), np.where(nearer, len(self.solids) + 1, which)
        for number, solid in enumerate(self.solids):
            t = solid.walk(origin, ray, far)
            nearer = t < far
            far, which = np.where(nearer, t, far), np.where(nearer, number, which)
        return far.astype(np.float32), which

    def blocked(self, origin: Array, ray: Array, limit: Array) -> Array:
        """Whether anything stands within the limit along each ray; the wall never does."""
        low = origin[1] < Table.top
        shut = np.zeros(origin.shape[1], bool)
        shut[low] = np.isfinite(self.table.walk(origin[:, low], ray[:, low]))
        for solid in self.solids:
            left = np.nonzero(~shut)[0]
            shut[left] = np.isfinite(solid.walk(origin[:, left], ray[:, left], limit[left]))
        return shut

    def surface(self, p: Array, which: Array) -> tuple[Array, Array, Array]:
        """Albedo (N, 3), normals (3, N) and mirror strength (N) of the points."""
        albedo, normal = np.zeros((p.shape[1], 3), np.float32), np.zeros_like(p)
        mirror = np.zeros(p.shape[1], np.float32)
        for number, solid in enumerate(self.solids):
            at = np.nonzero(which == number)[0]
            if len(at):
                albedo[at], mirror[at] = solid.material(solid.local(p[:, at]))
                normal[:, at] = solid.normal(p[:, at])
        at = np.nonzero(which == len(self.solids))[0]
        albedo[at], normal[:, at] = self.table.surface(p[:, at])
        at = np.nonzero(which == len(self.solids) + 1)[0]
        x, y = p[0, at], p[1, at]
        trowel = fbm(x * 1.6 + 0.6 * y, y * 2.4, 5, 102)
        albedo[at] = mix(rgb(122, 122, 104), rgb(160, 152, 128), 0.5 + 0.6 * trowel)
        bump = np.stack(
            [0.10 * fbm(x * 9, y * 9, 3, 103), 0.10 * fbm(x * 9, y * 9, 3, 104), -np.ones_like(x)]
        )
        normal[:, at] = unit(bump.T).T
        return albedo, normal, mirror

    def room(self, origin: Array, ray: Array) -> Array:
        """Light that comes in along rays that meet nothing: the window with its bars, or the dim room."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (WINDOW_X - origin[0]) / ray[0]
        y, z = origin[1] + t * ray[1], origin[2] + t * ray[2]
        (y0, y1), (z0, z1) = WINDOW
        v, w = (y - y0) / (y1 - y0), (z - z0) / (z1 - z0)
        pane = (t > 0) & (v > 0) & (v < 1) & (w > 0) & (w < 1)
        pane &= (np.abs(w - 0.5) > 0.03) & (np.abs((v * 3) % 1 - 0.5) < 0.46)
        dim = ROOM * (0.55 + 0.5 * np.clip(0.4 * ray[1] - 0.5 * ray[0] + 0.4, 0, 1.2))[:, None]
        return np.where(pane[:, None], DAYLIGHT * (0.75 + 0.35 * np.clip(v, 0, 1))[:, None], dim)

    def window(self, p: Array, normal: Array, u: Array, v: Array) -> tuple[Array, Array, Array]:
        """Rays to points (u, v) of the window: (directions, lengths, light if nothing is between)."""
        (y0, y1), (z0, z1) = WINDOW
        to = np.stack([np.full_like(u, WINDOW_X), y0 + v * (y1 - y0), z0 + u * (z1 - z0)]) - p
        length = np.sqrt(dot(to, to))
        ray = to / length
        falling = np.maximum(dot(ray, normal), 0) * np.maximum(-ray[0], 0) / length**2
        return ray, length, falling * np.float32((y1 - y0) * (z1 - z0) / np.pi)

    def shade(self, origin: Array, ray: Array, row: Array, column: Array) -> list[Array]:
        """What the eye's rays find: albedo, diffuse light, gleam, normal (N, 3 each) and distance (N, 1).

        Rows and columns choose what part of the window each ray asks for: neighbours ask for different ones.
        """
        t, which = self.hit(origin, ray)
        p = origin + ray * t
        albedo, normal, mirror = self.surface(p, which)
        start = p + normal * GAP
        part = (column % 4 + 4 * (row % 4)).astype(np.int32)  # 4 x 4 rays share out the window between them
        falling = np.zeros_like(t)
        for k in range(2):
            cell = (part * 5 + 8 * k + 3) % 16
            u = (cell % 4 + random01(row, column, 200 + k)) / 4
            v = (cell // 4 + random01(row, column, 210 + k)) / 4
            way, length, power = self.window(p, normal, u, v)
            lit = power > 0
            seen = np.zeros_like(power)
            seen[lit] = ~self.blocked(start[:, lit], way[:, lit], length[lit])
            falling += power * seen / 2
        # Two rays in random (cosine-weighted) directions: the room's light, or what a neighbour throws back.
        light = falling[:, None] * DAYLIGHT
        for k in range(2):
            height = 2 * random01(row, column, 220 + k) - 1
            turn = 2 * np.pi * ((random01(row, column, 230 + k) + part) / 16 + k / 2)
            flat = np.sqrt(1 - height * height)
            way = normal + 0.999 * np.stack([flat * np.cos(turn), height, flat * np.sin(turn)])
            light += self.glance(start, unit(way.T).T, window=False) / 2
        gleam = np.zeros_like(albedo)
        shiny = np.nonzero(mirror > 0)[0]
        if len(shiny):
            n, r = normal[:, shiny], ray[:, shiny]
            facing = np.clip(-dot(n, r), 0, 1)
            fresnel = mirror[shiny] * (0.045 + 0.955 * (1 - facing) ** 5)
            rough = 0.10 * (1 - mirror[shiny])  # a waxy skin spreads what it mirrors
            way = r + 2 * facing * n
            way = way + rough * (np.stack([random01(row, column, 240 + k)[shiny] for k in range(3)]) - 0.5)
            seen = self.glance(start[:, shiny], unit(way.T).T, window=True)
            gleam[shiny] = np.minimum(seen, 14) * fresnel[:, None]
            albedo[shiny] *= 1 - fresnel[:, None]
        return [albedo, light, gleam, normal.T, t[:, None]]

    def glance(self, origin: Array, ray: Array, window: bool) -> Array:
        """Light along second rays: what they meet is lit without shadows, and dimmed for that."""
        t, which = self.hit(origin, ray)
        light = self.room(origin, ray)
        if not window:  # the window was already counted
            light = np.minimum(light, ROOM * 1.2)
        met = np.nonzero(which >= 0)[0]
        p = origin[:, met] + ray[:, met] * t[met]
        albedo, normal, _ = self.surface(p, which[met])
        half = np.full(len(met), 0.5, np.float32)
        _, _, power = self.window(p, normal, half, half)
        light[met] = albedo * (0.65 * power[:, None] * DAYLIGHT + ROOM * 0.5)
        return light


def smooth(light: Array, normal: Array, distance: Array) -> Array:
    """Average noisy light along surfaces: over neighbours that face the same way at the same depth."""
    for step in (1, 2):
        for axis in (0, 1):
            total, weights = light * 0.4, np.full_like(distance, 0.4)
            for offset, weight in ((-2, 0.1), (-1, 0.25), (1, 0.25), (2, 0.1)):
                near, facing, depth = (np.roll(a, offset * step, axis) for a in (light, normal, distance))
                alike = weight * np.maximum((facing * normal).sum(-1, keepdims=True), 0) ** 24
                alike *= np.exp(-np.abs(depth - distance) / (0.01 * step))
                total += near * alike
                weights += alike
            light = total / weights
    return light


def draw(height: int, width: int) -> Array:
    """The scene in linear light at this many (supersampled) pixels."""
    scene = Scene()
    forward = unit(TARGET - EYE)
    right = unit(np.cross([0, 1, 0], forward))
    up = np.cross(forward, right)
    bands = []
    rows = max(1, 40_000 // width)  # at a time: what fits a processor's cache is faster
    for top in range(0, height, rows):
        row, column = np.mgrid[top : min(top + rows, height), 0:width].reshape(2, -1).astype(np.float32)
        x, y = (column + 0.5 - width / 2) / (FOCAL * width), (height / 2 - row - 0.5) / (FOCAL * width)
        ray = unit((forward[:, None] + right[:, None] * x + up[:, None] * y).T).T
        found = scene.shade(np.broadcast_to(EYE[:, None], ray.shape), ray, row, column)
        bands.append([a.reshape(-1, width, a.shape[-1]) for a in found])
    albedo, light, gleam, normal, distance = (np.concatenate(a) for a in zip(*bands, strict=True))
    return albedo * smooth(light, normal, distance) + gleam
