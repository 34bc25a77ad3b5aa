"""Turned shapes and rings, and how a ray finds them. Arrays of points are (3, N).

A turned solid knows its distance from any (radius, height), measured once from its outline; a ray
walks by that distance, which it can do safely, until it touches.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .common import Array, sample, unit

Material = Callable[[Array], tuple[Array, float]]  # local points -> (albedo (N, 3), how much of a mirror)


def dot(a: Array, b: Array) -> Array:
    """The scalar product of (3, N) vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def curve(points: list[tuple[float, float]], per_span: int = 10) -> Array:
    """A smooth (Catmull-Rom) outline through the points; a point named twice makes a corner."""
    p = np.float32([points[0], *points, points[-1]])
    t = np.linspace(0, 1, per_span, endpoint=False, dtype=np.float32)[:, None]
    spans = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        spans.append(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
    return np.concatenate([*spans, p[-1:]])


class Solid:
    """A shape with a material, a place and a turn; its distance function takes local points."""

    def __init__(
        self, material: Material, at: tuple[float, float, float], lean: float = 0, turn: float = 0
    ) -> None:
        self.material, self.at = material, np.float32(at)[:, None]
        cl, sl, ct, st = np.cos(lean), np.sin(lean), np.cos(turn), np.sin(turn)
        self.matrix = np.float32([[ct, 0, -st], [0, 1, 0], [st, 0, ct]]) @ np.float32(
            [[cl, sl, 0], [-sl, cl, 0], [0, 0, 1]]
        )  # local to world: leaned towards +x, then turned about the vertical
        self.centre, self.radius = (
            np.zeros((3, 1), np.float32),
            np.float32(1),
        )  # the bounding ball, in world space

    def distance(self, p: Array) -> Array:
        """Signed distance from local points (3, N), or less."""
        raise NotImplementedError

    def local(self, p: Array) -> Array:
        """World points in the shape's own coordinates."""
        return self.matrix.T @ (p - self.at)

    def normal(self, p: Array) -> Array:
        """Outward unit normals at world points."""
        q, e = self.local(p), np.float32(3e-3)
        steps = np.float32([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
        gradient = sum(s[:, None] * self.distance(q + e * s[:, None]) for s in steps)
        return self.matrix @ unit(gradient.T).T

    def walk(self, origin: Array, ray: Array, limit: Array) -> Array:
        """How far along each ray the shape is, inf where it is not within the limit."""
        found = np.full(origin.shape[1], np.inf, np.float32)
        to = self.centre - origin
        middle = dot(to, ray)
        inside = self.radius**2 - (dot(to, to) - middle * middle)
        reach = np.sqrt(np.maximum(inside, 0))
        index = np.nonzero((inside > 0) & (middle + reach > 0) & (middle - reach < limit))[0]
        if not len(index):
            return found
        t, end = np.maximum(middle - reach, 0)[index], np.minimum(middle + reach, limit)[index]
        o, d = self.local(origin[:, index]), self.matrix.T @ ray[:, index]
        for _ in range(64):
            gap = self.distance(o + d * t)
            touched = gap < 6e-4
            found[index[touched]] = t[touched]
            t = t + np.maximum(gap, 6e-4) * 0.97
            keep = ~touched & (t < end)
            if not keep.any():
                break
            index, t, end, o, d = index[keep], t[keep], end[keep], o[:, keep], d[:, keep]
        return found


class Turned(Solid):
    """A solid of revolution about its own vertical axis, from an outline of (radius, height)."""

    def __init__(
        self, outline: Array, material: Material, at: tuple[float, float, float], *pose: float
    ) -> None:
        super().__init__(material, at, *pose)
        margin, self.step = 0.06, float(np.ptp(outline[:, 1])) / 110
        self.low = float(outline[:, 1].min()) - margin
        r = np.arange(0, outline[:, 0].max() + margin, self.step, dtype=np.float32)
        y = np.arange(self.low, outline[:, 1].max() + margin, self.step, dtype=np.float32)
        y, r = np.meshgrid(y, r, indexing="ij")
        nearest, inside = np.full(r.shape, np.inf, np.float32), np.zeros(r.shape, bool)
        closed = np.concatenate([outline, outline[:1] * [0, 1]]).astype(np.float32)
        for (ar, ay), (br, by) in zip(closed, np.roll(closed, -1, axis=0), strict=True):
            er, ey = br - ar, by - ay
            t = np.clip(((r - ar) * er + (y - ay) * ey) / max(er * er + ey * ey, 1e-12), 0, 1)
            if ar + br > 1e-6:  # the axis closes the outline but is no surface
                nearest = np.minimum(nearest, np.hypot(r - ar - t * er, y - ay - t * ey))
            if ay != by:
                inside ^= ((ay > y) != (by > y)) & (r < ar + (y - ay) / ey * er)
        self.table = np.where(inside, -nearest, nearest)
        half = (outline[:, 1].max() + outline[:, 1].min()) / 2
        self.centre = self.at + self.matrix @ np.float32([[0], [half], [0]])
        self.radius = np.hypot(outline[:, 0], outline[:, 1] - half).max() + np.float32(0.01)

    def distance(self, p: Array) -> Array:  # noqa: D102
        return sample(self.table, (p[1] - self.low) / self.step, np.sqrt(p[0] ** 2 + p[2] ** 2) / self.step)


class Ring(Solid):
    """A handle: an upright ring, cut off where it would enter a vessel of radius `clear`."""

    def __init__(
        self, size: float, thick: float, clear: float, centre: tuple[float, float], *rest: object
    ) -> None:
        super().__init__(*rest)
        self.size, self.thick, self.clear, self.middle = size, thick, clear, np.float32(centre)
        self.centre = self.at + self.matrix @ np.float32([[centre[0]], [centre[1]], [0]])
        self.radius = np.float32(size * 1.35 + thick + 0.01)

    def distance(self, p: Array) -> Array:  # noqa: D102
        x, y = p[0] - self.middle[0], (p[1] - self.middle[1]) / 1.3
        ring = np.hypot(np.hypot(x, y) - self.size, p[2] * 0.75) - self.thick
        return np.maximum(ring * 0.8, self.clear - np.hypot(p[0], p[2]))
