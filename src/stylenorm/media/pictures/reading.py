"""Read a picture: any mode, profile, orientation and depth, to sRGB pixels."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from dataclasses import replace

from PIL import Image

from stylenorm.errors import PictureError
from stylenorm.media.pictures.coded_colors import HEAD_FORMATS
from stylenorm.media.pictures.decoding import Reopen, decode, upright
from stylenorm.media.pictures.metadata import read_metadata
from stylenorm.media.pictures.opening import MAX_MEGAPIXELS, PictureSource, Source, decoding, head_of, opened
from stylenorm.media.pictures.picture import Picture
from stylenorm.media.pictures.pillow_warnings import quiet_decoder
from stylenorm.media.pictures.transparency import fill_transparent
from stylenorm.media.pictures.truncation import completed_jpeg, is_truncation, reading_truncated

__all__ = ["ANIMATED_FORMATS", "picture_from_image", "read_picture", "read_source"]

_ORIENTATION = 0x0112
ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")


def read_picture(
    source: PictureSource,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
    keep_gps: bool = False,
    allow_truncated: bool = False,
) -> Picture:
    """Read one still picture.

    The EXIF orientation is applied. Colours are converted to sRGB by the embedded profile, relative
    colorimetric with black point compensation; a picture without one is taken as sRGB, and a broken one is
    ignored with a note. 16-bit PNG and TIFF, grey or colour, keep 16 bits; 32-bit grey becomes 16. Fully
    transparent pixels take the colour of their visible neighbours. Of an animation, the first frame is
    read, with a note; ``read_animation`` reads them all.

    Args:
        source: a path, bytes, or a binary stream (which need not be seekable).
        max_megapixels: the largest picture that is read, in millions of pixels; checked before decoding.
        keep_gps: whether the metadata may say where the photo was taken.
        allow_truncated: read what there is of a file that was cut off, with a note; a JPEG that lacks only
            its end mark is read anyway.

    Returns:
        Pixels, alpha, metadata, and notes: one line for each thing that was changed, ignored or assumed.

    Raises:
        PictureError: no picture, a broken, truncated or too large one, or a file that cannot be read.
    """
    return read_source(Source.of(source, max_megapixels), max_megapixels, keep_gps, allow_truncated)


def read_source(
    origin: Source, max_megapixels: float, keep_gps: bool, allow_truncated: bool = False
) -> Picture:
    """What ``read_picture`` does, from a source that is at hand already."""
    try:
        return _read(origin, max_megapixels, keep_gps)
    except PictureError as error:
        completed = completed_jpeg(origin.content()) if is_truncation(error) else None
        if completed is not None:
            picture = _read(Source(origin.name, completed), max_megapixels, keep_gps)
            return replace(
                picture, notes=(*picture.notes, "the file lacks its end, and nothing of the picture")
            )
        if not (allow_truncated and is_truncation(error)):
            raise
    with reading_truncated():
        picture = _read(origin, max_megapixels, keep_gps)
    return replace(picture, notes=(*picture.notes, "the file was cut off: what is missing is blank"))


def _read(origin: Source, max_megapixels: float, keep_gps: bool) -> Picture:
    with ExitStack() as stack:
        image = stack.enter_context(opened(origin, max_megapixels))
        stack.enter_context(decoding(origin.name, max_megapixels))

        def reopen() -> Image.Image:
            return stack.enter_context(opened(origin, max_megapixels))

        head = head_of(origin, HEAD_FORMATS, image)
        picture = _picture(image, reopen, keep_gps, head)
        count = getattr(image, "n_frames", 1)
        if count > 1 and image.format != "MPO":  # the others of an MPO are the same photo, for 3D or preview
            what = "an animation" if image.format in ANIMATED_FORMATS else "a file"
            note = f"{what} of {count} {'frames' if what != 'a file' else 'pages'}: only the first is used"
            picture = replace(picture, notes=(*picture.notes, note))
        return picture


def picture_from_image(image: Image.Image, *, keep_gps: bool = False) -> Picture:
    """Take a picture from a Pillow image, as ``read_picture`` takes one from a file.

    Args:
        image: of any mode; opened images may be decoded by this, but are not changed otherwise.
        keep_gps: whether the metadata may say where the photo was taken.

    Returns:
        The picture. Colours of 16 bits come only from grey images: Pillow holds no others.

    Raises:
        PictureError: the image is a file that cannot be decoded.
    """
    with decoding("image"):
        image.load()
        return _picture(image, image.copy, keep_gps)


def _picture(image: Image.Image, reopen: Reopen, keep_gps: bool, head: bytes = b"") -> Picture:
    with quiet_decoder(image.format):
        pixels, alpha, grey, notes = decode(image, reopen, head)
    metadata, more = read_metadata(image, keep_gps=keep_gps)
    # after decoding: Pillow turns TIFFs by itself, and then forgets the orientation
    orientation = _orientation(image)
    if orientation != 1:
        pixels = upright(pixels, orientation)
        alpha = None if alpha is None else upright(alpha, orientation)
        if orientation >= 5 and metadata.dpi is not None:
            metadata = replace(metadata, dpi=metadata.dpi[::-1])
    if alpha is not None:
        pixels = fill_transparent(pixels, alpha)
    return Picture(
        pixels=pixels,
        alpha=alpha,
        metadata=metadata,
        source_format="JPEG" if image.format == "MPO" else image.format,
        grey=grey,
        notes=(*notes, *more),
    )


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (ValueError, TypeError, LookupError, SyntaxError, OSError, AttributeError, struct.error):
        return 1  # a broken block; reading the metadata has noted it
    return int(value) if value in range(2, 9) else 1
