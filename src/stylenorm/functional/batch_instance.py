"""Batch-instance norm: each channel learns how much of its style to keep."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.functional import _checks as checks
from stylenorm.functional._definition import compute_dtype
from stylenorm.functional.instance_norm import _put_back, instance_norm

__all__ = ["batch_instance_norm"]


def batch_instance_norm(
    input: Tensor,  # noqa: A002 - torch's own name
    gate: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""A learned mixture of batch norm and instance norm.

    .. math:: y = \gamma\,\big(\rho\,\hat x_{BN} + (1 - \rho)\,\hat x_{IN}\big) + \beta

    Both parts are biased (``correction=0``) and computed in float32 or better. In evaluation the batch part
    uses the running statistics and the instance part those of the sample.

    Args:
        input: features; any range.
        gate: :math:`\rho`, 1 for batch norm alone. It is used as it is; the paper keeps it in 0..1 by
            clipping after each step, as :meth:`stylenorm.nn.BatchInstanceNorm2d.clip_gate` does.
        running_mean: running mean of the batch part, updated in place in training.
        running_var: running variance (unbiased, as torch keeps it), likewise.
        weight: scale.
        bias: shift.
        training: measure the batch; else use the running statistics.
        momentum: weight of the new running statistics.
        eps: added to both variances.

    Shape: input (N, C, \*S); gate, running_mean, running_var (C,); weight, bias (C,) or (N, C).

    Raises:
        ShapeError: a tensor does not fit (message: expected, got).
        InputError: no running statistics where they are needed.

    Reference: Nam & Kim 2018, arXiv:1805.07925, eq. 4.

    Example:
        >>> import torch
        >>> x = torch.rand(4, 2, 3, 3)
        >>> torch.allclose(batch_instance_norm(x, torch.zeros(2)), instance_norm(x))
        True
    """
    checks.check_input(input)
    for name, value in (("gate", gate), ("running_mean", running_mean), ("running_var", running_var)):
        if value is not None or name == "gate":
            checks.check_like(value, name, input, (input.shape[1],))  # type: ignore[arg-type]
    checks.check_affine(weight, "weight", input)
    checks.check_affine(bias, "bias", input)
    checks.check_eps(eps)
    if not training and (running_mean is None or running_var is None):
        raise InputError("training=False: expected running_mean and running_var, got None")
    x = input.to(compute_dtype(input.dtype))
    rho = gate.to(x.dtype)
    batch = batch_norm(x, running_mean, running_var, rho, training, momentum, eps)
    mixed = batch + instance_norm(x, weight=1 - rho, eps=eps)
    return _put_back(mixed, weight, bias, None, None, 0.0, None).to(input.dtype)


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """Batch norm as torch has it; a batch with no element, or with one, does not train it and gives zeros."""
    if training and x.numel() <= x.shape[1]:
        return x * 0
    return F.batch_norm(x, running_mean, running_var, weight, None, training, momentum, eps)
