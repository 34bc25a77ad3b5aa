"""Instance norm with its activation and residual in one call: forward, backward, and their vmap rules.

This file is the seam for faster kernels: ``norm_forward`` and ``norm_backward`` work on plain tensors and may
be replaced as a pair; everything above them (autograd, double backward, vmap) stays.

How the numbers are kept, in plain torch operations:

- A plane (one sample's one channel) is always read as one contiguous row, whatever the layout of the input,
  and all arithmetic of a row depends on that row alone. No reduction is long enough to be split over
  threads. So layout, batch companions and the number of threads cannot change a bit of the result.
- A pivot is subtracted first: the row's first element, plus the mean of a sample of the row above it. Hence
  constant rows become exactly zero, and a large mean costs no digits.
- Rows are worked in blocks that fit the cache, so that the passes after the first cost little.
- Rows whose variance overflows or vanishes in the computing type are done again in float64, scaled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylenorm.functional._activations import ACTIVATIONS
from stylenorm.functional._definition import compute_dtype, gradients, normalize, pad
from stylenorm.functional._modes import is_batched
from stylenorm.functional._rows import (
    awkward,
    blocks,
    effective,
    exact,
    flat,
    fresh,
    from_rows,
    is_channels_last,
    row_pivot,
    to_rows,
)

__all__ = ["norm_act", "norm_backward", "norm_forward"]

Stats = tuple[Tensor, Tensor, Tensor]  # pivot, mean above the pivot, reciprocal deviation: each (N * C,)


def _part(value: Tensor | None, start: int, stop: int) -> Tensor | None:
    return None if value is None else value[start:stop]


def _group_norm(
    rows: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    r, length = rows.shape
    y, mean, rstd = torch.native_group_norm(rows.view(1, r, length), weight, bias, 1, r, length, r, eps)
    return y.view(r, length), mean.view(r), rstd.view(r)


def norm_forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    correction: int,
    act: str | None,
    slope: float,
) -> tuple[Tensor, Stats]:
    """``act(norm(x) * weight + bias + residual)``; weight and bias (N, C), the rest (N, C, *S)."""
    dtype = compute_dtype(x.dtype)
    count = x.shape[0] * x.shape[1]
    if x.numel() == 0:
        empty = x.new_empty(count, dtype=dtype)
        return torch.empty_like(x), (empty, empty.clone(), empty.clone())
    length = x.numel() // count
    channels_last = is_channels_last(x)
    rows = to_rows(x, channels_last)
    res = None if residual is None else to_rows(residual, channels_last)
    inner_eps, factor = effective(eps, correction, length, dtype)
    w, b = flat(weight, dtype, factor), flat(bias, dtype)
    if w is None and factor != 1.0:
        w = torch.full((count,), factor, dtype=dtype, device=x.device)
    result = fresh(x, channels_last)  # not a view: callers may write to it in place
    out = torch.empty_like(rows) if channels_last else result.view(count, length)
    parts: list[Stats] = []
    for start, stop in blocks(count, length, x):
        block = rows[start:stop].to(dtype)
        p = row_pivot(block)
        y, m, r = _group_norm(block - p, _part(w, start, stop), _part(b, start, stop), inner_eps)
        _finish(y, _part(res, start, stop), act, slope, out[start:stop])
        parts.append((p.view(-1), m, r))
    stats = parts[0] if len(parts) == 1 else _join(parts)
    bad = awkward(stats[1], stats[2], eps)
    if bad is not None:
        y, _ = exact(rows[bad], eps, correction)
        y = _scaled(y, weight, bias, bad)
        fixed = torch.empty_like(y)
        _finish(y, None if res is None else res[bad].double(), act, slope, fixed)
        out[bad] = fixed.to(out.dtype)
    return from_rows(out, result) if channels_last else result, stats


def _join(parts: list[Stats]) -> Stats:
    pivot, mean, rstd = (torch.cat(p) for p in zip(*parts, strict=True))
    return pivot, mean, rstd


def _scaled(y: Tensor, weight: Tensor | None, bias: Tensor | None, pick: Tensor) -> Tensor:
    """Scale and shift the picked rows."""
    if weight is not None:
        y = y * weight.reshape(-1)[pick].double()[:, None]
    return y if bias is None else y + bias.reshape(-1)[pick].double()[:, None]


def _finish(y: Tensor, residual: Tensor | None, act: str | None, slope: float, out: Tensor) -> None:
    """Residual and activation, written to ``out`` with one rounding."""
    if residual is not None:
        y = y.add_(residual)
    if act is None:
        out.copy_(y)
    elif out.dtype == y.dtype:
        ACTIVATIONS[act].into(y, slope, out)
    else:
        out.copy_(ACTIVATIONS[act].forward(y, slope))


def norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    stats: Stats,
    eps: float,
    correction: int,
    act: str | None,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, weight (N, C), bias (N, C) and residual (meaningless where there is none).

    Only ``x`` and a few numbers a row were kept: what the activation saw is computed again, block by block.
    """
    dtype = compute_dtype(x.dtype)
    n, c = x.shape[:2]
    count = n * c
    dw, db = (torch.zeros(count, dtype=dtype, device=x.device) for _ in range(2))
    if x.numel() == 0:
        return torch.empty_like(x), dw.view(n, c), db.view(n, c), torch.empty_like(x)
    length = x.numel() // count
    channels_last = is_channels_last(x)
    rows, grads = to_rows(x, channels_last), to_rows(grad, channels_last)
    res = None if residual is None else to_rows(residual, channels_last)
    result = fresh(x, channels_last)
    dx = torch.empty_like(rows) if channels_last else result.view(count, length)
    dres = None if res is None else torch.empty_like(res)
    pivot, mean, rstd = stats
    _, factor = effective(eps, correction, length, dtype)
    w, b = flat(weight, dtype, factor), flat(bias, dtype)
    if w is None:
        w = torch.full((count,), factor, dtype=dtype, device=x.device)
    scale = w * rstd
    shift = -mean * scale if b is None else b - mean * scale
    for start, stop in blocks(count, length, x):
        r = stop - start
        centred = rows[start:stop].to(dtype) - pivot[start:stop, None]
        g = grads[start:stop].to(dtype)
        if act is not None:
            seen = torch.addcmul(shift[start:stop, None], centred, scale[start:stop, None])
            if res is not None:
                seen.add_(res[start:stop])
            g = ACTIVATIONS[act].backward(g, seen, slope)
        if dres is not None:
            dres[start:stop] = g
        g_x, g_w, g_b = torch.ops.aten.native_group_norm_backward(
            g.view(1, r, length), centred.view(1, r, length), mean[start:stop].view(1, r),
            rstd[start:stop].view(1, r), w[start:stop], 1, r, length, r, [True, True, True],
        )  # fmt: skip
        dx[start:stop], dw[start:stop], db[start:stop] = g_x.view(r, length), g_w, g_b
    if factor != 1.0:
        dw = dw * factor
    bad = awkward(mean, rstd, eps)
    if bad is not None:
        y, inverse = exact(rows[bad], eps, correction)
        g = grads[bad].double()
        if act is not None:
            seen = _scaled(y, weight, bias, bad)
            g = ACTIVATIONS[act].backward(g, seen if res is None else seen + res[bad], slope)
        if dres is not None:
            dres[bad] = g.to(dres.dtype)
        dw[bad], db[bad] = (g * y).sum(1).to(dtype), g.sum(1).to(dtype)
        inner = g - g.mean(1, keepdim=True) - y * (g * y).sum(1, keepdim=True) / max(length - correction, 1)
        dx[bad] = (_scaled(inner, weight, None, bad) * inverse).to(dx.dtype)
    result = from_rows(dx, result) if channels_last else result
    if dres is not None:
        dres = from_rows(dres, fresh(x, True)) if channels_last else dres.view(x.shape)
    return result, dw.view(n, c), db.view(n, c), result if dres is None else dres


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
        eps: float, correction: int, act: str | None, slope: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        inputs = (x, weight, bias, residual, eps, correction, act, slope)
        y, stats = norm_forward(*inputs)
        pivot, mean, rstd = (s.view(x.shape[:2]) for s in stats)
        output = (y, pivot, mean, rstd)
        _remember(ctx, inputs, output)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
        return _gradients(ctx, grad)


