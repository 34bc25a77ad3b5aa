"""The norm in plain torch operations: what runs where no other kernel does. Always there.

How the numbers are kept:

- A plane (one sample's one channel) is always read as one contiguous row, whatever the layout of the input,
  and all arithmetic of a row depends on that row alone. No reduction is long enough to be split over
  threads. So layout, batch companions and the number of threads cannot change a bit of the result.
- A pivot is subtracted first: the row's first element, plus the mean of a sample of the row above it. Hence
  constant rows become exactly zero, and a large mean costs no digits.
- Rows are worked in blocks that fit the cache, so that the passes after the first cost little.
- Rows whose variance overflows or vanishes in the computing type are done again in float64, scaled.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stylenorm.kernels.activations import ACTIVATIONS
from stylenorm.kernels.rows import (
    awkward,
    blocks,
    compute_dtype,
    effective,
    exact,
    flat,
    fresh,
    from_rows,
    is_channels_last,
    row_pivot,
    to_rows,
)

__all__ = ["Stats", "covers", "norm_backward", "norm_forward"]

Stats = tuple[Tensor, Tensor, Tensor]  # pivot, mean above the pivot, reciprocal deviation: each (N * C,)


def covers(
    _x: Tensor, _weight: Tensor | None, _bias: Tensor | None, _residual: Tensor | None, act: str | None
) -> str | None:
    """None where the arguments are served, else the reason why not."""
    return (
        None if act is None or act in ACTIVATIONS else f"activation {act!r} is not fused, but applied behind"
    )


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
    out: Tensor | None = None,
) -> tuple[Tensor, Stats]:
    """``act(norm(x) * weight + bias + residual)``; weight and bias (N, C), the rest (N, C, *S).

    The result is written to ``out`` where there is one, which may be ``x``.
    """
    if out is not None:
        y, stats = norm_forward(x, weight, bias, residual, eps, correction, act, slope)
        return out.copy_(y), stats
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
    target = torch.empty_like(rows) if channels_last else result.view(count, length)
    parts: list[Stats] = []
    for start, stop in blocks(count, length, x):
        block = rows[start:stop].to(dtype)
        p = row_pivot(block)
        y, m, r = _group_norm(block - p, _part(w, start, stop), _part(b, start, stop), inner_eps)
        _finish(y, _part(res, start, stop), act, slope, target[start:stop])
        parts.append((p.view(-1), m, r))
    stats = parts[0] if len(parts) == 1 else _join(parts)
    bad = awkward(stats[1], stats[2], eps)
    if bad is not None:
        y, _ = exact(rows[bad], eps, correction)
        y = _scaled(y, weight, bias, bad)
        fixed = torch.empty_like(y)
        _finish(y, None if res is None else res[bad].double(), act, slope, fixed)
        target[bad] = fixed.to(target.dtype)
    return from_rows(target, result) if channels_last else result, stats


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
