"""From a Pillow image of any mode to sRGB pixels and straight alpha, at 8 or 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from stylenorm.media.pictures.coded_colors import coded_color
from stylenorm.media.pictures.color import cms_to_srgb, curves_to_srgb, table_to_srgb
from stylenorm.media.pictures.opening import UnreadKindError
from stylenorm.media.pictures.picture import Pixels, to_uint8
from stylenorm.media.pictures.planar_tiff import planes_of
from stylenorm.media.pictures.profiles import CurveProfile

__all__ = ["Profile", "Reopen", "decode", "decode8", "profile_of", "rawmode", "upright"]

Reopen = Callable[[], Image.Image]
Profile = bytes | CurveProfile | None

_GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}


def decode(
    image: Image.Image, reopen: Reopen, head: bytes = b""
) -> tuple[Pixels, Pixels | None, bool, list[str]]:
    """Decode an opened image; orientation is left to the caller.

    Args:
        image: opened, not decoded.
        reopen: opens the same picture anew: Pillow gives the two bytes of a 16-bit colour one at a time.
        head: the beginning of the file, for the formats that name colours there.

    Returns:
        pixels (H, W, 3) uint8 or uint16 in sRGB; alpha (H, W) of the same type or None; whether the source
        is grey; and one line for each thing that was assumed.
    """
    notes: list[str] = []
    profile = profile_of(image, head, notes)
    deep = _deep_channels(image, reopen)
    grey = image.mode in _GREY_MODES if deep is None else deep.shape[2] < 3
    if deep is None and image.mode in ("I", "F"):
        image.load()
        deep = _scaled(np.asarray(image), notes)[..., None]
    if deep is not None:
        pixels, alpha = _split(deep, image.info.get("transparency"))
        converted = _by_profile(pixels, profile, notes)
    else:
        image.load()
        if image.mode in ("CMYK", "LAB"):
            return _inks(image, profile if isinstance(profile, bytes) else None, notes), None, False, notes
        pixels, alpha = _split8(image)
        converted = _by_profile(pixels, profile, notes)
    if alpha is not None and bool((alpha == np.iinfo(alpha.dtype).max).all()):
        alpha = None
    return converted, alpha, grey, notes


def profile_of(image: Image.Image, head: bytes, notes: list[str]) -> Profile:
    """What the numbers of an opened image mean: its ICC profile, or what it names besides; None for sRGB."""
    return image.info.get("icc_profile") or coded_color(image, head, notes)


def decode8(
    image: Image.Image, profile: Profile, notes: list[str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Convert a decoded image or frame, at 8 bits.

    Args:
        image: decoded, of any mode but those of inks and of more than 8 bits.
        profile: what `profile_of` said.
        notes: takes one line if the profile is ignored.

    Returns:
        pixels (H, W, 3) in sRGB, and alpha (H, W), None if all is opaque.
    """
    pixels, alpha = _split8(image)
    if alpha is not None and bool((alpha == 255).all()):
        alpha = None
    return to_uint8(_by_profile(pixels, profile, notes)), alpha


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn a picture as its EXIF orientation (1..8) asks; other values leave it as it is.

    Args:
        array: (H, W) or (H, W, C).
        orientation: 1 upright, 3 upside down, 6 and 8 quarter turns, the even others mirrored.
    """
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def _deep_channels(image: Image.Image, reopen: Reopen) -> NDArray[np.uint16] | None:
    """All 16 bits of each channel, (H, W, 1..4), or None if the picture has fewer.

    Pillow holds 16 bits only in grey. Its decoders do produce both bytes of a 16-bit colour channel, and
    then keep the high one: told that the bytes come in the other order, they keep the low one. So the
    picture is decoded twice, and no further library is needed for reading.
    """
    if image.mode.startswith("I;16"):
        image.load()
        return _as_tiff_means(np.asarray(image).astype(np.uint16), image)[..., None]
    if _tag(image, 284) == 2 and _tag(image, 258) == 16:
        return _planar(image, reopen)
    if not isinstance(image, ImageFile.ImageFile) or not image.tile or image.format not in ("PNG", "TIFF"):
        return None
    mode = rawmode(image.tile[0].args)
    if mode == "LA;16B":  # four bytes a pixel, so that RGBA holds them as they are
        both = _decoded_as(image, "RGBA", "RGBA")
        return _joined(both[..., 0::2], both[..., 1::2])
    kind, _, order = mode.partition(";16")
    if kind not in ("RGB", "RGBA", "RGBX", "RGBa") or order not in ("B", "L", "N"):
        return None
    native = "L" if np.little_endian else "B"
    high_order = native if order == "N" else order
    low_order = "B" if high_order == "L" else "L"
    wide = "RGB" if kind == "RGB" else "RGBA"
    high = _decoded_as(image, wide, f"{wide};16{high_order}")
    with reopen() as again:
        channels = _joined(high, _decoded_as(again, wide, f"{wide};16{low_order}"))
    if kind == "RGBX":
        return channels[..., :3]
    return _unpremultiplied(channels) if kind == "RGBa" else channels


def _planar(image: Image.Image, reopen: Reopen) -> NDArray[np.uint16]:
    """The channels of a TIFF of separate planes."""
    tags: Any = getattr(image, "tag_v2", {})
    colors = {0: 1, 1: 1, 2: 3}.get(_tag(image, 262))
    count = int(tags.get(277, 1))
    again = reopen()
    if colors is None or not colors <= count <= 16 or not isinstance(again, ImageFile.ImageFile):
        raise UnreadKindError(
            "a 16-bit TIFF of separate planes that are not grey or RGB; save it with interleaved channels"
        )
    assert again.fp is not None  # noqa: S101 (opened, and not decoded)
    again.fp.seek(0)
    channels = planes_of(again.fp.read(), tags, count)
    if _tag(image, 262) == 0:
        channels[..., 0] = 65535 - channels[..., 0]
    extra = np.atleast_1d(tags.get(338, 0))
    if count == colors or int(extra[0]) not in (1, 2):
        return np.ascontiguousarray(channels[..., :colors])
    channels = np.ascontiguousarray(channels[..., : colors + 1])
    return _unpremultiplied(channels) if int(extra[0]) == 1 and colors == 3 else channels


def _as_tiff_means(values: NDArray[np.uint16], image: Image.Image) -> NDArray[np.uint16]:
    """Two things that Pillow leaves to the caller: 12 bits in 16, and white as zero."""
    if _tag(image, 258) == 12:
        values = (values << 4 | values >> 8).astype(np.uint16)
    return (65535 - values).astype(np.uint16) if _tag(image, 262) == 0 else values


def _tag(image: Image.Image, number: int) -> Any:
    """A TIFF tag's (first) value; None if the image is no TIFF, or does not say."""
    value = getattr(image, "tag_v2", {}).get(number)
    return value[0] if isinstance(value, tuple) and value else value


