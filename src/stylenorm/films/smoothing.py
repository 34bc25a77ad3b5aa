"""Blend each painted frame with the one before, moved along the motion of the film.

A convolutional network that works on a quarter of the grid does not paint a shifted picture as the shifted
painting: strokes crawl where the camera moves, and no choice of statistics changes that. So, as Ruder,
Dosovitskiy and Brox ("Artistic style transfer for videos", GCPR 2016, arXiv:1604.08610) warp the last
painting to start the next one from, here the last result is warped and averaged with the new painting:
``blend = w * warp(out[t-1]) + (1 - w) * painted[t]``, with ``w = 0`` where the film itself does not fit its
warped predecessor (occlusion, cuts, light that changes).

A mean of two textures that differ has less contrast than either: strokes wash out, and the style loss more
than triples (benchmarks/films.py). So, as Heitz and Neyret blend textures by example ("High-Performance
By-Example Noise using a Histogram-Preserving Blending Operator", 2018), the blend gets its variance back:
here band by band and place by place, to what the new painting has there. Of errors that are independent from
frame to frame, with ``g = 1 / sqrt(w^2 + (1 - w)^2)``, neighbours then differ by
``((1 - g w)^2 + (g - g w)^2) / 2`` of what they did: by 0.29 for w = 0.5, 0.17 for 0.6, 0.11 for 0.7; what
was alike in both keeps its contrast and gets no gain.

Differs from the paper: no optimization, motion by dense inverse search (Kroeger et al., ECCV 2016,
arXiv:1603.03590; OpenCV) on at most 480 lines, and the check is on the pictures instead of a second flow.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError, MissingExtraError

__all__ = ["FlowSmoother", "has_opencv", "import_opencv"]

_FLOW_LINES = 480
_FITS, _FITS_NOT = 6.0, 18.0  # difference of grey levels, in the mean over a small square
_SQUARE_PX = 5
_BANDS_PX, _FAST_BANDS_PX = (3, 7, 15), (5,)  # sides of the squares whose means part the bands
_STROKES = 3  # contrast is measured over so many times that side
_NOISE = np.float32(1.0)  # variance of grey levels that is not worth keeping
_MAX_GAIN = np.float32(3.0)


def has_opencv() -> bool:
    """Say whether OpenCV is installed; imports nothing."""
    return importlib.util.find_spec("cv2") is not None


def import_opencv(purpose: str) -> Any:
    """Import OpenCV.

    Raises:
        MissingExtraError: it is not installed.
    """
    if not has_opencv():
        raise MissingExtraError("opencv-python-headless", "video", purpose)
    import cv2

    return cv2


class FlowSmoother:
    """Call it with each photo and its painting in turn; `reset` it at a cut.

    Args:
        weight: of the past, 0 to 0.9; more is steadier.
        fast: coarser motion, and contrast in one band; for live pictures.

    Raises:
        InputError: the weight is out of range.
        MissingExtraError: OpenCV is not installed.
    """

    def __init__(self, weight: float = 0.6, *, fast: bool = False) -> None:
        if not 0 <= weight <= 0.9:
            raise InputError(f"smooth: expected 0 (off) to 0.9, got {weight:g}")
        self._cv2 = import_opencv("smoothing along the motion")
        preset = self._cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST if fast else self._cv2.DISOPTICAL_FLOW_PRESET_FAST
        self._search = self._cv2.DISOpticalFlow_create(preset)
        self._bands = _FAST_BANDS_PX if fast else _BANDS_PX
        self._warp = self._cv2.INTER_LINEAR if fast else self._cv2.INTER_CUBIC
        self._weight = weight
        self._last: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]] | None = None
        self._grid: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def reset(self) -> None:
        """Forget the past: a cut, or a jump."""
        self._last = None

    def __call__(self, photo: NDArray[np.uint8], painting: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the steadied painting.

        Args:
            photo: the film's frame, (H, W, 3) uint8.
            painting: what the network made of it, of the same shape.
        """
        cv2 = self._cv2
        grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)  # (H, W)
        height, width = grey.shape
        share = min(1.0, _FLOW_LINES / min(height, width))
        size = (max(round(width * share), 1), max(round(height * share), 1))
        small = grey if share == 1 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        if self._last is None or self._last[0].shape != grey.shape or min(size) < 16:
            self._last = (grey, small, painting)
            return painting
        last_grey, last_small, last_result = self._last
        flow = self._search.calc(small, last_small, None)  # (h, w, 2): where a pixel was before
        x, y = self._places(height, width)
        if share < 1:
            flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
            flow *= np.float32(1 / share)
        x, y = x + flow[..., 0], y + flow[..., 1]
        border = cv2.BORDER_REPLICATE
        past = cv2.remap(last_result, x, y, self._warp, borderMode=border)
        moved = cv2.remap(last_grey, x, y, cv2.INTER_LINEAR, borderMode=border)
        misfit = cv2.blur(cv2.absdiff(moved, grey), (_SQUARE_PX, _SQUARE_PX)).astype(np.float32)
        weight = np.clip((_FITS_NOT - misfit) / (_FITS_NOT - _FITS), 0, 1) * np.float32(self._weight)
        outside = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
        weight[outside] = 0
        blended: NDArray[np.uint8] = cv2.blendLinear(past, painting, weight, 1 - weight)
        result = self._with_contrast(blended, painting)
        self._last = (grey, small, result)
        return result

    def _with_contrast(self, blended: NDArray[np.uint8], painting: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give each band of a blend the local variance that the painting has; see the module's docstring."""
        cv2 = self._cv2
        rest, grey = blended.astype(np.float32), _grey(cv2, blended)  # (H, W, 3), (H, W)
        model = _grey(cv2, painting)
        result = np.zeros_like(rest)
        for side in self._bands:
            around = (_STROKES * side | 1,) * 2
            lower, lower_grey, lower_model = (cv2.blur(x, (side, side)) for x in (rest, grey, model))
            has = cv2.blur((grey - lower_grey) ** 2, around) + _NOISE
            wanted = cv2.blur((model - lower_model) ** 2, around) + _NOISE
            gain = np.clip(np.sqrt(wanted / has), 1 / _MAX_GAIN, _MAX_GAIN)
            detail = cv2.subtract(rest, lower)
            cv2.accumulateProduct(detail, cv2.merge([gain, gain, gain]), result)
            rest, grey, model = lower, lower_grey, lower_model
        result += rest
        steady: NDArray[np.uint8] = np.rint(result, out=result).clip(0, 255, out=result).astype(np.uint8)
        return steady

    def _places(self, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._grid is None or self._grid[0].shape != (height, width):
            y, x = np.mgrid[:height, :width].astype(np.float32)
            self._grid = (x, y)
        return self._grid


def _grey(cv2: Any, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey: NDArray[np.float32] = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey
