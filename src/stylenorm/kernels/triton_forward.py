"""Forward kernels: planes that fit into one program, and planes that are split into chunks.

Whole: one program reads its planes once, measures and writes. Split: one program a chunk measures
(``norm_measure``), then one program a chunk merges what all measured and writes (``norm_apply``), in the
opposite order, so that what was read last is still in the cache. Where a tile has many lanes, merging is a
kernel of its own (``norm_merge``), or every program would read the same numbers. There are no atomics: every
sum has one fixed tree, which depends on the shape of a plane and the number of channels only.
"""

# mypy: ignore-errors
# Types here are Triton's, and what it compiles carries no annotations.

import triton
import triton.language as tl

from stylenorm.kernels.triton_device import (
    activate,
    inside,
    is_awkward,
    load_lanes,
    load_tile,
    locate,
    measure_wide,
    merge,
    normalized,
    prepared,
    reference,
    settle,
    shaped,
)

__all__ = ["norm_apply", "norm_measure", "norm_merge", "norm_whole"]


@triton.jit
def finish(
    x, mask, y_ptr, residual_ptr, offset, within, weight, bias, scale, pivot, mean, inverse, factor, slope,
    act: tl.constexpr, has_weight: tl.constexpr, has_bias: tl.constexpr,
):  # fmt: skip
    """Normalize, scale, shift, add, activate and write one tile, rounded once."""
    xh = normalized(x, scale, pivot, mean, inverse)
    z = shaped(xh, weight, bias, has_weight, has_bias, factor)
    if residual_ptr is not None:
        z += tl.load(residual_ptr + offset + within, mask=mask, other=0.0).to(z.dtype)
    z = activate(z, act, slope)
    tl.store(y_ptr + offset + within, z.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["rows"])
def norm_whole(
    x_ptr, y_ptr, residual_ptr, weight_ptr, bias_ptr, pivot_ptr, mean_ptr, inverse_ptr,
    w_n, w_c, b_n, b_c, rows, channels, length,
    root_eps: tl.float64, factor: tl.float64, slope: tl.float64,
    act: tl.constexpr, small: tl.constexpr, kind: tl.constexpr,
    tile_p: tl.constexpr, tile_c: tl.constexpr, channels_last: tl.constexpr,
):  # fmt: skip
    """Planes that fit into one tile: grid (tiles of lanes,)."""
    tile = tl.program_id(0).to(tl.int64)
    row, exists, base = locate(tile, rows, channels, length, tile_c, channels_last)
    within, first, step = inside(channels, length, tile_p, tile_c, channels_last)
    x, mask = load_tile(x_ptr, base, within, length, exists, tile_p, kind)
    above = reference(x_ptr, base + first, exists)
    pivot = tl.load(x_ptr + base + first, mask=exists, other=0.0).to(kind)
    pivot += tl.sum(tl.where(mask, x - pivot[None, :], 0.0), 0) / length
    d = tl.where(mask, x - pivot[None, :], 0.0)
    s1 = tl.sum(d, 0)
    s2 = tl.sum(d * d, 0)
    mean, deviation = settle(s1, s2, length)
    mean += pivot.to(tl.float64) - above
    bad = is_awkward(s1, s2, length, small) & exists
    if tl.max(bad.to(tl.int32), 0) > 0:
        m, v = measure_wide(x_ptr, base, step, within, first, exists, length, above, s2, tile_p)
        mean = tl.where(bad, m, mean)
        deviation = tl.where(bad, v, deviation)
    counts = tl.zeros((1, 1), tl.int64) + length
    pivot, mid, inverse = merge(mean[None, :], deviation[None, :], counts, length, above, root_eps, kind, 1)
    tl.store(pivot_ptr + row, pivot, mask=exists)
    tl.store(mean_ptr + row, mid, mask=exists)
    tl.store(inverse_ptr + row, inverse, mask=exists)
    scale, pivot, mid, inverse = prepared(pivot, mid, inverse)
    weight = pivot
    bias = pivot
    if weight_ptr is not None:
        weight = load_lanes(weight_ptr, row, exists, channels, w_n, w_c, kind)
    if bias_ptr is not None:
        bias = load_lanes(bias_ptr, row, exists, channels, b_n, b_c, kind)
    finish(
        x, mask, y_ptr, residual_ptr, base, within, weight, bias, scale, pivot, mid, inverse, factor, slope,
        act, weight_ptr is not None, bias_ptr is not None,
    )  # fmt: skip


