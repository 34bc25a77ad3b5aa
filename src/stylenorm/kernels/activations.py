"""The activations that can be fused behind a norm: forward, forward into a buffer, and backward.

Each is one row of a table, so that a kernel, the definition and the modules speak of the same set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["ACTIVATIONS", "Activation", "apply_activation"]

aten = torch.ops.aten


class Activation(NamedTuple):
    """One activation. ``slope`` is the slope of leaky_relu or the alpha of elu; the others ignore it."""

    forward: Callable[[Tensor, float], Tensor]
    into: Callable[[Tensor, float, Tensor], Tensor]  # the result is written to the third argument
    backward: Callable[[Tensor, Tensor, float], Tensor]  # grad_output, what came in, slope


def _silu_backward(grad: Tensor, z: Tensor, _: float) -> Tensor:
    if not torch.is_grad_enabled() and forward_ad._current_level < 0:
        return aten.silu_backward(grad, z)  # type: ignore[no-any-return]
    gate = torch.sigmoid(z)  # torch's own operator has no derivative
    return grad * (gate * (1 + z * (1 - gate)))


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(
        lambda z, _: F.relu(z),
        lambda z, _, out: torch.clamp_min(z, 0, out=out),
        lambda g, z, _: aten.threshold_backward(g, z, 0),
    ),
    "leaky_relu": Activation(
        F.leaky_relu,
        lambda z, slope, out: aten.leaky_relu.out(z, slope, out=out),
        lambda g, z, slope: aten.leaky_relu_backward(g, z, slope, False),
    ),
    "silu": Activation(
        lambda z, _: F.silu(z),
        lambda z, _, out: aten.silu.out(z, out=out),
        _silu_backward,
    ),
    "gelu": Activation(
        lambda z, _: F.gelu(z),
        lambda z, _, out: aten.gelu.out(z, out=out),
        lambda g, z, _: aten.gelu_backward(g, z),
    ),
    "elu": Activation(
        F.elu,
        lambda z, alpha, out: aten.elu.out(z, alpha, 1, 1, out=out),
        lambda g, z, alpha: aten.elu_backward(g, alpha, 1, 1, False, z),
    ),
}


def apply_activation(z: Tensor, act: str | None, slope: float, act_weight: Tensor | None = None) -> Tensor:
    """Apply an activation by name, in differentiable operations; ``None`` is the identity."""
    if act is None:
        return z
    if act == "prelu":
        assert act_weight is not None  # noqa: S101 - checked at the edge; for the type checker
        return F.prelu(z, act_weight.to(z.dtype))
    return ACTIVATIONS[act].forward(z, slope)
