"""The fronts of the harbour's houses: walls, windows, doors, shops, gables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .common import Array, fbm, mix, noise, random01, rgb, smoothstep
from .surfaces import bricks, plaster

PLASTERS = (
    (204, 150, 72), (178, 78, 58), (222, 206, 176), (110, 134, 150),
    (214, 176, 132), (196, 104, 66), (150, 164, 138), (228, 214, 190),
    (186, 148, 160), (208, 162, 60), (126, 70, 60), (120, 150, 168),
)  # fmt: skip
SHUTTERS = ((52, 84, 70), (60, 78, 104), (110, 48, 40), (86, 92, 82))


class Front:
    """A house front: wall, windows in rows, a door and a shop, a cornice, and the gable's outline."""

    def __init__(
        self,
        width: float,
        eaves: float,
        rise: float,
        floors: int,
        style: str,
        number: int,
        rng: np.random.Generator,
    ) -> None:
        self.width, self.eaves, self.rise, self.floors, self.style, self.number = (
            width,
            eaves,
            rise,
            floors,
            style,
            number,
        )
        self.colour = mix(
            rgb(*PLASTERS[(number * 5 + 2) % len(PLASTERS)]), 0.25, 0.14
        )  # the sun has bleached it
        self.wall = bricks(rgb(136, 72, 54), number) if number % 4 == 3 else plaster(self.colour, number)
        if number % 4 == 3:
            self.colour = rgb(136, 72, 54)
        self.trim = rgb(232, 226, 212)
        self.shutter = rgb(*SHUTTERS[number % 4]) if rng.uniform() < 0.45 else None
        self.bays = max(2, round(width / (2.5 if self.shutter is not None else 2.1)))
        self.storey = (eaves - 3.7) / (floors - 1)
        self.awning = rgb(*[(170, 52, 42), (46, 88, 74), (222, 206, 170), (52, 74, 112)][number % 4])
        self.has_awning = bool(rng.uniform() < 0.5)
        self.door = int(rng.integers(self.bays))

    def mask(self, u: Array, v: Array) -> NDArray[np.bool_]:
        """Where the front is: all below the eaves, and the gable above them."""
        side, over = np.abs(u - self.width / 2), v - self.eaves
        half = self.width / 2
        if self.style == "eaves":
            return over < 0
        if self.style == "step":
            step = np.floor(np.maximum(over, 0) / 0.8) * 0.8
            return (over < 0) | (
                side < np.maximum(half * (1 - step / (self.rise + 0.6)), 0.55) * (over < self.rise + 0.8)
            )
        if self.style == "bell":
            t = np.clip(over / (self.rise + 0.4), 0, 1)
            return (over < 0) | (
                (side < half * (0.30 + 0.70 * (1 - smoothstep(0.0, 0.62, t)) * (1 - 0.3 * t)))
                & (t < 1 - 0.12 * (side / half) ** 2 * 9)
            )
        return (over < 0) | (side < half * (1 - over / self.rise) + 0.12)

    def glazing(
        self, x: Array, y: Array, w: float, h: float, cell: Array, bars: tuple[int, int]
    ) -> tuple[Array, Array]:
        """A window w by h metres around (0, 0): its colour, and the light of the sky in its panes."""
        dx, dy = w / bars[0], h / bars[1]
        bar = (np.abs((x / dx + bars[0] / 2) % 1 - 0.5) > 0.5 - 0.030 / dx) | (
            np.abs((y / dy + bars[1] / 2) % 1 - 0.5) > 0.5 - 0.030 / dy
        )
        bar |= (np.abs(x) > w / 2 - 0.07) | (np.abs(y) > h / 2 - 0.08)
        drape = (np.abs(x) > w * (0.18 + 0.16 * cell)) & (cell > 0.35)
        dark = mix(
            rgb(30, 33, 36), rgb(172, 162, 144) * (0.6 + 0.15 * np.sin(x * 40))[..., None], 0.8 * drape
        )
        # The recess: its head and the side towards the sun throw their shade on frame and panes.
        shaded = (y > h / 2 - 0.13) | (x < -w / 2 + 0.10)
        colour = mix(dark, self.trim, bar.astype(np.float32)) * np.where(shaded, 0.42, 1.0)[..., None]
        sky = smoothstep(
            -0.6, 0.9, y / h + 0.7 * (cell - 0.5) + 0.4 * noise(x * 1.1 + 9 * cell, y * 0.8, 650)
        )
        glow = np.float32([0.20, 0.26, 0.34]) * (0.12 + 0.75 * sky)[..., None] * (~bar & ~shaded)[..., None]
        return colour.astype(np.float32), glow.astype(np.float32)

    def surface(self, u: Array, v: Array) -> tuple[Array, Array]:
        """The front at (u along the street, v up)."""
        wall, _ = self.wall(u, v)
        glow = np.zeros_like(wall)
        pitch = self.width / self.bays
        bay = np.clip(np.floor(u / pitch), 0, self.bays - 1)
        x = u - (bay + 0.5) * pitch
        level = np.clip(np.floor((v - 3.7) / self.storey), 0, self.floors - 2)
        y = v - (3.7 + (level + 0.47) * self.storey)
        upper = (v > 3.7) & (v < self.eaves)
        w, h = 1.15, min(1.75, self.storey * 0.62)
        window = upper & (np.abs(x) < w / 2) & (np.abs(y) < h / 2)
        surround = upper & (np.abs(x) < w / 2 + 0.16) & (y < h / 2 + 0.24) & (y > -h / 2 - 0.06)
        wall = mix(wall, self.trim * 0.9, 0.85 * surround)
        sill = upper & (np.abs(x) < w / 2 + 0.24) & (np.abs(y + h / 2 + 0.09) < 0.06)
        shade = upper & (np.abs(x - 0.05) < w / 2 + 0.24) & (np.abs(y + h / 2 + 0.22) < 0.08)
        wall = mix(wall * np.where(shade, 0.55, 1.0)[..., None], self.trim, sill.astype(np.float32))
        if self.shutter is not None:
            leaf = upper & (np.abs(np.abs(x) - w / 2 - 0.33) < 0.27) & (np.abs(y) < h / 2 + 0.02)
            slat = 0.8 + 0.35 * ((y / 0.12) % 1) - 0.3 * (np.abs(y) < 0.04)
            wall = mix(wall, self.shutter * slat[..., None], leaf.astype(np.float32))
        cell = random01(bay, level, self.number + 660)
        pane, light = self.glazing(x, y, w, h, cell, (2, 3))
        wall = mix(wall, pane, window.astype(np.float32))
        glow = np.where(window[..., None], light, glow)
        box = (
            upper
            & (np.abs(x) < w / 2)
            & (np.abs(y + h / 2 - 0.08) < 0.16)
            & (random01(bay, level, self.number + 670) < 0.3)
        )
        leaves = mix(
            rgb(48, 82, 34),
            rgb(204, 62, 70),
            (noise(x * 11, y * 11, 671) > 0.3).astype(np.float32) * (random01(x * 16, y * 16, 6) > 0.4),
        )
        wall = mix(
            wall,
            leaves * (0.8 + 0.4 * noise(x * 20, y * 20, 672))[..., None],
            box & (noise(x * 7 + 3, y * 9, 673) > -0.45),
        )
        glow = np.where(box[..., None], 0, glow)
        # The ground floor: shop windows, one door, a painted board above, perhaps an awning.
        low = v <= 3.7
        base = (
            mix(self.colour * 0.62, rgb(92, 86, 80), 0.35)
            * (1 + 0.12 * fbm(u, v, 3, self.number + 680))[..., None]
        )
        wall = mix(wall, base, low & (v < 3.45))
        door = low & (bay == self.door) & (np.abs(x) < 0.6) & (v < 2.6)
        panel = (np.abs(np.abs(x) - 0.28) < 0.2) & (np.abs((v - 0.25) % 1.15 - 0.5) < 0.42)
        leaf = (
            self.awning
            * 0.55
            * np.where(panel, 0.8, 1.0)[..., None]
            * np.where((v > 2.45) | (x < -0.5), 0.4, 1.0)[..., None]
        )
        wall = mix(wall, leaf, door)
        shop = low & (bay != self.door) & (np.abs(x) < pitch * 0.38) & (v > 0.75) & (v < 2.75)
        pane, light = self.glazing(x, v - 1.75, pitch * 0.76, 2.0, random01(bay, 99, self.number), (2, 1))
        wall = mix(wall, pane, shop)
        glow = np.where(shop[..., None], light * 0.8, glow)
        board = low & (v > 2.95) & (v < 3.45) & (np.abs(u - self.width / 2) < self.width * 0.40)
        letters = (
            (np.abs(v - 3.2) < 0.11)
            & (noise(u * 5, np.floor(v * 2), self.number + 690) > -0.05)
            & (np.abs(u - self.width / 2) < self.width * 0.22)
        )
        wall = mix(wall, mix(self.awning * 0.7, rgb(224, 204, 150), letters), board)
        if self.has_awning:
            cloth = low & (v > 2.45) & (v < 3.4 + 0.05) & (np.abs(u - self.width / 2) < self.width * 0.43)
            stripes = mix(self.awning, rgb(232, 224, 208), ((u / 0.44) % 1 > 0.5).astype(np.float32))
            fringe = (v < 2.62) & (np.abs((u / 0.22) % 1 - 0.5) > (v - 2.45) * 3)
            wall = mix(wall, stripes * (0.75 + 0.3 * (v - 2.4))[..., None], cloth & ~fringe)
            under = low & (v <= 2.45) & (v > 1.35) & (np.abs(u - self.width / 2 + 0.3) < self.width * 0.43)
            wall, glow = (
                np.where(under[..., None], wall * 0.42, wall),
                np.where((cloth | under)[..., None], glow * 0.25, glow),
            )
        # Mouldings: over the ground floor, under the eaves, along the gable.
        for height, thick in ((3.6, 0.12), (self.eaves - 0.28, 0.28)):
            wall = mix(wall, self.trim * 0.92, (np.abs(v - height) < thick) & (glow.sum(-1) == 0))
            wall = np.where(((v < height - thick) & (v > height - 2.6 * thick))[..., None], wall * 0.55, wall)
        if self.style != "eaves":
            inner = self.mask(np.where(u < self.width / 2, u - 0.22, u + 0.22), v + 0.22)
            wall = mix(wall, self.trim * 0.95, ((v > self.eaves) & ~inner))
            attic, rise = v - self.eaves - 0.28 * self.rise, u - self.width / 2
            window = (np.abs(rise) < 0.5) & (np.abs(attic) < 0.7) & (v > self.eaves)
            around = (np.abs(rise) < 0.64) & (np.abs(attic) < 0.84) & (v > self.eaves)
            pane, light = self.glazing(rise, attic, 1.0, 1.4, np.full_like(u, 0.2), (2, 2))
            wall = mix(mix(wall, self.trim, around), pane, window)
            glow = np.where(window[..., None], light, glow)
        pipe = np.abs(u - 0.18) < 0.055
        wall = np.where((np.abs(u - 0.06) < 0.05)[..., None] & (v < self.eaves)[..., None], wall * 0.6, wall)
        return mix(wall, rgb(96, 98, 96), pipe & (v < self.eaves)), glow

    def dormer(self, u: Array, v: Array) -> tuple[Array, Array]:
        """The front of a dormer, 1.3 m by 1.5 m."""
        pane, light = self.glazing(u - 0.65, v - 0.72, 0.9, 1.2, np.full_like(u, 0.3), (2, 2))
        window = (np.abs(u - 0.65) < 0.45) & (np.abs(v - 0.72) < 0.6)
        wall = np.broadcast_to(self.trim * 0.9, pane.shape)
        return mix(wall, pane, window), np.where(window[..., None], light, 0)
