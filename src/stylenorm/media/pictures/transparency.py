"""Colour under transparent pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from stylenorm.media.pictures.picture import Pixels, to_uint8

__all__ = ["fill_transparent"]


def fill_transparent(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Give fully transparent pixels the colour of what is visible near them.

    Editors leave black, white or rubbish under alpha 0. A network paints it with the rest, and its strokes
    would carry it across the edge of what is visible.

    The visible colours are averaged over squares of 2, 4, 8, ... pixels, and each hidden pixel takes the
    colour of the smallest square around it that holds a visible one (the push and pull of Gortler et al.,
    The Lumigraph, 1996, without its smoothing, and in 8 bits: nobody sees these pixels).

    Args:
        pixels: (H, W, 3) uint8 or uint16.
        alpha: (H, W), 0 where a pixel is hidden.

    Returns:
        The same shape and type; the same array if nothing is hidden, or everything is.
    """
    hidden = alpha == 0
    if hidden.all() or not hidden.any():
        return pixels
    mask = Image.fromarray(np.where(hidden, np.uint8(0), np.uint8(255)))
    filled = np.array(_filled(Image.fromarray(to_uint8(pixels)), mask))
    if pixels.dtype == np.uint8:
        return filled
    return np.where(hidden[..., None], filled * np.uint16(257), pixels).astype(np.uint16, copy=False)


def _filled(color: Image.Image, visible: Image.Image) -> Image.Image:
    """Fill where ``visible`` is 0; it is 255 elsewhere, at least in one place."""
    if visible.getextrema()[0] == 255:
        return color
    masked = color.copy()
    masked.putalpha(visible)
    # premultiplied, so that hidden pixels have no weight in the mean of each 2 x 2
    halved = masked.convert("RGBa").reduce(2).convert("RGBA")
    seen = halved.getchannel("A").point([0] + [255] * 255)
    below = _filled(halved.convert("RGB"), seen)
    enlarged = below.resize((below.width * 2, below.height * 2), Image.Resampling.NEAREST)
    return Image.composite(color, enlarged.crop((0, 0, *color.size)), visible)
