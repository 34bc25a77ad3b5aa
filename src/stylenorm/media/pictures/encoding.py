"""Pictures to bytes of a format."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from stylenorm.errors import InputError, OutputError
from stylenorm.media.formats import PictureFormat, format_named
from stylenorm.media.pictures.color import srgb_profile
from stylenorm.media.pictures.picture import Metadata, Picture, Pixels, to_uint8
from stylenorm.media.pictures.pillow_warnings import quiet_pillow
from stylenorm.media.pictures.png import encode_png16
from stylenorm.media.pictures.tiff import encode_tiff

__all__ = [
    "check_fits",
    "check_quality",
    "check_side",
    "encode",
    "flattened",
    "metadata_options",
    "paletted",
    "pixel_options",
]


def encode(picture: Picture, target: PictureFormat, *, quality: int, strip: bool) -> tuple[bytes, list[str]]:
    """Encode a picture.

    Args:
        picture: what is encoded.
        target: the format.
        quality: 1 to 100, for the formats that lose something.
        strip: leave the metadata out (not the colour profile, which says what the numbers mean).

    Returns:
        The file, and one line for each thing that the format could not hold.

    Raises:
        OutputError: the format holds no picture of this size.
        InputError: the quality is not within 1 to 100.
    """
    check_quality(quality)
    check_side(target, picture.width, picture.height)
    notes: list[str] = []
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and not target.alpha:
        pixels, alpha = flattened(pixels, alpha), None
        notes.append(f"{target.name} holds no transparency: flattened on white")
    if pixels.dtype == np.uint16 and not target.deep:
        pixels, alpha = to_uint8(pixels), None if alpha is None else to_uint8(alpha)
        notes.append(f"{target.name} holds 8 bits a channel: 16 bits were rounded")
    grey = picture.grey and _is_grey(pixels)
    metadata = Metadata() if strip else picture.metadata
    # a profile of RGB may not stand in a grey file; grey without one is read with sRGB's curve
    icc = None if grey else srgb_profile()
    channels = _stacked(pixels, alpha, grey)
    if target.name == "TIFF":
        try:
            if channels.shape[2] == 2 and pixels.dtype == np.uint16:
                # allowed, but Pillow and others read no 16-bit grey with alpha
                channels = channels[..., [0, 0, 0, 1]]
            return encode_tiff(channels, metadata, icc), notes
        except ValueError as error:
            raise OutputError(f"TIFF: {error}") from None
    options = {**pixel_options(target, quality), **metadata_options(target, metadata, icc)}
    if pixels.dtype == np.uint16:
        return encode_png16(channels.astype(np.uint16, copy=False), options), notes
    image = Image.fromarray(channels[..., 0] if channels.shape[2] == 1 else np.ascontiguousarray(channels))
    if target.name == "GIF":
        image = paletted(image)
    out = io.BytesIO()
    try:
        with quiet_pillow(image.width * image.height):
            image.save(out, target.name, **options)
    except (OSError, ValueError, KeyError, MemoryError) as error:
        raise OutputError(f"{target.name}: the picture cannot be encoded ({error}); try PNG") from error
    return out.getvalue(), notes


def pixel_options(target: PictureFormat, quality: int) -> dict[str, Any]:
    """Pillow's options for the pixels.

    Measured on two cores with a painting-like noisy picture, 512 x 512 and 4000 x 3000: PNG level 1 takes 34
    and 1607 ms for 592 and 24997 kB, level 6 takes 62 and 3045 ms for 563 and 23078 kB: half the time for 5
    to 8 % more. WebP method 2 takes half of method 4's time for the same size.
    """
    options: dict[str, dict[str, Any]] = {
        "PNG": {"compress_level": 1},
        # Paintings have saturated edges, which halved colour resolution smears. Not optimised: Pillow then
        # encodes into a buffer of 2 bytes a pixel, and fails on rough pictures; it saves 6 to 8 %, and takes
        # three times as long (455 for 143 ms).
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality, "method": 2},
        "AVIF": {"quality": quality, "subsampling": "4:4:4", "speed": 8},
    }
    return options.get(target.name, {})


def metadata_options(target: PictureFormat, metadata: Metadata, icc: bytes | None) -> dict[str, Any]:
    """Pillow's options for what stands beside the pixels; what a format cannot hold is left out."""
    options: dict[str, Any] = {}
    if icc and target.name not in ("GIF", "BMP"):
        options["icc_profile"] = icc
    if metadata.exif and target.name in ("JPEG", "PNG", "WEBP", "AVIF"):
        options["exif"] = metadata.exif
    # a JPEG segment holds 64 kB less its head
    if metadata.xmp and target.name in ("JPEG", "WEBP", "AVIF") and len(metadata.xmp) < 65000:
        options["xmp"] = metadata.xmp
    if metadata.dpi and target.name in ("JPEG", "PNG", "BMP"):
        options["dpi"] = metadata.dpi
    if metadata.comment and target.name in ("JPEG", "GIF"):
        options["comment"] = metadata.comment.encode()[:32000]  # Pillow's buffer holds 64 kB of all
    if target.name == "PNG" and (metadata.text or metadata.xmp or metadata.comment):
        options["pnginfo"] = _png_texts(metadata)
    if target.name == "JPEG" and len(metadata.exif) > 65000:
        del options["exif"]
    return options


