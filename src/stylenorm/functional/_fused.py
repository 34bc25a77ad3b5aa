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

import math
from typing import Any

import torch
from torch import Tensor

from stylenorm.functional._activations import ACTIVATIONS
from stylenorm.functional._definition import compute_dtype, gradients, normalize, pad

__all__ = ["norm_act", "norm_backward", "norm_forward"]

BLOCK_BYTES = 2 << 20
SAMPLE = 64  # a long row is sampled for its pivot in SAMPLE runs of SAMPLE elements

Stats = tuple[Tensor, Tensor, Tensor]  # pivot, mean above the pivot, reciprocal deviation: each (N * C,)


def row_pivot(rows: Tensor) -> Tensor:
    """A value near the mean of each row (R, L), equal to the elements where they are all equal."""
    first = rows[:, :1]
    step = rows.shape[1] // SAMPLE
    sample = rows
    if step > SAMPLE:
        sample = rows[:, : SAMPLE * step].view(-1, SAMPLE, step)[:, :, :SAMPLE].reshape(-1, SAMPLE * SAMPLE)
    return first + (sample - first).mean(1, keepdim=True)


def _blocks(rows: int, length: int, x: Tensor) -> list[tuple[int, int]]:
    """Where each block of rows starts and stops; on an accelerator, one block."""
    size = rows
    if x.device.type == "cpu":
        size = max(1, BLOCK_BYTES // (length * (8 if x.dtype == torch.float64 else 4)))
    return [(start, min(start + size, rows)) for start in range(0, rows, size)]


def _effective(eps: float, correction: int, length: int, dtype: torch.dtype) -> tuple[float, float]:
    """The eps and the factor of the scale that turn the biased formula into the asked one.

    ``1 / sqrt(v L/(L-1) + eps) = sqrt((L-1)/L) / sqrt(v + eps (L-1)/L)``, exactly.
    """
    ratio = (length - 1) / length if correction and length > 1 else 1.0
    return max(eps * ratio, torch.finfo(dtype).tiny), math.sqrt(ratio)


def _is_channels_last(x: Tensor) -> bool:
    if x.is_contiguous():
        return False
    return (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)) or (
        x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d)
    )


def _rows(x: Tensor, channels_last: bool) -> Tensor:
    """``x`` as contiguous rows (N * C, L): a view where it can be, else a copy."""
    n, c = x.shape[:2]
    length = x.numel() // (n * c)
    if not (channels_last and _is_channels_last(x)):
        return x.contiguous().view(n * c, length)
    rows = torch.empty(n * c, length, dtype=x.dtype, device=x.device)
    for sample, out in zip(x, rows.view(n, c, length), strict=True):
        out.copy_(sample.movedim(0, -1).view(length, c).t())  # torch transposes matrices in tiles
    return rows


