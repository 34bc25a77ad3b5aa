"""Read a film: frames upright in RGB in the order they are shown, packets of other streams as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from stylenorm.closing import Closing
from stylenorm.errors import InputError, PictureError
from stylenorm.media.video.color import ColorConverter, FilmColor, color_of
from stylenorm.media.video.film import Film, FilmFrame, film_errors, import_av, turn_of

__all__ = ["Damage", "FilmReader"]

_AFTER_END_S = 1.0  # how far audio may be stored behind the picture it belongs to
_SECOND = 1_000_000  # container.seek counts microseconds


@dataclass(frozen=True)
class Damage:
    """Something in the file that could not be read.

    Attributes:
        time_s: about where, in seconds since the film's first frame.
        reason: what was found.
        final: nothing after it could be read.
    """

    time_s: float
    reason: str
    final: bool = False


class FilmReader(Closing):
    """An open film; a context manager. Frames and packets come from `items`, once.

    Args:
        path: the film.
        start_s: where to begin, in seconds since the first frame.
        end_s: where to end (frames at that time are left out); None for the film's end.
        max_side_px: make the frames smaller than they are, if they are larger than this.

    Attributes:
        film: its description.
        carried: streams whose packets are given (``av`` streams): audio and subtitles.
        container: the open ``av`` container, for its metadata and chapters.

    Raises:
        PictureError: no film, or one without a picture that can be decoded.
        InputError: ``start_s`` and ``end_s`` hold nothing of it.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        max_side_px: int | None = None,
    ) -> None:
        self._av = import_av()
        name = os.fspath(path)
        self._converter = ColorConverter()
        with film_errors(name):
            with self._av.open(name, metadata_errors="replace") as container:
                self.film = _limited(_described(self._av, name, container), max_side_px)
            self._check_part(start_s, end_s)
            # opened anew: seeking back would leave out packets before time 0, as AAC begins with
            self.container = self._av.open(name, metadata_errors="replace")
            self._stream = _picture_stream(name, self.container)
        self.start_s, self.end_s = start_s, end_s
        self.carried = [s for s in self.container.streams if s.type in ("audio", "subtitle")]
        self._last_pts: int | None = None

    def items(self, *, packets: bool = True) -> Iterator[FilmFrame | Damage | Any]:
        """Give `FilmFrame`, `Damage` and packets (``av.Packet``), as they come in the file.

        A packet that cannot be decoded is reported and skipped; a file that cannot be read on ends.

        Args:
            packets: also those of `carried`.
        """
        for frame in self._decoded([self._stream, *(self.carried if packets else ())]):
            if isinstance(frame, (Damage, self._av.Packet)):
                yield frame
                continue
            pts = self._pts(frame)
            if pts is None:
                continue
            time_s = float(pts * self.film.time_base) - self.film.start_s
            yield FilmFrame(self._pixels(frame), pts, frame.duration or 0, time_s, bool(frame.is_corrupt))

    def frames(self) -> Iterator[tuple[Any, float]]:
        """Give decoded ``av.VideoFrame`` objects and their times in seconds, for who needs no RGB of all."""
        for frame in self._decoded([self._stream]):
            if isinstance(frame, Damage):
                continue
            pts = self._pts(frame)
            if pts is not None:
                yield frame, float(pts * self.film.time_base) - self.film.start_s

    def pixels(self, frame: Any) -> Any:
        """Convert a frame that `frames` gave: (H, W, 3) uint8, RGB, upright."""
        return self._pixels(frame)

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def _pixels(self, frame: Any) -> Any:
        width, height = self.film.width, self.film.height
        if self.film.turn.swap:
            width, height = height, width
        return self.film.turn(
            self._converter.rgb_from_frame(frame, self.film.color, width=width, height=height)
        )

    def _pts(self, frame: Any) -> int | None:
        """When a frame is shown; None for one outside the part, or not after the one before."""
        pts: int | None = frame.pts
        step = max(round(1 / (self.film.frame_rate * self.film.time_base)), 1)
        if pts is None:
            first = round(self.film.start_s / self.film.time_base)
            pts = first if self._last_pts is None else self._last_pts + step
        time_s = float(pts * self.film.time_base) - self.film.start_s
        half_tick = float(self.film.time_base) / 2
        if time_s < self.start_s - half_tick or (self._last_pts is not None and pts <= self._last_pts):
            return None
        if self.end_s is not None and time_s >= self.end_s - half_tick:
            return None
        self._last_pts = pts
        return pts

    def _decoded(self, streams: list[Any]) -> Iterator[Any]:
        if self.start_s > 0:
            target = int((self.film.start_s + self.start_s) * _SECOND)
            with suppress(self._av.FFmpegError):  # not seekable: decode from the beginning
                self.container.seek(target)
        demuxed = self.container.demux(*streams)
        time_s = self.start_s
        while True:
            try:
                packet = next(demuxed, None)
            except self._av.FFmpegError as error:
                yield Damage(time_s, f"cannot be read on ({error.strerror})", final=True)
                packet = None
            if packet is None or (packet.dts is None and packet.size == 0 and packet.stream is self._stream):
                yield from self._flushed(time_s)
                if packet is None:
                    return
                continue
            at = None if packet.dts is None else float(packet.dts * packet.time_base) - self.film.start_s
            if self.end_s is not None and at is not None and at > self.end_s + _AFTER_END_S:
                yield from self._flushed(time_s)
                return
            if packet.stream is not self._stream:
                if packet.size and self._is_in_part(packet):
                    yield packet
                continue
            time_s = time_s if at is None else max(at, 0.0)
            reason = "a broken packet" if packet.is_corrupt else ""
            try:
                yield from packet.decode()
            except self._av.FFmpegError as error:
                reason = f"a broken packet ({error.strerror})"
            if reason:
                yield Damage(time_s, reason)

    def _flushed(self, time_s: float) -> Iterator[Any]:
        try:
            yield from self._stream.decode(None)
        except self._av.EOFError:
            return
        except self._av.FFmpegError as error:
            yield Damage(time_s, f"a broken packet ({error.strerror})")

    def _is_in_part(self, packet: Any) -> bool:
        if packet.pts is None or (self.start_s == 0 and self.end_s is None):
            return True
        time_s = float(packet.pts * packet.time_base) - self.film.start_s
        return time_s >= self.start_s and (self.end_s is None or time_s < self.end_s)

    def _check_part(self, start_s: float, end_s: float | None) -> None:
        length = self.film.duration_s
        if not start_s >= 0 or (end_s is not None and not end_s > start_s):
            raise InputError(f"part of a film: expected 0 <= from < to, got {start_s:g} to {end_s}")
        if length is not None and start_s >= length:
            raise InputError(f"{self.film.name}: from {start_s:g} s is behind its end, at {length:g} s")


