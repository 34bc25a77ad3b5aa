"""The fused norm as one operator of torch: ``stylenorm::norm_act``, and ``stylenorm::norm_act_backward``.

Behind it stands the table of ``dispatch``; before it torch's dispatcher, so that negated, zero and wrapped
tensors come in resolved, and fake tensors, ``torch.func``, autocast, compilers, dispatch modes and the
profiler see an operator as they see torch's. How it is differentiated is said in ``functional._fused``.
Neither changes an argument: results that belong elsewhere are copied there by torch's own ``copy_``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylenorm.kernels.dispatch import Kernel, choose, extended
from stylenorm.kernels.rows import compute_dtype, fresh, is_channels_last

__all__ = ["BACKWARD", "FORWARD", "LIBRARY", "run_backward", "run_forward"]

LIBRARY: Any = torch.library.Library("stylenorm", "FRAGMENT")  # type: ignore[no-untyped-call]
# ``given`` and ``stats``: (3, N, C), pivot, mean above the pivot, reciprocal deviation. ``sums``: the
# gradients of weight, bias and the slopes of prelu, each (N, C).
LIBRARY.define(
    "norm_act(Tensor x, Tensor? weight, Tensor? bias, Tensor? residual, Tensor? slopes, Tensor? given, "
    "float eps, int correction, str? act, float slope) -> (Tensor y, Tensor stats)"
)
LIBRARY.define(
    "norm_act_backward(Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor? residual, "
    "Tensor? slopes, Tensor stats, float eps, int correction, str? act, float slope, bool given, "
    "bool inverse) -> (Tensor dx, Tensor sums, Tensor dres)"
)
FORWARD: Any = torch.ops.stylenorm.norm_act.default
BACKWARD: Any = torch.ops.stylenorm.norm_act_backward.default


def _wide(value: Tensor | None, x: Tensor) -> Tensor | None:
    return None if value is None else value.expand(x.shape[:2])


def run_forward(
    kernel: Kernel, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
    slopes: Tensor | None, given: Tensor | None, eps: float, correction: int, act: str | None, slope: float,
    out: Tensor | None = None, keep: bool = True,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """One kernel's forward: the result and, where ``keep``, the statistics."""
    if kernel.extended:
        arguments = (x, weight, bias, residual, eps, correction, act, slope if slopes is None else slopes)
        return kernel.forward(*arguments, out, given=given, keep=keep)  # type: ignore[no-any-return]
    wide = (_wide(weight, x), _wide(bias, x))
    y, stats = kernel.forward(x, *wide, residual, eps, correction, act, slope, out)
    return y, torch.stack(stats).view(3, *x.shape[:2]) if keep else None