def rawmode(args: Any) -> str:
    """Return how a file's bytes make pixels, from the arguments of one of Pillow's tiles; "" if none says."""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _decoded_as(image: Image.Image, mode: str, rawmode: str) -> NDArray[np.uint8]:
    """Decode with another idea of how the file's bytes make pixels."""
    if not isinstance(image, ImageFile.ImageFile):
        raise TypeError("an image without a file")
    image._mode = mode  # what a Pillow plugin sets for its decoder, beside the tiles
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]
    image.load()
    return np.asarray(image)


def _joined(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return (high.astype(np.uint16) * 256 + low).astype(np.uint16, copy=False)


def _unpremultiplied(channels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    alpha = channels[..., 3:].astype(np.uint64)
    color = (channels[..., :3].astype(np.uint64) * 65535 + alpha // 2) // np.maximum(alpha, 1)
    return np.concatenate([np.minimum(color, 65535), alpha], axis=2).astype(np.uint16)


def _scaled(values: NDArray[Any], notes: list[str]) -> NDArray[np.uint16]:
    """32-bit integers and floats to 16 bits: 0..65535 or 0..1 as they are, any other range stretched."""
    finite = np.isfinite(values)
    wide = np.where(finite, values, 0).astype(np.float64)
    low, high = (float(wide[finite].min()), float(wide[finite].max())) if finite.any() else (0.0, 0.0)
    top = 65535.0 if values.dtype.kind in "iu" else 1.0
    if low < 0.0 or high > top:
        notes.append(f"values {low:g} to {high:g} are not within 0 to {top:g}: stretched from black to white")
        wide, top = wide - low, max(high - low, 1e-300)
    return np.round(np.clip(wide / top, 0.0, 1.0) * 65535).astype(np.uint16)


def _split(channels: NDArray[np.uint16], transparency: Any) -> tuple[Pixels, Pixels | None]:
    """Colour and alpha of 1 to 4 channels; ``transparency`` is a PNG's one transparent colour."""
    count = channels.shape[2]
    color = channels[..., : 1 if count < 3 else 3]
    alpha = np.ascontiguousarray(channels[..., -1]) if count in (2, 4) else None
    if alpha is None and isinstance(transparency, (int, tuple)):
        key = np.atleast_1d(np.asarray(transparency))
        if key.size == color.shape[2]:
            alpha = np.where((color == key).all(axis=2), 0, 65535).astype(np.uint16)
    if color.shape[2] == 1:
        color = np.repeat(color, 3, axis=2)
    return np.ascontiguousarray(color), alpha


def _split8(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    if image.has_transparency_data:
        channels = np.asarray(image.convert("RGBA"))
        return np.ascontiguousarray(channels[..., :3]), np.ascontiguousarray(channels[..., 3])
    return np.array(image.convert("RGB")), None


def _by_profile(pixels: Pixels, profile: Profile, notes: list[str]) -> Pixels:
    if profile is None:
        return pixels
    if isinstance(profile, CurveProfile):
        return profile.to_srgb(pixels)
    try:
        converted = curves_to_srgb(pixels, profile)
        if converted is None:
            converted = table_to_srgb(pixels, profile)
            if pixels.dtype == np.uint16:
                notes.append("the colour profile is one of tables: converted at 8 bits")
    except ValueError as error:
        notes.append(f"the colour profile is broken and was ignored ({error}): colours taken as sRGB")
        return pixels
    return converted


def _inks(image: Image.Image, profile: bytes | None, notes: list[str]) -> Pixels:
    if image.mode == "LAB":
        try:
            return np.array(cms_to_srgb(image, None))
        except ValueError as error:
            notes.append(f"Lab colours could not be converted ({error})")
            return np.array(image.convert("RGB"))
    if profile is not None:
        try:
            return np.array(cms_to_srgb(image, profile))
        except ValueError as error:
            notes.append(f"the colour profile is broken and was ignored ({error})")
    notes.append("CMYK without a usable profile: colours are approximate")
    return np.array(image.convert("RGB"))
