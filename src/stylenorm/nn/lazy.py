"""Instance norms that learn their number of channels from the first input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylenorm.nn.instance_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d

__all__ = ["LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d"]


class _Lazy:
    def forward(self, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize; by now the first input was seen, and this is what it became."""
        norm: Any = self
        if not norm.num_features and norm.weight is not None:  # loaded, and so never told by torch
            norm.num_features = len(norm.weight)
        y: Tensor = type(norm).forward(norm, input, *args, **kwargs)
        return y


class LazyInstanceNorm1d(_Lazy, torch.nn.LazyInstanceNorm1d):
    """An :class:`InstanceNorm1d` whose ``num_features`` are those of its first input.

    Arguments and defaults are torch's: unlike those of :class:`InstanceNorm1d`, ``affine`` and
    ``track_running_stats`` are True.

    Args:
        eps: added to the variance.
        momentum: weight of the new running statistics.
        affine: learn a scale and a shift.
        track_running_stats: keep running statistics, and use them in evaluation.
        device: of the parameters.
        dtype: of the parameters.

    Shape: (N, C, L) or (C, L); returns the same.

    Example:
        >>> norm = LazyInstanceNorm1d()
        >>> _ = norm(torch.rand(2, 3, 8))
        >>> type(norm).__name__, norm.num_features
        ('InstanceNorm1d', 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_Lazy, torch.nn.LazyInstanceNorm2d):
    """An :class:`InstanceNorm2d` that learns its channels; see :class:`LazyInstanceNorm1d`."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_Lazy, torch.nn.LazyInstanceNorm3d):
    """An :class:`InstanceNorm3d` that learns its channels; see :class:`LazyInstanceNorm1d`."""

    cls_to_become = InstanceNorm3d
