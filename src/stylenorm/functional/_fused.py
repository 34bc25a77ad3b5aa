"""Instance norm with its activation and residual in one call: gradients, their gradients, and vmap.

The arithmetic is that of ``stylenorm.kernels``: plain tensors in, plain tensors out. What torch wants to know
of an operator is said here, once for all kernels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from stylenorm.functional._definition import compute_dtype, gradients, normalize, pad
from stylenorm.functional._modes import is_batched
from stylenorm.kernels.activations import ACTIVATIONS
from stylenorm.kernels.dispatch import Kernel, choose
from stylenorm.kernels.rows import is_channels_last
from stylenorm.kernels.torch_norm import Stats

__all__ = ["Options", "norm_act"]

# In place, gradients are computed from the output. Where the shift is many times the scale, the output has
# too few digits of what was normalized: 16 times cost 4 of float32's 24 bits.
MOST_SHIFT = 16.0


class Options(NamedTuple):
    """What is no tensor. ``inverse``: the output was kept for backward, not the input."""

    kernel: Kernel
    eps: float
    correction: int
    act: str | None
    slope: float
    given: bool = False
    inplace: bool = False
    inverse: bool = False


def _wide(value: Tensor | None, x: Tensor, kernel: Kernel) -> Tensor | None:
    return value if value is None or kernel.extended else value.expand(x.shape[:2])


def _forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, slopes: Tensor | None,
    given: Stats | None, o: Options, out: Tensor | None, keep: bool,
) -> tuple[Tensor, Stats | None]:  # fmt: skip
    kernel = o.kernel
    arguments = (x, _wide(weight, x, kernel), _wide(bias, x, kernel), residual, o.eps, o.correction, o.act)
    if not kernel.extended:
        return kernel.forward(*arguments, o.slope, out)  # type: ignore[no-any-return]
    slope = o.slope if slopes is None else slopes
    return kernel.forward(*arguments, slope, out, given=given, keep=keep)  # type: ignore[no-any-return]


def _fold(value: Tensor | None, dim: int | None, size: int) -> Tensor | None:
    """(B, N, ...) to (B * N, ...), so that a vmapped norm is a norm of a larger batch."""
    if value is None:
        return None
    value = value.unsqueeze(0).expand(size, *value.shape) if dim is None else value.movedim(dim, 0)
    return value.flatten(0, 1)


def _unfold(value: Tensor, size: int) -> Tensor:
    return value.view(size, value.shape[0] // max(size, 1), *value.shape[1:])


class _Eager(torch.autograd.Function):
    """The fused norm for plain eager mode. Statistics are outputs too, (N, C) each."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
        slopes: Tensor | None, mean: Tensor | None, rstd: Tensor | None, o: Options,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        given = None if mean is None or rstd is None else (mean, torch.zeros_like(mean), rstd)
        kept = x
        if o.inplace:
            o = o._replace(inverse=_invertible(x, weight, bias, residual, slopes, o))
            kept = x if o.inverse else x.clone()
        y, stats = _forward(x, weight, bias, residual, slopes, given, o, x if o.inplace else None, True)
        assert stats is not None  # noqa: S101 - asked for; for the type checker
        pivot, above, r = (s.view(x.shape[:2]) for s in stats)
        if o.inplace:
            ctx.mark_dirty(x)
            y = x
        _remember(ctx, (kept, weight, bias, residual, slopes), o, (pivot, above, r), given is None)
        if given is not None:  # constants that came in are not handed out again
            pivot, above, r = (torch.empty(0) for _ in range(3))
        ctx.mark_non_differentiable(pivot, above, r)
        return y, pivot, above, r

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
        return (*_gradients(ctx, grad), None, None, None)


