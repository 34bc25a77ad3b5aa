"""Whole pictures as squares, for what learns to make pictures like them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylenorm.errors import UnknownNameError
from stylenorm.training.data.photos import Photos

__all__ = ["FITS", "Squares"]

FITS = ("centre", "random", "squeeze")
"""Ways to a square: the middle of the picture; a random square in it, from 1 / 1.35 of its shorter side up;
all of it, whatever becomes of its proportions."""

_SMALLEST = 1 / 1.35  # what `Photos` keeps of a decoded picture has the pixels for it


class Squares(Photos):
    """Pictures of a folder as squares; batches are as those of `Photos`.

    Args:
        folder: where the pictures are.
        crop_px: side of the squares.
        batch_size: squares a step, of all processes together.
        seed: what the choice of pictures, crops and mirrors is drawn from.
        fit: one of `FITS`.
        mirror: show one of two mirrored.

    Raises:
        TrainingError: the folder has no pictures.
        UnknownNameError: no such fit.
    """

    def __init__(
        self, folder: Path, *, crop_px: int, batch_size: int, seed: int, fit: str, mirror: bool
    ) -> None:
        if fit not in FITS:
            raise UnknownNameError("fit", fit, FITS)
        super().__init__(folder, crop_px=crop_px, batch_size=batch_size, seed=seed, num_held_out=0)
        self.fit, self.mirror = fit, mirror

    def _crop(self, path: Path, rng: np.random.Generator) -> NDArray[np.uint8] | None:
        scale, left, top, flip = rng.random(4)  # as many as `Photos._pass_over` passes over
        pixels = self._decode(path)
        if pixels is None:
            return None
        height, width = pixels.shape[:2]
        side: float = min(height, width)
        box: tuple[float, float, float, float]
        if self.fit == "squeeze":
            box = (0, 0, width, height)
        else:
            if self.fit == "random":
                side *= _SMALLEST + (1 - _SMALLEST) * scale
            else:
                left = top = 0.5
            x, y = left * (width - side), top * (height - side)
            box = (x, y, x + side, y + side)
        size = (self.crop_px, self.crop_px)
        if size == (width, height) and box == (0, 0, width, height):
            crop = pixels
        else:
            crop = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, box))
        return crop[:, ::-1] if self.mirror and flip < 0.5 else crop
