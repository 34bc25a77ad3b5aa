"""Instance norm, activation and residual in Triton: which tiles, in which order, for plain tensors.

The pair ``norm_forward`` and ``norm_backward`` means what its namesakes in ``functional/_fused.py`` mean;
``covers`` says what it can serve. Triton is imported by the first call, not before.

Tile sizes follow from the shape of a plane, the number of channels and the type; never from the batch, so a
sample's result has the same bits in every batch. What does depend on the batch changes no bit: planes are
worked in groups that fit the GPU's cache, so that a second reading comes from there.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["TUNING", "Plan", "Tuning", "covers", "norm_backward", "norm_forward", "plan"]

Stats = tuple[Tensor, Tensor, Tensor]  # pivot, mean above the pivot, reciprocal deviation: each (N * C,)

ACTIVATIONS = ("elu", "gelu", "leaky_relu", "relu", "silu")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Tuning:
    """Sizes that the tiles are chosen by; elements, unless said otherwise. Measured on an H100."""

    whole_forward: int = 16384  # the most that one program holds
    whole_backward: int = 8192
    whole_least: int = 2048  # short planes are worked together until a program has this much
    tile: int = 4096  # what a program of a split plane has in registers at a time
    split_warps: int = 8  # of such a program
    least_tiles: int = 2  # a chunk has at least so many tiles
    most_tiles: int = 16  # and, up to most_chunks, at most so many: they bound what may cancel
    programs: int = 4224  # chunks of one sample, all channels together: 32 for each of an H100's 132 cores
    most_chunks: int = 256  # of a plane
    most_chunks_last: int = 1024  # of a channels-last plane
    line_bytes: int = 128  # what channels-last rows are read by
    sector_bytes: int = 32  # and the least of it
    group_bytes: int = 20 << 20  # what stays in the cache between two readings; half of an H100's
    group_programs: int = 512  # a group has at least so many, or there are no groups


TUNING = Tuning()


@dataclass(frozen=True)
class Plan:
    """How one tensor is cut: ``tile_p`` positions by ``tile_c`` channels, ``chunk`` positions a program."""

    tile_p: int
    tile_c: int
    warps: int
    whole: bool  # a plane is one tile
    chunk: int
    chunks: int  # of a plane
    tiles: int  # of lanes
    group: int  # tiles of lanes between two readings of which the cache holds the elements


def _power(n: int) -> int:
    """The next power of two."""
    return 1 << max(n - 1, 0).bit_length()


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels, not the positions, are contiguous."""
    if x.is_contiguous():
        return False
    return (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)) or (
        x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d)
    )


