"""A log hut by the water, its jetty and its boat."""

from __future__ import annotations

import numpy as np

from . import surfaces as paint
from .boats import boat
from .common import Array, mix, noise, rgb
from .patches import Camera, Patch, box, pole


def hut_wall(u: Array, v: Array) -> tuple[Array, Array]:
    """Logs, a door, two windows with a lamp behind them; the wall of the hut, 7 m by 3 m, and its gable."""
    logs, _ = paint.planks(rgb(92, 64, 44))(u, v / 1.7)
    logs = logs * (0.85 + 0.3 * noise(u * 0.7, np.floor(v / 0.27) * 3.3, 401))[..., None]
    x = np.abs(np.abs(u - 3.5) - 2.05)
    frame, pane = (x < 0.72) & (np.abs(v - 1.65) < 0.72), (x < 0.58) & (np.abs(v - 1.65) < 0.58)
    pane &= (x > 0.05) & (np.abs(v - 1.65) > 0.05)
    door = (np.abs(u - 3.5) < 0.55) & (v < 2.15)
    attic = (np.abs(u - 3.5) < 0.4) & (np.abs(v - 3.9) < 0.45)
    wall = mix(logs, rgb(222, 212, 190), frame)
    wall = mix(mix(wall, rgb(30, 30, 32), pane | attic), rgb(82, 44, 30), door)
    return wall, (pane | attic)[..., None] * np.float32([0.95, 0.50, 0.17])


def hut(camera: Camera, x: float, z: float, ground: float) -> list[Patch]:
    """A log hut with its gable to the lake, a stone chimney, a jetty and a rowing boat."""
    y, log, roof = ground - 0.3, paint.planks(rgb(92, 64, 44)), paint.tiles(rgb(104, 88, 78), 5)
    stone = paint.bricks(rgb(128, 120, 112), 4)
    boards = paint.planks(rgb(136, 118, 96))
    patches = [
        Patch([x, y, z], [7, 0, 0], [0, 3, 0], hut_wall),
        Patch([x, y, z], [0, 0, 6], [0, 3, 0], log),
        Patch([x + 3.5, y + 3, z], [3.5, 0, 0], [0, 2.6, 0], log, triangle=True),
        Patch([x + 3.5, y + 3, z], [-3.5, 0, 0], [0, 2.6, 0], log, triangle=True),
        Patch([x + 3.5, y + 5.75, z - 0.9], [0, 0, 7.5], [-4.2, -3.12, 0], roof),
        Patch([x + 3.5, y + 5.75, z - 0.9], [0, 0, 7.5], [4.2, -3.12, 0], roof),
        *box([x + 4.6, y + 3.5, z + 2.6], [x + 5.5, y + 6.7, z + 3.5], stone),
        Patch([x + 4.6, y + 3.5, z + 2.6], [0, 0, 0.9], [0, 3.2, 0], stone),
    ]
    patches += box([x - 24, 0.45, z - 7.5], [x - 2, 0.6, z - 5.7], boards)
    for k in range(6):
        patches.append(
            pole(
                camera,
                [x - 23.5 + 4 * k, -0.2, z - 7.6],
                [x - 23.5 + 4 * k, 1.2, z - 7.6],
                0.12,
                rgb(92, 76, 60),
            )
        )
    return patches + boat(camera, (x - 27, z - 12), 5.6, 1.9, rgb(168, 60, 44), 0.0, (-0.94, -0.34))