def run_backward(
    kernel: Kernel, grad: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None,
    residual: Tensor | None, slopes: Tensor | None, stats: Tensor, eps: float, correction: int,
    act: str | None, slope: float, given: bool, inverse: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """One kernel's backward; the residual's gradient is None where it is the output's."""
    if kernel.extended:
        arguments = (
            x,
            weight,
            bias,
            residual,
            stats,
            eps,
            correction,
            act,
            slope if slopes is None else slopes,
        )
        return kernel.backward(grad, *arguments, given=given, inverse=inverse)  # type: ignore[no-any-return]
    wide, flat = (_wide(weight, x), _wide(bias, x)), stats.flatten(1).unbind()
    dx, dw, db, dres = kernel.backward(grad, x, *wide, residual, flat, eps, correction, act, slope)
    return dx, torch.stack((dw, db, torch.zeros_like(db))), None if residual is None or act is None else dres


def _forward(x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor]:
    weight, bias, residual, slopes, given, _, _, act, _ = arguments
    wants_more = slopes is not None or given is not None
    kernel = extended() if wants_more else choose(x, weight, bias, residual, act)
    y, stats = run_forward(kernel, x, *arguments)
    # An operator must not return its arguments.
    return y, x.new_empty(0) if given is not None or stats is None else stats


def _backward(grad: Tensor, x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    weight, bias, residual, slopes, _, _, _, act, _, given, inverse = arguments
    wants_more = slopes is not None or given or inverse
    kernel = extended() if wants_more else choose(x, weight, bias, residual, act)
    dx, sums, dres = run_backward(kernel, grad, x, *arguments)
    return dx, sums, x.new_empty(0) if dres is None else dres


def _fake_forward(x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor]:
    given = arguments[4]
    stats = x.new_empty((3, *x.shape[:2]), dtype=compute_dtype(x.dtype))
    return fresh(x, is_channels_last(x)), stats if given is None else x.new_empty(0)


def _fake_backward(_grad: Tensor, x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    residual, act = arguments[2], arguments[7]
    last = is_channels_last(x)
    sums = x.new_empty((3, *x.shape[:2]), dtype=compute_dtype(x.dtype))
    both = residual is not None and act is not None
    return fresh(x, last), sums, fresh(x, last) if both else x.new_empty(0)


class _Fold:
    """(B, N, ...) as (B * N, ...), so that a vmapped norm is a norm of a larger batch."""

    def __init__(self, size: int, x: Tensor, dim: int | None) -> None:
        self.size, shape = size, list(x.shape)
        if dim is not None:
            del shape[dim]
        self.n, self.c = shape[:2]

    def whole(self, value: Tensor | None, dim: int | None) -> Tensor | None:
        """A tensor (N, C, *S)."""
        if value is None:
            return None
        value = value.unsqueeze(0).expand(self.size, *value.shape) if dim is None else value.movedim(dim, 0)
        return value.flatten(0, 1)

    def factor(self, value: Tensor | None, dim: int | None) -> Tensor | None:
        """A tensor (C,), (1, C), (N, C) or (1,); as (B * N, C) unless all share it."""
        if value is None or (dim is None and value.dim() == 1):
            return value
        value = value.unsqueeze(0) if dim is None else value.movedim(dim, 0)
        value = value.unsqueeze(1) if value.dim() == 2 else value
        return value.expand(self.size, self.n, self.c).reshape(-1, self.c)

    def triple(self, value: Tensor | None, dim: int | None) -> Tensor | None:
        """A tensor (3, N, C)."""
        if value is None:
            return None
        value = (
            value.unsqueeze(1).expand(3, self.size, *value.shape[1:])
            if dim is None
            else value.movedim(dim, 1)
        )
        return value.reshape(3, -1, self.c)

    def back(self, value: Tensor, axis: int) -> Tensor:
        """Apart again, the vmapped axis at ``axis``; what is empty stays so."""
        if value.dim() == 1:
            return value.unsqueeze(0).expand(self.size, 0)
        shape = value.shape
        return value.view(*shape[:axis], self.size, self.n, *shape[axis + 1 :])

    def inputs(self, dims: Any, x: Tensor, arguments: Any) -> list[Tensor | None]:
        """x, weight, bias, residual, slopes and statistics."""
        ways = (self.whole, self.factor, self.factor, self.whole, self.factor, self.triple)
        return [way(v, d) for way, v, d in zip(ways, (x, *arguments[:5]), dims, strict=False)]


def _vmap_forward(info: Any, dims: Any, x: Tensor, *arguments: Any) -> tuple[Any, Any]:
    fold = _Fold(info.batch_size, x, dims[0])
    y, stats = FORWARD(*fold.inputs(dims, x, arguments), *arguments[5:])
    at = 1 if stats.dim() > 1 else 0
    return (fold.back(y, 0), fold.back(stats, 1)), (0, at)


def _vmap_backward(info: Any, dims: Any, grad: Tensor, x: Tensor, *arguments: Any) -> tuple[Any, Any]:
    fold = _Fold(info.batch_size, x, dims[1])
    inputs = fold.inputs(dims[1:], x, arguments)
    dx, sums, dres = BACKWARD(fold.whole(grad, dims[0]), *inputs, *arguments[5:])
    return (fold.back(dx, 0), fold.back(sums, 1), fold.back(dres, 0)), (0, 1, 0)


for _name, _run, _fake, _vmap in (
    ("norm_act", _forward, _fake_forward, _vmap_forward),
    ("norm_act_backward", _backward, _fake_backward, _vmap_backward),
):
    LIBRARY.impl(_name, _run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"stylenorm::{_name}", _fake, lib=LIBRARY)
    torch.library.register_vmap(f"stylenorm::{_name}", _vmap, lib=LIBRARY)
    # Autocast changes no type here: arithmetic is in float32 whatever comes in, and what comes out is of the
    # type of x, as torch's own instance norm leaves it.
    for _key in ("AutocastCPU", "AutocastCUDA"):
        LIBRARY.impl(_name, torch.library.fallthrough_kernel, _key)
