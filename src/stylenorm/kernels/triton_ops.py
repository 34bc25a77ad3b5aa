"""The Triton norm as operators of ``torch.library``, so that compilers take it as one node.

``stylenorm::triton_norm`` and ``stylenorm::triton_norm_backward``, with rules for fake tensors, autograd and
autocast. Where the kernels cannot run (on a CPU, without the interpreter) the operators compute the
definition in plain torch, so that a graph that holds them runs anywhere.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stylenorm.kernels import triton_norm

__all__ = ["norm_act"]

Outputs = tuple[Tensor, Tensor, Tensor, Tensor]

_FORWARD = (
    "(Tensor x, Tensor? weight, Tensor? bias, Tensor? residual, float eps, int correction, str? act, "
    "float slope) -> (Tensor, Tensor, Tensor, Tensor)"
)
_BACKWARD = (
    "(Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor? residual, Tensor pivot, Tensor mean, "
    "Tensor inverse, float eps, int correction, str? act, float slope) -> (Tensor, Tensor, Tensor, Tensor)"
)


aten = torch.ops.aten
# Forward (z, slope) and backward (gradient, z, slope) of the activations, below autograd.
_ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "relu": (lambda z, _: F.relu(z), lambda g, z, _: aten.threshold_backward(g, z, 0)),
    "leaky_relu": (F.leaky_relu, lambda g, z, slope: aten.leaky_relu_backward(g, z, slope, False)),
    "silu": (lambda z, _: F.silu(z), lambda g, z, _: aten.silu_backward(g, z)),
    "gelu": (lambda z, _: F.gelu(z), lambda g, z, _: aten.gelu_backward(g, z)),
    "elu": (F.elu, lambda g, z, alpha: aten.elu_backward(g, alpha, 1, 1, False, z)),
}


def _shaped(
    xh: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, factor: float
) -> Tensor:
    """What the activation sees, from normalized rows (N, C, L)."""
    z = xh * factor
    if weight is not None:
        z = z * weight.to(z.dtype)[..., None]
    if bias is not None:
        z = z + bias.to(z.dtype)[..., None]
    return z if residual is None else z + residual.flatten(2).to(z.dtype)


def _plain_forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float,
    correction: int, act: str | None, slope: float,
) -> Outputs:  # fmt: skip
    rows = x.to(triton_norm.compute_dtype(x.dtype)).flatten(2)
    root_eps, factor = triton_norm.effective(eps, correction, rows.shape[2])
    pivot = rows[..., :1]
    mean = (rows - pivot).mean(2, keepdim=True)
    centred = rows - pivot - mean
    var = centred.square().mean(2, keepdim=True) + root_eps**2
    inverse = torch.where(var > 0, var, torch.finfo(var.dtype).tiny).rsqrt()
    z = _shaped(centred * inverse, weight, bias, residual, factor)
    z = z if act is None else _ACTIVATIONS[act][0](z, slope)
    y = torch.empty_like(x, memory_format=_layout(x)).copy_(z.view(x.shape))
    return y, pivot.reshape(-1).clone(), mean.reshape(-1), inverse.reshape(-1)


def _plain_backward(
    grad: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
    stats: tuple[Tensor, ...], correction: int, act: str | None, slope: float,
) -> Outputs:  # fmt: skip
    kind, n, c = stats[0].dtype, *x.shape[:2]
    pivot, mean, inverse = (s.view(n, c, 1) for s in stats)
    _, factor = triton_norm.effective(0.0, correction, x[0, 0].numel())
    xh = (x.to(kind).flatten(2) - pivot - mean) * inverse
    d = grad.to(kind).flatten(2)
    if act is not None:
        d = _ACTIVATIONS[act][1](d, _shaped(xh, weight, bias, residual, factor), slope)
    along = (d * xh).mean(2, keepdim=True)
    dx = (d - d.mean(2, keepdim=True) - xh * along) * inverse * factor
    if weight is not None:
        dx = dx * weight.to(kind)[..., None]
    dw, db = (d * xh).sum(2) * factor, d.sum(2)
    dx = torch.empty_like(x, memory_format=_layout(x)).copy_(dx.view(x.shape))
    dres = (
        dx
        if residual is None
        else torch.empty_like(residual, memory_format=_layout(x)).copy_(d.view(x.shape))
    )
    return dx, dw, db, dres


def _layout(x: Tensor) -> torch.memory_format:
    if not triton_norm.is_channels_last(x):
        return torch.contiguous_format
    return torch.channels_last if x.dim() == 4 else torch.channels_last_3d


def _runs(x: Tensor) -> bool:
    return x.is_cuda or (x.device.type == "cpu" and triton_norm.interpreted())


def _forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float,
    correction: int, act: str | None, slope: float,
) -> Outputs:  # fmt: skip
    if x.numel() and not _runs(x):
        return _plain_forward(x, weight, bias, residual, eps, correction, act, slope)
    y, stats = triton_norm.norm_forward(x, weight, bias, residual, eps, correction, act, slope)
    return y, *stats


def _backward(
    grad: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
    pivot: Tensor, mean: Tensor, inverse: Tensor, eps: float, correction: int, act: str | None, slope: float,
) -> Outputs:  # fmt: skip
    stats = (pivot, mean, inverse)
    if x.numel() and not _runs(x):
        dx, dw, db, dres = _plain_backward(grad, x, weight, bias, residual, stats, correction, act, slope)
    else:
        dx, dw, db, dres = triton_norm.norm_backward(
            grad, x, weight, bias, residual, stats, eps, correction, act, slope
        )
    # An operator must not return its arguments: without an activation the rule below does.
    return dx, dw, db, dres if residual is not None and act is not None else x.new_empty(0)


def _fake_forward(x: Tensor, *_: Any) -> Outputs:
    kind = triton_norm.compute_dtype(x.dtype)
    rows = x.shape[0] * x.shape[1]
    pivot, mean, inverse = (x.new_empty(rows, dtype=kind) for _ in range(3))
    return torch.empty_like(x, memory_format=_layout(x)), pivot, mean, inverse


def _fake_backward(*arguments: Any) -> Outputs:
    _, x, _, _, residual, _, _, _, _, _, act, _ = arguments
    layout, kind = _layout(x), triton_norm.compute_dtype(x.dtype)
    dx = torch.empty_like(x, memory_format=layout)
    dw, db = (x.new_empty(x.shape[:2], dtype=kind) for _ in range(2))
    if residual is None or act is None:
        return dx, dw, db, x.new_empty(0)
    return dx, dw, db, torch.empty_like(residual, memory_format=layout)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Outputs) -> None:
    x, weight, bias, residual, *ctx.options = inputs
    act = ctx.options[2]
    ctx.dtypes = tuple(None if v is None else v.dtype for v in (weight, bias))
    ctx.has_residual = residual is not None
    if residual is not None:
        ctx.residual_dtype = residual.dtype
    ctx.save_for_backward(x, weight, bias if act else None, residual if act else None, *output[1:])
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
    if grad is None:
        return (None,) * 8
    dx, dw, db, dres = _backward_op(grad, *ctx.saved_tensors, *ctx.options)
    if not ctx.has_residual:
        dres = None
    elif ctx.options[2] is None:
        dres = grad.to(ctx.residual_dtype)
    dw, db = (None if t is None else d.to(t) for d, t in zip((dw, db), ctx.dtypes, strict=True))
    return dx, dw, db, dres, None, None, None, None


_forward_op: Any = torch.library.custom_op(
    "stylenorm::triton_norm", _forward, mutates_args=(), schema=_FORWARD
)
_forward_op.register_fake(_fake_forward)
_forward_op.register_autograd(_gradients, setup_context=_remember)
_backward_op: Any = torch.library.custom_op(
    "stylenorm::triton_norm_backward", _backward, mutates_args=(), schema=_BACKWARD
)
_backward_op.register_fake(_fake_backward)
# Autocast changes no type here: arithmetic is in float32 whatever comes in, and what comes out is of the
# type of x, as torch's own instance norm leaves it.
_autocast: Any = torch.library.Library("stylenorm", "FRAGMENT")  # type: ignore[no-untyped-call]
for _name in ("triton_norm", "triton_norm_backward"):
    for _key in ("AutocastCUDA", "AutocastCPU"):
        _autocast.impl(_name, torch.library.fallthrough_kernel, _key)


def norm_act(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    correction: int,
    act: str | None,
    slope: float,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """The differentiable operator; weight and bias (C,), (1, C) or (N, C), and statistics (N, C) each."""
    shape = x.shape[:2]
    w, b = (None if v is None else v.expand(shape) for v in (weight, bias))
    y, *stats = _forward_op(x, w, b, residual, eps, correction, act, slope)
    pivot, mean, inverse = (s.view(shape) for s in stats)
    return y, (pivot, mean, inverse)
