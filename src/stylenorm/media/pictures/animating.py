"""Write an animation, frame by frame, to a file or a stream."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from PIL import Image

from stylenorm.errors import OutputError
from stylenorm.media.atomic import atomic_write, check_output
from stylenorm.media.formats import FORMATS, PictureFormat, format_named, format_of
from stylenorm.media.pictures.animation import Animation
from stylenorm.media.pictures.color import srgb_profile
from stylenorm.media.pictures.encoding import (
    check_quality,
    check_side,
    metadata_options,
    paletted,
    pixel_options,
)
from stylenorm.media.pictures.gif import GifWriter
from stylenorm.media.pictures.picture import Frame, Metadata, Picture, image_of
from stylenorm.media.pictures.png import ApngWriter
from stylenorm.media.pictures.writing import write_picture, write_stream

__all__ = ["write_animation", "write_media"]


def write_media(
    media: Picture | Animation,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002 (Pillow's and everyone's word for it)
    quality: int = 95,
    strip: bool = False,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write a picture or an animation; of an animation, a format of stills gets the first frame, with a note.

    Args:
        media: what ``read_media`` gave, painted.
        target: a path, whose missing folders are made, or a binary stream, which gets one write.
        format: the name of a format; None takes the path's suffix.
        quality: 1 to 100, for JPEG, WebP and AVIF.
        strip: leave out the metadata.
        overwrite: replace a file that is there already.

    Returns:
        One line for each thing that the format could not hold.

    Raises:
        OutputError, UnknownNameError, InputError: as ``write_picture`` and ``write_animation`` do.
    """
    if isinstance(media, Picture):
        return write_picture(media, target, format=format, quality=quality, strip=strip, overwrite=overwrite)
    if format is None and not isinstance(target, (str, os.PathLike)):
        raise OutputError("a stream has no suffix: name a format, such as webp")
    kind = format_named(format) if format else format_of(os.fspath(cast(str, target)))
    if kind.animated:
        return write_animation(
            media, target, format=kind.name, quality=quality, strip=strip, overwrite=overwrite
        )
    if isinstance(target, (str, os.PathLike)):
        check_output(target, overwrite=overwrite)  # before a frame is painted
    first = next(iter(media))
    picture = Picture(first.pixels, first.alpha, media.metadata, media.source_format)
    notes = write_picture(
        picture, target, format=kind.name, quality=quality, strip=strip, overwrite=overwrite
    )
    return (f"{kind.name} holds no animation: only the first of {len(media)} frames is written", *notes)


def write_animation(
    animation: Animation,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002 (Pillow's and everyone's word for it)
    quality: int = 95,
    strip: bool = False,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write an animation as GIF, WebP or animated PNG; frames are asked for one by one.

    Args:
        animation: what is written, for example ``read_animation(...).painted_with(paint)``.
        target: a path, whose missing folders are made, or a binary stream, which gets one write.
        format: ``"gif"``, ``"webp"`` or ``"png"``; None takes the path's suffix.
        quality: 1 to 100, for WebP. GIF has 255 colours a frame, chosen for each frame.
        strip: leave out the metadata.
        overwrite: replace a file that is there already.

    Returns:
        One line for each thing that the format could not hold.

    Raises:
        OutputError: as ``write_picture``; also if the format holds no animation.
        PictureError: a frame of the source is broken; nothing is written then.
    """
    check_quality(quality)
    if isinstance(target, (str, os.PathLike)):
        kind = _animated(format_named(format) if format else format_of(os.fspath(target)))
        check_side(kind, animation.width, animation.height)
        check_output(target, overwrite=overwrite)
        with atomic_write(target, overwrite=overwrite) as file:
            return tuple(_encode(animation, file, kind, quality, strip))
    if format is None:
        raise OutputError("a stream has no suffix: name a format, such as webp")
    kind = _animated(format_named(format))
    check_side(kind, animation.width, animation.height)
    memory = io.BytesIO()
    notes = _encode(animation, memory, kind, quality, strip)
    write_stream(target, memory.getvalue())
    return tuple(notes)


def _animated(kind: PictureFormat) -> PictureFormat:
    if not kind.animated:
        known = ", ".join(name.lower() for name, entry in FORMATS.items() if entry.animated)
        raise OutputError(
            f"{kind.name} holds no animation; write one of {known}, or paint the first frame alone"
        )
    return kind


def _encode(
    animation: Animation, file: BinaryIO, kind: PictureFormat, quality: int, strip: bool
) -> list[str]:
    metadata = Metadata() if strip else animation.metadata
    options = {**pixel_options(kind, quality), **metadata_options(kind, metadata, srgb_profile())}
    size = (animation.width, animation.height)
    notes: list[str] = []
    if kind.name == "WEBP":
        _write_webp(animation, file, options)
    elif kind.name == "GIF":
        gif = GifWriter(file, size, animation.plays, metadata.comment)
        soft = False
        for frame in animation:
            soft = soft or (frame.alpha is not None and bool(((frame.alpha > 0) & (frame.alpha < 255)).any()))
            gif.add(paletted(image_of(frame.pixels, frame.alpha)), frame.duration_ms)
        gif.close()
        if soft:
            notes.append("GIF holds no half transparency: less than half became transparent, the rest opaque")
    else:
        png = ApngWriter(file, size, animation.plays, options)
        for frame in animation:
            # all frames of a PNG have one kind of pixels, and a later one may turn out transparent
            png.add(image_of(frame.pixels, frame.alpha).convert("RGBA"), frame.duration_ms)
        png.close()
    return notes


def _write_webp(animation: Animation, file: BinaryIO, options: dict[str, Any]) -> None:
    durations: list[int] = []
    reel = _Reel(animation, durations)
    reel.save(
        file,
        "WEBP",
        save_all=True,
        duration=durations,
        loop=animation.plays,
        background=(0, 0, 0, 0),
        **options,
    )


class _Reel(Image.Image):
    """An image that Pillow's writer can wind forward, as it does with an opened animation.

    Pillow's WebP encoder takes one frame after the other from an image with ``n_frames`` and ``seek``; a
    list of images would have to exist at once. Durations are read from a list after each frame, which
    therefore may grow with them.
    """

    def __init__(self, animation: Animation, durations: list[int]) -> None:
        super().__init__()
        self._frames: Iterator[Frame] = iter(animation)
        self._durations = durations
        self.n_frames = max(animation.num_frames, 1)
        self._at = -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        while self._at < frame:
            current = next(self._frames)
            image = image_of(current.pixels, current.alpha)
            self.im = image.im
            self._mode, self._size = image.mode, image.size
            self._durations.append(round(current.duration_ms))
            self._at += 1

    def tell(self) -> int:
        return self._at
