"""Training photos of one contrast: what Huang and Belongie trained on to tell contrast from style."""

from __future__ import annotations

import torch
from torch import Tensor

from stylenorm.errors import UnknownNameError

__all__ = ["PREPARATIONS", "equalize_luminance", "prepare"]

PREPARATIONS = ("original", "contrast-normalized", "style-normalized")
_LUMA = (0.299, 0.587, 0.114)  # BT.601


def prepare(photos: Tensor, how: str) -> Tensor:
    """Return photos (N, 3, H, W), RGB, 0..1, as they are or with their contrast normalized.

    Raises:
        UnknownNameError: neither of the two (style needs a network: see `stylenorm.lab.training`).
    """
    if how == "original":
        return photos
    if how == "contrast-normalized":
        return equalize_luminance(photos)
    raise UnknownNameError("preparation", how, PREPARATIONS)


def equalize_luminance(photos: Tensor) -> Tensor:
    """Equalize the histogram of each photo's luminance (BT.601); chroma is kept and clipped to 0..1.

    Exact: pixels are ranked, and equal ones share their mean rank, so a flat photo becomes an even grey.

    Shape: (N, 3, H, W) to the same, RGB, 0..1.
    """
    weights = photos.new_tensor(_LUMA).reshape(1, 3, 1, 1)
    luma = (photos * weights).sum(dim=1)  # (N, H, W)
    equalized = torch.stack([_ranks(plane) for plane in luma])
    return (photos + (equalized - luma)[:, None]).clamp(0, 1)


def _ranks(plane: Tensor) -> Tensor:
    """The share of pixels below each one, equal ones counted half; (H, W), 0..1."""
    _, inverse, counts = torch.unique(plane.flatten(), return_inverse=True, return_counts=True)
    below = counts.cumsum(0) - counts
    share: Tensor = (below + 0.5 * counts) / plane.numel()
    return share[inverse].reshape(plane.shape)
