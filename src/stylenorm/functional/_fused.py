"""Instance norm with its activation and residual in one call, and the ways that such a call goes.

The arithmetic is that of ``stylenorm.kernels``. Plain tensors that nobody watches go straight to the C
kernels; everything else goes through torch's dispatcher, to the same kernels behind ``stylenorm::norm_act``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch._functorch import autograd_function
from torch.autograd import forward_ad
from torch.autograd.profiler import record_function

from stylenorm.functional._definition import compute_dtype, moments, pad, reciprocal_deviation
from stylenorm.functional._fused_gradients import Options, fused_gradients, is_invertible
from stylenorm.kernels.activations import apply_activation
from stylenorm.kernels.c_norm import fits, norm_forward, quick_backward, quick_forward
from stylenorm.kernels.operator import FORWARD, LIBRARY
from stylenorm.kernels.plain import is_plain, is_watched

__all__ = ["norm_act", "quick"]

NAME = "stylenorm::norm_act"


class NormAct(torch.autograd.Function):
    """The fused norm, differentiated, for all that `QuickNormAct` is not for."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
        slopes: Tensor | None, given: Tensor | None, o: Options,
    ) -> Any:  # fmt: skip
        kept = x
        direct = o.direct
        if direct is None:
            with torch._C._AutoDispatchBelowAutograd():
                y, stats = FORWARD(x, weight, bias, residual, slopes, given, *o.numbers)
            ctx.mark_non_differentiable(stats)
        else:
            if o.inplace:
                o = o._replace(inverse=is_invertible(x, weight, bias, residual, slopes, given, o))
                kept = x if o.inverse else x.clone()
                ctx.mark_dirty(x)
            y, stats = _direct(x, weight, bias, residual, slopes, given, o, x if o.inplace else None)
            direct.append(stats)
        ctx.options, ctx.given = o, given is not None
        ctx.dtypes = tuple(
            None if v is None else (v.dtype, v.shape) for v in (weight, bias, residual, slopes)
        )
        needs_bias = o.act is not None or o.inverse
        ctx.save_for_backward(
            kept, weight, bias if needs_bias else None, residual if o.act else None, slopes,
            stats if given is None else given,
        )  # fmt: skip
        ctx.set_materialize_grads(False)
        return (y, stats) if direct is None else y

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
        needs = ctx.needs_input_grad
        return (
            *fused_gradients(grad, ctx.saved_tensors, ctx.options, ctx.given, ctx.dtypes, needs),
            None,
            None,
        )


class QuickNormAct(torch.autograd.Function):
    """The common call, which ``fits`` and nobody watches; the profiler shows the name of this class.

    A tiny norm takes a microsecond, so that what is not asked and not made here is most of what can be saved.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float,
        act: str | None, slope: float,
    ) -> Tensor:  # fmt: skip
        shape = x.shape
        stats = x.new_empty((3, shape[0], shape[1]), dtype=compute_dtype(x.dtype))
        ctx.numbers = eps, act, slope
        ctx.set_materialize_grads(False)
        kept = (None, None) if act is None else (bias, residual)
        ctx.has = bias is not None, residual is not None
        ctx.save_for_backward(x, weight, *kept, stats)
        return quick_forward(x, weight, bias, residual, eps, act, slope, stats)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
        if grad is None:
            return (None,) * 7
        x, weight, bias, residual, stats = ctx.saved_tensors
        eps, act, slope = ctx.numbers
        needs = ctx.needs_input_grad
        if (
            torch.is_grad_enabled()
            or not is_plain(grad)
            or is_watched()
            or grad.stride() != x.stride()
            or grad.dtype != x.dtype
        ):
            shape = (stats.dtype, x.shape[1:2])
            kinds = (shape, shape if ctx.has[0] else None, (x.dtype, x.shape) if ctx.has[1] else None, None)
            saved = (x, weight, bias, residual, None, stats)
            o = Options(eps, 0, act, slope, [])
            return (*fused_gradients(grad, saved, o, False, kinds, (*needs[:4], False))[:4], None, None, None)
        dx, sums, dres = quick_backward(grad, x, weight, bias, residual, stats, eps, act, slope)
        dw, db = (sums[:, 0] if sums.shape[1] == 1 else sums.sum(1)).unbind()
        return (
            dx if needs[0] else None,
            dw if needs[1] else None,
            db if needs[2] else None,
            (grad if dres is None else dres) if needs[3] else None,
            None,
            None,
            None,
        )


def _direct(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, slopes: Tensor | None,
    given: Tensor | None, o: Options, out: Tensor | None, keep: bool = True,
) -> tuple[Tensor, Any]:  # fmt: skip
    slope = o.slope if slopes is None else slopes
    return norm_forward(
        x, weight, bias, residual, o.eps, o.correction, o.act, slope, out, given=given, keep=keep
    )


_apply: Any = NormAct.apply
# Past what torch asks for ``torch.func``, whose transforms ``is_watched`` has excluded.
_apply_quick: Any = super(torch.autograd.Function, QuickNormAct).apply
# Inside of a transform of ``torch.func`` the dispatcher calls the rule below level by level, and each is
# differentiated as if it were the only one.
_apply_one_level: Any = super(torch.autograd.Function, NormAct).apply


def _autograd(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, slopes: Tensor | None,
    given: Tensor | None, eps: float, correction: int, act: str | None, slope: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The operator's rule for autograd and for forward-mode differentiation."""
    tensors = (x, weight, bias, residual, slopes, given)
    if forward_ad._current_level >= 0:
        return _definition(*tensors, eps, correction, act, slope)
    if torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in tensors):
        o = Options(eps, correction, act, slope)
        if not torch._C._are_functorch_transforms_active():
            return _apply(*tensors, o)  # type: ignore[no-any-return]
        with autograd_function.enable_single_level_autograd_function():  # type: ignore[attr-defined]
            return _apply_one_level(*tensors, o)  # type: ignore[no-any-return]
    with torch._C._AutoDispatchBelowAutograd():
        return FORWARD(*tensors, eps, correction, act, slope)  # type: ignore[no-any-return]


