"""Write a picture: to a file that appears whole or not at all, or to a stream."""

from __future__ import annotations

import os
from typing import BinaryIO

from stylenorm.errors import OutputError
from stylenorm.media.atomic import atomic_write, check_output
from stylenorm.media.formats import PictureFormat, format_named, format_of
from stylenorm.media.pictures.encoding import encode
from stylenorm.media.pictures.picture import Picture

__all__ = ["encode_picture", "write_picture"]


def write_picture(
    picture: Picture,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002 (Pillow's and everyone's word for it)
    quality: int = 95,
    strip: bool = False,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write a picture.

    JPEG is written at quality 95 with colours at full resolution; WebP and AVIF lossy at the same number;
    PNG at compression level 1; TIFF deflated. 16 bits are kept in PNG and TIFF. Alpha is kept where the
    format holds it, and flattened on white where it does not. The profile of sRGB is embedded.

    Args:
        picture: what is written.
        target: a path, whose missing folders are made, or a binary stream, which gets one write.
        format: ``"png"``, ``"jpeg"``, ``"webp"``, ``"tiff"``, ``"gif"``, ``"avif"`` or ``"bmp"``; None takes
            the path's suffix.
        quality: 1 to 100, for JPEG, WebP and AVIF.
        strip: leave out the metadata.
        overwrite: replace a file that is there already.

    Returns:
        One line for each thing that the format could not hold.

    Raises:
        OutputError: the file exists, the suffix is unknown, the place cannot be written, the disk is full,
            the format does not hold the size, or a stream is given without a format.
        UnknownNameError: the format is unknown.
        InputError: the quality is not within 1 to 100.
    """
    if isinstance(target, (str, os.PathLike)):
        kind = format_named(format) if format else format_of(os.fspath(target))
        check_output(target, overwrite=overwrite)
        data, notes = encode(picture, kind, quality=quality, strip=strip)
        with atomic_write(target, overwrite=overwrite) as file:
            file.write(data)
        return tuple(notes)
    data, notes = encode(picture, _stream_format(format), quality=quality, strip=strip)
    write_stream(target, data)
    return tuple(notes)


def encode_picture(
    picture: Picture,
    format: str,  # noqa: A002
    *,
    quality: int = 95,
    strip: bool = False,
) -> bytes:
    """The bytes of the file that ``write_picture`` would write; same arguments, same errors."""
    return encode(picture, format_named(format), quality=quality, strip=strip)[0]


def _stream_format(name: str | None) -> PictureFormat:
    if name is None:
        raise OutputError("a stream has no suffix: name a format, such as png")
    return format_named(name)


def write_stream(stream: BinaryIO, data: bytes) -> None:
    """Write all of it at once, and flush.

    Raises:
        OutputError: the stream is closed, full or no binary one.
    """
    name = str(getattr(stream, "name", "<stream>"))
    try:
        view = memoryview(data)
        while view:  # an unbuffered stream may take a part only
            view = view[stream.write(view) or len(view) :]
        stream.flush()
    except BrokenPipeError:
        raise OutputError(f"{name}: the reader went away before it had the whole picture") from None
    except (OSError, ValueError) as error:
        raise OutputError(f"{name}: cannot be written ({error})") from error
    except TypeError:
        raise OutputError(f"{name}: expected a binary stream, got one of text; pass its .buffer") from None
