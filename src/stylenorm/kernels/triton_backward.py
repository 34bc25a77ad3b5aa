"""Backward kernels, in the two forms of the forward ones: whole planes, and planes split into chunks.

Only the input and three numbers a plane were kept; what the activation saw is computed again. With ``z`` what
the activation saw, ``d`` its gradient, ``xh`` the normalized plane and ``r`` its reciprocal deviation:
``dx = w r (d - mean(d) - xh mean(d xh))``, ``dw = sum(d xh)``, ``db = sum(d)``, and the residual's is ``d``.
"""

# mypy: ignore-errors
# Types here are Triton's, and what it compiles carries no annotations.

import triton
import triton.language as tl

from stylenorm.kernels.triton_device import (
    activate_backward,
    inside,
    load_lanes,
    load_tile,
    locate,
    normalized,
    prepared,
    shaped,
)

__all__ = ["norm_backward_apply", "norm_backward_measure", "norm_backward_merge", "norm_backward_whole"]


@triton.jit
def lanes_of(
    weight_ptr, bias_ptr, pivot_ptr, mean_ptr, inverse_ptr, w_n, w_c, b_n, b_c, row, exists, channels,
    kind: tl.constexpr,
):  # fmt: skip
    """Everything that a plane shares: weight, bias, and the prepared statistics."""
    pivot = tl.load(pivot_ptr + row, mask=exists, other=0.0)
    mean = tl.load(mean_ptr + row, mask=exists, other=0.0)
    inverse = tl.load(inverse_ptr + row, mask=exists, other=0.0)
    scale, pivot, mean, inverse = prepared(pivot, mean, inverse)
    weight = tl.full(pivot.shape, 1.0, kind)
    bias = pivot
    if weight_ptr is not None:
        weight = load_lanes(weight_ptr, row, exists, channels, w_n, w_c, kind)
    if bias_ptr is not None:
        bias = load_lanes(bias_ptr, row, exists, channels, b_n, b_c, kind)
    return weight, bias, scale, pivot, mean, inverse


@triton.jit
def gradient_tile(
    grad_ptr, x_ptr, residual_ptr, offset, within, left, exists, weight, bias, scale, pivot, mean, inverse,
    factor, slope, act: tl.constexpr, has_weight: tl.constexpr, has_bias: tl.constexpr, tile_p: tl.constexpr,
    kind: tl.constexpr,
):  # fmt: skip
    """The gradient of what the activation saw (zero outside), the normalized input, and the mask."""
    x, mask = load_tile(x_ptr, offset, within, left, exists, tile_p, kind)
    d, mask = load_tile(grad_ptr, offset, within, left, exists, tile_p, kind)
    xh = tl.where(mask, normalized(x, scale, pivot, mean, inverse), 0.0)
    if act is not None:
        z = shaped(xh, weight, bias, has_weight, has_bias, factor)
        if residual_ptr is not None:
            z += tl.load(residual_ptr + offset + within, mask=mask, other=0.0).to(kind)
        d = tl.where(mask, activate_backward(d, z, act, slope), 0.0)
    return d, xh, mask


