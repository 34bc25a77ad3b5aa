"""Spatially adaptive denormalization: scale and shift differ at every place of the picture."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stylenorm.errors import ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional.instance_norm import instance_norm

__all__ = ["spade"]


def spade(
    input: Tensor,  # noqa: A002 - torch's own name
    gamma: Tensor,
    beta: Tensor,
    *,
    eps: float = 1e-5,
    scale_offset: float = 1.0,
    **options: Any,
) -> Tensor:
    r"""Instance norm with maps of scale and shift, predicted elsewhere from a mask of labels.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} (1 + \gamma_{hw}) + \beta_{hw}

    Statistics as :func:`instance_norm`. Differs from the paper: there the statistics are those of batch norm;
    the reference code offers both, and :class:`stylenorm.nn.SPADE2d` does too.

    Args:
        input: features; any range.
        gamma: map of scales.
        beta: map of shifts.
        eps: added to the variance.
        scale_offset: added to gamma: 1 as the reference code has it, 0 as eq. 1 of the paper has it.
        **options: the other keyword arguments of :func:`instance_norm`.

    Shape: input (N, C, \*S); gamma and beta (N or 1, C or 1, \*S); returns (N, C, \*S).

    Raises:
        ShapeError: a map does not fit the input (message: expected, got).

    Reference: Park, Liu, Wang & Zhu 2019, arXiv:1903.07291.

    Example:
        >>> import torch
        >>> x = torch.rand(1, 2, 4, 4)
        >>> zero = torch.zeros(1, 2, 4, 4)
        >>> torch.equal(spade(x, zero, zero), instance_norm(x))
        True
    """
    checks.check_input(input)
    for name, value in (("gamma", gamma), ("beta", beta)):
        if isinstance(value, Tensor) and value.dim() != input.dim():
            raise ShapeError(
                f"{name}: expected a map (N, C, *{tuple(input.shape[2:])}), got {tuple(value.shape)}"
            )
        checks.check_affine(value, name, input)
    return instance_norm(input, weight=gamma, bias=beta, eps=eps, scale_offset=scale_offset, **options)
