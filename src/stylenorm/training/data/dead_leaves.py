"""Training pictures from nothing: dead leaves, for who has no photos at hand.

Lee, Mumford, Huang, "Occlusion Models for Natural Images", IJCV 2001; used for training without photographs
by Baradad et al., "Learning to See by Looking at Noise", NeurIPS 2021 (arXiv:2106.05963).

Differs from both: the leaves carry what photos have and flat discs lack: soft shading, a texture of noise
with the spectrum of natural pictures (1/f), and edges that are sharp or out of focus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from stylenorm.training import ranks

__all__ = ["DeadLeaves"]

_NUM_LEAVES = 80
_NUM_TEXTURES = 4
_SMALLEST, _LARGEST = 0.05, 0.7  # radii, in sides of the picture


class DeadLeaves:
    """Batches of drawn pictures; a pure function of (seed, step), like `stylenorm.training.Photos`.

    Args:
        crop_px: side of the pictures.
        batch_size: pictures a step, of all processes together.
        seed: what all choices are drawn from.
    """

    def __init__(self, *, crop_px: int, batch_size: int, seed: int) -> None:
        self.crop_px, self.batch_size, self.seed = crop_px, batch_size, seed

    def batch(self, step: int) -> Tensor:
        """Return the pictures of ``step``: (batch_size, 3, crop_px, crop_px), RGB, 0..1.

        Of several processes each gets its share.
        """
        mine = ranks.shard(range(self.batch_size))
        pictures = [self._draw(np.random.default_rng([self.seed, 3, step, i])) for i in mine]
        return torch.tensor(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()

    def _draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        size = self.crop_px
        palette = _palette(rng)
        textures = [_noise(rng, size) for _ in range(_NUM_TEXTURES)]
        picture = _shaded(rng, palette, textures)
        # Radii fall as r^-2 from the smallest to the largest: large ones are rare, and still cover the most.
        u = rng.uniform(size=_NUM_LEAVES)
        radii = 1 / (u / _SMALLEST + (1 - u) / _LARGEST)
        for radius in sorted(radii, reverse=True):
            mask = Image.new("L", (size, size))
            _draw_leaf(ImageDraw.Draw(mask), rng, radius * size, size)
            if rng.uniform() < 0.3:
                mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 0.03 * size)))
            cover = np.asarray(mask, dtype=np.float32)[..., None] / 255
            picture += cover * (_shaded(rng, palette, textures) - picture)
        return picture.clip(0, 1)


def _palette(rng: np.random.Generator) -> NDArray[np.float32]:
    """A few colours that go together: near one light-dark axis, as in photos, with some that stand out."""
    base = rng.uniform(0.3, 0.6) + rng.normal(0, 0.06, 3)
    axis = rng.normal(0, 0.12, 3)
    amounts, light = rng.normal(size=(12, 1)), rng.normal(0, 0.2, (12, 1))
    colors = base + amounts * axis + light + rng.normal(0, 0.04, (12, 3))
    return np.asarray(colors.clip(0.02, 0.98), dtype=np.float32)


def _shaded(
    rng: np.random.Generator, palette: NDArray[np.float32], textures: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """A surface (S, S, 3): a colour, a gradient of light across it, and one of the textures (S, S)."""
    color = palette[rng.integers(len(palette))]
    texture = textures[int(rng.integers(len(textures)))]
    ramp = np.linspace(-1, 1, len(texture), dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    light = 0.18 * rng.uniform() * (np.cos(angle) * ramp[None, :] + np.sin(angle) * ramp[:, None])
    strength = 0.15 * rng.uniform() ** 2
    return np.asarray(color + (light + strength * texture)[..., None], dtype=np.float32)


def _noise(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Noise of unit deviation whose amplitude falls as 1 / frequency."""
    total = np.zeros((size, size), dtype=np.float32)
    side = 2
    while side <= size:
        grid = Image.fromarray(rng.normal(size=(side, side)).astype(np.float32))
        total += np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))
        side *= 2
    return np.asarray(total / (total.std() + 1e-6), dtype=np.float32)


def _draw_leaf(draw: ImageDraw.ImageDraw, rng: np.random.Generator, radius: float, size: int) -> None:
    x, y = rng.uniform(-0.1, 1.1, 2) * size
    if rng.uniform() < 0.5:
        stretch = rng.uniform(0.5, 1)
        draw.ellipse((x - radius, y - stretch * radius, x + radius, y + stretch * radius), fill=255)
        return
    corners = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
    reach = radius * rng.uniform(0.6, 1.2, len(corners))
    outline = np.stack([x + reach * np.cos(corners), y + reach * np.sin(corners)], axis=1)
    draw.polygon([(float(px), float(py)) for px, py in outline], fill=255)
