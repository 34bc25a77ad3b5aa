"""Gradients of the fused instance norm: by the kernels, or by operations that can be differentiated again.

They need the input; where it was overwritten, they compute what was normalized from the output.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from stylenorm.functional._definition import compute_dtype, gradients, normalize, pad
from stylenorm.functional._modes import is_batched
from stylenorm.kernels.activations import ACTIVATIONS
from stylenorm.kernels.c_norm import norm_backward
from stylenorm.kernels.operator import BACKWARD
from stylenorm.kernels.plain import has_python_dispatch, is_plain, is_watched
from stylenorm.kernels.rows import is_channels_last

__all__ = ["Options", "fused_gradients", "is_invertible"]

# In place, gradients are computed from the output. Where the shift is many times the scale, the output has
# too few digits of what was normalized: 16 times cost 4 of float32's 24 bits.
_MOST_SHIFT = 16.0


class Options(NamedTuple):
    """What is no tensor. ``inverse``: the output was kept for backward, not the input.

    ``direct``: by the C kernels, without the dispatcher; the statistics are left in this list. None: through
    the dispatcher, and the statistics are an output.
    """

    eps: float
    correction: int
    act: str | None
    slope: float
    direct: list[Tensor] | None = None
    inplace: bool = False
    inverse: bool = False

    @property
    def numbers(self) -> tuple[float, int, str | None, float]:
        """The last arguments of the operators."""
        return self.eps, self.correction, self.act, self.slope


def is_invertible(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, slopes: Tensor | None,
    given: Tensor | None, o: Options,
) -> bool:  # fmt: skip
    """Whether what was normalized can be computed from the output without losing digits that matter."""
    if given is not None or residual is not None:
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
        return monotone and (bias is None or bool((bias.abs() <= _MOST_SHIFT).all()))
    shift = torch.zeros((), dtype=weight.dtype, device=x.device) if bias is None else bias.abs()
    return bool(((weight.abs() > 1e-6) & (shift <= _MOST_SHIFT * weight.abs())).all())


def _narrowed(gradient: Tensor | None, like: Any) -> Tensor | None:
    """A gradient (N, C) as one of what came in: (C,), (1, C), (1,) or (N, C), and in its type."""
    if gradient is None or like is None:
        return None
    dtype, shape = like
    if gradient.shape != shape:
        same = gradient.dim() == 2 and gradient.shape[0] == 1 and gradient.shape[1:] == shape
        gradient = gradient[0] if same else gradient.sum_to_size(shape)
    return gradient if gradient.dtype == dtype else gradient.to(dtype)


def fused_gradients(
    grad: Tensor | None, saved: tuple[Any, ...], o: Options, given: bool, kinds: tuple[Any, ...],
    need: tuple[bool, ...],
) -> tuple[Any, ...]:  # fmt: skip
    """Gradients by the kernel; by plain operations where they are differentiated themselves, or wrapped.

    ``saved``: x, weight, bias, residual, slopes and statistics. ``kinds``: types and shapes of the four in
    the middle. ``need``: which gradients are wanted.
    """
    if grad is None:
        return (None,) * 5
    x, weight, bias, residual, slopes, stats = saved
    dslope = None
    if (
        torch.is_grad_enabled()
        or forward_ad._current_level >= 0
        or is_batched(grad)
        or has_python_dispatch(grad)
    ):
        dx, dw, db, dres, dslope = _by_definition(grad, x, weight, bias, residual, slopes, stats, o, given)
    else:
        if o.direct is not None and is_plain(grad) and not is_watched():
            slope = o.slope if slopes is None else slopes
            dx, sums, dres = norm_backward(
                grad,
                x,
                weight,
                bias,
                residual,
                stats,
                *o.numbers[:3],
                slope,
                given=given,
                inverse=o.inverse,
            )
        else:
            dx, sums, dres = BACKWARD(
                grad, x, weight, bias, residual, slopes, stats, *o.numbers, given, o.inverse
            )
        dw, db, dslope = sums.unbind()
        if residual is None:
            dres = grad  # the residual's gradient is the output's where no activation is between
    return (
        None if not need[0] else dx if dx.dtype == x.dtype else dx.to(x.dtype),
        *(
            _narrowed(d, like) if wanted else None
            for d, like, wanted in zip((dw, db, dres, dslope), kinds, need[1:5], strict=False)
        ),
    )


def _by_definition(
    grad: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
    slopes: Tensor | None, stats: Tensor, o: Options, given: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients as differentiable functions of everything that came in."""
    if o.inverse:
        raise RuntimeError(
            "instance_norm(inplace=True): expected a first derivative only, got create_graph=True or vmap; "
            "its input was overwritten; use inplace=False"
        )
    dtype, dims = compute_dtype(x.dtype), tuple(range(2, x.dim()))
    g, xf = grad.to(dtype), x.to(dtype)
    w, b, slope = (None if v is None else v.to(dtype).expand(x.shape[:2]) for v in (weight, bias, slopes))
    res = None if residual is None else residual.to(dtype)
    wide_w, wide_b, wide_s = (None if v is None else pad(v, xf) for v in (w, b, slope))
    xh = None
    if given:
        pivot, above, inverse = (pad(v.to(dtype), xf) for v in stats.unbind())
        xh = (xf - pivot - above) * inverse
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
            dslope = torch.where(negative, g * seen, torch.zeros_like(g)).sum(dims)
            g = torch.where(negative, g * wide_s, g)
        else:
            g = ACTIVATIONS[o.act].backward(g, seen, o.slope)
    if xh is None:
        dx, dw, db = gradients(g, xf, w, o.eps, o.correction)
    else:
        dx = g * inverse
        dx = dx if wide_w is None else dx * wide_w
        dw, db = (g * xh).sum(dims), g.sum(dims)
    return dx, dw, db, g, dslope
