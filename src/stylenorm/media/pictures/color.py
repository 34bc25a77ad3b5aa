"""Colours to sRGB, by the profile that a file embeds."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image

from stylenorm.media.pictures.picture import Pixels, to_uint8
from stylenorm.media.pictures.profiles import parse_profile

__all__ = ["cms_to_srgb", "curves_to_srgb", "srgb_profile"]


@functools.cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB that is written into pictures; the same bytes every time."""
    from PIL import ImageCms

    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = bytes.fromhex("07ea000100010000000000 00".replace(" ", ""))  # made in 2026, not now
    data[84:100] = bytes(16)  # the checksum is optional, and would be of the other date
    return bytes(data)


def curves_to_srgb(pixels: Pixels, profile: bytes) -> Pixels | None:
    """Convert RGB or grey pixels by a profile that is curves and a matrix, at their own bit depth.

    Args:
        pixels: (H, W, 3) uint8 or uint16 in the profile's colours.
        profile: the ICC profile.

    Returns:
        The same shape and type in sRGB (the same array if the profile is sRGB already: not one value
        changes then); None if the profile is of another kind.

    Raises:
        ValueError: the profile is broken.
    """
    parsed = parse_profile(profile)
    if parsed is None:
        return None
    if parsed.is_srgb():
        return pixels
    return parsed.to_srgb(pixels)


def cms_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by LittleCMS, 8 bits: CMYK, Lab, and RGB or grey profiles that are tables.

    Relative colorimetric with black point compensation: colours inside sRGB stay exactly as they were,
    and the darkest ink becomes black instead of grey. The perceptual intent would also shift the colours
    inside, each profile maker in another way.

    Args:
        image: of mode RGB, L, CMYK or LAB.
        profile: its ICC profile; None for Lab, which needs none.

    Returns:
        Mode RGB, in sRGB.

    Raises:
        ValueError: the profile is broken, or is one of other colours than the image's.
    """
    from PIL import ImageCms

    try:
        if profile is None:
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise ValueError(str(error) or "the ICC profile is broken") from error
    if converted is None:  # pragma: no cover (only with inPlace)
        raise ValueError("the ICC profile is broken")
    return converted


def table_to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """RGB pixels by a profile of tables; 16-bit ones come back with the precision of 8 bits.

    Raises:
        ValueError: the profile is broken.
    """
    converted = np.asarray(cms_to_srgb(Image.fromarray(to_uint8(pixels)), profile))
    return converted if pixels.dtype == np.uint8 else converted.astype(np.uint16) * np.uint16(257)