@triton.jit
def write_gradients(
    d, xh, mask, dx_ptr, dres_ptr, offset, within, part_d, part_dx, weight, scale, inverse, factor,
):  # fmt: skip
    """Write the gradients of input and residual; ``part_d`` and ``part_dx`` are the means of d and d xh."""
    if dres_ptr is not None:
        tl.store(dres_ptr + offset + within, d.to(dres_ptr.dtype.element_ty), mask=mask)
    dx = (d - part_d[None, :]) - xh * part_dx[None, :]
    dx = (dx * (inverse * scale)[None, :]) * (weight * tl.full((), factor, weight.dtype))[None, :]
    tl.store(dx_ptr + offset + within, dx.to(dx_ptr.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["rows"])
def norm_backward_whole(
    grad_ptr, x_ptr, dx_ptr, dres_ptr, residual_ptr, weight_ptr, bias_ptr, pivot_ptr, mean_ptr, inverse_ptr,
    dw_ptr, db_ptr, w_n, w_c, b_n, b_c, rows, channels, length, factor: tl.float64, slope: tl.float64,
    act: tl.constexpr, kind: tl.constexpr,
    tile_p: tl.constexpr, tile_c: tl.constexpr, channels_last: tl.constexpr,
):  # fmt: skip
    """Planes that fit into one tile: grid (tiles of lanes,)."""
    tile = tl.program_id(0).to(tl.int64)
    row, exists, base = locate(tile, rows, channels, length, tile_c, channels_last)
    within, _, _ = inside(channels, length, tile_p, tile_c, channels_last)
    weight, bias, scale, pivot, mean, inverse = lanes_of(
        weight_ptr,
        bias_ptr,
        pivot_ptr,
        mean_ptr,
        inverse_ptr,
        w_n,
        w_c,
        b_n,
        b_c,
        row,
        exists,
        channels,
        kind,
    )
    d, xh, mask = gradient_tile(
        grad_ptr, x_ptr, residual_ptr, base, within, length, exists, weight, bias, scale, pivot, mean,
        inverse, factor, slope, act, weight_ptr is not None, bias_ptr is not None, tile_p, kind,
    )  # fmt: skip
    db = tl.sum(d, 0)
    dw = tl.sum(d * xh, 0)
    tl.store(dw_ptr + row, dw * tl.full((), factor, kind), mask=exists)
    tl.store(db_ptr + row, db, mask=exists)
    write_gradients(
        d, xh, mask, dx_ptr, dres_ptr, base, within, db / length, dw / length, weight, scale, inverse, factor
    )


@triton.jit(do_not_specialize=["rows", "first_tile"])
def norm_backward_measure(
    grad_ptr, x_ptr, residual_ptr, weight_ptr, bias_ptr, pivot_ptr, mean_ptr, inverse_ptr, part_ptr,
    w_n, w_c, b_n, b_c, first_tile, rows, channels, length, chunk, chunks,
    factor: tl.float64, slope: tl.float64, act: tl.constexpr, kind: tl.constexpr,
    tile_p: tl.constexpr, tile_c: tl.constexpr, channels_last: tl.constexpr,
):  # fmt: skip
    """The sums of d and d xh over each chunk, in float64: grid (tiles of lanes, chunks)."""
    tile = tl.program_id(0).to(tl.int64) + first_tile
    k = tl.program_id(1).to(tl.int64)
    row, exists, base = locate(tile, rows, channels, length, tile_c, channels_last)
    within, _, step = inside(channels, length, tile_p, tile_c, channels_last)
    weight, bias, scale, pivot, mean, inverse = lanes_of(
        weight_ptr,
        bias_ptr,
        pivot_ptr,
        mean_ptr,
        inverse_ptr,
        w_n,
        w_c,
        b_n,
        b_c,
        row,
        exists,
        channels,
        kind,
    )
    start = k * chunk
    count = tl.minimum(length - start, chunk).to(tl.int32)
    offset = base + start * step
    stride = tl.zeros((), tl.int64) + step
    sum_d = tl.zeros((tile_p, tile_c), kind)
    sum_dx = tl.zeros((tile_p, tile_c), kind)
    for at in range(0, count, tile_p):
        d, xh, _mask = gradient_tile(
            grad_ptr, x_ptr, residual_ptr, offset + stride * at, within, count - at, exists, weight, bias,
            scale, pivot, mean, inverse, factor, slope, act, weight_ptr is not None, bias_ptr is not None,
            tile_p, kind,
        )  # fmt: skip
        sum_d += d
        sum_dx += d * xh
    at = row * chunks + k
    tl.store(part_ptr + at, tl.sum(sum_d, 0).to(tl.float64), mask=exists)
    tl.store(part_ptr + rows.to(tl.int64) * chunks + at, tl.sum(sum_dx, 0).to(tl.float64), mask=exists)


@triton.jit
def add_parts(part_ptr, row, exists, rows, chunks, parts: tl.constexpr):
    """The sums over all chunks of a plane."""
    k = tl.arange(0, parts)
    at = row[None, :] * chunks + k[:, None]
    mask = (k < chunks)[:, None] & exists[None, :]
    sum_d = tl.sum(tl.load(part_ptr + at, mask=mask, other=0.0), 0)
    return sum_d, tl.sum(tl.load(part_ptr + rows.to(tl.int64) * chunks + at, mask=mask, other=0.0), 0)


@triton.jit(do_not_specialize=["rows", "first_tile"])
def norm_backward_merge(
    part_ptr, total_ptr, first_tile, rows, channels, length, chunks, tile_c: tl.constexpr, parts: tl.constexpr
):  # fmt: skip
    """Sums over the chunks of channels-last planes, (2, N * C): grid (tiles of ``tile_c`` lanes,)."""
    tile = tl.program_id(0).to(tl.int64) + first_tile
    row, exists, _ = locate(tile, rows, channels, length, tile_c, True)
    sum_d, sum_dx = add_parts(part_ptr, row, exists, rows, chunks, parts)
    tl.store(total_ptr + row, sum_d, mask=exists)
    tl.store(total_ptr + rows.to(tl.int64) + row, sum_dx, mask=exists)


@triton.jit(do_not_specialize=["rows", "first_tile"])
def norm_backward_apply(
    grad_ptr, x_ptr, dx_ptr, dres_ptr, residual_ptr, weight_ptr, bias_ptr, pivot_ptr, mean_ptr, inverse_ptr,
    part_ptr, dw_ptr, db_ptr, w_n, w_c, b_n, b_c, first_tile, rows, channels, length, chunk, part_chunks,
    factor: tl.float64, slope: tl.float64, act: tl.constexpr, kind: tl.constexpr, parts: tl.constexpr,
    tile_p: tl.constexpr, tile_c: tl.constexpr, channels_last: tl.constexpr,
):  # fmt: skip
    """Write one chunk: grid (tiles of lanes, chunks); ``part_ptr`` holds ``part_chunks`` sums a plane."""
    tile = (tl.num_programs(0) - 1 - tl.program_id(0)).to(tl.int64) + first_tile
    k = (tl.num_programs(1) - 1 - tl.program_id(1)).to(tl.int64)
    row, exists, base = locate(tile, rows, channels, length, tile_c, channels_last)
    within, _, step = inside(channels, length, tile_p, tile_c, channels_last)
    weight, bias, scale, pivot, mean, inverse = lanes_of(
        weight_ptr,
        bias_ptr,
        pivot_ptr,
        mean_ptr,
        inverse_ptr,
        w_n,
        w_c,
        b_n,
        b_c,
        row,
        exists,
        channels,
        kind,
    )
    sum_d, sum_dx = add_parts(part_ptr, row, exists, rows, part_chunks, parts)
    if k == 0:
        tl.store(dw_ptr + row, (sum_dx * factor).to(kind), mask=exists)
        tl.store(db_ptr + row, sum_d.to(kind), mask=exists)
    part_d = (sum_d / length).to(kind)
    part_dx = (sum_dx / length).to(kind)
    start = k * chunk
    count = tl.minimum(length - start, chunk).to(tl.int32)
    offset = base + start * step
    stride = tl.zeros((), tl.int64) + step
    for at in range(0, count, tile_p):
        here = offset + stride * at
        d, xh, mask = gradient_tile(
            grad_ptr, x_ptr, residual_ptr, here, within, count - at, exists, weight, bias,
            scale, pivot, mean, inverse, factor, slope, act, weight_ptr is not None, bias_ptr is not None,
            tile_p, kind,
        )  # fmt: skip
        write_gradients(
            d, xh, mask, dx_ptr, dres_ptr, here, within, part_d, part_dx, weight, scale, inverse, factor
        )
