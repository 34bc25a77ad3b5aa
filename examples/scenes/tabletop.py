"""The table of the still life: boards, and a crumpled linen cloth, as a height field."""

from __future__ import annotations

import numpy as np

from .common import Array, fbm, mix, noise, random01, rgb, sample, smoothstep, unit

DEPTH = 1.25  # where the table ends, at the wall


class Table:
    """The wooden top at y = 0 with a crumpled linen cloth on it, as a height field."""

    top = 0.10

    def __init__(self) -> None:
        self.step = 0.0035
        x, z = np.meshgrid(np.arange(-2, 2, self.step), np.arange(-2, DEPTH, self.step))
        x, z = x.astype(np.float32), z.astype(np.float32)
        # The cloth's own axes: u along it, v across; its edge wanders.
        u, v = 0.93 * (x - 0.28) + 0.36 * (z + 0.35), -0.36 * (x - 0.28) + 0.93 * (z + 0.35)
        u, v = u + 0.05 * noise(x * 2.5, z * 2.5, 11), v + 0.06 * noise(x * 2.2 + 9, z * 2.2, 12)
        self.u, self.v = u, v
        margin = np.minimum(0.92 - np.abs(u), 0.40 - np.abs(v))
        self.cover = smoothstep(0, 0.012, margin)
        bend = 0.5 * fbm(x * 1.1, z * 1.1, 2, 21)
        folds = np.maximum(0, 1 - np.abs(noise(u * 1.5 + bend, v * 5 + 3 * bend + 0.7 * u, 22)) * 2.6) ** 1.5
        soft = 0.5 + 0.5 * fbm(x * 2.5, z * 2.5, 3, 23)
        self.height = self.cover * (0.012 + (0.052 * folds + 0.020 * soft) * smoothstep(0, 0.10, margin))
        self.slope_z, self.slope_x = (g / self.step for g in np.gradient(self.height))

    def at(self, field: Array, x: Array, z: Array) -> Array:
        """A field of the table at these places."""
        return sample(field, (z + 2) / self.step, (x + 2) / self.step)

    def walk(self, origin: Array, ray: Array) -> Array:
        """How far along each ray the table is: fixed steps through the cloth's layer, then halving."""
        found = np.full(origin.shape[1], np.inf, np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            enter, leave = (self.top - origin[1]) / ray[1], -origin[1] / ray[1]
        rising = ray[1] >= 0
        start = np.where(rising, 0, np.maximum(enter, 0))
        end = np.where(rising, np.where(origin[1] < self.top, np.minimum(enter, 0.5), 0), leave)
        index = np.nonzero((end > start) & (end < 50))[0]
        o, d, a, b = origin[:, index], ray[:, index], start[index], end[index]

        def under(t: Array) -> Array:
            p = o + d * t
            return p[1] <= self.at(self.height, p[0], p[2])

        low, high, hit = a, b, ~rising[index]
        open_ = np.ones(len(index), bool)
        for k in range(1, 25):
            t = a + (b - a) * np.float32(k / 24)
            below = under(t) & open_
            low, high = np.where(open_ & ~below, t, low), np.where(below, t, high)
            hit, open_ = hit | below, open_ & ~below
        for _ in range(5):
            t = (low + high) / 2
            below = under(t)
            low, high = np.where(below, low, t), np.where(below, t, high)
        found[index[hit]] = high[hit]
        return found

    def surface(self, p: Array) -> tuple[Array, Array]:
        """Albedo (N, 3) and normals (3, N)."""
        x, z = p[0], p[2]
        cloth = self.at(self.cover, x, z)[:, None]
        board = np.floor((z + 0.13) / 0.36)
        across = (z + 0.13) / 0.36 - board
        shade = random01(board, board * 0, 31)
        along = x + 7 * shade
        ring = noise(along * 0.8 + 3 * shade, z * 9 + 0.35 * noise(along * 1.6, z * 4, 32), 33)
        fibre = fbm(along * 4, z * 120, 3, 34)
        dark = 0.5 + 0.42 * np.sin(ring * 15) * smoothstep(0, 0.3, np.abs(ring)) + 0.45 * fibre
        wood = mix(rgb(148, 98, 58), rgb(88, 52, 28), dark) * (0.75 + 0.45 * shade)[:, None]
        seam = smoothstep(0.016, 0.006, across) + smoothstep(0.984, 0.994, across)
        scuff = smoothstep(0.25, 0.8, fbm(x * 6, z * 6, 3, 35))
        wood = mix(wood * (1 + 0.25 * scuff)[:, None], wood * 0.22, np.clip(seam, 0, 1))
        u, v = self.at(self.u, x, z), self.at(self.v, x, z)
        weave = np.sin(u * 420) * np.sin(v * 420)
        band = np.abs(np.abs(v) - 0.315)
        stripe = smoothstep(0.030, 0.026, band) * (smoothstep(0.008, 0.011, band))
        linen = mix(rgb(226, 220, 205), rgb(58, 84, 130), 0.85 * stripe) * (1 + 0.07 * weave)[:, None]
        linen = linen * (1 + 0.08 * fbm(u * 60, v * 60, 2, 36))[:, None]
        grain = (0.05 * fibre - 0.5 * (seam > 0.2) * (across - 0.5))[:, None] * (1 - cloth)
        normal = np.stack(
            [-self.at(self.slope_x, x, z), np.ones_like(x), -self.at(self.slope_z, x, z) + grain[:, 0]]
        )
        return mix(wood, linen, cloth), unit(normal.T).T
