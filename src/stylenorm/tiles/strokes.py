"""Strokes that grow with the print: a picture painted small, and enlarged with the photo's own detail.

A network's strokes are some pixels wide, whatever the picture: on a print of 100 megapixels they are fine
grain. Painted at 1/s of the size and enlarged by s, they are s times as wide, but soft. What sharpens them is
the photo: its detail finer than the small picture, d = photo - enlarged(small photo), is added in luma, by
the factor that the painting gave such detail where it could be seen, ``a = cov(photo, painting) /
(var(photo) + eps)`` in windows of the small pictures (the slope of the guided filter, He, Sun, Tang, PAMI
2013, and as in its fast form, He, Sun 2015, arXiv:1505.00996, enlarged): edges that the painting kept are
sharp again, edges that it painted over stay away, and nothing is sharpened the wrong way round.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylenorm.errors import InputError
from stylenorm.media import from_float, to_float

__all__ = ["carry_detail", "check_stroke_size", "shrunk"]

FloatArray = NDArray[np.float32]

_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_WINDOW = 4  # positions of the small picture to each side: about a stroke
_EPS = 1e-3  # of variance: what is flatter in the photo gets no detail, it would be noise
_MOST = 1.0  # detail is carried over, never exaggerated
_ROWS_AT_ONCE = 256
_REACH = 4  # of Lanczos: 3 positions of the coarser grid


def check_stroke_size(stroke_size: Any) -> None:
    """Refuse what is no size of strokes.

    Raises:
        InputError: less than 1, more than 64, or no number.
    """
    if not isinstance(stroke_size, numbers.Real) or not 1 <= float(stroke_size) <= 64:
        raise InputError(f"stroke size: expected 1 (the network's own) to 64 times that, got {stroke_size!r}")


def shrunk(photo: NDArray[Any], stroke_size: float) -> FloatArray:
    """Return a photo (H, W, 3) of any type at 1 / ``stroke_size`` of its size, (h, w, 3) float32, 0..1."""
    height, width = (max(1, round(side / stroke_size)) for side in photo.shape[:2])
    small = np.empty((height, width, 3), np.float32)
    for rows, strip in _resized(photo, height, width):
        small[rows] = strip.clip(0, 1)
    return small


def carry_detail(
    photo: NDArray[Any], small_photo: FloatArray, small_painting: FloatArray, out: NDArray[Any]
) -> None:
    """Enlarge a small painting, and carry the photo's detail over.

    Args:
        photo: (H, W, 3), of any type.
        small_photo: (h, w, 3) float32, what `shrunk` made of it.
        small_painting: (h, w, 3) float32, 0..1, its painting.
        out: (H, W, 3 or more) of the photo's type; its first three channels are written.
    """
    gain = _gain(small_photo @ _LUMA, small_painting @ _LUMA)
    layers = np.dstack([small_painting, small_photo @ _LUMA, gain])
    for rows, strip in _resized(layers, *photo.shape[:2]):
        detail = to_float(photo[rows, :, :3]) @ _LUMA - strip[..., 3]
        painting = strip[..., :3] + (strip[..., 4] * detail)[..., None]
        out[rows, :, :3] = from_float(painting.clip(0, 1), out.dtype)


def _gain(photo: FloatArray, painting: FloatArray) -> FloatArray:
    """How much of the photo's contrast the painting has, in windows; (h, w), 0..1."""
    mean, painted = _mean(photo), _mean(painting)
    covariance = _mean(photo * painting) - mean * painted
    variance = _mean(photo * photo) - mean * mean
    return np.asarray(covariance / (variance + _EPS), np.float32).clip(0, _MOST)


def _mean(plane: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of each window, borders replicated."""
    result = np.pad(plane.astype(np.float64), _WINDOW, mode="edge")
    size = 2 * _WINDOW + 1
    for axis in (0, 1):
        sums = np.cumsum(np.insert(result, 0, 0, axis=axis), axis=axis)
        end = np.take(sums, range(size, sums.shape[axis]), axis=axis)
        result = (end - np.take(sums, range(sums.shape[axis] - size), axis=axis)) / size
    return result


def _resized(image: NDArray[Any], height: int, width: int) -> Iterator[tuple[slice, FloatArray]]:
    """Yield an image resized by Lanczos, strip by strip: rows, and (h, width, C) float32."""
    ratio = image.shape[0] / height  # of source rows to a row
    around = int(np.ceil(_REACH * max(1.0, 1 / ratio)))  # real rows, so that strips fit together
    for top in range(0, height, _ROWS_AT_ONCE):
        bottom = min(top + _ROWS_AT_ONCE, height)
        start, end = max(0, top - around), min(height, bottom + around)
        first, last = int(start * ratio), min(image.shape[0], int(np.ceil(end * ratio)))
        source = to_float(image[first:last])
        box = (0.0, start * ratio - first, float(image.shape[1]), min(end * ratio, last) - first)
        strip = np.empty((end - start, width, image.shape[2]), np.float32)
        for channel in range(image.shape[2]):
            plane = Image.fromarray(np.ascontiguousarray(source[..., channel]))
            resized = plane.resize((width, end - start), Image.Resampling.LANCZOS, box=box)
            strip[..., channel] = np.asarray(resized)
        yield slice(top, bottom), strip[top - start : bottom - start]
