"""Filter response normalization and the thresholded linear unit that belongs behind it."""

from __future__ import annotations

import torch
from torch import Tensor

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional._definition import compute_dtype
from stylenorm.functional.instance_norm import _put_back

__all__ = ["filter_response_norm", "thresholded_linear_unit"]


def filter_response_norm(
    input: Tensor,  # noqa: A002 - torch's own name
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    threshold: Tensor | None = None,
    eps: float | Tensor = 1e-6,
) -> Tensor:
    r"""Divide each channel by its root mean square; no mean is subtracted and no batch is looked at.

    .. math:: y = \max\Big(\gamma \frac{x}{\sqrt{\nu^2 + |\epsilon|}} + \beta,\ \tau\Big),\qquad
              \nu^2 = \frac{1}{L}\sum x^2

    The mean square runs over the spatial axes of each sample and channel, in float32 or better; the result is
    rounded once. Any spatial rank, also a single element (where the paper learns ``eps``).

    Args:
        input: features; any range.
        weight: scale.
        bias: shift.
        threshold: :math:`\tau` of the thresholded linear unit; None leaves it out.
        eps: a number, or a learned tensor, whose absolute value is used.

    Shape: input (N, C, \*S); weight, bias (C,), (N, C) or maps; threshold (C,) or (1,); eps also (C,) or
        (1,).

    Raises:
        ShapeError: a tensor does not fit (message: expected, got).
        InputError: eps is a negative number.

    Reference: Singh & Krishnan 2020, arXiv:1911.09737, eq. 1 to 3.

    Example:
        >>> filter_response_norm(torch.tensor([[[3.0, -3.0]]]), threshold=torch.zeros(1), eps=0.0)
        tensor([[[1., 0.]]])
    """
    checks.check_input(input)
    checks.check_affine(weight, "weight", input)
    checks.check_affine(bias, "bias", input)
    x = input.to(compute_dtype(input.dtype))
    if isinstance(eps, Tensor):
        added: float | Tensor = _per_channel(eps, "eps", input).to(x.dtype).abs()
    else:
        checks.check_eps(eps)
        added = eps
    square = x.square().mean(tuple(range(2, x.dim())), keepdim=True) + added
    if isinstance(added, float) and added == 0:  # a plane of zeros stays zero
        inverse = torch.where(square > 0, square, torch.ones_like(square)).rsqrt()
    else:
        inverse = square.rsqrt()
    y = _put_back(x * inverse, weight, bias, None, None, 0.0, None)
    if threshold is not None:
        y = torch.maximum(y, _per_channel(threshold, "threshold", input).to(y.dtype))
    return y.to(input.dtype)


def thresholded_linear_unit(input: Tensor, threshold: Tensor) -> Tensor:  # noqa: A002 - torch's own name
    r"""A rectifier with a learned threshold: :math:`\max(x, \tau)`.

    Args:
        input: features; any range.
        threshold: :math:`\tau`, of each channel or one for all.

    Shape: input (N, C, \*S); threshold (C,) or (1,); returns as input.

    Raises:
        ShapeError: threshold does not fit (message: expected, got).

    Reference: Singh & Krishnan 2020, arXiv:1911.09737, eq. 3.

    Example:
        >>> thresholded_linear_unit(torch.tensor([[[-2.0, 2.0]]]), torch.tensor([-1.0]))
        tensor([[[-1.,  2.]]])
    """
    checks.check_input(input)
    return torch.maximum(input, _per_channel(threshold, "threshold", input).to(input.dtype))


def _per_channel(value: Tensor, name: str, x: Tensor) -> Tensor:
    """A (C,) or (1,) tensor, broadcastable against ``x``."""
    if not isinstance(value, Tensor):
        raise InputError(f"{name}: expected a torch.Tensor, got {type(value).__name__}")
    if tuple(value.shape) not in ((x.shape[1],), (1,)):
        raise ShapeError(f"{name}: expected shape ({x.shape[1]},) or (1,), got {tuple(value.shape)}")
    checks.check_device(value, name, x)
    return value.reshape(1, -1, *(1,) * (x.dim() - 2))
