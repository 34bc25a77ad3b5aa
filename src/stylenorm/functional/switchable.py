"""Switchable norm: a learned mixture of the statistics of instance, layer and batch norm."""

from __future__ import annotations

import torch
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.functional import _checks as checks
from stylenorm.functional._definition import compute_dtype, moments, pad
from stylenorm.functional.instance_norm import _put_back

__all__ = ["switchable_norm"]


def switchable_norm(
    input: Tensor,  # noqa: A002 - torch's own name
    mean_weight: Tensor,
    var_weight: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    correction: int = 0,
) -> Tensor:
    r"""Normalize with a mixture of three pairs of statistics.

    .. math:: y = \gamma \frac{x - \sum_k p_k \mu_k}{\sqrt{\sum_k q_k \sigma_k^2 + \epsilon}} + \beta,\qquad
              p = softmax(w_\mu),\ q = softmax(w_\sigma),\ k \in \{in, ln, bn\}

    Instance statistics run over the spatial axes; those of layer and batch are built of them by the law of
    total variance, :math:`\overline{\sigma^2} + \overline{(\mu - \overline\mu)^2}`, in float32 or better.
    Differs from the reference code: that one takes :math:`\overline{\sigma^2 + \mu^2} - \overline\mu^2`,
    which loses digits under a large mean; its instance variance is unbiased (``correction=1`` here); and its
    ``momentum`` is the weight of the *old* running value (0.9 there is 0.1 here, as everywhere in torch).

    Args:
        input: features; any range.
        mean_weight: logits of the means: instance, layer and, where it has three, batch.
        var_weight: logits of the variances.
        running_mean: running mean of the batch part, updated in place in training.
        running_var: running variance of the batch part.
        weight: scale.
        bias: shift.
        training: measure the batch; else use the running statistics.
        momentum: weight of the new running statistics.
        eps: added to the mixed variance.
        correction: 0 divides the instance variance by L, 1 by L - 1.

    Shape: input (N, C, \*S); mean_weight, var_weight (3,) or, without the batch part, (2,); weight, bias
        (C,).

    Raises:
        ShapeError: a tensor does not fit (message: expected, got).
        InputError: no running statistics where they are needed.

    Reference: Luo, Ren, Peng, Zhang & Li 2019, arXiv:1806.10779, eq. 3 to 5.

    Example:
        >>> x = torch.rand(4, 2, 3, 3)
        >>> instance_only = torch.tensor([50.0, 0.0, 0.0])
        >>> y = switchable_norm(x, instance_only, instance_only)
        >>> bool(y.mean((2, 3)).abs().max() < 1e-5)
        True
    """
    checks.check_input(input)
    checks.check_eps(eps)
    checks.check_choice(correction, "correction", (0, 1))
    parts = 2 if isinstance(mean_weight, Tensor) and tuple(mean_weight.shape) == (2,) else 3
    for name, value in (("mean_weight", mean_weight), ("var_weight", var_weight)):
        checks.check_like(value, name, input, (parts,))
    for name, running in (("running_mean", running_mean), ("running_var", running_var)):
        if running is not None:
            checks.check_like(running, name, input, (input.shape[1],))
        elif parts == 3 and not training:
            raise InputError(f"training=False: expected {name}, got None")
    checks.check_affine(weight, "weight", input)
    checks.check_affine(bias, "bias", input)
    if input.numel() == 0:
        return _put_back(input * 1, weight, bias, None, None, 0.0, None).to(input.dtype)

    x = input.to(compute_dtype(input.dtype))
    mean_in, var_in, _ = moments(x, tuple(range(2, x.dim())), correction=correction)
    means, variances = [mean_in], [var_in]
    for axis in (1, 0)[: parts - 1]:  # over the channels: layer; over the samples: batch
        if axis == 0 and not training and running_mean is not None and running_var is not None:
            mean, var = (pad(r.to(x.dtype)[None], x) for r in (running_mean, running_var))
        else:
            mean = mean_in.mean(axis, keepdim=True)
            var = var_in.mean(axis, keepdim=True) + (mean_in - mean).square().mean(axis, keepdim=True)
        means.append(mean)
        variances.append(var)
    if training and parts == 3 and running_mean is not None and running_var is not None:
        with torch.no_grad():
            for running, new in ((running_mean, means[2]), (running_var, variances[2])):
                running.mul_(1 - momentum).add_(new.flatten().to(running.dtype), alpha=momentum)
    p, q = (w.to(x.dtype).softmax(0) for w in (mean_weight, var_weight))
    # Offsets from the instance mean are mixed, not the means: the centring keeps its digits.
    offset = sum((p[k] * (means[k] - mean_in) for k in range(1, parts)), torch.zeros_like(mean_in))
    mixed = sum((q[k] * variances[k] for k in range(1, parts)), q[0] * var_in)
    tiny = torch.finfo(x.dtype).tiny
    y = (x - mean_in - offset) * (mixed + max(eps, tiny)).rsqrt()
    return _put_back(y, weight, bias, None, None, 0.0, None).to(input.dtype)
