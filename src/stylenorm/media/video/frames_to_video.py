"""A film or an animation of frames that are made, not read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import OutputError
from stylenorm.media.atomic import atomic_write
from stylenorm.media.formats import format_of
from stylenorm.media.pictures.animating import write_animation
from stylenorm.media.pictures.animation import Animation
from stylenorm.media.pictures.picture import Frame
from stylenorm.media.video.color import FilmColor
from stylenorm.media.video.film import Film, FilmFrame, Turn
from stylenorm.media.video.formats import film_format_of, is_film
from stylenorm.media.video.writing import FilmWriter, WritingOptions

__all__ = ["check_film_target", "write_film"]

_Frames = Iterator[NDArray[np.uint8]]


def check_film_target(target: str | os.PathLike[str]) -> None:
    """Refuse a path that `write_film` would refuse for its suffix, before any frame is made.

    Raises:
        OutputError: neither a film nor an animation is written with it.
    """
    if is_film(target):
        film_format_of(target)
    elif not format_of(os.fspath(target)).animated:
        raise OutputError(f"{target}: expected the name of a film (.mp4) or an animation (.gif, .webp, .png)")


def write_film(
    make_frames: Callable[[], _Frames],
    target: str | os.PathLike[str],
    *,
    width: int,
    height: int,
    num_frames: int,
    frame_rate: int,
    quality: int = 95,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write frames as a film, or as an animation that plays for ever; the path's suffix says which.

    Args:
        make_frames: gives an iterator over frames (height, width, 3) uint8, RGB.
        target: a path such as walk.mp4, .mkv, .webm, .gif, .webp or .png; missing folders are made.
        width: of the frames.
        height: of the frames.
        num_frames: how many there are.
        frame_rate: frames a second.
        quality: 1 to 100.
        overwrite: replace a file that is there already.

    Returns:
        One line for each thing that the format could not hold.

    Raises:
        OutputError: the suffix is of neither, the file exists, or it cannot be written; nothing is left then.
        MissingExtraError: a film is asked for, and PyAV is not installed.
    """
    check_film_target(target)
    if not is_film(target):

        def frames() -> Iterator[Frame]:
            return (Frame(pixels, None, 1000 / frame_rate) for pixels in make_frames())

        animation = Animation(frames, width, height, num_frames)
        return write_animation(animation, target, quality=quality, overwrite=overwrite)
    seconds = num_frames / frame_rate
    tick, rate = Fraction(1, frame_rate), Fraction(frame_rate)
    name = os.fspath(target)
    film = Film(
        name, width, height, Fraction(1), Turn(), FilmColor(), tick, 0.0, seconds, rate, num_frames
    )  # fmt: skip
    with atomic_write(target, overwrite=overwrite) as file:
        writer = FilmWriter(file, film_format_of(target), film, WritingOptions(quality=quality))
        try:
            for i, pixels in enumerate(make_frames()):
                writer.write_frame(FilmFrame(pixels, i, 1, i / frame_rate), pixels)
            writer.close()
        finally:
            writer.abandon()
    return tuple(writer.notes)
