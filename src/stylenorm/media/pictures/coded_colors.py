"""Colours that a file names without an ICC profile: PNG's cICP and gAMA, nclx of AVIF and HEIC, EXIF.

The numbers are those of ITU-T H.273 (2024), tables 2 and 3. High dynamic range (PQ and HLG, ITU-R BT.2100) is
brought to what is painted here as films are: diffuse white (203 cd/m2, ITU-R BT.2408) becomes white, brighter
highlights clip.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image

from stylenorm.media.pictures.profiles import Curve, CurveProfile, Floats

__all__ = ["HEAD_FORMATS", "coded_color"]

HEAD_FORMATS = ("PNG", "AVIF", "HEIF")
"""Formats whose beginning names colours that Pillow does not tell."""

_D65, _DCI, _C = (0.3127, 0.3290), (0.314, 0.351), (0.310, 0.316)
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65)
# Red, green, blue and white by H.273's ColourPrimaries.
_PRIMARIES = {
    1: _SRGB,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_TRANSFER_SRGB, _TRANSFER_PQ, _TRANSFER_HLG, _UNSPECIFIED = 13, 16, 18, 2
_VIDEO_TRANSFERS = (1, 6, 14, 15)  # one curve, by BT.709, 601 and 2020: shown as sRGB's by every viewer
_WHITE_CD, _PQ_CD, _HLG_CD = 203.0, 10_000.0, 1000.0
_HLG_GAMMA = 1.2  # of the whole, at 1000 cd/m2
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
_SRGB_GAMMA = 1 / 2.2
_ADOBE_GAMMA = 563 / 256


def coded_color(image: Image.Image, head: bytes, notes: list[str]) -> CurveProfile | None:
    """Return the colours that an opened file names without a profile, as a profile; None for sRGB.

    Args:
        image: opened; one that has an ICC profile is not asked.
        head: the beginning of the file, for `HEAD_FORMATS`.
        notes: takes a line for what is assumed, or brought from high dynamic range.
    """
    if image.format == "PNG":
        return _of_png(head, notes)
    if image.format in ("AVIF", "HEIF"):
        at = head.find(b"colrnclx")
        if at >= 0 and len(head) >= at + 12:
            primaries, transfer = struct.unpack_from(">HH", head, at + 8)
            return _of_numbers(primaries, transfer, notes)
        return None
    return _of_exif(image, notes)


def _of_png(head: bytes, notes: list[str]) -> CurveProfile | None:
    chunks = dict(_chunks(head))
    if len(chunks.get(b"cICP", b"")) == 4:
        primaries, transfer, matrix, full_range = chunks[b"cICP"]
        if matrix != 0 or full_range != 1:
            notes.append("the PNG names colours (cICP) that RGB does not have: taken as sRGB")
            return None
        return _of_numbers(primaries, transfer, notes)
    if b"sRGB" in chunks or not chunks.get(b"gAMA"):
        return None
    gamma = struct.unpack(">I", chunks[b"gAMA"][:4])[0] / 100_000 if len(chunks[b"gAMA"]) >= 4 else 0.0
    if not 0.05 < gamma < 5:
        return None
    curve = None if abs(gamma - _SRGB_GAMMA) < 0.01 else _power(1 / gamma)
    corners = _SRGB
    if len(chunks.get(b"cHRM", b"")) == 32:
        x, y, *rest = (value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
        points = list(zip(rest[0::2], rest[1::2], strict=True))
        corners = (points[0], points[1], points[2], (x, y))
    if curve is None and all(
        abs(a - b) < 0.005
        for said, own in zip(corners, _SRGB, strict=True)
        for a, b in zip(said, own, strict=True)
    ):
        return None  # what most programs mean by sRGB
    try:
        return _profile(corners, curve or _srgb_curve)
    except (ValueError, ZeroDivisionError, np.linalg.LinAlgError):
        notes.append("the PNG's primaries (cHRM) are impossible: colours taken as sRGB")
        return None


def _of_exif(image: Image.Image, notes: list[str]) -> CurveProfile | None:
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(0xA001)
        interoperability = str(exif.get_ifd(ExifTags.IFD.Interop).get(1, ""))
    except (ValueError, TypeError, LookupError, SyntaxError, OSError, AttributeError, struct.error):
        return None  # a broken block; reading the metadata notes it
    if space == 2 or (space == 0xFFFF and interoperability.startswith("R03")):
        return _profile(_ADOBE, _power(_ADOBE_GAMMA))
    if space == 0xFFFF and not interoperability.startswith("R98"):
        notes.append("the file says that its colours are not sRGB, and not which they are: taken as sRGB")
    return None


def _of_numbers(primaries: int, transfer: int, notes: list[str]) -> CurveProfile | None:
    """The profile of H.273's numbers for primaries and transfer; None for sRGB and what is not said."""
    corners = _PRIMARIES.get(primaries)
    if corners is None:
        if primaries != _UNSPECIFIED:
            notes.append(f"colours are named by primaries {primaries}, which are unknown: taken as sRGB")
        corners = _SRGB
    if transfer == _TRANSFER_PQ:
        notes.append("high dynamic range (PQ): brought to that of a painting, highlights clip")
        return _profile(corners, _pq)
    if transfer == _TRANSFER_HLG:
        notes.append("high dynamic range (HLG): brought to that of a painting, highlights clip")
        return _profile(corners, _hlg, system_gamma=_HLG_GAMMA, gain=_HLG_CD / _WHITE_CD)
    curves: dict[int, Curve] = {4: _power(2.2), 5: _power(2.8), 8: _power(1.0), 17: _power(2.6)}
    curve = curves.get(transfer)
    if curve is None and transfer not in (*_VIDEO_TRANSFERS, _TRANSFER_SRGB, _UNSPECIFIED):
        notes.append(f"colours are named by transfer {transfer}, which is unknown: taken as sRGB's")
    if curve is None and corners is _SRGB:
        return None
    return _profile(corners, curve or _srgb_curve)


def _profile(
    corners: tuple[tuple[float, float], ...], curve: Curve, *, system_gamma: float = 1.0, gain: float = 1.0
) -> CurveProfile:
    """A profile of primaries (x, y of red, green, blue and white) and a curve."""
    red, green, blue, white = ([x / y, 1.0, (1 - x - y) / y] for x, y in corners)
    matrix = np.array([red, green, blue]).T
    matrix = matrix * np.linalg.solve(matrix, np.array(white))
    luminance = matrix[1]
    response = _BRADFORD @ np.array(white)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / response) @ _BRADFORD @ matrix
    if not np.isfinite(adapted).all() or abs(float(np.linalg.det(adapted))) < 1e-6:
        raise ValueError("primaries on a line")
    return CurveProfile((curve,) * 3, adapted, system_gamma, gain, tuple(luminance))


def _power(gamma: float) -> Curve:
    return lambda x: np.power(x, gamma)


def _srgb_curve(x: Floats) -> Floats:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _pq(x: Floats) -> Floats:
    """BT.2100, table 4: device values to light, of which 1 is diffuse white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.power(x, 1 / m2)
    return _PQ_CD / _WHITE_CD * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)


def _hlg(x: Floats) -> Floats:
    """BT.2100, table 5: device values to the light of the scene, 0..1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(x <= 0.5, x * x / 3, (np.exp((x - c) / a) + b) / 12)


def _chunks(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG before its pixels, as far as the beginning of the file has them."""
    at = 8
    while at + 12 <= len(head):
        size, name = struct.unpack_from(">I4s", head, at)
        if name == b"IDAT" or at + 12 + size > len(head):
            return
        yield name, head[at + 8 : at + 8 + size]
        at += 12 + size
