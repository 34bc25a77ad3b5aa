"""Pictures and masks made ready for networks, and what comes out of those made pictures again."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylenorm.media.pictures.picture import Metadata, Picture, to_uint8
from stylenorm.media.pictures.reading import read_picture
from stylenorm.media.pictures.transparency import fill_transparent

__all__ = ["finished_picture", "read_mask", "scaled_image"]


def scaled_image(picture: Picture, longer_px: int | None = None, *, enlarge: bool = False) -> Image.Image:
    """Return a picture's colours in 8 bits, scaled; what is hidden under alpha gets colours from near.

    Args:
        picture: what is scaled, by Lanczos' filter.
        longer_px: how long the longer side is to be; None for the picture's own.
        enlarge: whether smaller pictures are enlarged; they stay as they are otherwise.
    """
    pixels = picture.pixels if picture.alpha is None else fill_transparent(picture.pixels, picture.alpha)
    image = Image.fromarray(np.ascontiguousarray(to_uint8(pixels)))
    scale = 1.0 if longer_px is None else longer_px / max(image.size)
    if scale == 1 or (scale > 1 and not enlarge):
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def read_mask(path: str | os.PathLike[str], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return how bright a picture is, (H, W), 0 to 1, scaled by means of boxes to (width, height).

    Raises:
        PictureError: it cannot be read.
    """
    grey = read_picture(path).to_image().convert("L")
    image = grey if grey.size == size else grey.resize(size, Image.Resampling.BOX)
    brightness: NDArray[np.float32] = np.divide(np.asarray(image), 255, dtype=np.float32)
    return brightness


def finished_picture(photo: Picture, pixels: NDArray[np.uint8]) -> Picture:
    """Return what was made of a photo, with its alpha, and its metadata where the size is still the photo's.

    Args:
        photo: what it was made of.
        pixels: (H, W, 3) uint8, of whatever size.
    """
    height, width = pixels.shape[:2]
    whole = (height, width) == (photo.height, photo.width)
    alpha = None
    if photo.alpha is not None:
        image = Image.fromarray(np.ascontiguousarray(to_uint8(photo.alpha)))
        alpha = np.array(image if whole else image.resize((width, height), Image.Resampling.BILINEAR))
    return Picture(np.ascontiguousarray(pixels), alpha, photo.metadata if whole else Metadata())
