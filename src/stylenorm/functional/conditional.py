"""Conditional instance norm: one network, a row of (scale, shift) for each style."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional._modes import is_batched, is_traced
from stylenorm.functional.instance_norm import instance_norm

__all__ = ["conditional_instance_norm"]


def conditional_instance_norm(
    input: Tensor,  # noqa: A002 - torch's own name
    style: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float = 1e-5,
    **options: Any,
) -> Tensor:
    r"""Instance norm whose scale and shift are chosen, or mixed, from a table of styles.

    .. math:: y = \gamma_s \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta_s,\qquad
              \gamma_s = \sum_k m_k \gamma_k

    Statistics as :func:`instance_norm`: spatial axes, biased, float32 or better.

    Args:
        input: features; any range.
        style: integer labels, one a sample; or mixture weights over the styles, any reals.
        weight: table of scales.
        bias: table of shifts.
        eps: added to the variance.
        **options: the keyword arguments of :func:`instance_norm`: act, residual, mask, statistics, ...

    Shape:
        - input: (N, C, \*S); style: (N,) integers or (N, num_styles) or (1, num_styles) reals
        - weight, bias: (num_styles, C); returns (N, C, \*S), memory format of input

    Raises:
        ShapeError: the shapes do not fit together (message: expected, got).
        InputError: a label is not in the table.

    Reference: Dumoulin, Shlens & Kudlur 2017, arXiv:1610.07629.

    Example:
        >>> x, gamma, beta = torch.rand(2, 3, 4, 4), torch.ones(5, 3), torch.arange(15.0).reshape(5, 3)
        >>> conditional_instance_norm(x, torch.tensor([0, 4]), gamma, beta + 1).mean((2, 3)).round()
        tensor([[ 1.,  2.,  3.],
                [13., 14., 15.]])
    """
    checks.check_input(input)
    gamma, beta = pick_style(input, style, weight, "weight"), pick_style(input, style, bias, "bias")
    return instance_norm(input, weight=gamma, bias=beta, eps=eps, **options)


def pick_style(x: Tensor, style: Tensor, table: Tensor, name: str) -> Tensor:
    """Rows (N, C) of a table (num_styles, C), by label or as a mixture."""
    if table.dim() != 2 or table.shape[1] != x.shape[1]:
        raise ShapeError(f"{name}: expected shape (num_styles, {x.shape[1]}), got {tuple(table.shape)}")
    if not isinstance(style, Tensor):
        raise InputError(
            f"style: expected a torch.Tensor of labels or mixture weights, got {type(style).__name__}"
        )
    if style.is_floating_point():
        if style.dim() != 2 or style.shape[1] != table.shape[0] or style.shape[0] not in (1, x.shape[0]):
            raise ShapeError(
                f"style: expected mixture weights ({x.shape[0]}, {table.shape[0]}), got {tuple(style.shape)}"
            )
        # A sum of products, not a matmul: autocast leaves it in the table's type.
        return (style.to(table.dtype).unsqueeze(-1) * table).sum(1).expand(x.shape[0], -1)
    if style.dim() != 1 or style.shape[0] != x.shape[0]:
        raise ShapeError(f"style: expected labels of shape ({x.shape[0]},), got {tuple(style.shape)}")
    return table.index_select(0, checked_labels(style, table.shape[0]))


def checked_labels(style: Tensor, num_styles: int) -> Tensor:
    """Labels as int64, refused where they can be seen to be out of range (on the CPU, in eager mode)."""
    if style.dtype == torch.bool or style.is_complex():
        raise ShapeError(f"style: expected integer labels or real mixture weights, got {style.dtype}")
    watched = torch.compiler.is_compiling() or is_traced()
    if style.device.type == "cpu" and style.numel() and not watched and not is_batched(style):
        low, high = int(style.min()), int(style.max())
        if low < 0 or high >= num_styles:
            raise InputError(f"style: expected labels 0..{num_styles - 1}, got {low}..{high}")
    return style.long()
