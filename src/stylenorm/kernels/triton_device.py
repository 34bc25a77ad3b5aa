"""What the Triton kernels are made of: where a tile lies, its moments, their merging, activations.

A tile is ``tile_p`` positions by ``tile_c`` channels of one tensor, whichever of the two is contiguous. A
number that a whole plane shares is a vector over the tile's channels here, called lanes.

How the numbers are kept:

- A chunk is measured around the mean of its first tile (taken above the chunk's first element, so a constant
  chunk is centred to exactly zero). The chunk's variance is then at least the share of the first tile in the
  distance of the means, so what cancels in ``E[d^2] - E[d]^2`` is at most the number of tiles in a chunk.
- A chunk whose squares overflow (or vanish, where eps is so small that this matters) is measured again in
  float64, scaled by a power of two.
- Chunks are merged in float64, in one fixed tree, as means above the plane's first element and deviations;
  deviations are at most as large as the elements, so nothing overflows.
- The mean is kept as two numbers, the nearest one of the type and what is missing.
"""

# mypy: ignore-errors
# Types here are Triton's, and what it compiles carries no annotations.

from typing import Any

import triton
import triton.language as tl

# Reciprocal deviations below these ask for a scale: the distance of two elements may overflow.
_WIDE32: Any = tl.constexpr(2.0**-40)
_WIDE64: Any = tl.constexpr(2.0**-400)
_DOWN32: Any = tl.constexpr(2.0**-88)
_UP32: Any = tl.constexpr(2.0**88)
_DOWN64: Any = tl.constexpr(2.0**-540)
_UP64: Any = tl.constexpr(2.0**540)
_HUGE: Any = tl.constexpr(2.0**1000)
# The reciprocal deviation of a constant plane at eps = 0, where it is 1 / 0: the largest number of the type.
_MAX32: Any = tl.constexpr(3.4028234663852886e38)
_MAX64: Any = tl.constexpr(1.7976931348623157e308)
_LEAST32: Any = tl.constexpr(2.0**-80)
_LEAST64: Any = tl.constexpr(2.0**-800)
_ROOT_HALF: Any = tl.constexpr(0.7071067811865476)
_ROOT_2PI: Any = tl.constexpr(0.3989422804014327)


@triton.jit
def locate(tile, rows, channels, length, tile_c: tl.constexpr, channels_last: tl.constexpr):
    """Rows (N * C) of a tile's lanes, which of them exist, and the offset of the first lane's plane."""
    lane = tl.arange(0, tile_c)
    if channels_last:
        tiles = tl.cdiv(channels, tile_c)
        sample = tile // tiles
        c = (tile % tiles) * tile_c
        row = sample * channels + c + lane
        exists = (c + lane) < channels
        base = sample * length * channels + c
    else:
        first = tile * tile_c
        row = first + lane
        exists = row < rows
        base = first * length
    return row, exists, base


@triton.jit
def inside(channels, length, tile_p: tl.constexpr, tile_c: tl.constexpr, channels_last: tl.constexpr):
    """Offsets within a tile, the offset of each lane's first element, and that of the next tile.

    In channels_last a tile spans less than 2^31 elements (``covers`` sees to it); else lanes are whole
    planes of which a tile holds several only where they are short.
    """
    p = tl.arange(0, tile_p)[:, None]
    c = tl.arange(0, tile_c)
    if channels_last:
        return p * channels + c[None, :], c, channels
    if tile_c == 1:
        return p + c[None, :], c, 1
    return p + c[None, :] * length, c * length, 1


@triton.jit
def load_tile(ptr, offset, within, left, exists, tile_p: tl.constexpr, kind: tl.constexpr):
    """A tile in the computing type, zero outside, and the mask of what is inside."""
    mask = (tl.arange(0, tile_p) < left)[:, None] & exists[None, :]
    return tl.load(ptr + offset + within, mask=mask, other=0.0).to(kind), mask


