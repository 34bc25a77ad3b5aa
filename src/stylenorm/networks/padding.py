"""Pictures and volumes whose sides are not multiples of what a network's strides ask for."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

__all__ = ["padded_to"]


def padded_to(x: Tensor, multiple: int | Sequence[int]) -> Tensor:
    """Return ``x`` (N, C, H, W) or (N, C, D, H, W), sides extended by their edge to multiples.

    Args:
        x: pictures or volumes.
        multiple: of all sides, or of each.

    Example:
        >>> import torch
        >>> padded_to(torch.zeros(1, 3, 5, 8), 4).shape
        torch.Size([1, 3, 8, 8])
    """
    sides = x.shape[2:]
    multiples = (multiple,) * len(sides) if isinstance(multiple, int) else multiple
    missing = tuple(-side % each for side, each in zip(sides, multiples, strict=True))
    if missing == (0,) * len(missing):
        return x
    return F.pad(x, [n for side in reversed(missing) for n in (0, side)], mode="replicate")
