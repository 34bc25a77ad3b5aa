"""Pairs of pictures for training: what is given, and what shall come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import PictureError
from stylenorm.training.data.layouts import check_partner, find_pairs
from stylenorm.training.data.photos import Photos

__all__ = ["Pairs"]

_LEAST_WIDE = 4 / 3  # widths over heights below it are one picture's, not two side by side


class Pairs(Photos):
    """Random crops of pairs, as `Photos` makes them of photos: (N, 6, crop_px, crop_px), a before b.

    Both of a pair are scaled, cropped and flipped alike.

    Args:
        folder: as `find_pairs` knows it: sub-folders ``a`` and ``b`` with the same names in both (suffixes
            may differ), or pictures that have a in their left half and b in their right, perhaps in parts
            ``train`` and ``val`` or ``test``; then held-out pairs come from these.
        crop_px: side of the square crops.
        batch_size: pairs a step, of all processes together.
        seed: what the choice of pairs, crops and flips is drawn from.
        num_held_out: the first so many pairs (by name) are kept out of training.
        layout: ``"folders"`` or ``"sides"`` where the names of the folders do not tell; side by side, near
            squares are taken only with ``"sides"``.

    Raises:
        TrainingError: the folder has too few pairs, more than one picture in ten has no partner, or the
            layout is not known.
    """

    def __init__(
        self,
        folder: Path,
        *,
        crop_px: int,
        batch_size: int,
        seed: int,
        num_held_out: int,
        layout: str = "auto",
    ) -> None:
        self._layout = layout
        self._partners: dict[Path, Path | None] = {}
        super().__init__(folder, crop_px=crop_px, batch_size=batch_size, seed=seed, num_held_out=num_held_out)

    def _find(self, folder: Path) -> tuple[list[Path], list[Path] | None]:
        found = find_pairs(folder, self._layout, self.left_out)
        self.notes += filter(None, [found.note])
        self._partners = {**found.training, **(found.held_out or {})}
        return list(found.training), None if found.held_out is None else list(found.held_out)

    def _read(self, path: Path) -> NDArray[np.uint8]:
        pixels = super()._read(path)
        second = self._partners[path]
        if second is not None:
            check_partner(path, second)
            partner = super()._read(second)
            if partner.shape != pixels.shape:
                raise PictureError(
                    f"{path}: expected the size of {second}, "
                    f"got {pixels.shape[1]} x {pixels.shape[0]}, not {partner.shape[1]} x {partner.shape[0]}"
                )
            return np.concatenate([pixels, partner], axis=2)
        height, width = pixels.shape[:2]
        if self._layout != "sides" and width < _LEAST_WIDE * height:
            raise PictureError(
                f"{path}: expected two pictures side by side, got {width} x {height}, which seems to be one: "
                "put pairs into sub-folders a and b, or say --layout sides"
            )
        if width % 2:
            raise PictureError(f"{path}: expected two pictures side by side, got an odd width")
        return np.concatenate(np.split(pixels, 2, axis=1), axis=2)
