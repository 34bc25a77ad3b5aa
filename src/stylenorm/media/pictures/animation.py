"""Animations, one frame at a time: GIF, WebP, animated PNG and AVIF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from stylenorm.errors import PictureError
from stylenorm.media.pictures.coded_colors import HEAD_FORMATS
from stylenorm.media.pictures.decoding import Profile, decode8, profile_of
from stylenorm.media.pictures.gif_reading import GifFile
from stylenorm.media.pictures.metadata import read_metadata
from stylenorm.media.pictures.opening import (
    MAX_MEGAPIXELS,
    PictureSource,
    Source,
    check_pixels,
    decoding,
    head_of,
    opened,
)
from stylenorm.media.pictures.picture import Frame, Metadata, Picture, fitted_size, to_uint8
from stylenorm.media.pictures.pillow_warnings import quiet_decoder
from stylenorm.media.pictures.reading import ANIMATED_FORMATS, read_source
from stylenorm.media.pictures.transparency import fill_transparent

__all__ = ["MAX_ANIMATION_MEGAPIXELS", "Animation", "read_animation", "read_media"]

# All frames together: an hour of a small GIF, or 2000 full HD frames. A bomb repeats one byte for ever.
MAX_ANIMATION_MEGAPIXELS = 4000.0
_MAX_FRAMES = 100_000
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, eq=False)
class Animation:
    """Frames that are decoded, and painted, when they are asked for.

    Iterating gives ``Frame`` after ``Frame``, composed to full size, and can be done again: the file is
    opened anew. Memory holds one frame.

    Args:
        open_frames: gives a new iterator over the frames.
        width: W, in pixels.
        height: H, in pixels.
        num_frames: how many frames there are.
        plays: how often the whole is shown; 0 for ever.
        metadata: what is written beside the frames.
        source_format: Pillow's name of the format it was read from, or None.
        notes: one line for each thing that reading had to change, ignore or assume.
    """

    open_frames: Callable[[], Iterator[Frame]]
    width: int
    height: int
    num_frames: int
    plays: int = 0
    metadata: Metadata = field(default_factory=Metadata)
    source_format: str | None = None
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        return self.open_frames()

    def __len__(self) -> int:
        return self.num_frames

    def fitted(self, longest_px: int) -> Animation:
        """The animation, made smaller so that its longer side has so many pixels at most."""
        size = fitted_size(self.width, self.height, longest_px)
        if size == (self.width, self.height):
            return self
        frames = self.open_frames
        return replace(
            self,
            open_frames=lambda: (frame.resized(size) for frame in frames()),
            width=size[0],
            height=size[1],
        )

    def squared(self, side_px: int | None = None) -> Animation:
        """The square from the middle of every frame; see `stylenorm.media.Picture.squared`."""
        side = side_px or min(self.width, self.height)
        frames = self.open_frames
        return replace(
            self,
            open_frames=lambda: (frame.squared(side_px) for frame in frames()),
            width=side,
            height=side,
        )

    def painted_with(self, paint: Callable[[Any], Any]) -> Animation:
        """The animation whose frames go through ``paint`` when they are asked for.

        Args:
            paint: takes and returns (H, W, 3) uint8 of the same size; alpha and durations stay.
        """
        frames = self.open_frames
        return replace(self, open_frames=lambda: (frame.repainted(paint(frame.pixels)) for frame in frames()))


def read_media(
    source: PictureSource,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
    keep_gps: bool = False,
    allow_truncated: bool = False,
) -> Picture | Animation:
    """Read whatever it is: an ``Animation`` if it has more than one frame, else a ``Picture``.

    Args:
        source: a path, bytes, or a binary stream (which need not be seekable).
        max_megapixels: the largest picture or frame that is read, in millions of pixels.
        keep_gps: whether the metadata may say where the photo was taken.
        allow_truncated: as in ``read_picture``; for still pictures.

    Raises:
        PictureError: as ``read_picture`` and ``read_animation`` do.
    """
    origin = Source.of(source, max_megapixels)
    if _moves(origin, max_megapixels):
        return _animation(origin, max_megapixels, MAX_ANIMATION_MEGAPIXELS, keep_gps)
    return read_source(origin, max_megapixels, keep_gps, allow_truncated)


def read_animation(
    source: PictureSource,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
    max_total_megapixels: float = MAX_ANIMATION_MEGAPIXELS,
    keep_gps: bool = False,
) -> Animation:
    """Read an animation; a still picture is one of one frame.

    Only the header is read now. Frames are composed as a viewer would show them (partial frames, disposal
    and blending), converted to sRGB, and given in 8 bits.

    Args:
        source: a path, bytes, or a binary stream, which is read to its end.
        max_megapixels: the largest frame, in millions of pixels.
        max_total_megapixels: the most that all frames together may have.
        keep_gps: whether the metadata may say where it was taken.

    Raises:
        PictureError: no picture, a broken or too large one, or a file that cannot be read. A frame that is
            broken raises it when its turn comes.
    """
    origin = Source.of(source, max_megapixels)
    if _moves(origin, max_megapixels):
        return _animation(origin, max_megapixels, max_total_megapixels, keep_gps)
    picture = read_source(origin, max_megapixels, keep_gps)
    alpha = None if picture.alpha is None else to_uint8(picture.alpha)
    frame = Frame(to_uint8(picture.pixels), alpha, 0.0)
    return Animation(
        lambda: iter([frame]),
        picture.width,
        picture.height,
        num_frames=1,
        metadata=picture.metadata,
        source_format=picture.source_format,
        notes=picture.notes,
    )


def _moves(origin: Source, max_megapixels: float) -> bool:
    if origin.head(len(_JPEG)) == _JPEG:  # most photos: they need not be opened for this
        return False
    with opened(origin, max_megapixels) as image, decoding(origin.name, max_megapixels):
        return image.format in ANIMATED_FORMATS and getattr(image, "n_frames", 1) > 1


def _animation(origin: Source, max_megapixels: float, max_total: float, keep_gps: bool) -> Animation:
    with opened(origin, max_megapixels) as image, decoding(origin.name, max_megapixels):
        skip = 1 if getattr(image, "default_image", False) else 0
        num_frames = getattr(image, "n_frames", 1) - skip
        width, height = image.size
        if image.format == "GIF":
            gif = GifFile(origin.content())
            num_frames, (width, height) = gif.num_frames, gif.size
            check_pixels(origin.name, width, height, max_megapixels)  # frames may be larger than the screen
        if num_frames > _MAX_FRAMES or num_frames * width * height > max_total * 1e6:
            raise PictureError(
                f"{origin.name}: expected at most {max_total:g} megapixels in at most {_MAX_FRAMES} frames, "
                f"got {num_frames} frames of {width} x {height}; cut it, or raise the limit if you trust it"
            )
        plays = _plays(image)
        with quiet_decoder(image.format):
            image.load()
        metadata, notes = read_metadata(image, keep_gps=keep_gps)
        profile = profile_of(image, head_of(origin, HEAD_FORMATS, image), notes)
        decode8(image, profile, notes)

    def gif_frames() -> Iterator[Frame]:
        with decoding(origin.name, max_megapixels):
            coming = GifFile(origin.content()).frames()
        while True:
            with decoding(origin.name, max_megapixels):  # not while the caller has the frame
                following = next(coming, None)
                if following is None:
                    return
                channels, duration_ms = following
                pixels, alpha = decode8(Image.fromarray(channels), profile, [])
                if alpha is not None:
                    pixels = fill_transparent(pixels, alpha).astype(np.uint8, copy=False)
                frame = Frame(pixels, alpha, duration_ms)
            yield frame

    def frames() -> Iterator[Frame]:
        with opened(origin, max_megapixels) as image:
            for index in range(skip, skip + num_frames):
                with decoding(origin.name, max_megapixels):  # not while the caller has the frame
                    frame = _frame(image, index, origin.name, (width, height), profile)
                yield frame

    open_frames = gif_frames if image.format == "GIF" else frames
    return Animation(open_frames, width, height, num_frames, plays, metadata, image.format, tuple(notes))


def _frame(image: Image.Image, index: int, name: str, size: tuple[int, int], profile: Profile) -> Frame:
    image.seek(index)
    if image.size != size:
        raise PictureError(f"{name}: frame {index} changes the size; export the animation again")
    with quiet_decoder(image.format):
        image.load()
    pixels, alpha = decode8(image, profile, [])
    if alpha is not None:
        pixels = fill_transparent(pixels, alpha).astype(np.uint8, copy=False)
    return Frame(pixels, alpha, float(image.info.get("duration", 0) or 0))


def _plays(image: Image.Image) -> int:
    loop = image.info.get("loop")
    if image.format == "GIF":  # counts repetitions after the first showing; 0 is for ever; absent is once
        return 1 if loop is None else (0 if loop == 0 else int(loop) + 1)
    return int(loop or 0)