@triton.jit(do_not_specialize=["rows", "first_tile"])
def norm_measure(
    x_ptr, part_ptr, first_tile, rows, channels, length, chunk, chunks,
    small: tl.constexpr, kind: tl.constexpr,
    tile_p: tl.constexpr, tile_c: tl.constexpr, channels_last: tl.constexpr,
):  # fmt: skip
    """Mean above the plane's first element and deviation of each chunk: grid (tiles of lanes, chunks)."""
    tile = tl.program_id(0).to(tl.int64) + first_tile
    k = tl.program_id(1).to(tl.int64)
    row, exists, base = locate(tile, rows, channels, length, tile_c, channels_last)
    within, first, step = inside(channels, length, tile_p, tile_c, channels_last)
    above = reference(x_ptr, base + first, exists)
    start = k * chunk
    count = tl.minimum(length - start, chunk).to(tl.int32)
    offset = base + start * step
    x, mask = load_tile(x_ptr, offset, within, count, exists, tile_p, kind)
    pivot = tl.load(x_ptr + offset + first, mask=exists, other=0.0).to(kind)
    pivot += tl.sum(tl.where(mask, x - pivot[None, :], 0.0), 0) / tl.minimum(count, tile_p)
    t1 = tl.zeros((tile_p, tile_c), kind)
    t2 = tl.zeros((tile_p, tile_c), kind)
    stride = tl.zeros((), tl.int64) + step
    for at in range(0, count, tile_p):
        x, mask = load_tile(x_ptr, offset + stride * at, within, count - at, exists, tile_p, kind)
        d = tl.where(mask, x - pivot[None, :], 0.0)
        t1 += d
        t2 += d * d
    s1 = tl.sum(t1, 0)
    s2 = tl.sum(t2, 0)
    mean, deviation = settle(s1, s2, count)
    mean += pivot.to(tl.float64) - above
    bad = is_awkward(s1, s2, count, small) & exists
    if tl.max(bad.to(tl.int32), 0) > 0:
        m, v = measure_wide(x_ptr, offset, stride, within, first, exists, count, above, s2, tile_p)
        mean = tl.where(bad, m, mean)
        deviation = tl.where(bad, v, deviation)
    at = row * chunks + k
    tl.store(part_ptr + at, mean, mask=exists)
    tl.store(part_ptr + rows.to(tl.int64) * chunks + at, deviation, mask=exists)
    # The output may be written over the input, whose first element is then gone when chunks are merged.
    if k == 0:
        tl.store(part_ptr + 2 * rows.to(tl.int64) * chunks + row, above, mask=exists)


@triton.jit
def merge_parts(
    part_ptr, row, exists, rows, length, chunk, chunks, root_eps, kind: tl.constexpr, parts: tl.constexpr
):  # fmt: skip
    """The statistics of planes, from what ``norm_measure`` wrote."""
    k = tl.arange(0, parts)
    at = row[None, :] * chunks + k[:, None]
    mask = (k < chunks)[:, None] & exists[None, :]
    means = tl.load(part_ptr + at, mask=mask, other=0.0)
    deviations = tl.load(part_ptr + rows.to(tl.int64) * chunks + at, mask=mask, other=0.0)
    counts = tl.minimum(tl.maximum(length - k.to(tl.int64) * chunk, 0), chunk)[:, None]
    above = tl.load(part_ptr + 2 * rows.to(tl.int64) * chunks + row, mask=exists, other=0.0)
    return merge(means, deviations, counts, length, above, root_eps, kind, parts)


