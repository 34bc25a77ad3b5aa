"""What the things of the still life are made of: glaze, glass, porcelain, skins. Points are (3, N), local."""

from __future__ import annotations

import numpy as np

from .common import Array, fbm, mix, noise, rgb, smoothstep
from .solids import Material


def glaze(p: Array) -> tuple[Array, float]:
    """The jug: cream above a band, brushed cobalt below, as potters dip them."""
    angle = np.arctan2(p[2], p[0])
    edge = p[1] - 0.40 - 0.02 * noise(angle * 2.5, p[1] * 3, 41)
    speck = smoothstep(0.55, 0.75, noise(p[0] * 62 + 30 * p[2], p[1] * 58 + 40 * p[2], 42))
    body = mix(rgb(52, 74, 104), rgb(84, 110, 138), 0.5 + 0.5 * fbm(angle * 3, p[1] * 40, 3, 43))
    cream = mix(rgb(222, 208, 178), rgb(196, 176, 140), 0.5 + 0.5 * fbm(angle * 3, p[1] * 8, 3, 44))
    return mix(mix(body, cream, smoothstep(-0.006, 0.006, edge)), rgb(92, 66, 44), 0.6 * speck), 0.9


def glass(p: Array) -> tuple[Array, float]:
    """The bottle: glass so dark that it is nearly a mirror; a paper label, a cork."""
    colour = np.broadcast_to(rgb(24, 38, 20) * 0.6, (p.shape[1], 3))
    angle = np.arctan2(p[2], p[0])
    label = (np.abs(angle + 1.75) < 0.95) & (p[1] > 0.17) & (p[1] < 0.46)
    frame = (np.abs(np.abs(angle + 1.75) - 0.87) < 0.02) | (np.abs(np.abs(p[1] - 0.315) - 0.128) < 0.005)
    lines = (
        (np.abs(p[1] - 0.37) < 0.022)
        & (noise(angle * 16, p[1] * 12, 51) > -0.1)
        & (np.abs(angle + 1.75) < 0.6)
    )
    small = (
        (np.abs((p[1] * 40) % 1 - 0.5) < 0.18) & (p[1] < 0.31) & (p[1] > 0.22) & (np.abs(angle + 1.75) < 0.5)
    )
    paper = mix(rgb(214, 200, 166), rgb(120, 40, 30), (frame | lines).astype(np.float32))
    paper = mix(paper, rgb(70, 60, 50), 0.6 * (small & (noise(angle * 40, np.floor(p[1] * 40), 52) > -0.2)))
    colour = mix(colour, paper, label.astype(np.float32))
    return mix(colour, rgb(176, 138, 98), (p[1] > 1.065).astype(np.float32)), 1.0


def porcelain(p: Array) -> tuple[Array, float]:
    """The cup: white with two blue lines; what is inside is coffee."""
    line = (np.abs(p[1] - 0.235) < 0.005) | (np.abs(p[1] - 0.215) < 0.0025)
    white = mix(rgb(232, 230, 224), rgb(52, 78, 138), 0.9 * line * (np.hypot(p[0], p[2]) > 0.15))
    inside = (np.hypot(p[0], p[2]) < 0.163) & (np.abs(p[1] - 0.225) < 0.004)
    return mix(white, rgb(46, 26, 14), inside.astype(np.float32)), 0.8


def apple(ripe: float, seed: int) -> Material:
    """Streaks of red over yellow green, more where the sun was; a brown stem."""

    def material(p: Array) -> tuple[Array, float]:
        angle, radius = np.arctan2(p[2], p[0]), np.hypot(p[0], p[2])
        x, z = p[0] / (radius + 0.02), p[2] / (radius + 0.02)
        streak = fbm(x * 9 + 4 * p[1], z * 9 + p[1] * 2, 3, seed) + 0.5 * noise(
            angle * 14, p[1] * 5, seed + 3
        )
        side = 0.6 * np.sin(angle + seed) + 1.5 * (p[1] - 0.1)
        red = smoothstep(-0.7, 0.6, ripe + 0.7 * streak + 0.6 * side)
        colour = mix(rgb(186, 176, 66), mix(rgb(178, 44, 30), rgb(112, 14, 22), 0.5 + 0.7 * streak), red)
        freckle = smoothstep(0.62, 0.74, noise(x * 26 + 30 * p[1], z * 26, seed + 5))
        colour = mix(colour, rgb(216, 186, 120), 0.55 * freckle)
        hollow = smoothstep(0.055, 0.02, radius) * (p[1] > 0.1)
        colour = mix(colour, rgb(128, 116, 52), 0.8 * hollow)
        return mix(colour, rgb(72, 50, 30), ((radius < 0.011) & (p[1] > 0.14)).astype(np.float32)), 0.45

    return material


def peel(colour: Array, seed: int) -> Material:
    """An orange or a lemon: pores, and a green-brown scar at the top."""

    def material(p: Array) -> tuple[Array, float]:
        pores = noise(p[0] * 75 + 20 * p[1], p[2] * 75 - 50 * p[1], seed)
        tone = fbm(p[0] * 7, p[1] * 7 + p[2] * 5, 3, seed + 1)
        skin = colour * (1 + 0.24 * pores + 0.16 * tone)[:, None]
        return mix(skin, rgb(84, 84, 40), smoothstep(0.022, 0.012, np.hypot(p[0], p[2])) * (p[1] > 0)), 0.28

    return material
