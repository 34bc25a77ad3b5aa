"""The Triton norm as operators of ``torch.library``, so that compilers take it as one node.

``stylenorm::triton_norm`` and ``stylenorm::triton_norm_backward``, with rules for fake tensors, autograd and
autocast. Where the kernels cannot run (on a CPU, without the interpreter) the operators compute the same in
torch operations, so that a graph that holds them runs anywhere.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylenorm.kernels import torch_norm, triton_norm
from stylenorm.kernels.rows import compute_dtype, fresh, is_channels_last

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


def _kernel(*arguments: Any) -> Any:
    """The module that computes: Triton's where it serves (x, weight, bias, residual, act), else torch's."""
    return triton_norm if triton_norm.covers(*arguments) is None else torch_norm


def _forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float,
    correction: int, act: str | None, slope: float,
) -> Outputs:  # fmt: skip
    kernel = _kernel(x, weight, bias, residual, act)
    y, stats = kernel.norm_forward(x, weight, bias, residual, eps, correction, act, slope)
    return y, *stats


def _backward(
    grad: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
    pivot: Tensor, mean: Tensor, inverse: Tensor, eps: float, correction: int, act: str | None, slope: float,
) -> Outputs:  # fmt: skip
    kernel, stats = _kernel(x, weight, bias, residual, act), (pivot, mean, inverse)
    dx, dw, db, dres = kernel.norm_backward(
        grad, x, weight, bias, residual, stats, eps, correction, act, slope
    )
    # An operator must not return its arguments: without an activation the rule below does.
    return dx, dw, db, dres.to(residual.dtype) if residual is not None and act else x.new_empty(0)


def _fake_forward(x: Tensor, *_: Any) -> Outputs:
    kind = compute_dtype(x.dtype)
    rows = x.shape[0] * x.shape[1]
    pivot, mean, inverse = (x.new_empty(rows, dtype=kind) for _ in range(3))
    return fresh(x, is_channels_last(x)), pivot, mean, inverse


def _fake_backward(*arguments: Any) -> Outputs:
    _, x, _, _, residual, _, _, _, _, _, act, _ = arguments
    channels_last, kind = is_channels_last(x), compute_dtype(x.dtype)
    dx = fresh(x, channels_last)
    dw, db = (x.new_empty(x.shape[:2], dtype=kind) for _ in range(2))
    if residual is None or act is None:
        return dx, dw, db, x.new_empty(0)
    return dx, dw, db, fresh(residual, channels_last)


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