def _fresh(x: Tensor, channels_last: bool) -> Tensor:
    """An empty tensor like ``x``: channels last or contiguous."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return torch.empty_like(x, memory_format=formats[x.dim()] if channels_last else torch.contiguous_format)


def _unrows(rows: Tensor, out: Tensor) -> Tensor:
    """Write rows (N * C, L) into a channels-last tensor (N, C, *S)."""
    n, c = out.shape[:2]
    for sample, mine in zip(out, rows.view(n, c, -1), strict=True):
        sample.movedim(0, -1).view(-1, c).copy_(mine.t())
    return out


def _flat(value: Tensor | None, dtype: torch.dtype, factor: float = 1.0) -> Tensor | None:
    if value is None:
        return None
    flat = value.reshape(-1).to(dtype).contiguous()  # an expanded (N, 1) stays a view with stride 0
    return flat if factor == 1.0 else flat * factor


def _part(value: Tensor | None, start: int, stop: int) -> Tensor | None:
    return None if value is None else value[start:stop]


def _group_norm(
    rows: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    r, length = rows.shape
    y, mean, rstd = torch.native_group_norm(rows.view(1, r, length), weight, bias, 1, r, length, r, eps)
    return y.view(r, length), mean.view(r), rstd.view(r)


def _awkward(mean: Tensor, rstd: Tensor, eps: float) -> Tensor | None:
    """The rows whose statistics left the range of the type (or hold a NaN); None when there are none."""
    if rstd.numel() == 0 or (rstd.is_cuda and torch.cuda.is_current_stream_capturing()):
        return None
    high = 1e12 if eps == 0 else math.inf
    low, top = torch.aminmax(rstd)
    if float(low) > 0 and float(top) < high and math.isfinite(float(mean.sum())):
        return None
    bad = ~((rstd > 0) & (rstd < high) & mean.isfinite())
    return bad.nonzero().view(-1) if bool(bad.any()) else None


def _exact(rows: Tensor, eps: float, correction: int) -> tuple[Tensor, Tensor]:
    """Normalized rows and reciprocal deviation in float64, scaled so that nothing overflows."""
    top = rows.double().abs().amax(1, keepdim=True)
    top = torch.where(top > 0, top, torch.ones_like(top))
    x = rows.double() / top
    shifted = x - x[:, :1]
    centred = shifted - shifted.mean(1, keepdim=True)
    var = centred.square().sum(1, keepdim=True) / max(rows.shape[1] - correction, 1)
    spread = (var + eps / top / top).sqrt()
    inverse = torch.where(spread == 0, torch.zeros_like(spread), 1 / spread)
    return centred * inverse, inverse / top


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
    channels_last = _is_channels_last(x)
    rows = _rows(x, channels_last)
    res = None if residual is None else _rows(residual, channels_last)
    inner_eps, factor = _effective(eps, correction, length, dtype)
    w, b = _flat(weight, dtype, factor), _flat(bias, dtype)
    if w is None and factor != 1.0:
        w = torch.full((count,), factor, dtype=dtype, device=x.device)
    result = _fresh(x, channels_last)  # not a view: callers may write to it in place
    out = torch.empty_like(rows) if channels_last else result.view(count, length)
    parts: list[Stats] = []
    for start, stop in _blocks(count, length, x):
        block = rows[start:stop].to(dtype)
        p = row_pivot(block)
        y, m, r = _group_norm(block - p, _part(w, start, stop), _part(b, start, stop), inner_eps)
        _finish(y, _part(res, start, stop), act, slope, out[start:stop])
        parts.append((p.view(-1), m, r))
    stats = parts[0] if len(parts) == 1 else _join(parts)
    bad = _awkward(stats[1], stats[2], eps)
    if bad is not None:
        y, _ = _exact(rows[bad], eps, correction)
        y = _scaled(y, weight, bias, bad)
        fixed = torch.empty_like(y)
        _finish(y, None if res is None else res[bad].double(), act, slope, fixed)
        out[bad] = fixed.to(out.dtype)
    return _unrows(out, result) if channels_last else result, stats


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
    channels_last = _is_channels_last(x)
    rows, grads = _rows(x, channels_last), _rows(grad, channels_last)
    res = None if residual is None else _rows(residual, channels_last)
    result = _fresh(x, channels_last)
    dx = torch.empty_like(rows) if channels_last else result.view(count, length)
    dres = None if res is None else torch.empty_like(res)
    pivot, mean, rstd = stats
    _, factor = _effective(eps, correction, length, dtype)
    w, b = _flat(weight, dtype, factor), _flat(bias, dtype)
    if w is None:
        w = torch.full((count,), factor, dtype=dtype, device=x.device)
    scale = w * rstd
    shift = -mean * scale if b is None else b - mean * scale
    for start, stop in _blocks(count, length, x):
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
    bad = _awkward(mean, rstd, eps)
    if bad is not None:
        y, inverse = _exact(rows[bad], eps, correction)
        g = grads[bad].double()
        if act is not None:
            seen = _scaled(y, weight, bias, bad)
            g = ACTIVATIONS[act].backward(g, seen if res is None else seen + res[bad], slope)
        if dres is not None:
            dres[bad] = g.to(dres.dtype)
        dw[bad], db[bad] = (g * y).sum(1).to(dtype), g.sum(1).to(dtype)
        inner = g - g.mean(1, keepdim=True) - y * (g * y).sum(1, keepdim=True) / max(length - correction, 1)
        dx[bad] = (_scaled(inner, weight, None, bad) * inverse).to(dx.dtype)
    result = _unrows(dx, result) if channels_last else result
    if dres is not None:
        dres = _unrows(dres, _fresh(x, True)) if channels_last else dres.view(x.shape)
    return result, dw.view(n, c), db.view(n, c), result if dres is None else dres


def _fold(value: Tensor | None, dim: int | None, size: int) -> Tensor | None:
    """(B, N, ...) to (B * N, ...), so that a vmapped norm is a norm of a larger batch."""
    if value is None:
        return None
    value = value.unsqueeze(0).expand(size, *value.shape) if dim is None else value.movedim(dim, 0)
    return value.flatten(0, 1)


def _unfold(value: Tensor, size: int) -> Tensor:
    return value.view(size, value.shape[0] // max(size, 1), *value.shape[1:])


class _Backward(torch.autograd.Function):
    """``norm_backward`` with a vmap rule; it is reached only when nobody differentiates the gradient."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return _plain_backward(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        size = info.batch_size
        folded = [_fold(a, d, size) for a, d in zip(args[:8], in_dims[:8], strict=True)]
        outputs = _backward_transformed(*folded, *args[8:])
        return tuple(_unfold(o, size) for o in outputs), (0, 0, 0, 0)


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
    """Gradients by blocks, or, where they will be differentiated themselves, by differentiable operations."""
    none = (None,) * 4
    if grad is None:
        return (*none, *none)
    x, weight, bias, residual, *stats = ctx.saved_tensors
    eps, correction, act, slope = ctx.options
    if torch.is_grad_enabled():
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
        run = _backward_transformed if torch._C._are_functorch_transforms_active() else _plain_backward
        dx, dw, db, dres = run(grad, x, weight, bias, residual, *stats, eps, correction, act, slope)
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


def _plain_backward(grad: Tensor, *args: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, weight, bias, residual, pivot, mean, rstd, *options = args
    stats = (pivot.reshape(-1), mean.reshape(-1), rstd.reshape(-1))
    return norm_backward(grad, x, weight, bias, residual, stats, *options)


_forward_eager: Any = _Eager.apply
_forward_transformed: Any = _Transformed.apply
_backward_transformed: Any = _Backward.apply


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
