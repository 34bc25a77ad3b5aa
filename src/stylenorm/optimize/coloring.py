"""Keeping the photo's colours while it is optimized.

Gatys, Bethge, Hertzmann, Shechtman, "Preserving Color in Neural Artistic Style Transfer", 2016
(arXiv:1606.05897). Here, unlike in a feed-forward network, the painting itself can be recoloured before
(section 3); or luminance alone is painted, with the painting's luminance moved to the photo's mean and
deviation, and the photo's colours are put back after (section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylenorm.colors import COLOR_METHODS
from stylenorm.configurations.optimizing import FREE_COLORS
from stylenorm.optimize.objective import StyleSource

__all__ = ["colored", "prepared"]

_LUMINANCE = "luminance"
_LUMA = (0.2126, 0.7152, 0.0722)  # Rec. 709, as in stylenorm.colors
_LEAST_DEVIATION = 1e-4


def prepared(photo: Tensor, sources: Sequence[StyleSource], colors: str) -> tuple[Tensor, list[StyleSource]]:
    """Return photo and paintings as they are to be optimized; see `OptimizeConfig` for ``colors``.

    With luminance, photo and paintings are grey, (1, 3, H, W) with three equal channels. A painting is
    measured under its mask, and the photo under the region that the painting is for.
    """
    if colors == FREE_COLORS:
        return photo, list(sources)
    if colors == _LUMINANCE:
        grey = _grey(photo)
        return grey, [replace(s, painting=_matched(_grey(s.painting), grey, s)) for s in sources]
    method = COLOR_METHODS[colors]
    changed = []
    for source in sources:
        painting = _pixels(source.painting)
        palettes = (
            method.measure(painting, _weights(source.painting_mask)),
            method.measure(_pixels(photo), _weights(source.photo_mask)),
        )
        recolored = method.recolor(*palettes)(painting, painting)
        changed.append(replace(source, painting=_tensor(recolored).to(source.painting)))
    return photo, changed


def colored(picture: Tensor, photo: Tensor, colors: str) -> Tensor:
    """Return a picture that was optimized in its final colours; ``photo`` is the original, of any size."""
    if colors != _LUMINANCE:
        return picture
    if photo.shape != picture.shape:
        size = (picture.shape[2], picture.shape[3])
        photo = torch.nn.functional.interpolate(photo, size=size, mode="bilinear", antialias=True)
    return _tensor(COLOR_METHODS[_LUMINANCE](_pixels(picture), _pixels(photo))).to(picture)


def _grey(picture: Tensor) -> Tensor:
    luma = (picture * picture.new_tensor(_LUMA).reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return luma.expand(-1, 3, -1, -1).clamp(0, 1).contiguous()


def _matched(painting: Tensor, photo: Tensor, source: StyleSource) -> Tensor:
    """The grey painting with the grey photo's mean and deviation."""
    mean, deviation = _moments(painting, source.painting_mask)
    target, spread = _moments(photo, source.photo_mask)
    return ((painting - mean) * (spread / deviation.clamp_min(_LEAST_DEVIATION)) + target).clamp(0, 1)


def _moments(grey: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    values = grey[:, :1]
    weights = torch.ones_like(values) if mask is None else mask
    mean = (values * weights).sum() / weights.sum()
    return mean, (((values - mean).square() * weights).sum() / weights.sum()).sqrt()


def _pixels(picture: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(picture[0].permute(1, 2, 0).float().cpu().numpy())


def _weights(mask: Tensor | None) -> NDArray[np.float32] | None:
    return None if mask is None else mask[0, 0].float().cpu().numpy()


def _tensor(pixels: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()
