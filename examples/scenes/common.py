"""What the scenes share: noise, resampling, water, and the camera's last steps from light to pixels.

Arrays are float32. A picture is (H, W, 3), linear light, Rec. 709 primaries; `develop` makes it sRGB bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]
SUPERSAMPLE = 2  # every scene draws this many rows and columns a pixel


def rgb(red: float, green: float, blue: float) -> Array:
    """A colour given as sRGB 0..255, as linear light."""
    return (np.array([red, green, blue], np.float32) / 255) ** np.float32(2.2)


def smoothstep(low: float, high: float, x: ArrayLike) -> Array:
    """0 below low, 1 above high, a smooth ramp between; low may exceed high, which turns it round."""
    t = np.clip((np.asarray(x, np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Array:
    """Linear interpolation; a weight without a colour axis is given one where the colours have it."""
    a, b, t = (np.asarray(v, np.float32) for v in (a, b, t))
    if (
        t.ndim
        and max(a.ndim, b.ndim)
        and 3 in (a.shape[-1:] + b.shape[-1:])
        and t.shape[-1:] not in ((3,), (1,))
    ):
        t = t[..., None]
    return a + (b - a) * t


def unit(vector: ArrayLike) -> Array:
    """Vectors along the last axis, scaled to length one."""
    v = np.asarray(vector, np.float32)
    return v / np.maximum(np.sqrt((v * v).sum(-1, keepdims=True)), np.float32(1e-9))


def hashed(ix: ArrayLike, iy: ArrayLike, seed: int) -> NDArray[np.uint32]:
    """32 well-mixed bits for each pair of integers."""
    with np.errstate(over="ignore"):  # the overflow is the hash
        h = np.asarray(ix).astype(np.int64).astype(np.uint32) * np.uint32(0x9E3779B1)
        h = h + np.asarray(iy).astype(np.int64).astype(np.uint32) * np.uint32(0x85EBCA77)
        h = h + np.uint32(seed * 0xC2B2AE3D & 0xFFFFFFFF)
        h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
        h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
        return h ^ (h >> np.uint32(15))


def random01(ix: ArrayLike, iy: ArrayLike, seed: int) -> Array:
    """A number in [0, 1) for each pair of integers (floats are floored)."""
    return (hashed(np.floor(ix), np.floor(iy), seed) >> np.uint32(8)).astype(np.float32) / np.float32(2**24)


_ANGLE = np.arange(256) * (2 * np.pi / 256)
_COS, _SIN = np.cos(_ANGLE).astype(np.float32), np.sin(_ANGLE).astype(np.float32)


def noise(x: ArrayLike, y: ArrayLike, seed: int) -> Array:
    """Gradient noise, about -1..1, one feature a unit: the same whatever the resolution it is asked at."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float32), np.asarray(y, np.float32))
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    ix, iy = x0.astype(np.int32), y0.astype(np.int32)

    def corner(dx: int, dy: int) -> Array:
        pick = hashed(ix + dx, iy + dy, seed) >> np.uint32(24)
        return _COS[pick] * (fx - dx) + _SIN[pick] * (fy - dy)

    u, v = (f * f * f * (f * (f * 6 - 15) + 10) for f in (fx, fy))
    top, bottom = corner(0, 0), corner(0, 1)
    top = top + (corner(1, 0) - top) * u
    bottom = bottom + (corner(1, 1) - bottom) * u
    return (top + (bottom - top) * v) * np.float32(1.5)


def fbm(x: ArrayLike, y: ArrayLike, octaves: int, seed: int, gain: float = 0.5) -> Array:
    """Fractal noise: each octave twice as fine and `gain` times as strong; about -1..1."""
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    total, weight, norm = np.float32(0), np.float32(1), np.float32(0)
    for octave in range(octaves):
        # Turned by 37 degrees from octave to octave, so that no lattice lines up with the one before.
        total = total + weight * noise(x, y, seed + octave)
        norm += weight
        weight *= np.float32(gain)
        x, y = 1.6 * x - 1.2 * y + 3.1, 1.2 * x + 1.6 * y + 7.7
    return np.asarray(total / norm * 1.3, np.float32)


def sample(image: Array, row: ArrayLike, column: ArrayLike) -> Array:
    """Bilinear lookup at fractional rows and columns; outside, the nearest edge."""
    height, width = image.shape[:2]
    r = np.clip(np.asarray(row, np.float32), 0, height - 1.001)
    c = np.clip(np.asarray(column, np.float32), 0, width - 1.001)
    r0, c0 = r.astype(np.int32), c.astype(np.int32)
    fr, fc = r - r0, c - c0
    if image.ndim == 3:
        fr, fc = fr[..., None], fc[..., None]
    r1, c1 = np.minimum(r0 + 1, height - 1), np.minimum(c0 + 1, width - 1)
    top = image[r0, c0] + (image[r0, c1] - image[r0, c0]) * fc
    bottom = image[r1, c0] + (image[r1, c1] - image[r1, c0]) * fc
    return top + (bottom - top) * fr


