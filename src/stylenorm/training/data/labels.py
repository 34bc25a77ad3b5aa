"""Photos with their label maps, for training."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stylenorm.errors import InputError, PictureError, TrainingError
from stylenorm.media import UNLABELLED, check_labels, numbered_from_0, read_labels
from stylenorm.training import ranks
from stylenorm.training.data.layouts import check_partner, find_labelled
from stylenorm.training.data.photos import Photos

__all__ = ["LabelledPhotos", "colored", "count_classes", "one_channel_a_class"]

_GOLDEN = 0.618034  # of a turn: hues that follow each other so are far apart, however many there are


class LabelledPhotos(Photos):
    """Random crops of photos with what is where, as `Photos` makes them: (N, 4, crop_px, crop_px).

    The first three channels are the photo, 0..1, the fourth is 1/255 of the class numbers. Both of a pair are
    scaled (labels by nearest neighbours), cropped and flipped alike.

    Args:
        folder: with sub-folders ``photos``, and ``labels`` with maps of the same names (`read_labels`), or in
            another layout that `find_labelled` knows; held-out pairs then come from its own part of them.
        crop_px: side of the square crops.
        batch_size: pairs a step, of all processes together.
        seed: what the choice of pairs, crops and flips is drawn from.
        num_held_out: the first so many pairs (by name) are kept out of training.
        num_classes: class numbers from 0 to one less may come; a pair with others is skipped. 0 takes the
            highest that comes in any map, all of which are read for it.
        first_class: number of the first class in the maps; with 1, 0 is the unlabelled; None takes what the
            layout says, which is 1 for ADE20K's and 0 else.

    Attributes:
        num_classes: as given or found.
        first_class: as given or found.

    Raises:
        TrainingError: the folder has too few pairs, or more than one photo in ten has no map.
        InputError: more classes than 8 bits have numbers for.
        PictureError: classes are to be found, and no map can be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        crop_px: int,
        batch_size: int,
        seed: int,
        num_held_out: int,
        num_classes: int = 0,
        first_class: int | None = None,
    ) -> None:
        if first_class not in (None, 0, 1):
            raise InputError(f"first_class: expected 0 or 1, got {first_class}")
        if not 0 <= num_classes <= UNLABELLED:
            raise InputError(f"num_classes: expected 1 to {UNLABELLED}, or 0 to find them, got {num_classes}")
        self._maps: dict[Path, Path] = {}
        self._first_class = first_class
        self.first_class = 0
        super().__init__(folder, crop_px=crop_px, batch_size=batch_size, seed=seed, num_held_out=num_held_out)
        self.num_classes = num_classes or count_classes(list(self._maps.values())) - self.first_class

    def _find(self, folder: Path) -> tuple[list[Path], list[Path] | None]:
        found = find_labelled(folder)
        self.notes += filter(None, [found.note])
        self._maps = found.training | (found.held_out or {})
        self.first_class = found.first_class if self._first_class is None else self._first_class
        return list(found.training), None if found.held_out is None else list(found.held_out)

    def _read(self, path: Path) -> NDArray[np.uint8]:
        pixels = super()._read(path)
        check_partner(path, self._maps[path])
        labels = numbered_from_0(read_labels(self._maps[path]), self.first_class)
        if labels.shape != pixels.shape[:2]:
            raise PictureError(
                f"{self._maps[path]}: expected the size of {path}, {pixels.shape[1]} x {pixels.shape[0]}, "
                f"got {labels.shape[1]} x {labels.shape[0]}"
            )
        check_labels(labels, self.num_classes, str(self._maps[path]))
        return np.concatenate([pixels, labels[..., None]], axis=2)

    def _scaled(self, pixels: NDArray[np.uint8], shorter_px: int) -> NDArray[np.uint8]:
        photo = super()._scaled(pixels[..., :3], shorter_px)
        size = photo.shape[1], photo.shape[0]
        labels = Image.fromarray(pixels[..., 3]).resize(size, Image.Resampling.NEAREST)
        return np.concatenate([photo, np.asarray(labels)[..., None]], axis=2)


def count_classes(paths: list[Path]) -> int:
    """Return one more than the highest class number in any of the maps that can be read.

    Raises:
        PictureError: none is a label map.
        TrainingError: nothing is labelled.
    """
    from tqdm import tqdm

    highest, problems = -1, []
    for path in tqdm(paths, "classes", unit="map", delay=2, leave=False, disable=not ranks.is_first()):
        try:
            counts = Image.fromarray(read_labels(path)).histogram()
        except PictureError as error:
            problems.append(error)  # is skipped, and told, with its photo
            continue
        highest = max(highest, *(i for i, count in enumerate(counts) if count and i != UNLABELLED), -1)
    if len(problems) == len(paths):
        raise problems[0]
    if highest < 0:
        raise TrainingError(f"{paths[0].parent}: expected maps with class numbers, all pixels are unlabelled")
    return highest + 1


def one_channel_a_class(labels: Tensor, num_classes: int) -> Tensor:
    """Return labels as `stylenorm.networks.SpadeGenerator` takes them, and the authors' code makes them.

    Args:
        labels: (N, 1, H, W), class numbers, `UNLABELLED` where there is none.
        num_classes: how many.

    Returns:
        (N, num_classes + 1, H, W), 1 in the channel of the class, 0 elsewhere; the last is the unlabelled.

    Example:
        >>> one_channel_a_class(torch.tensor([[[[1, 255]]]]), 2)[0, :, 0].tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    numbers = torch.where(labels == UNLABELLED, num_classes, labels.long())[:, 0]
    return F.one_hot(numbers, num_classes + 1).movedim(-1, 1).float()


def colored(labels: Tensor, num_classes: int) -> Tensor:
    """Return labels (N, 1, H, W) in colours to look at, (N, 3, H, W), 0..1; the unlabelled is black."""
    colors = [colorsys.hsv_to_rgb(i * _GOLDEN % 1, 0.65, 0.9) for i in range(num_classes)]
    table = torch.tensor([*colors, (0.0, 0.0, 0.0)], device=labels.device)
    return torch.einsum("nchw,cd->ndhw", one_channel_a_class(labels, num_classes), table)
