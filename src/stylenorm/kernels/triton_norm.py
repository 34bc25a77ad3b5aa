"""Instance norm, activation and residual in Triton: which kernels, in which order, for plain tensors.

The pair ``norm_forward`` and ``norm_backward`` means what its namesakes in ``torch_norm.py`` mean;
``covers`` says what it can serve. Triton is imported by the first call, not before.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import math
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from stylenorm.kernels.rows import arranged, compute_dtype, is_channels_last
from stylenorm.kernels.triton_plan import TUNING, Plan, plan, power

__all__ = ["TUNING", "covers", "norm_backward", "norm_forward"]

Stats = tuple[Tensor, Tensor, Tensor]  # pivot, mean above the pivot, reciprocal deviation: each (N * C,)

ACTIVATIONS = ("elu", "gelu", "leaky_relu", "relu", "silu")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Multiplications and additions are rounded as they are written, in every variant that is compiled for another
# alignment or stride, and as the interpreter rounds them. Memory sets the pace, not arithmetic.
UNFUSED = {"enable_fp_fusion": False}
OLDEST = (3, 3)  # of Triton; torch 2.6, whose CUDA build brings 3.2, keeps its own operations


def interpreted() -> bool:
    """Whether Triton's interpreter runs the kernels, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes")


@functools.cache
def _lacking() -> str | None:
    """Why this installation cannot run the kernels; None where it can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed: pip install 'stylenorm[experimental-triton]'"
    try:
        version = importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        return None  # a build under another name; there is nothing to compare
    found = tuple(int(part) for part in version.split(".")[:2])
    if found < OLDEST:
        return f"triton {version} is installed; expected {OLDEST[0]}.{OLDEST[1]} or later"
    return None


@functools.cache
def _too_old(device: torch.device) -> str | None:
    """Why Triton does not compile for a GPU; None where it does."""
    major, minor = torch.cuda.get_device_capability(device)
    if torch.version.hip is None and major < 7:
        return f"Triton compiles for compute capability 7.0 and later; {device} has {major}.{minor}"
    return None


def covers(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, act: str | None
) -> str | None:
    """None where the kernels serve these arguments, else the reason why not."""
    if not (x.is_cuda or (x.device.type == "cpu" and interpreted())):
        return f"the Triton kernels run on CUDA devices, not on {x.device.type}"
    reason = _lacking() or (_too_old(x.device) if x.is_cuda else None)
    if reason is not None:
        return reason
    if act is not None and act not in ACTIVATIONS:
        return f"activation {act!r} is not fused"
    for name, value in (("x", x), ("weight", weight), ("bias", bias), ("residual", residual)):
        if value is None:
            continue
        if type(value) is not Tensor and type(value) is not torch.nn.Parameter:
            return f"{name} is {type(value).__name__}, a tensor with a behaviour of its own"
        if value.dtype not in DTYPES:
            return f"{name} is {value.dtype}, not a floating type of 16 bits or more"
        if value.device != x.device:
            return f"{name} is on {value.device}, x on {x.device}"
    if x.dim() > 2 and x.shape[1] >= 1 << 17:
        return f"{x.shape[1]} channels, of at most {(1 << 17) - 1}"
    if torch._C._len_torch_dispatch_stack() > 0:
        return "a dispatch mode is watching (a tracer, fake tensors, a counter)"
    return None


def effective(eps: float, correction: int, length: int) -> tuple[float, float]:
    """The root of eps for the biased variance, and the factor that makes up for the difference.

    ``1 / sqrt(v L/(L-1) + eps) = sqrt((L-1)/L) / sqrt(v + eps (L-1)/L)``, exactly.
    """
    ratio = (length - 1) / length if correction and length > 1 else 1.0
    return math.sqrt(eps * ratio), math.sqrt(ratio)


def _strides(value: Tensor | None) -> tuple[int, int]:
    return (0, 0) if value is None else (value.stride(0), value.stride(1))


def _language(dtype: torch.dtype) -> Any:
    import triton.language as tl

    return tl.float64 if dtype == torch.float64 else tl.float32


def _tile(p: Plan, channels_last: bool) -> dict[str, Any]:
    sizes = {"tile_p": p.tile_p, "tile_c": p.tile_c, "channels_last": channels_last}
    return {**sizes, "num_warps": p.warps, **UNFUSED}


def _on(x: Tensor) -> AbstractContextManager[Any]:
    """The device of a tensor as the current one: Triton launches on that."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


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

    ``out`` may be ``x`` or ``residual``; of any other shape or strides than theirs it is copied to.
    """
    from stylenorm.kernels import triton_forward as kernels

    kind = compute_dtype(x.dtype)
    n, c = x.shape[:2]
    rows = n * c
    channels_last = is_channels_last(x)
    x = x if channels_last else x.contiguous()
    residual = None if residual is None else arranged(residual, channels_last)
    direct = out is not None and out.dtype == x.dtype and out.stride() == x.stride() and out.shape == x.shape
    y = out if out is not None and direct else torch.empty_like(x)
    pivot, mean, inverse = (torch.empty(rows, dtype=kind, device=x.device) for _ in range(3))
    if x.numel():
        length = x.numel() // rows
        p = plan(n, c, length, x.element_size(), channels_last, 1, TUNING)
        root_eps, factor = effective(eps, correction, length)
        small = eps < 1e-20
        sizes = (rows, c, length)
        tensors = (x, y, residual, weight, bias)
        strides = (*_strides(weight), *_strides(bias))
        language = _language(kind)
        tile = _tile(p, channels_last)
        with _on(x):
            if p.whole:
                kernels.norm_whole[(p.tiles,)](
                    *tensors, pivot, mean, inverse, *strides, *sizes, root_eps, factor, slope,
                    act=act, small=small, kind=language, **tile,
                )  # fmt: skip
            else:
                parts = torch.empty(rows * (2 * p.chunks + 1), dtype=torch.float64, device=x.device)
                width = power(p.chunks)
                for first in range(0, p.tiles, p.group):
                    tiles = min(p.group, p.tiles - first)
                    cut = (first, *sizes, p.chunk, p.chunks)
                    kernels.norm_measure[(tiles, p.chunks)](
                        x, parts, *cut, small=small, kind=language, **tile
                    )
                    if channels_last:
                        start, count, lanes = _merging(p, first, tiles, c)
                        kernels.norm_merge[(count,)](
                            parts, pivot, mean, inverse, start, *sizes, p.chunk, p.chunks, root_eps,
                            kind=language, tile_c=lanes, parts=width, num_warps=4, **UNFUSED,
                        )  # fmt: skip
                    kernels.norm_apply[(tiles, p.chunks)](
                        *tensors, parts, pivot, mean, inverse, *strides, *cut, root_eps, factor, slope,
                        act=act, kind=language, parts=0 if channels_last else width, **tile,
                    )  # fmt: skip
    if out is not None and not direct:
        y = out.copy_(y)
    return y, (pivot, mean, inverse)


def _merging(p: Plan, first: int, tiles: int, channels: int) -> tuple[int, int, int]:
    """Tiles in which the chunks of whole channels-last samples are merged: the first, how many, lanes."""
    lanes = min(max(2048 // power(p.chunks), 1), p.tile_c)
    there, here = -(-channels // p.tile_c), -(-channels // lanes)
    return first // there * here, tiles // there * here, lanes


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

    ``eps`` is in the statistics already. Without an activation the residual's gradient is ``grad`` itself.
    """
    del eps
    from stylenorm.kernels import triton_backward as kernels

    kind = compute_dtype(x.dtype)
    n, c = x.shape[:2]
    rows = n * c
    channels_last = is_channels_last(x)
    x = x if channels_last else x.contiguous()
    grad_in = arranged(grad, channels_last)
    residual = None if residual is None else arranged(residual, channels_last)
    dx = torch.empty_like(x)
    dres = torch.empty_like(residual) if act is not None and residual is not None else None
    if not x.numel():
        dw, db = (torch.zeros(rows, dtype=kind, device=x.device) for _ in range(2))
        return dx, dw.view(n, c), db.view(n, c), dx if residual is None else residual
    dw, db = (torch.empty(rows, dtype=kind, device=x.device) for _ in range(2))
    length = x.numel() // rows
    p = plan(n, c, length, x.element_size(), channels_last, 2, TUNING)
    _, factor = effective(0.0, correction, length)
    sizes = (rows, c, length)
    lanes = (weight, bias, *stats)
    strides = (*_strides(weight), *_strides(bias))
    options = {"act": act, "kind": _language(kind)}
    tile = _tile(p, channels_last)
    with _on(x):
        if p.whole:
            kernels.norm_backward_whole[(p.tiles,)](
                grad_in, x, dx, dres, residual, *lanes, dw, db, *strides, *sizes, factor, slope,
                **options, **tile,
            )  # fmt: skip
        else:
            parts = torch.empty(2 * rows * p.chunks, dtype=torch.float64, device=x.device)
            total, chunks = parts, p.chunks
            if channels_last:
                total, chunks = torch.empty(2 * rows, dtype=torch.float64, device=x.device), 1
            for first in range(0, p.tiles, p.group):
                tiles = min(p.group, p.tiles - first)
                kernels.norm_backward_measure[(tiles, p.chunks)](
                    grad_in, x, residual, *lanes, parts, *strides, first, *sizes, p.chunk, p.chunks,
                    factor, slope, **options, **tile,
                )  # fmt: skip
                if channels_last:
                    start, count, width = _merging(p, first, tiles, c)
                    kernels.norm_backward_merge[(count,)](
                        parts, total, start, *sizes, p.chunks, tile_c=width, parts=power(p.chunks),
                        num_warps=4, **UNFUSED,
                    )  # fmt: skip
                kernels.norm_backward_apply[(tiles, p.chunks)](
                    grad_in, x, dx, dres, residual, *lanes, total, dw, db, *strides, first, *sizes, p.chunk,
                    chunks, factor, slope, **options, parts=power(chunks), **tile,
                )  # fmt: skip
    if residual is None:
        return dx, dw.view(n, c), db.view(n, c), dx
    return dx, dw.view(n, c), db.view(n, c), grad if dres is None else dres