class _Transformed(torch.autograd.Function):
    """The same in the form that ``torch.func`` can transform; binding its arguments costs 0.1 ms a call."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
        eps: float, correction: int, act: str | None, slope: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        y, stats = norm_forward(x, weight, bias, residual, eps, correction, act, slope)
        pivot, mean, rstd = (s.view(x.shape[:2]) for s in stats)
        return y, pivot, mean, rstd

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _remember(ctx, inputs, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
        return _gradients(ctx, grad)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        size = info.batch_size
        folded = [_fold(a, d, size) for a, d in zip(args[:4], in_dims[:4], strict=True)]
        outputs = _forward_transformed(*folded, *args[4:])
        return tuple(_unfold(o, size) for o in outputs), (0, 0, 0, 0)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keep ``x`` and the statistics; shift and residual too where an activation needs them again."""
    x, weight, bias, residual, *ctx.options = inputs
    act = ctx.options[2]
    ctx.dtypes = tuple(None if v is None else v.dtype for v in (weight, bias, residual))
    ctx.save_for_backward(x, weight, bias if act else None, residual if act else None, *output[1:])
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
    """Gradients by blocks; by plain operations where they are differentiated themselves, or vmapped."""
    none = (None,) * 4
    if grad is None:
        return (*none, *none)
    x, weight, bias, residual, *stats = ctx.saved_tensors
    eps, correction, act, slope = ctx.options
    if torch.is_grad_enabled() or is_batched(grad):
        dtype = compute_dtype(x.dtype)
        g, xf = grad.to(dtype), x.to(dtype)
        w, b, res = (None if v is None else v.to(dtype) for v in (weight, bias, residual))
        if act is not None:
            wide_w, wide_b = (None if v is None else pad(v, xf) for v in (w, b))
            seen = normalize(xf, wide_w, wide_b, eps, correction=correction)
            g = ACTIVATIONS[act].backward(g, seen if res is None else seen + res, slope)
        dx, dw, db = gradients(g, xf, w, eps, correction)
        dres = g
    else:
        pivot, mean, rstd = (s.reshape(-1) for s in stats)
        dx, dw, db, dres = norm_backward(
            grad, x, weight, bias, residual, (pivot, mean, rstd), eps, correction, act, slope
        )
        if residual is None:
            dres = grad  # the residual's gradient is the output's where no activation is between
    return (
        *(
            d.to(dtype) if need else None
            for d, dtype, need in zip(
                (dx, dw, db, dres), (x.dtype, *ctx.dtypes), ctx.needs_input_grad[:4], strict=True
            )
        ),
        *none,
    )


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
) -> tuple[Tensor, Stats]:
    """The differentiable fused norm; weight and bias (C,), (1, C) or (N, C)."""
    shape = x.shape[:2]
    w, b = (None if v is None else v.expand(shape) for v in (weight, bias))
    args = (x, w, b, residual, eps, correction, act, slope)
    if torch._C._are_functorch_transforms_active():
        y, *stats = _forward_transformed(*args)
    elif torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in args[:4]):
        y, *stats = _forward_eager(*args)
    else:
        y, stats = norm_forward(*args)
        stats = [s.view(shape) for s in stats]
    return y, (stats[0], stats[1], stats[2])
