"""Label maps in: pictures whose pixel values are class numbers."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from stylenorm.errors import PictureError
from stylenorm.media.pictures.decoding import rawmode
from stylenorm.media.pictures.opening import MAX_MEGAPIXELS, PictureSource, Source, decoding, opened

__all__ = ["UNLABELLED", "check_labels", "numbered_from_0", "read_labels"]

UNLABELLED = 255
"""The pixel value of what has no class."""

_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
_STRETCHED = {"L;2": 85, "L;4": 17}  # greys of 2 and 4 bits, which Pillow spreads over 0..255
_COLORS = "a colour picture: number its classes, or let 'stylenorm train pix2pix' learn from the colours"
_KINDS = {"RGB": _COLORS, "RGBA": _COLORS, "LA": "grey with transparency"}
_EXPECTED = "expected a label map (a palette or grey PNG of at most 8 bits, its pixel values class numbers)"


def read_labels(
    source: PictureSource,
    num_classes: int | None = None,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> NDArray[np.uint8]:
    """Read a label map: what is at each pixel, as the number of its class.

    Palettes and colour profiles are only for looking at; it is the numbers that count.

    Args:
        source: a path, bytes, or a binary stream.
        num_classes: class numbers from 0 to one less may come; None allows all.
        max_megapixels: the largest picture that is read, in millions of pixels.

    Returns:
        (H, W); `UNLABELLED` where there is no class.

    Raises:
        PictureError: it is no picture, has colours, was compressed with loss, or has other numbers.
    """
    origin = Source.of(source, max_megapixels)
    with ExitStack() as stack:
        image = stack.enter_context(opened(origin, max_megapixels))
        stack.enter_context(decoding(origin.name, max_megapixels))
        if image.mode not in ("1", "L", "P") or image.format in _LOSSY:
            kind = _KINDS.get(image.mode, f"one of mode {image.mode}")
            if image.format in _LOSSY:
                kind = f"{image.format}, which does not keep numbers"
            raise PictureError(f"{origin.name}: {_EXPECTED}, got {kind}")
        step = _STRETCHED.get(rawmode(image.tile[0].args), 1) if isinstance(image, ImageFile.ImageFile) else 1
        image.load()
        labels: NDArray[np.uint8] = np.asarray(image).astype(np.uint8) // np.uint8(step)
    if num_classes is not None:
        check_labels(labels, num_classes, origin.name)
    return labels


def numbered_from_0(labels: NDArray[np.uint8], first_class: int) -> NDArray[np.uint8]:
    """Return class numbers from 0, of maps whose first class is number 1 and whose 0 is unlabelled.

    Args:
        labels: (H, W).
        first_class: 1, or 0 to change nothing.

    Example:
        >>> numbered_from_0(np.array([[0, 1, 150, 255]], np.uint8), 1).tolist()
        [[255, 0, 149, 255]]
    """
    if not first_class:
        return labels
    return np.where((labels == 0) | (labels == UNLABELLED), np.uint8(UNLABELLED), labels - np.uint8(1))


def check_labels(labels: NDArray[np.uint8], num_classes: int, name: str = "labels") -> None:
    """Refuse class numbers that there are not.

    Raises:
        PictureError: a number is neither below ``num_classes`` nor `UNLABELLED`; ``name`` is in the message.
    """
    counts = Image.fromarray(labels).histogram()  # numpy's would take 8 bytes a pixel
    wrong = [i for i, count in enumerate(counts) if count and i >= num_classes and i != UNLABELLED]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise PictureError(
            f"{name}: expected class numbers from 0 to {num_classes - 1}, or {UNLABELLED} where there is "
            f"none, got {wrong[0]}{more}; is it a label map, and of these classes?"
        )
