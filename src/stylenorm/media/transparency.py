"""Colour under transparent pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stylenorm.media.picture import Pixels

__all__ = ["fill_transparent"]


def fill_transparent(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Give fully transparent pixels the colour of what is visible near them.

    Editors leave black, white or rubbish under alpha 0. A network paints it with the rest, and its strokes
    would carry it across the edge of what is visible.

    The visible colours are averaged over squares of 2, 4, 8, ... pixels, and each hidden pixel takes the
    colour of the smallest square around it that holds a visible one (the push and pull of Gortler et al.,
    The Lumigraph, 1996, without its smoothing: nobody sees these pixels).

    Args:
        pixels: (H, W, 3) uint8 or uint16.
        alpha: (H, W), 0 where a pixel is hidden.

    Returns:
        The same shape and type; the same array if nothing is hidden, or everything is.
    """
    visible = alpha > 0
    if visible.all() or not visible.any():
        return pixels
    filled = _filled(pixels.astype(np.float32), visible)
    return np.where(visible[..., None], pixels, np.round(filled).astype(pixels.dtype))


def _filled(color: NDArray[np.float32], visible: NDArray[np.bool_]) -> NDArray[np.float32]:
    if visible.all():
        return color
    height, width = visible.shape
    odd = (height % 2, width % 2)
    weight = np.pad(visible, ((0, odd[0]), (0, odd[1]))).astype(np.float32)[..., None]
    color_sum = _square_sums(np.pad(color, ((0, odd[0]), (0, odd[1]), (0, 0))) * weight)
    weight_sum = _square_sums(weight)
    mean = (color_sum / np.maximum(weight_sum, 1.0)).astype(np.float32)
    coarse = _filled(mean, weight_sum[..., 0] > 0)
    below = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(visible[..., None], color, below)


def _square_sums(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values[0::2, 0::2] + values[1::2, 0::2] + values[0::2, 1::2] + values[1::2, 1::2]