def water(
    light: Array,
    where: NDArray[np.bool_],
    mirror: Array,
    eye_m: float,
    focal: float,
    horizon: float,
    deep: tuple[Array, Array],
    tilt: tuple[float, float],
) -> None:
    """Fill the pixels `where` with rippled water at height 0 that shows `mirror`, the view from -eye_m.

    Args:
        light: the picture, changed in place.
        where: (H, W), which pixels are water.
        mirror: (H, W, 3), what the same camera sees from as far below the surface as it is above.
        eye_m: the camera's height in metres.
        focal: in pixels.
        horizon: its row.
        deep: the water's own colour in troughs and on crests.
        tilt: slope of the waves where it is calm and where the wind reaches it.
    """
    width = light.shape[1]
    r, c = np.nonzero(where)
    below = (r + 0.5 - horizon).astype(np.float32)
    z = (eye_m * focal / below).astype(np.float32)
    x = z * ((c + 0.5 - width / 2) / focal).astype(np.float32)
    strength = mix(*tilt, smoothstep(-0.35, 0.5, fbm(x / (18 + 0.10 * z), z / (60 + 0.25 * z), 3, 151)))
    footprint = z * z / (eye_m * focal)  # metres of water in one row
    wave = np.zeros_like(z)
    for k, (size, weight) in enumerate(((3.2, 1.0), (1.3, 0.8), (0.5, 0.6))):
        fade = weight / (1 + (1.6 * footprint / size) ** 2)
        wave += fade * noise(x / (1.8 * size) + 0.3 * z / size, z / size, 160 + k)
    sway = 0.35 * noise(x / 2.0, z / 1.5, 170)
    smear = np.minimum(1, footprint / 2)  # waves too small to see still smear what they mirror
    colour = np.zeros((len(r), 3), np.float32)
    taps = 4
    for tap in range(taps):
        jitter = (random01(c, r, 180 + tap) + tap) / taps * 2 - 1
        row = horizon - np.abs(below - strength * (wave + 0.55 * smear * jitter) * focal)
        colour += sample(mirror, row - 0.5, c + 0.25 * strength * sway * focal) / taps
    slant = below / np.hypot(below, focal) + 0.6 * strength * wave
    fresnel = 0.03 + 0.97 * np.clip(1 - slant, 0, 1) ** 5
    own = mix(*deep, 0.5 + 0.5 * wave)
    light[r, c] = colour * (0.92 * fresnel)[:, None] + own * (1 - fresnel)[:, None]


def blur(image: Array, radius: float) -> Array:
    """Three box blurs, nearly a Gaussian of this radius in pixels, edges repeated."""
    size = max(int(radius), 1)
    out = image.astype(np.float64)
    for axis in (0, 1):
        for _ in range(3):
            pad = [(size + 1, size) if a == axis else (0, 0) for a in range(image.ndim)]
            total = np.cumsum(np.pad(out, pad, mode="edge"), axis=axis)
            length = out.shape[axis]
            upper, lower = (np.take(total, range(s, s + length), axis=axis) for s in (2 * size + 1, 0))
            out = (upper - lower) / (2 * size + 1)
    return out.astype(np.float32)


def develop(light: Array, seed: int, exposure: float = 1.0, vignette: float = 0.25) -> NDArray[np.uint8]:
    """Supersampled linear light to sRGB bytes: glow, vignette, film curve, grain."""
    height, width = (n // SUPERSAMPLE for n in light.shape[:2])
    image = np.minimum(light, 12).reshape(height, SUPERSAMPLE, width, SUPERSAMPLE, 3).mean((1, 3)) * exposure
    image += 0.06 * (blur(image, width / 60) - image)  # light scattered inside the lens
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    image *= (1 - vignette * np.minimum((x * x + y * y) / 2, 1) ** 1.3)[..., None]
    # A film's curve: a toe that deepens shadows, a straight part, a shoulder that bends before it clips.
    image = np.maximum(image, 0)
    image = (image * (2.4 * image + 0.06)) / (image * (2.3 * image + 0.62) + 0.12)
    image = np.where(image < 0.0031308, 12.92 * image, 1.055 * np.maximum(image, 1e-6) ** (1 / 2.4) - 0.055)
    rng = np.random.default_rng(seed)
    grain = rng.standard_normal((height, width, 1)) + 0.35 * rng.standard_normal((height, width, 3))
    image = image + 0.0075 * grain * (1.2 - image)  # shadows are noisier than highlights
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
