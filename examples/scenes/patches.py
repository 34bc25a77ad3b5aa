"""Flat patches in space, a camera, and the depth buffer between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .common import Array, unit
from .surfaces import Surface, plain


@dataclass
class Patch:
    """A parallelogram (or triangle: half of one) in space and what covers it.

    `surface(u, v)` takes metres along the two edges and returns (albedo, own light or 0); `mask(u, v)` says
    where the patch is solid; `sky` is the share of the sky that it sees; a round patch stands for a cylinder.
    """

    corner: Array
    along: Array
    up: Array
    surface: Surface
    mask: Callable[[Array, Array], NDArray[np.bool_]] | None = None
    sky: float = 1.0
    triangle: bool = False
    round: bool = False

    def __post_init__(self) -> None:
        self.corner, self.along, self.up = (
            np.asarray(v, np.float32) for v in (self.corner, self.along, self.up)
        )
        self.normal = unit(np.cross(self.along, self.up))
        self.lengths = np.linalg.norm(self.along), np.linalg.norm(self.up)
        # The dual basis turns a point of the plane into its two edge coordinates, right angle or not.
        self.dual = np.linalg.pinv(np.stack([self.along, self.up], 1)).astype(np.float32)


@dataclass(frozen=True)
class Camera:
    """A level camera; with `span_m`, parallel rays over a square that wide around its eye."""

    eye: Array
    forward: Array
    focal: float = 1.0  # in picture widths
    horizon: float = 0.5  # in picture heights from the top
    span_m: float | None = None

    def mirrored(self) -> Camera:
        """The same camera as far below the water as this one is above it."""
        return replace(self, eye=self.eye * np.float32([1, -1, 1]))


class View:
    """A camera with its pixels: turns them into rays, and keeps which patch each one sees."""

    def __init__(self, height: int, width: int, camera: Camera) -> None:
        self.height, self.width, self.camera = height, width, camera
        self.parallel = camera.span_m is not None
        self.depth = np.full((height, width), np.inf, np.float32)
        self.which = np.full((height, width), -1, np.int32)
        self.axis, self.focal = camera.forward, camera.focal * width
        self.right = unit(np.cross([0, 1, 0], self.axis))
        self.top = np.cross(self.axis, self.right)
        self.horizon = camera.horizon * height
        self.scale = width / (camera.span_m or 1.0)  # pixels a metre, where rays are parallel

    def project(self, p: Array) -> tuple[Array, Array, Array]:
        """Row, column and depth of points (N, 3)."""
        q = p - self.camera.eye
        z = q @ self.axis
        size = self.scale if self.parallel else self.focal / np.maximum(z, 0.05)
        return self.horizon - q @ self.top * size, self.width / 2 + q @ self.right * size, z

    def rays(self, row: Array, column: Array) -> tuple[Array, Array]:
        """Origins and directions (N, 3); one unit along a direction is one unit of depth."""
        row, column = row[..., None] + np.float32(0.5), column[..., None] + np.float32(0.5)
        size = self.scale if self.parallel else self.focal
        offset = (column - self.width / 2) / size * self.right + (self.horizon - row) / size * self.top
        if self.parallel:
            return self.camera.eye + offset, self.axis
        return self.camera.eye, self.axis + offset

    def cast(self, patch: Patch, row: Array, column: Array) -> tuple[Array, Array, Array]:
        """Depth and edge coordinates in metres where these pixels' rays meet the patch's plane."""
        origin, ray = self.rays(row, column)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = ((patch.corner - origin) @ patch.normal) / (ray @ patch.normal)
            p = origin + t[..., None] * ray - patch.corner
        return t, p @ patch.dual[0] * patch.lengths[0], p @ patch.dual[1] * patch.lengths[1]

    def draw(self, number: int, patch: Patch) -> None:
        """Enter a patch into the depth buffer."""
        c, a, b = patch.corner, patch.along, patch.up
        row, column, z = self.project(np.stack([c, c + a, c + b, c + a + b]))
        if not self.parallel and z.max() < 0.3:
            return
        if not self.parallel and z.min() < 0.3:  # it passes the camera: ask every pixel
            r0, r1, c0, c1 = 0, self.height, 0, self.width
        else:
            r0, r1 = max(int(row.min()), 0), min(int(row.max()) + 2, self.height)
            c0, c1 = max(int(column.min()), 0), min(int(column.max()) + 2, self.width)
        if r0 >= r1 or c0 >= c1:
            return
        rows, columns = np.mgrid[r0:r1, c0:c1].astype(np.float32)
        t, u, v = self.cast(patch, rows, columns)
        nearer = (
            (t < self.depth[r0:r1, c0:c1])
            & (u >= 0)
            & (v >= 0)
            & (u <= patch.lengths[0])
            & (v <= patch.lengths[1])
        )
        if not self.parallel:
            nearer &= t > 0.3
        if patch.triangle:
            nearer &= u / patch.lengths[0] + v / patch.lengths[1] <= 1
        if patch.mask is not None:
            nearer &= patch.mask(u, v)
        self.depth[r0:r1, c0:c1][nearer] = t[nearer]
        self.which[r0:r1, c0:c1][nearer] = number


def pole(camera: Camera, a: Array, b: Array, radius: float, colour: Array) -> Patch:
    """A thin cylinder from a to b, as a strip that faces the camera."""
    a, b = np.float32(a), np.float32(b)
    radius = max(
        radius, 0.00055 * float((a - camera.eye) @ camera.forward)
    )  # a line thinner than a pixel would break up
    across = unit(np.cross(b - a, a - camera.eye)) * 2 * radius
    return Patch(a - across / 2, across, b - a, plain(colour, 0.15), round=True)


def box(low: Array, high: Array, surface: Surface, sky: float = 0.9) -> list[Patch]:
    """The three sides of a block that the camera can see: towards +x, towards -z, and the top."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    return [
        Patch([x1, y0, z0], [0, 0, z1 - z0], [0, y1 - y0, 0], surface, sky=sky),
        Patch([x0, y0, z0], [x1 - x0, 0, 0], [0, y1 - y0, 0], surface, sky=sky),
        Patch([x0, y1, z0], [0, 0, z1 - z0], [x1 - x0, 0, 0], surface, sky=1.0),
    ]