def _described(av: Any, name: str, container: Any) -> Film:
    """Read the description. The first frame knows more than the header."""
    stream = _picture_stream(name, container)
    first = None
    for packet in container.demux(stream):
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
    notes += _left_out(container, stream)
    width, height = (first.height, first.width) if turn.swap else (first.width, first.height)
    aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
    rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    length = None
    if stream.duration:
        length = float(stream.duration * stream.time_base)
    elif container.duration:
        length = container.duration / _SECOND
    frames = stream.frames or (round(length * rate) if length else None)
    start = first.pts if first.pts is not None else (stream.start_time or 0)
    return Film(
        name,
        width,
        height,
        1 / aspect if turn.swap else aspect,
        turn,
        color,
        stream.time_base,
        float(start * stream.time_base),
        length,
        rate,
        frames,
        tuple(notes),
    )


def _limited(film: Film, max_side_px: int | None) -> Film:
    longest = max(film.width, film.height)
    if max_side_px is None or longest <= max_side_px:
        return film
    # even sides, which films have, if the limit leaves a choice
    width, height = (
        max(round(side * max_side_px / longest / 2) * 2, 2) for side in (film.width, film.height)
    )
    return replace(film, width=width, height=height)


def _picture_stream(name: str, container: Any) -> Any:
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
