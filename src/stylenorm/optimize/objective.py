"""The loss of a picture: one photo's content, and the styles of paintings, weighted and by region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.errors import InputError, ShapeError
from stylenorm.perceptual import PaintingLoss, PaintingTerms, Region

__all__ = ["Objective", "StyleSource", "check_sources", "resized"]

_LEAST_COVER = 1e-4  # of a region, in the photo or in its painting: below it, there is nothing to compare


@dataclass(frozen=True, eq=False)
class StyleSource:
    """A painting, how much it counts, and where.

    Attributes:
        painting: (1, 3, h, w), RGB, 0..1, at the size whose strokes are wanted.
        weight: share among the paintings of the same region; they are made to sum to 1.
        painting_mask: (1, 1, h, w), 0..1: the part of the painting that is looked at; None is all of it.
        photo_mask: (1, 1, H, W), 0..1: the region of the photo that is painted so; None is all of it. Sources
            that share a region share the same tensor, or None.
    """

    painting: Tensor
    weight: float = 1.0
    painting_mask: Tensor | None = None
    photo_mask: Tensor | None = None


class Objective:
    """Content, style and palette loss of one picture at one size.

    Every source's style loss is relative to its own painting and measured inside its own region by guided
    statistics; sources count by weight, regions by their share of the photo, so that a small region is
    painted as strongly as a large one. Without masks, and with one painting, this is `PaintingLoss`.

    Args:
        loss: the losses.
        photo: (1, 3, H, W), RGB, 0..1.
        sources: at least one; paintings and masks at the size that goes with ``photo``.

    Raises:
        InputError: there is no source, or a mask is empty.
        ShapeError: a mask does not fit its picture.
    """

    def __init__(self, loss: PaintingLoss, photo: Tensor, sources: Sequence[StyleSource]) -> None:
        check_sources(photo, sources)
        self.loss = loss
        self.content = loss.content_target(photo)
        self.regions = [
            Region(share, loss.target(source.painting, source.painting_mask), source.photo_mask)
            for source, share in zip(sources, _shares(sources), strict=True)
        ]

    def __call__(self, x: Tensor) -> PaintingTerms:
        """Compare ``x`` (1, 3, H, W) with the photo and the paintings."""
        return self.loss.regions(x, self.content, self.regions)


def check_sources(photo: Tensor, sources: Sequence[StyleSource]) -> None:
    """Check that there is a source, that weights are positive, and that masks fit and are not black.

    Raises:
        InputError: there is no source, a weight is not positive, or a mask is empty.
        ShapeError: a mask does not fit its picture.
    """
    if not sources:
        raise InputError("paintings: expected at least one, got none")
    for source in sources:
        if not 0 < source.weight < float("inf"):
            raise InputError(f"weight of a painting: expected more than 0, got {source.weight:g}")
        _check_mask("mask of the photo", source.photo_mask, photo)
        _check_mask("mask of a painting", source.painting_mask, source.painting)


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale a picture or mask (1, C, H, W) to ``size``: averages where it shrinks, cubic where it grows.

    Contiguous: a picture that was permuted from (H, W, C) makes every convolution slower.
    """
    if tuple(picture.shape[-2:]) != size:
        picture = F.interpolate(picture, size=size, mode="bicubic", align_corners=False, antialias=True)
    return picture.clamp(0, 1).contiguous(memory_format=torch.contiguous_format)


def _shares(sources: Sequence[StyleSource]) -> list[float]:
    """Of the style loss: a source's weight in its region, times the region's share of all regions."""
    keys = [id(source.photo_mask) for source in sources]
    areas = {
        key: 1.0 if s.photo_mask is None else float(s.photo_mask.mean())
        for key, s in zip(keys, sources, strict=True)
    }
    weights = {key: sum(s.weight for s, k in zip(sources, keys, strict=True) if k == key) for key in areas}
    whole = sum(areas.values())
    return [s.weight / weights[key] * areas[key] / whole for s, key in zip(sources, keys, strict=True)]


def _check_mask(what: str, mask: Tensor | None, picture: Tensor) -> None:
    if mask is None:
        return
    expected = (1, 1, *picture.shape[-2:])
    if tuple(mask.shape) != expected:
        raise ShapeError(f"{what}: expected {expected}, got {tuple(mask.shape)}")
    if not float(mask.mean()) >= _LEAST_COVER:
        raise InputError(f"{what}: expected some of it to be white, got {float(mask.mean()):.2%} on average")
