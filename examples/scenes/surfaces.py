"""What covers the harbour's patches: brick, plaster, tiles, cobbles, planks.

A surface is a function of (u, v), metres along a patch's two edges, to (albedo (N, 3), own light or 0).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .common import Array, fbm, mix, noise, random01, rgb, smoothstep

Surface = Callable[[Array, Array], tuple[Array, Array | float]]


def plain(colour: Array, rough: float = 0.08) -> Surface:
    """One paint, a little uneven."""
    return lambda u, v: (colour * (1 + rough * fbm(u * 2.3, v * 2.3, 3, 7))[..., None], 0.0)


def plaster(colour: Array, seed: int) -> Surface:
    """Weathered plaster: clouds of stain, streaks of rain, a dark foot, flaked spots."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        stain = fbm(u * 0.5 + 17 * seed, v * 0.4, 4, seed + 500)
        streak = fbm(u * 3.5 + 5 * seed, v * 0.35, 3, seed + 520)
        fine = fbm(u * 9, v * 9, 3, seed + 540)
        tone = 1 + 0.30 * stain + 0.26 * streak * smoothstep(-0.3, 0.6, stain) + 0.08 * fine
        wall = colour * tone[..., None]
        grime = smoothstep(0.05, 0.75, streak + 0.5 * stain + 0.2 * fine)
        wall = mix(wall, wall * np.float32([0.58, 0.55, 0.52]), 0.8 * grime)
        foot = smoothstep(1.6 + 0.8 * float(seed % 3), 0, v + 0.8 * stain)
        wall = mix(wall, wall * np.float32([0.60, 0.60, 0.58]), 0.75 * foot)
        flake = smoothstep(0.47, 0.52, stain + 0.25 * fine + 0.15 * foot)
        return mix(wall, bricks(rgb(146, 92, 72), seed)(u, v)[0], 0.85 * flake), 0.0

    return surface


def bricks(colour: Array, seed: int) -> Surface:
    """Courses of brick, each brick burnt its own way."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        course = np.floor(v / 0.11)
        s = u / 0.32 + 0.5 * (course % 2)
        tone = random01(s, course, seed + 560)
        joint = np.maximum(smoothstep(0.10, 0.02, s % 1), smoothstep(0.22, 0.08, (v / 0.11) % 1))
        wall = colour * (0.72 + 0.5 * tone + 0.18 * fbm(u * 0.6, v * 0.6, 3, seed + 570))[..., None]
        return mix(wall, rgb(168, 156, 140), 0.45 * joint), 0.0

    return surface


def tiles(colour: Array, seed: int) -> Surface:
    """Pantiles in rows, each row's foot casting a line of shade; moss here and there."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        row, column = np.floor(v / 0.34), u / 0.27
        tone = random01(column, row, seed + 600)
        wave = 0.5 + 0.5 * np.sin(2 * np.pi * column)
        foot = smoothstep(0.24, 0.02, (v / 0.34) % 1)
        age = fbm(u * 0.5, v * 0.5, 4, seed + 610)
        roof = (
            colour * (0.74 + 0.34 * tone + 0.22 * wave + 0.25 * age)[..., None] * (1 - 0.45 * foot)[..., None]
        )
        return mix(roof, rgb(86, 88, 56), 0.5 * smoothstep(0.25, 0.7, age + 0.3 * tone)), 0.0

    return surface


def cobbles() -> Surface:
    """Setts in rows, worn light on their backs, dark between."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        row = np.floor(v / 0.26)
        s = u / 0.30 + 0.5 * (row % 2) + 0.12 * noise(u * 2, v * 2, 620)
        tone = random01(s, row, 621)
        dome = np.minimum(np.abs(s % 1 - 0.5), np.abs((v / 0.26) % 1 - 0.5) + 0.08)
        edge = smoothstep(0.36, 0.48, np.maximum(np.abs(s % 1 - 0.5), np.abs((v / 0.26) % 1 - 0.5)))
        stone = (
            mix(rgb(140, 130, 118), rgb(172, 160, 142), tone)
            * (0.9 + 0.3 * fbm(u * 0.35, v * 0.5, 4, 622))[..., None]
        )
        return mix(stone * (1.06 - 0.15 * dome)[..., None], rgb(74, 68, 60), 0.7 * edge), 0.0

    return surface


def quay_wall() -> Surface:
    """Big cut stones, wet and green towards the water."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        course = np.floor(v / 0.48)
        s = u / 1.2 + 0.37 * course
        tone = random01(s, course, 630)
        joint = np.maximum(smoothstep(0.04, 0.01, s % 1), smoothstep(0.10, 0.03, (v / 0.48) % 1))
        stone = (
            mix(rgb(122, 114, 102), rgb(156, 146, 130), tone)
            * (0.95 + 0.35 * fbm(u * 0.8, v * 2, 4, 631))[..., None]
        )
        stone = mix(stone, rgb(60, 56, 50), 0.75 * joint)
        wet = smoothstep(1.0, 0.45, v + 0.3 * fbm(u * 0.7, v, 3, 632))
        return mix(stone, rgb(44, 52, 34), 0.85 * wet), 0.0

    return surface


def planks(colour: Array) -> Surface:
    """Painted boards."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        tone = 1 + 0.10 * fbm(u * 1.2, v * 5, 3, 640) - 0.28 * smoothstep(0.12, 0.03, (v / 0.16) % 1)
        return colour * tone[..., None], 0.0

    return surface


def cabin(wall: Array, roof: Array) -> Surface:
    """A wheelhouse: painted wood with a row of dark windows."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        pane = (v > 0.62) & (v < 0.92) & (np.abs((u / 0.7) % 1 - 0.5) < 0.34)
        paint, _ = planks(wall)(u, v)
        paint = mix(paint, rgb(36, 44, 50), pane.astype(np.float32))
        return mix(paint, roof, (v > 1.05).astype(np.float32)), 0.0

    return surface


def lantern() -> Surface:
    """Glass between iron bars; the lamp is not lit yet."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        bar = (np.abs(u - 0.19) > 0.15) | (v < 0.05) | (v > 0.45)
        return mix(rgb(206, 214, 214), rgb(34, 40, 38), bar.astype(np.float32)), 0.0

    return surface


def tower(colour: Array) -> Surface:
    """A church tower: ashlar, corner stones, tall openings, a clock."""

    def surface(u: Array, v: Array) -> tuple[Array, float]:
        wall, _ = bricks(colour, 9)(u / 3, v / 3)
        slit = (np.abs(u - 4) < 0.9) & (np.abs(v - 21) < 2.4) & (np.abs(np.abs(u - 4) - 0.0) > 0.08)
        band = np.abs((v + 1) % 9 - 4.5) > 4.25
        wall = mix(wall, colour * 1.35, (band | (np.abs(u - 4) > 3.3)).astype(np.float32))
        wall = mix(wall, rgb(44, 42, 44), slit.astype(np.float32))
        face = np.hypot(u - 4, v - 15)
        wall = mix(wall, rgb(226, 220, 204), (face < 1.5).astype(np.float32))
        return mix(wall, rgb(50, 48, 50), ((face > 1.3) & (face < 1.5)).astype(np.float32)), 0.0

    return surface