class _Transformed(torch.autograd.Function):
    """The same in the form that ``torch.func`` can transform; binding its arguments costs 0.1 ms a call."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, o: Options
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        y, stats = _forward(x, weight, bias, residual, None, None, o, None, True)
        assert stats is not None  # noqa: S101 - asked for; for the type checker
        pivot, mean, rstd = (s.view(x.shape[:2]) for s in stats)
        return y, pivot, mean, rstd

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _remember(ctx, (*inputs[:4], None), inputs[4], output[1:], True)
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
        return (*_gradients(ctx, grad)[:4], None)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        size = info.batch_size
        folded = [_fold(a, d, size) for a, d in zip(args[:4], in_dims[:4], strict=True)]
        outputs = _forward_transformed(*folded, args[4])
        return tuple(_unfold(o, size) for o in outputs), (0, 0, 0, 0)


def _invertible(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, slopes: Tensor | None,
    o: Options,
) -> bool:  # fmt: skip
    """Whether what was normalized can be computed from the output without losing digits that matter."""
    if not o.kernel.extended or o.given or residual is not None:
        return False
    if not (x.is_contiguous() or is_channels_last(x)):
        return False
    if x.dtype not in (torch.float32, torch.float64):
        return False  # the output of half a type's digits would stand for the input
    if o.act == "leaky_relu":
        monotone = o.slope >= 1e-3
    elif o.act == "prelu" and slopes is not None:
        monotone = bool((slopes >= 1e-3).all())
    else:
        monotone = o.act is None
    if not monotone or weight is None:
        return monotone and (bias is None or bool((bias.abs() <= MOST_SHIFT).all()))
    shift = torch.zeros((), dtype=weight.dtype) if bias is None else bias.abs()
    return bool(((weight.abs() > 1e-6) & (shift <= MOST_SHIFT * weight.abs())).all())


def _remember(
    ctx: Any, inputs: tuple[Tensor | None, ...], o: Options, stats: tuple[Tensor, ...], measured: bool
) -> None:
    """Keep ``x`` and the statistics; shift and residual too where an activation needs them again."""
    x, weight, bias, residual, slopes = inputs
    ctx.options = o
    ctx.dtypes = tuple(None if v is None else (v.dtype, v.shape) for v in (weight, bias, residual, slopes))
    needs_bias = o.act is not None or o.inverse
    ctx.save_for_backward(
        x, weight, bias if needs_bias else None, residual if o.act else None, slopes, *stats
    )
    ctx.set_materialize_grads(False)
    ctx.measured = measured


def _narrowed(gradient: Tensor | None, like: Any) -> Tensor | None:
    """A gradient (N, C) as one of what came in: (C,), (1, C), (1,) or (N, C), and in its type."""
    if gradient is None or like is None:
        return None
    dtype, shape = like
    if gradient.shape != shape:
        same = gradient.dim() == 2 and gradient.shape[0] == 1 and gradient.shape[1:] == shape
        gradient = gradient[0] if same else gradient.sum_to_size(shape)
    return gradient if gradient.dtype == dtype else gradient.to(dtype)


def _gradients(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
    """Gradients by the kernel; by plain operations where they are differentiated themselves, or vmapped."""
    if grad is None:
        return (None,) * 5
    x, weight, bias, residual, slopes, *stats = ctx.saved_tensors
    o: Options = ctx.options
    dslope = None
    if torch.is_grad_enabled() or is_batched(grad):
        dx, dw, db, dres, dslope = _by_definition(grad, x, weight, bias, residual, slopes, stats, o)
    else:
        wide = (_wide(weight, x, o.kernel), _wide(bias, x, o.kernel))
        if o.kernel.extended:
            slope = o.slope if slopes is None else slopes
            flat = tuple(s.reshape(-1) for s in stats)
            dx, dw, db, dres, dslope = o.kernel.backward(
                grad, x, *wide, residual, flat, o.eps, o.correction, o.act, slope, given=o.given,
                inverse=o.inverse,
            )  # fmt: skip
        else:
            flat = tuple(s.reshape(-1) for s in stats)
            dx, dw, db, dres = o.kernel.backward(
                grad, x, *wide, residual, flat, o.eps, o.correction, o.act, o.slope
            )
        if residual is None:
            dres = grad  # the residual's gradient is the output's where no activation is between
    need = ctx.needs_input_grad
    return (
        None if not need[0] else dx if dx.dtype == x.dtype else dx.to(x.dtype),
        *(
            _narrowed(d, like) if wanted else None
            for d, like, wanted in zip((dw, db, dres, dslope), ctx.dtypes, need[1:5], strict=False)
        ),
    )


def _by_definition(
    grad: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
    slopes: Tensor | None, stats: list[Tensor], o: Options,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients as differentiable functions of everything that came in."""
    if o.inverse:
        raise RuntimeError(
            "instance_norm(inplace=True): expected a first derivative only, got create_graph=True or vmap; "
            "its input was overwritten; use inplace=False"
        )
    dtype = compute_dtype(x.dtype)
    g, xf = grad.to(dtype), x.to(dtype)
    w, b, slope = (None if v is None else v.to(dtype).expand(x.shape[:2]) for v in (weight, bias, slopes))
    res = None if residual is None else residual.to(dtype)
    wide_w, wide_b, wide_s = (None if v is None else pad(v, xf) for v in (w, b, slope))
    xh = None
    if o.given:
        xh = (xf - pad(stats[0].to(dtype), xf)) * pad(stats[2].to(dtype), xf)
    dslope = None
    if o.act is not None:
        if xh is None:
            seen = normalize(xf, wide_w, wide_b, o.eps, correction=o.correction)
        else:
            seen = xh if wide_w is None else xh * wide_w
            seen = seen if wide_b is None else seen + wide_b
        seen = seen if res is None else seen + res
        if wide_s is not None:
            negative = seen <= 0
            dslope = torch.where(negative, g * seen, torch.zeros_like(g)).flatten(2).sum(2)
            g = torch.where(negative, g * wide_s, g)
        else:
            g = ACTIVATIONS[o.act].backward(g, seen, o.slope)
    if xh is None:
        dx, dw, db = gradients(g, xf, w, o.eps, o.correction)
    else:
        dx = g * pad(stats[2].to(dtype), xf)
        dx = dx if wide_w is None else dx * wide_w
        dw, db = (g * xh).flatten(2).sum(2), g.flatten(2).sum(2)
    return dx, dw, db, g, dslope


