"""What a film's header, first frame and streams say of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

from stylenorm.errors import PictureError
from stylenorm.media.video.clock import FrameTimes
from stylenorm.media.video.color import FilmColor, color_of
from stylenorm.media.video.film import Film, packets_of, turn_of

__all__ = ["described", "picture_stream", "sized"]

_SECOND = 1_000_000  # containers count microseconds


def described(av: Any, name: str, container: Any) -> Film:
    """Read the description of an open film. The first frame knows more than the header.

    Raises:
        PictureError: it has no picture that can be decoded.
    """
    stream = picture_stream(name, container)
    first = None
    for packet in packets_of(container, stream):
        with suppress(av.InvalidDataError):  # a broken packet: a later one may do
            first = next(iter(packet.decode()), None)
        if first is not None:
            break
    if first is None:
        raise PictureError(f"{name}: expected a film, got one without a picture that can be decoded")
    turn, note = turn_of(first)
    notes = [note] if note else []
    color: FilmColor = color_of(first, stream.codec_context.name)
    if color.hdr:
        notes.append(f"{color.hdr} brightness is brought to standard range; highlights clip")
    if first.format.components and first.format.components[0].bits > 8:
        notes.append(f"{first.format.components[0].bits} bits become 8")
    if first.interlaced_frame:
        notes.append("it is interlaced, and painted as it is: deinterlace it first")
    if stream.metadata.get("alpha_mode") == "1" or any(part.is_alpha for part in first.format.components):
        notes.append("its transparency is left out: what is hidden is painted as it is stored")
    notes += _left_out(container, stream)
    width, height = (first.height, first.width) if turn.swap else (first.width, first.height)
    aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
    rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    times = FrameTimes(container.format.name, stream.time_base, rate)
    length = None
    if stream.duration:
        length = float(stream.duration * stream.time_base)
    elif container.duration:
        length = container.duration / _SECOND
    frames = stream.frames or (round(length * rate) if length else None)
    start = times(first)
    return Film(
        name,
        width,
        height,
        1 / aspect if turn.swap else aspect,
        turn,
        color,
        times.time_base,
        float(start * times.time_base),
        length,
        rate,
        frames,
        tuple(notes),
    )


def sized(film: Film, max_side_px: int | None, square_pixels: bool) -> Film:
    """Limit the size, and make pixels square, if asked; a film that fits and is square stays as it is."""
    width, height, aspect, notes = film.width, film.height, film.sample_aspect, film.notes
    if square_pixels and aspect != 1:
        width, height = (width, _even(height / aspect)) if aspect < 1 else (_even(width * aspect), height)
        notes = (
            *notes,
            f"its pixels are not square: {film.width} x {film.height} becomes {width} x {height}",
        )
        aspect = Fraction(1)
    longest = max(width, height)
    if max_side_px is not None and longest > max_side_px:
        # even sides, which films have, if the limit leaves a choice
        width, height = (_even(Fraction(side * max_side_px, longest)) for side in (width, height))
    return replace(film, width=width, height=height, sample_aspect=aspect, notes=notes)


def _even(side: Fraction) -> int:
    return max(round(side / 2) * 2, 2)


def picture_stream(name: str, container: Any) -> Any:
    """Return the stream that is painted: the default one, or the first; never a cover.

    Raises:
        PictureError: there is none.
    """
    from av.stream import Disposition

    found = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not found:
        raise PictureError(f"{name}: expected a film, got a file without moving pictures")
    stream = next((s for s in found if s.disposition & Disposition.default), found[0])
    if stream.codec_context is None:
        raise PictureError(f"{name}: expected a film, got one whose codec is unknown here")
    return stream


def _left_out(container: Any, kept: Any) -> list[str]:
    others = [
        stream.type
        for stream in container.streams
        if stream is not kept and stream.type not in ("audio", "subtitle", "attachment")
    ]
    return [f"its {kind} stream is left out" for kind in sorted(set(others))]