def _png_texts(metadata: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    texts = dict(metadata.text)
    if metadata.comment:
        texts.setdefault("Comment", metadata.comment)
    for key, value in texts.items():
        info.add_itxt(key.encode("latin-1", "replace").decode("latin-1")[:79], value)
    if metadata.xmp:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    return info


def check_fits(format: str, width: int, height: int) -> None:  # noqa: A002 (as write_picture has it)
    """Refuse a picture that a format cannot hold, before an hour of painting.

    Args:
        format: the name of a picture format.
        width: W, in pixels.
        height: H, in pixels.

    Raises:
        OutputError: a side is too long.
        UnknownNameError: no such format.
    """
    check_side(format_named(format), width, height)


def check_side(target: PictureFormat, width: int, height: int) -> None:
    """Refuse a picture that the format cannot hold.

    Raises:
        OutputError: a side is too long.
    """
    if max(width, height) > target.max_side_px:
        raise OutputError(
            f"{target.name} holds at most {target.max_side_px} pixels a side, the picture has "
            f"{width} x {height}; write PNG or TIFF"
        )


def check_quality(quality: int) -> None:
    """Refuse a quality outside of 1 to 100.

    Raises:
        InputError: it is.
    """
    if isinstance(quality, bool) or not 1 <= quality <= 100 or math.floor(quality) != quality:
        raise InputError(f"expected a quality of 1 to 100, got {quality}")


def flattened(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Lay a picture with straight alpha on white, in its own type; (H, W, 3) and (H, W)."""
    top = int(np.iinfo(pixels.dtype).max)
    opacity = alpha[..., None].astype(np.uint64)
    laid = (pixels * opacity + (top - opacity) * top + top // 2) // top
    return laid.astype(np.uint8) if top == 255 else laid.astype(np.uint16)


def paletted(image: Image.Image) -> Image.Image:
    """Colours reduced to a palette of the picture's own, dithered; alpha below half becomes transparent."""
    if image.mode == "L":
        return image
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    color = image.convert("RGB")
    palette = color.quantize(255, method=Image.Quantize.MEDIANCUT)
    reduced = color.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if alpha is not None:
        hidden = np.asarray(alpha) < 128
        indices = np.where(hidden, np.uint8(255), np.asarray(reduced))
        colors = (reduced.getpalette() or [])[: 255 * 3]
        reduced = Image.fromarray(indices.astype(np.uint8))  # putpalette makes it one of indices
        reduced.putpalette(colors + [0] * (768 - len(colors)))
        reduced.info["transparency"] = 255
    return reduced


def _is_grey(pixels: Pixels) -> bool:
    first = pixels[..., 0]
    return bool(np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2]))


def _stacked(pixels: Pixels, alpha: Pixels | None, grey: bool) -> NDArray[Any]:
    color = pixels[..., :1] if grey else pixels
    return color if alpha is None else np.concatenate((color, alpha[..., None]), axis=2)