@triton.jit
def load_lanes(ptr, row, exists, channels, stride_n, stride_c, kind: tl.constexpr):
    """Scale or shift (N, C) of the lanes; its strides may be zero."""
    return tl.load(
        ptr + (row // channels) * stride_n + (row % channels) * stride_c, mask=exists, other=0.0
    ).to(kind)


@triton.jit
def reference(ptr, offset, exists):
    """The element above which a plane's means are kept, in float64; zero where a distance may overflow."""
    first = tl.load(ptr + offset, mask=exists, other=0.0).to(tl.float64)
    return tl.where(tl.abs(first) > _HUGE, 0.0, first)


@triton.jit
def settle(s1, s2, count):
    """Mean and deviation, in float64, from the sums of ``count`` distances and of their squares."""
    mean = s1.to(tl.float64) / count
    left = s2.to(tl.float64) - s1.to(tl.float64) * mean
    return mean, tl.sqrt(tl.where(left < 0, 0.0, left) / count)


@triton.jit
def is_awkward(s1, s2, count, small: tl.constexpr):
    """Whether sums left the range of their type; ``small``: or may have vanished."""
    bad = ~(s2 < float("inf")) | ~(tl.abs(s1) < float("inf"))
    if small:
        least: tl.constexpr = _LEAST64 if s2.dtype == tl.float64 else _LEAST32
        bad = bad | (s2 < count * least)
    return bad


@triton.jit
def measure_wide(ptr, offset, step, within, first, exists, count, above, s2, tile_p: tl.constexpr):
    """Mean above ``above`` and deviation of a chunk, in float64 and scaled."""
    pivot = tl.load(ptr + offset + first, mask=exists, other=0.0).to(tl.float64)
    scale = tl.full(s2.shape, 1.0, tl.float64)
    if ptr.dtype.element_ty == tl.float64:
        small = (s2 < 1.0) & (tl.abs(pivot) < 1 / _WIDE64)  # next to a larger pivot nothing is that small
        scale = tl.where(s2 < float("inf"), tl.where(small, _UP64, 1.0), _DOWN64).to(tl.float64)
    s1 = tl.zeros_like(pivot)
    q2 = tl.zeros_like(pivot)
    for t in range(tl.cdiv(count, tile_p)):
        at = t * tile_p
        x, mask = load_tile(ptr, offset + step * at, within, count - at, exists, tile_p, tl.float64)
        d = tl.where(mask, x * scale[None, :] - (pivot * scale)[None, :], 0.0)
        s1 += tl.sum(d, 0)
        q2 += tl.sum(d * d, 0)
    mean, deviation = settle(s1, q2, count)
    deviation = deviation / scale
    deviation = tl.where(deviation > _MAX64, _MAX64, deviation)  # by a rounding, for the two largest numbers
    return (pivot * scale + mean) / scale - above, deviation


@triton.jit
def merge(mean, deviation, counts, length, above, root_eps, kind: tl.constexpr, parts: tl.constexpr):
    """Pivot, mean above the pivot and reciprocal deviation of planes from those of their chunks, (K, lanes).

    ``mean`` is above ``above``; ``counts`` (K, 1) is zero for chunks that do not exist. ``root_eps`` is the
    root of eps, for the biased variance. Worked in halves: the distance of two means may overflow.
    """
    share = counts.to(tl.float64) / length
    mean = mean * 0.5
    start = tl.sum(tl.where(tl.arange(0, parts)[:, None] == 0, mean, 0.0), 0)
    total = start + tl.sum(tl.where(share > 0, (mean - start[None, :]) * share, 0.0), 0)
    spread = tl.where(share > 0, mean - total[None, :], 0.0)
    deviation = tl.where(share > 0, deviation * 0.5, 0.0)
    top = tl.maximum(tl.max(tl.maximum(tl.abs(spread), deviation), 0), root_eps * 0.5)
    top = tl.where(top > 0, top, 1.0)
    spread = spread / top[None, :]
    deviation = deviation / top[None, :]
    var = tl.sum(share * (deviation * deviation + spread * spread), 0)
    rest = (root_eps * 0.5) / top
    var = var + rest * rest
    total = total * 2
    largest: tl.constexpr = _MAX64 if kind == tl.float64 else _MAX32
    inverse = (0.5 / top) / tl.sqrt(tl.where(var == 0, 1.0, var))  # a NaN stays one
    inverse = tl.where(inverse > largest / 2, largest / 2, inverse)
    inverse = tl.where(var == 0, largest, inverse)
    middle = above + total
    part = middle - above
    missing = (above - (middle - part)) + (total - part)
    pivot = middle.to(kind)
    return pivot, ((middle - pivot.to(tl.float64)) + missing).to(kind), inverse.to(kind)


@triton.jit
def prepared(pivot, mean, inverse):
    """Scale, scaled pivot, scaled mean above it, and the reciprocal deviation of scaled elements."""
    wide: tl.constexpr = _WIDE64 if inverse.dtype == tl.float64 else _WIDE32
    down: tl.constexpr = _DOWN64 if inverse.dtype == tl.float64 else _DOWN32
    up: tl.constexpr = _UP64 if inverse.dtype == tl.float64 else _UP32
    largest: tl.constexpr = _MAX64 if inverse.dtype == tl.float64 else _MAX32
    big = inverse < wide
    scale = tl.where(big, down, 1.0).to(inverse.dtype)
    inverse = tl.where(big, inverse * up, inverse)
    inverse = tl.where(inverse >= largest, 0.0, inverse).to(scale.dtype)
    return scale, pivot * scale, mean * scale, inverse


@triton.jit
def normalized(x, scale, pivot, mean, inverse):
    """The plane in units of its deviation: exactly zero where it is constant."""
    return ((x * scale[None, :] - pivot[None, :]) - mean[None, :]) * inverse[None, :]


@triton.jit
def shaped(xh, weight, bias, has_weight: tl.constexpr, has_bias: tl.constexpr, factor):
    """Scale and shift put back. A constant plane gives exactly the shift."""
    z = xh * tl.full((), factor, xh.dtype)
    if has_weight:
        z = z * weight[None, :]
    if has_bias:
        z = z + bias[None, :]
    return z


@triton.jit
def erf_parts(z):
    """The normal distribution's cumulative probability and density."""
    half = tl.full((), 0.5, z.dtype)
    return half * (1 + tl.erf(z * _ROOT_HALF)), tl.exp(-half * z * z) * _ROOT_2PI


@triton.jit
def expm1(z):
    """``exp(z) - 1`` for z <= 0, by its series where the difference would cancel."""
    series = z / 10 + 1
    for k in tl.static_range(9, 1, -1):
        series = series * z / k + 1
    return tl.where(z > -0.25, z * series, tl.exp(z) - 1)


@triton.jit
def activate(z, act: tl.constexpr, slope):
    """The activation. A NaN stays one."""
    if act == "relu":
        z = tl.where(z <= 0, 0.0, z)
    elif act == "leaky_relu":
        z = tl.where(z > 0, z, z * tl.full((), slope, z.dtype))
    elif act == "silu":
        z = z / (1 + tl.exp(-z))
    elif act == "gelu":
        below, _ = erf_parts(z)
        z = z * below
    elif act == "elu":
        z = tl.where(z > 0, z, tl.full((), slope, z.dtype) * expm1(tl.where(z > 0, 0.0, z)))
    return z


@triton.jit
def activate_backward(g, z, act: tl.constexpr, slope):
    """The gradient of what the activation saw, ``z``."""
    if act == "relu":
        g = tl.where(z <= 0, 0.0, g)
    elif act == "leaky_relu":
        g = tl.where(z > 0, g, g * tl.full((), slope, g.dtype))
    elif act == "silu":
        gate = 1 / (1 + tl.exp(-z))
        g = g * (gate * (1 + z * (1 - gate)))
    elif act == "gelu":
        below, density = erf_parts(z)
        g = g * (below + z * density)
    elif act == "elu":
        g = tl.where(z > 0, g, g * tl.full((), slope, g.dtype) * tl.exp(tl.where(z > 0, 0.0, z)))
    return g
