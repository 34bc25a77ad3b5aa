"""Pairs of pictures for training: what is given, and what shall come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import PictureError, TrainingError
from stylenorm.media import find_pictures
from stylenorm.training.data.photos import Photos

__all__ = ["Pairs", "partners"]


class Pairs(Photos):
    """Random crops of pairs, as `Photos` makes them of photos: (N, 6, crop_px, crop_px), a before b.

    Both of a pair are scaled, cropped and flipped alike.

    Args:
        folder: with sub-folders ``a`` and ``b``, whose pictures have the same names (suffixes may differ); or
            of pictures that have a in their left half and b in their right.
        crop_px: side of the square crops.
        batch_size: pairs a step, of all processes together.
        seed: what the choice of pairs, crops and flips is drawn from.
        num_held_out: the first so many pairs (by name) are kept out of training.

    Raises:
        TrainingError: the folder has too few pairs, or a picture has no partner.
    """

    def __init__(self, folder: Path, *, crop_px: int, batch_size: int, seed: int, num_held_out: int) -> None:
        self._partners: dict[Path, Path] | None = None
        first = folder
        if (folder / "a").is_dir() and (folder / "b").is_dir():
            first = folder / "a"
            self._partners = partners(first, folder / "b")
        super().__init__(first, crop_px=crop_px, batch_size=batch_size, seed=seed, num_held_out=num_held_out)

    def _read(self, path: Path) -> NDArray[np.uint8]:
        pixels = super()._read(path)
        if self._partners is not None:
            partner = super()._read(self._partners[path])
            if partner.shape != pixels.shape:
                raise PictureError(
                    f"{path}: expected the size of {self._partners[path]}, "
                    f"got {pixels.shape[1]} x {pixels.shape[0]}, not {partner.shape[1]} x {partner.shape[0]}"
                )
            return np.concatenate([pixels, partner], axis=2)
        if pixels.shape[1] % 2:
            raise PictureError(f"{path}: expected two pictures side by side, got an odd width")
        return np.concatenate(np.split(pixels, 2, axis=1), axis=2)


def partners(a: Path, b: Path) -> dict[Path, Path]:
    """Return for each picture in ``a`` that of the same name, whatever its suffix, in ``b``.

    Raises:
        TrainingError: there is none.
    """
    named = {path.relative_to(b).with_suffix(""): path for path in find_pictures(b)}
    found = {}
    for path in find_pictures(a):
        name = path.relative_to(a).with_suffix("")
        if name not in named:
            raise TrainingError(f"{path}: expected a picture of the same name in {b}, got none")
        found[path] = named[name]
    return found
