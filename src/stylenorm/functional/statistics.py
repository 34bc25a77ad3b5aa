"""Statistics of features as values: measured, merged exactly, and turned into a variance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import _checks as checks

__all__ = ["ChannelStatistics", "channel_statistics", "merge_statistics"]


@dataclass(frozen=True)
class ChannelStatistics:
    """What was taken out of a tensor: how many elements, their mean, and their centred second moment.

    Each is (N, C), or (C,) when taken over the batch; float64, whatever was measured.
    """

    count: Tensor
    mean: Tensor
    m2: Tensor

    def variance(self, correction: int = 0) -> Tensor:
        """The variance: ``m2 / (count - correction)``; 0 where nothing was counted."""
        return self.m2 / (self.count - correction).clamp_min(1)


def channel_statistics(
    input: Tensor,  # noqa: A002 - torch's own name
    *,
    mask: Tensor | None = None,
    over_batch: bool = False,
) -> ChannelStatistics:
    r"""Count, mean and centred second moment of each channel, in float64.

    .. math:: \mu = \frac{1}{L}\sum x,\qquad m_2 = \sum (x - \mu)^2

    Args:
        input: features; any range.
        mask: weights of the elements: 1 counts, 0 does not.
        over_batch: pool over the samples too, as batch norm does.

    Shape: input (N, C, \*S); mask broadcastable (N or 1, C or 1, \*S); returns (N, C) each, or (C,).

    Raises:
        ShapeError: input or mask has the wrong shape or dtype.

    Example:
        >>> stats = channel_statistics(torch.tensor([[[1.0, 2.0, 3.0, 6.0]]]))
        >>> stats.mean.item(), stats.m2.item(), round(stats.variance().item(), 3)
        (3.0, 14.0, 3.5)
    """
    checks.check_input(input)
    x = input.double()
    dims = tuple(d for d in range(x.dim()) if d > 1 or (d == 0 and over_batch))
    if mask is None:
        weights = torch.ones((), dtype=x.dtype, device=x.device).expand(x.shape)
    else:
        weights = checks.check_mask(mask, input).double()
        x = torch.where(weights > 0, x, torch.zeros_like(x))  # what does not count may hold anything
    count = weights.sum(dims, keepdim=True)
    safe = count.clamp_min(torch.finfo(x.dtype).tiny)
    # Twice: the second mean is of small numbers, so nothing is lost under a large mean.
    pivot = ((x * weights).sum(dims, keepdim=True) / safe).detach()
    shifted = (x - pivot) * weights
    above = shifted.sum(dims, keepdim=True) / safe
    m2 = ((x - pivot - above).square() * weights).sum(dims)
    shape = m2.shape
    return ChannelStatistics(count.reshape(shape), (pivot + above).reshape(shape), m2)


def merge_statistics(first: ChannelStatistics, *others: ChannelStatistics) -> ChannelStatistics:
    r"""Statistics of the union of disjoint parts, exactly, by Chan's formula.

    .. math:: n = n_a + n_b,\quad \delta = \mu_b - \mu_a,\quad \mu = \mu_a + \delta \frac{n_b}{n},\quad
              m_2 = m_{2a} + m_{2b} + \delta^2 \frac{n_a n_b}{n}

    Args:
        first: statistics of one part.
        *others: of the other parts; all of one shape.

    Shape: all (N, C) or all (C,); returns the same.

    Raises:
        ShapeError: the parts differ in shape.
        InputError: a part is no :class:`ChannelStatistics`.

    Reference: Chan, Golub & LeVeque 1979, Stanford STAN-CS-79-773, eq. 2.1.

    Example:
        >>> x = torch.arange(10.0).reshape(1, 1, 10)
        >>> whole = merge_statistics(channel_statistics(x[..., :3]), channel_statistics(x[..., 3:]))
        >>> whole.count.item(), whole.mean.item(), whole.m2.item()
        (10.0, 4.5, 82.5)
    """
    for part in (first, *others):
        if not isinstance(part, ChannelStatistics):
            raise InputError(f"statistics: expected ChannelStatistics, got {type(part).__name__}")
    merged = first
    for other in others:
        if merged.mean.shape != other.mean.shape:
            raise ShapeError(
                f"statistics: expected parts {tuple(first.mean.shape)}, got {tuple(other.mean.shape)}"
            )
        count = merged.count + other.count
        share = other.count / count.clamp_min(1e-300)
        delta = other.mean - merged.mean
        merged = ChannelStatistics(
            count, merged.mean + delta * share, merged.m2 + other.m2 + delta.square() * merged.count * share
        )
    return merged
