"""ICC profiles read by hand: the matrix and curves of an RGB or grey one, at any bit depth.

Pillow's colour management (LittleCMS) computes in 8 bits. Most profiles that cameras, screens and editors
embed are three curves and a matrix (ICC.1:2022, 8.3.3 and 8.4.3), or one curve (8.3.4): for those the
conversion to sRGB is a few lines, and 16-bit pictures keep their 16 bits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stylenorm.media.pictures.picture import Pixels

__all__ = ["CurveProfile", "parse_profile", "srgb_from_linear"]

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]

# sRGB's primaries as an ICC profile states them: adapted to the D50 white of the connection space
# (IEC 61966-2-1 through the Bradford transform; columns are red, green and blue, rows X, Y and Z).
_SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_XYZ_TO_SRGB = np.linalg.inv(_SRGB_TO_XYZ)


@dataclass(frozen=True, eq=False)
class CurveProfile:
    """A profile that is curves and, for RGB, a matrix.

    Args:
        curves: three for RGB, one for grey; each takes device values 0..1 to linear light 0..1.
        matrix: (3, 3) from linear device RGB to XYZ under D50; None for grey.
        system_gamma: power of the luminance that the light is multiplied by to the power of one less (HLG).
        gain: what the light is multiplied by after it.
        luminance: shares of red, green and blue in the luminance, for ``system_gamma``.
    """

    curves: tuple[Curve, ...]
    matrix: Floats | None
    system_gamma: float = 1.0
    gain: float = 1.0
    luminance: tuple[float, ...] = ()

    def is_srgb(self) -> bool:
        """Whether converting to sRGB would change no 8-bit value by more than about one level."""
        grid = np.linspace(0.0, 1.0, 256)
        same_curves = all(
            np.abs(srgb_from_linear(curve(grid)) - grid).max() < 0.7 / 255 for curve in self.curves
        )
        return same_curves and (self.matrix is None or bool(np.abs(self.matrix - _SRGB_TO_XYZ).max() < 2e-3))

    def to_srgb(self, pixels: Pixels) -> Pixels:
        """Convert, relative colorimetric: in-gamut colours keep their appearance, others are clipped.

        Args:
            pixels: (H, W, 3) uint8 or uint16 in the profile's colours (for grey: three equal channels).

        Returns:
            The same shape and type, in sRGB.
        """
        top = int(np.iinfo(pixels.dtype).max)
        levels = np.linspace(0.0, 1.0, top + 1)
        tables = [curve(levels).astype(np.float32) for curve in self.curves]
        encode = np.round(srgb_from_linear(np.linspace(0.0, 1.0, 2**16)) * top).astype(pixels.dtype)
        converted = np.empty_like(pixels)
        if self.matrix is None:
            direct = np.round(srgb_from_linear(np.clip(tables[0], 0.0, 1.0)) * top).astype(pixels.dtype)
            converted[...] = direct[pixels]
            return converted
        matrix = (_XYZ_TO_SRGB @ self.matrix).astype(np.float32)
        for first in range(0, pixels.shape[0], 256):  # bands of rows: floats take four times the memory
            band = pixels[first : first + 256]
            linear = np.stack([table[band[..., channel]] for channel, table in enumerate(tables)], axis=-1)
            if self.system_gamma != 1.0:
                shares = np.array(self.luminance, dtype=np.float32)
                linear *= self.gain * np.maximum(linear @ shares, 1e-9)[..., None] ** (self.system_gamma - 1)
            linear = np.clip(linear @ matrix.T, 0.0, 1.0)
            if top == 255:  # 2**16 linear steps tell all 8-bit levels apart, also the dark ones
                converted[first : first + 256] = encode[np.round(linear * 65535).astype(np.int32)]
            else:
                converted[first : first + 256] = np.round(srgb_from_linear(linear) * top).astype(pixels.dtype)
        return converted


def srgb_from_linear(linear: NDArray[np.floating]) -> Floats:
    """The transfer curve of sRGB (IEC 61966-2-1): linear light 0..1 to device values 0..1."""
    small = linear * 12.92
    return np.where(linear <= 0.0031308, small, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def parse_profile(data: bytes) -> CurveProfile | None:
    """Read an ICC profile that is curves and a matrix.

    Args:
        data: the profile.

    Returns:
        None if it is of another kind (tables, CMYK, another connection space): LittleCMS converts those.

    Raises:
        ValueError: the bytes are no sound ICC profile.
    """
    if len(data) < 132 or data[36:40] != b"acsp":
        raise ValueError("no ICC profile")
    space, connection = data[16:20], data[20:24]
    tags = _tags(data)
    if connection != b"XYZ " or any(tag in tags for tag in (b"A2B0", b"A2B1", b"D2B0", b"D2B1")):
        return None
    if space == b"GRAY" and b"kTRC" in tags:
        return CurveProfile((_curve(tags[b"kTRC"]),), None)
    wanted = (b"rTRC", b"gTRC", b"bTRC", b"rXYZ", b"gXYZ", b"bXYZ")
    if space != b"RGB " or any(tag not in tags for tag in wanted):
        return None
    curves = tuple(_curve(tags[tag]) for tag in wanted[:3])
    matrix = np.stack([_xyz(tags[tag]) for tag in wanted[3:]], axis=1)
    if abs(float(np.linalg.det(matrix))) < 1e-6:
        raise ValueError("the ICC profile's primaries lie on a line")
    return CurveProfile(curves, matrix)


def _tags(data: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", data, 128)
    if count > 200 or len(data) < 132 + 12 * count:
        raise ValueError("the ICC profile's table of tags is broken")
    tags = {}
    for index in range(count):
        name, offset, size = struct.unpack_from(">4sII", data, 132 + 12 * index)
        if offset + size > len(data) or size < 8:
            raise ValueError("a tag of the ICC profile lies outside of it")
        tags[name] = data[offset : offset + size]
    return tags


def _xyz(tag: bytes) -> Floats:
    if tag[:4] != b"XYZ " or len(tag) < 20:
        raise ValueError("a primary of the ICC profile is broken")
    return np.array(struct.unpack_from(">3i", tag, 8), dtype=np.float64) / 65536


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"curv" and len(tag) >= 12:
        (count,) = struct.unpack_from(">I", tag, 8)
        if len(tag) < 12 + 2 * count:
            raise ValueError("a curve of the ICC profile is broken")
        entries = np.frombuffer(tag, dtype=">u2", count=count, offset=12).astype(np.float64)
        if count == 0:
            return _power(1.0)
        if count == 1:
            return _power(float(entries[0]) / 256)
        positions = np.linspace(0.0, 1.0, count)
        return lambda x: np.interp(x, positions, entries / 65535)
    if tag[:4] == b"para" and len(tag) >= 16:
        (kind,) = struct.unpack_from(">H", tag, 8)
        num_values = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(kind)
        if num_values is None or len(tag) < 12 + 4 * num_values:
            raise ValueError("a curve of the ICC profile is of an unknown kind")
        values = [value / 65536 for value in struct.unpack_from(f">{num_values}i", tag, 12)]
        return _parametric(kind, values)
    raise ValueError("a curve of the ICC profile is broken")


def _power(gamma: float) -> Curve:
    return lambda x: np.power(x, gamma)


def _parametric(kind: int, values: list[float]) -> Curve:
    """The five functions of ICC.1:2022, table 68: a power above a limit, a line or a constant below it."""
    if kind == 0:
        return _power(values[0])
    g, a, b = values[:3]
    if a == 0:
        raise ValueError("a curve of the ICC profile is broken")
    if kind == 1:
        limit, slope, shift, below = -b / a, 0.0, 0.0, 0.0
    elif kind == 2:
        limit, slope, shift, below = -b / a, 0.0, values[3], values[3]
    elif kind == 3:
        limit, slope, shift, below = values[4], values[3], 0.0, 0.0
    else:
        limit, slope, shift, below = values[4], values[3], values[5], values[6]
    return lambda x: np.where(x >= limit, np.maximum(a * x + b, 0.0) ** g + shift, slope * x + below)