_forward_eager: Any = _Eager.apply
_forward_transformed: Any = _Transformed.apply


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
    slopes: Tensor | None = None,
    given: tuple[Tensor, Tensor] | None = None,
    out: Tensor | None = None,
    inplace: bool = False,
    kernel: Kernel | None = None,
    keep: bool = True,
) -> tuple[Tensor, Stats | None]:
    """The differentiable fused norm; weight and bias (C,), (1, C) or (N, C).

    ``slopes`` of prelu and ``given`` statistics (mean, reciprocal deviation; (N, C), in the computing type)
    want an extended kernel. ``out`` only where nothing is differentiated. ``keep``: return the statistics.
    """
    if kernel is None:
        kernel = choose(x, weight, bias, residual, act)
    o = Options(kernel, eps, correction, act, slope, given is not None, inplace)
    if torch._C._are_functorch_transforms_active():
        shape = x.shape[:2]
        w, b = (None if v is None else v.expand(shape) for v in (weight, bias))
        y, *stats = _forward_transformed(x, w, b, residual, o)
    elif torch.is_grad_enabled() and any(
        v is not None and v.requires_grad for v in (x, weight, bias, residual, slopes)
    ):
        mean, rstd = (None, None) if given is None else given
        y, *stats = _forward_eager(x, weight, bias, residual, slopes, mean, rstd, o)
    else:
        constants = None if given is None else (given[0], torch.zeros_like(given[0]), given[1])
        target = x if inplace else out
        return _forward(x, weight, bias, residual, slopes, constants, o, target, keep)
    return y, (stats[0], stats[1], stats[2])