@triton.jit(do_not_specialize=["rows", "first_tile"])
def norm_merge(
    part_ptr, pivot_ptr, mean_ptr, inverse_ptr, first_tile, rows, channels, length, chunk, chunks,
    root_eps: tl.float64, kind: tl.constexpr, tile_c: tl.constexpr, parts: tl.constexpr,
):  # fmt: skip
    """Statistics of channels-last planes from those of their chunks: grid (tiles of ``tile_c`` lanes,)."""
    tile = tl.program_id(0).to(tl.int64) + first_tile
    row, exists, _ = locate(tile, rows, channels, length, tile_c, True)
    pivot, mean, inverse = merge_parts(
        part_ptr, row, exists, rows, length, chunk, chunks, root_eps, kind, parts
    )
    tl.store(pivot_ptr + row, pivot, mask=exists)
    tl.store(mean_ptr + row, mean, mask=exists)
    tl.store(inverse_ptr + row, inverse, mask=exists)


@triton.jit(do_not_specialize=["rows", "first_tile"])
def norm_apply(
    x_ptr, y_ptr, residual_ptr, weight_ptr, bias_ptr, part_ptr, pivot_ptr, mean_ptr, inverse_ptr,
    w_n, w_c, b_n, b_c, first_tile, rows, channels, length, chunk, chunks,
    root_eps: tl.float64, factor: tl.float64, slope: tl.float64,
    act: tl.constexpr, kind: tl.constexpr, parts: tl.constexpr,
    tile_p: tl.constexpr, tile_c: tl.constexpr, channels_last: tl.constexpr,
):  # fmt: skip
    """Write one chunk: grid (tiles of lanes, chunks). ``parts`` > 0: merge the chunks here, too."""
    tile = (tl.num_programs(0) - 1 - tl.program_id(0)).to(tl.int64) + first_tile
    k = (tl.num_programs(1) - 1 - tl.program_id(1)).to(tl.int64)
    row, exists, base = locate(tile, rows, channels, length, tile_c, channels_last)
    within, _, step = inside(channels, length, tile_p, tile_c, channels_last)
    if parts > 0:
        pivot, mean, inverse = merge_parts(
            part_ptr, row, exists, rows, length, chunk, chunks, root_eps, kind, parts
        )
        if k == 0:
            tl.store(pivot_ptr + row, pivot, mask=exists)
            tl.store(mean_ptr + row, mean, mask=exists)
            tl.store(inverse_ptr + row, inverse, mask=exists)
    else:
        pivot = tl.load(pivot_ptr + row, mask=exists, other=0.0)
        mean = tl.load(mean_ptr + row, mask=exists, other=0.0)
        inverse = tl.load(inverse_ptr + row, mask=exists, other=0.0)
    scale, pivot, mean, inverse = prepared(pivot, mean, inverse)
    weight = pivot
    bias = pivot
    if weight_ptr is not None:
        weight = load_lanes(weight_ptr, row, exists, channels, w_n, w_c, kind)
    if bias_ptr is not None:
        bias = load_lanes(bias_ptr, row, exists, channels, b_n, b_c, kind)
    start = k * chunk
    count = tl.minimum(length - start, chunk).to(tl.int32)
    offset = base + start * step
    stride = tl.zeros((), tl.int64) + step
    for at in range(0, count, tile_p):
        here = offset + stride * at
        x, mask = load_tile(x_ptr, here, within, count - at, exists, tile_p, kind)
        finish(
            x, mask, y_ptr, residual_ptr, here, within, weight, bias, scale, pivot, mean, inverse, factor,
            slope, act, weight_ptr is not None, bias_ptr is not None,
        )  # fmt: skip