def plan(
    n: int, c: int, length: int, itemsize: int, channels_last: bool, inputs: int, tuning: Tuning
) -> Plan:
    """How to cut (n, c, length); ``inputs``: 1 forward, 2 backward, tensors that are read twice."""
    most = tuning.whole_forward if inputs == 1 else tuning.whole_backward
    if itemsize == 8:
        most //= 2
    wide, narrow = tuning.line_bytes // itemsize, tuning.sector_bytes // itemsize
    tile_p = _power(length)
    tile_c = 1
    if channels_last:
        wide, narrow = min(_power(c), wide), min(_power(c), narrow)
        tile_c = max(narrow, min(wide, tuning.whole_least // tile_p or 1))
    elif tile_p < tuning.whole_least:
        tile_c = tuning.whole_least // tile_p
    if tile_p * tile_c <= most:
        tiles = n * -(-c // tile_c) if channels_last else -(-n * c // tile_c)
        warps = min(16, max(1, tile_p * tile_c // 512))
        return Plan(tile_p, tile_c, warps, True, length, 1, tiles, tiles)
    tile_c = wide if channels_last else 1
    tile_p = tuning.tile // tile_c
    lanes = -(-c // tile_c) if channels_last else c
    wanted = -(-tuning.programs // lanes)
    steps = -(-length // tile_p)  # tiles of a plane
    each = min(max(steps // wanted, tuning.least_tiles), tuning.most_tiles)
    each = max(each, -(-steps // (tuning.most_chunks_last if channels_last else tuning.most_chunks)))
    chunk = each * tile_p
    chunks = -(-length // chunk)
    tiles = n * lanes
    fit = tuning.group_bytes // (inputs * itemsize * length * tile_c)
    if channels_last:  # channels of one sample share lines and pages: a group is whole samples
        fit = fit // lanes * lanes
    if fit * chunks < tuning.group_programs:  # reading twice costs less than an idle GPU
        fit = tiles
    return Plan(tile_p, tile_c, tuning.split_warps, False, chunk, chunks, tiles, min(fit, tiles))


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def interpreted() -> bool:
    """Whether Triton's interpreter runs the kernels, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes")


def covers(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, act: str | None
) -> str | None:
    """None where the kernels serve these arguments, else the reason why not."""
    if not _has_triton():
        return "triton is not installed: pip install 'stylenorm[triton]'"
    if not (x.is_cuda or (x.device.type == "cpu" and interpreted())):
        return f"the Triton kernels run on CUDA devices, not on {x.device.type}"
    if act is not None and act not in ACTIVATIONS:
        return f"activation {act!r} is not fused"
    for name, value in (("x", x), ("weight", weight), ("bias", bias), ("residual", residual)):
        if value is not None and value.dtype not in DTYPES:
            return f"{name} is {value.dtype}, not a floating type of 16 bits or more"
    if x.dim() > 2 and x.shape[1] >= 1 << 17:
        return f"{x.shape[1]} channels, of at most {(1 << 17) - 1}"
    return None


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def effective(eps: float, correction: int, length: int) -> tuple[float, float]:
    """The root of eps for the biased variance, and the factor that makes up for the difference.

    ``1 / sqrt(v L/(L-1) + eps) = sqrt((L-1)/L) / sqrt(v + eps (L-1)/L)``, exactly.
    """
    ratio = (length - 1) / length if correction and length > 1 else 1.0
    return math.sqrt(eps * ratio), math.sqrt(ratio)


def _like(value: Tensor | None, x: Tensor, channels_last: bool) -> Tensor | None:
    """A tensor in the layout of ``x``: itself where it has it already."""
    if value is None:
        return None
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return value.contiguous(memory_format=formats[x.dim()] if channels_last else torch.contiguous_format)


def _strides(value: Tensor | None) -> tuple[int, int]:
    return (0, 0) if value is None else (value.stride(0), value.stride(1))


def _language(dtype: torch.dtype) -> Any:
    import triton.language as tl

    return tl.float64 if dtype == torch.float64 else tl.float32


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
    residual = _like(residual, x, channels_last)
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
        tile = {"tile_p": p.tile_p, "tile_c": p.tile_c, "channels_last": channels_last, "num_warps": p.warps}
        with _on(x):
            if p.whole:
                kernels.norm_whole[(p.tiles,)](
                    *tensors, pivot, mean, inverse, *strides, *sizes, root_eps, factor, slope,
                    act=act, small=small, kind=language, **tile,
                )  # fmt: skip
            else:
                parts = torch.empty(rows * (2 * p.chunks + 1), dtype=torch.float64, device=x.device)
                width = _power(p.chunks)
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
                            kind=language, tile_c=lanes, parts=width, num_warps=4,
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
    lanes = min(max(2048 // _power(p.chunks), 1), p.tile_c)
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
    grad_in, residual = _like(grad, x, channels_last), _like(residual, x, channels_last)
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
    tile = {"tile_p": p.tile_p, "tile_c": p.tile_c, "channels_last": channels_last, "num_warps": p.warps}
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
                        parts,
                        total,
                        start,
                        *sizes,
                        p.chunks,
                        tile_c=width,
                        parts=_power(p.chunks),
                        num_warps=4,
                    )
                kernels.norm_backward_apply[(tiles, p.chunks)](
                    grad_in, x, dx, dres, residual, *lanes, total, dw, db, *strides, first, *sizes, p.chunk,
                    chunks, factor, slope, **options, parts=_power(chunks), **tile,
                )  # fmt: skip
    if residual is None:
        return dx, dw.view(n, c), db.view(n, c), dx
    return dx, dw.view(n, c), db.view(n, c), grad if dres is None else dres