LIBRARY.impl("norm_act", _autograd, "Autograd")


def _definition(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, slopes: Tensor | None,
    given: Tensor | None, eps: float, correction: int, act: str | None, slope: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The operator in plain operations, each of which has its own rules; statistics with a pivot of zero."""
    xf = x.to(compute_dtype(x.dtype))
    if given is None:
        mean, var, centred = moments(xf, tuple(range(2, x.dim())), correction=correction)
        inverse = reciprocal_deviation(var, eps)
        stats = torch.stack((torch.zeros_like(mean), mean, inverse)).detach().view(3, *x.shape[:2])
    else:
        pivot, above, inverse = (pad(v.to(xf.dtype), xf) for v in given.unbind())
        centred, stats = xf - pivot - above, x.new_empty(0)
    y = centred * inverse
    for value, put in ((weight, torch.mul), (bias, torch.add)):
        y = y if value is None else put(y, pad(value.to(y.dtype).expand(x.shape[:2]), y))
    y = y if residual is None else y + residual.to(y.dtype)
    return apply_activation(y, act, slope, slopes).to(x.dtype), stats


def _observed() -> AbstractContextManager[Any] | None:
    """What names the norm in a profile, where one is being taken."""
    return record_function(NAME) if torch._C._autograd._profiler_enabled() else None


def bump(x: Tensor) -> None:
    """Say that ``x`` was written to, so that autograd refuses what it saved of it."""
    if not x.is_inference():
        torch.autograd.graph.increment_version(x)


def quick(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float,
    act: str | None, slope: float,
) -> Tensor | None:  # fmt: skip
    """The common call, which nobody watches: None where it is not that, or is wrong."""
    if not isinstance(x, Tensor) or is_watched() or not fits(x, weight, bias, residual, eps, act):
        return None
    observed = _observed()
    if observed is not None:
        with observed:
            return _quick(x, weight, bias, residual, eps, act, slope)
    return _quick(x, weight, bias, residual, eps, act, slope)


def _quick(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float,
    act: str | None, slope: float,
) -> Tensor:  # fmt: skip
    if torch.is_grad_enabled() and (
        x.requires_grad
        or (weight is not None and weight.requires_grad)
        or (bias is not None and bias.requires_grad)
        or (residual is not None and residual.requires_grad)
    ):
        y: Tensor = _apply_quick(x, weight, bias, residual, eps, act, slope)
        return y
    return quick_forward(x, weight, bias, residual, eps, act, slope, None)


def norm_act(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    correction: int,
    act: str | None,
    slope: float,
    *,
    direct: bool,
    slopes: Tensor | None = None,
    given: Tensor | None = None,
    out: Tensor | None = None,
    inplace: bool = False,
    keep: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """The differentiable fused norm; weight and bias (C,), (1, C) or (N, C).

    ``direct``: all are plain, nobody watches, and the C kernels are meant. ``slopes`` of prelu and ``given``
    statistics, (3, N, C) in the computing type: pivot, mean above it, reciprocal deviation. ``out`` only
    where nothing is differentiated. ``keep``: return the statistics.
    """
    tensors = (x, weight, bias, residual, slopes, given)
    differentiated = torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in tensors)
    if not direct:
        # What is overwritten must not be what is kept.
        source = x.clone() if inplace and differentiated else x
        y, stats = FORWARD(source, *tensors[1:], eps, correction, act, slope)
        if inplace:
            return x.copy_(y), stats
        return (y if out is None else out.copy_(y)), stats
    kept: list[Tensor] = []
    o = Options(eps, correction, act, slope, kept, inplace)
    with _observed() or nullcontext():
        if differentiated:
            y = _apply(*tensors, o)
            return y, kept[0] if given is None else None
        target = x if inplace else out
        y, stats = _direct(*tensors, o, target, keep)
    if target is not None:
        bump(target)
    return y, stats
