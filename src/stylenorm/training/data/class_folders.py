"""Pictures with classes for training: a folder that has a sub-folder for each class."""

from __future__ import annotations

from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stylenorm.errors import PictureError, TrainingError
from stylenorm.models.classifier import central_square
from stylenorm.training.data.layouts import find_split
from stylenorm.training.data.photos import Photos

__all__ = ["ClassFolders"]

_LARGEST_ZOOM = 1.15  # whatever is to be told apart, most of it stays in the crop
_BYTE = 256


class ClassFolders(Photos):
    """Random crops, as `Photos` makes them, each with its class: the sub-folder that the picture is in.

    Args:
        folder: with a sub-folder (which may have others in it) for each class; or with ``train`` and ``val``
            or ``test`` (`find_split`), which have these: then what is held out comes from the latter.
        crop_px: side of the square crops.
        batch_size: crops a step, of all processes together.
        seed: what the choice of pictures, crops and flips is drawn from.
        num_held_out: so many pictures, equally many of each class as far as there are, are never trained on.
        flip: whether crops are mirrored at random.
        classes: names of the classes that there must be; None takes those of the folder.

    Attributes:
        classes: their names, sorted.

    Raises:
        TrainingError: the folder has too few pictures, fewer than two classes, pictures outside of them, or
            other classes than expected.
    """

    def __init__(
        self,
        folder: Path,
        *,
        crop_px: int,
        batch_size: int,
        seed: int,
        num_held_out: int,
        flip: bool = False,
        classes: tuple[str, ...] | None = None,
    ) -> None:
        self._class_of: dict[Path, str] = {}
        super().__init__(folder, crop_px=crop_px, batch_size=batch_size, seed=seed, num_held_out=num_held_out)
        self.flip = flip
        self.classes = tuple(sorted(set(self._class_of.values())))
        if classes is not None and self.classes != classes:
            unlike = sorted(set(classes) ^ set(self.classes))[0]
            where = "no" if unlike in classes else "an unknown"
            raise TrainingError(
                f"{folder}: expected the {len(classes)} classes that are trained on, got {where} {unlike!r}"
            )
        if len(self.classes) < 2:
            raise TrainingError(f"{folder}: expected at least 2 classes, got {len(self.classes)}")
        self._numbers = {name: number for number, name in enumerate(self.classes)}

    def _find(self, folder: Path) -> tuple[list[Path], list[Path] | None]:
        trained_on, kept = super()._find(folder)
        split = find_split(folder)
        training, held_out = (split.training, split.held_out) if split else (folder, None)
        return (
            self._in_turn(trained_on, training),
            None if kept is None or held_out is None else self._in_turn(kept, held_out),
        )

    def _in_turn(self, paths: list[Path], folder: Path) -> list[Path]:
        """One of each class, then a second of each, ...: the first, which are held out, are of all."""
        of_class: dict[str, list[Path]] = {}
        for path in paths:
            name, *rest = path.relative_to(folder).parts
            if not rest:
                raise TrainingError(
                    f"{folder}: expected pictures in a sub-folder for each class, got {name} beside them"
                )
            self._class_of[path] = name
            of_class.setdefault(name, []).append(path)
        in_turn = chain.from_iterable(zip_longest(*of_class.values()))
        return [path for path in in_turn if path is not None]

    def _too_few(self, num_held_out: int) -> str:
        return (
            f"{self.folder}: expected more than {num_held_out} pictures, in a sub-folder for each class, got "
            f"{len(self.paths)}"
        )

    def labelled(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the crops of ``step`` (N, 3, crop_px, crop_px), RGB, 0..1, and their classes (N,)."""
        planes = self.batch(step)
        number = (planes[:, 3:, 0, 0] * 255).round().long()
        # Contiguous: with channels last, PyTorch 2.13's backward (oneDNN) of a 1x1 convolution of stride 2
        # from fewer than 8 channels overwrites memory.
        return planes[:, :3].contiguous(), number[:, 0] * _BYTE + number[:, 1]

    def squares(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the middles of the first ``count`` pictures (N, S, S, 3), and their classes (N,).

        Pictures that cannot be read are left out, and noted in ``unreadable``.
        """
        squares, classes = [], []
        for path in self.paths[:count]:
            try:
                squares.append(central_square(self._read(path), self.crop_px))
            except PictureError as error:
                self.unreadable[path] = str(error)
            else:
                classes.append(self._number(path))
        if not squares:
            raise TrainingError(f"{self.folder}: expected pictures that can be read, got none")
        return np.stack(squares), np.array(classes)

    def _number(self, path: Path) -> int:
        return self._numbers[self._class_of[path]]

    def _crop(self, path: Path, rng: np.random.Generator) -> NDArray[np.uint8] | None:
        """A crop (S, S, 5): the class goes with it, as two planes, through whatever makes batches ahead."""
        zoom, left, top, mirror = rng.random(4)
        pixels = self._decode(path)
        if pixels is None:
            return None
        shorter = min(pixels.shape[:2])
        side = round(shorter / (1 + (_LARGEST_ZOOM - 1) * zoom))
        y, x = (round(share * (full - side)) for share, full in zip((top, left), pixels.shape, strict=False))
        crop = Image.fromarray(np.ascontiguousarray(pixels[y : y + side, x : x + side]))
        if side != self.crop_px:
            crop = crop.resize((self.crop_px, self.crop_px), Image.Resampling.LANCZOS)
        planes = np.empty((self.crop_px, self.crop_px, 5), np.uint8)
        planes[..., :3] = np.asarray(crop)[:, ::-1] if self.flip and mirror < 0.5 else np.asarray(crop)
        planes[..., 3:] = divmod(self._number(path), _BYTE)
        return planes
