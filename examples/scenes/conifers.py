"""Conifers as pictures: clouds of needles on whorls of branches, seen from the side."""

from __future__ import annotations

import numpy as np

from .common import Array, mix, rgb, unit


def conifer(seed: int, sun: Array, sunlight: Array, skylight: Array, size: int = 220) -> Array:
    """One tree, (size, size // 2, 4): linear light of its needles and their coverage."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((size, size // 2, 4), np.float32)
    count = 60000
    whorl = rng.integers(0, 34, count)
    level = (whorl + 0.5) / 34  # 0 at the foot
    arm = rng.integers(0, 10, count)
    lengths = rng.uniform(0.55, 1.1, (34, 10))
    turn = rng.uniform(0, 2 * np.pi, (34, 10))[whorl, arm]
    reach = (1 - level) ** 0.85 * lengths[whorl, arm] * rng.uniform(0.17, 0.20)
    along = rng.uniform(0, 1, count) ** 0.7
    spread = rng.normal(0, 0.16, count) * (1 - 0.6 * along)
    radius = reach * along
    tx, tz = radius * np.cos(turn + spread), radius * np.sin(turn + spread)
    ty = 0.06 + 0.93 * level - 0.34 * radius + 0.25 * radius * along + rng.normal(0, 0.006, count)
    ty -= np.abs(rng.normal(0, 0.012, count)) * (1 - level)
    facing = unit(np.stack([tx, 0.35 * reach + 0.02, tz], -1)) @ sun
    lit = np.clip(0.25 + 0.75 * facing, 0, 1) * along**1.5
    green = mix(rgb(28, 44, 22), rgb(62, 72, 30), rng.uniform(0, 1, count))
    light = green * (lit[:, None] * sunlight * 1.15 + (0.25 + 0.75 * along[:, None]) * skylight * 0.8)
    order = np.argsort(-tz)  # far needles first, so that near ones cover them
    px = ((tx + 0.25) * size).astype(int)
    py = ((1 - ty) * size).astype(int)
    trunk = np.arange(int(0.1 * size), size)
    for y in trunk:
        half = max(0.5, 0.011 * y)
        a, b = int(size / 4 - half), int(size / 4 + half) + 1
        canvas[y, a:b, :3] = rgb(70, 52, 38) * (np.linspace(1.6, 0.4, b - a)[:, None])
        canvas[y, a:b, 3] = 1
    keep = order[(px[order] >= 0) & (px[order] < size // 2) & (py[order] >= 0) & (py[order] < size)]
    canvas[py[keep], px[keep], :3] = light[keep]
    canvas[py[keep], px[keep], 3] = 1
    return canvas


def halved(sprite: Array) -> list[Array]:
    """The sprite at full size, half, a quarter ..., colours weighted by coverage (premultiplied)."""
    sprite = np.concatenate([sprite[..., :3] * sprite[..., 3:], sprite[..., 3:]], -1)
    levels = [sprite]
    while min(levels[-1].shape[:2]) > 3:
        s = levels[-1][: levels[-1].shape[0] // 2 * 2, : levels[-1].shape[1] // 2 * 2]
        levels.append((s[::2, ::2] + s[1::2, ::2] + s[::2, 1::2] + s[1::2, 1::2]) / 4)
    return levels
