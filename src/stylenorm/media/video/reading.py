"""Read a film: frames upright in RGB in the order they are shown, packets of other streams as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from stylenorm.closing import Closing
from stylenorm.errors import InputError
from stylenorm.media.video.clock import DISCONTINUOUS, FrameTimes, PacketTimes, jumps
from stylenorm.media.video.color import ColorConverter
from stylenorm.media.video.damage import Damage, Flags
from stylenorm.media.video.describing import described, picture_stream, sized
from stylenorm.media.video.film import FilmFrame, film_errors, import_av, open_film, packets_of

__all__ = ["Damage", "FilmReader"]

_AFTER_END_S = 1.0  # how far audio may be stored behind the picture it belongs to
_SECOND = 1_000_000  # container.seek counts microseconds
_EARLIER_S = (0, 1, 4, 16, 64)  # how far before a part reading may have to begin, to decode its first frame
_TRIED_PACKETS = 500
_MISSING_S, _MISSING_FRAMES = 0.25, 5  # that a film may end before its time
# containers that know how long they are, even if they are cut
_KNOWN_LENGTH = {"matroska,webm", "avi", "flv", "asf", "mov,mp4,m4a,3gp,3g2,mj2"}


class FilmReader(Closing):
    """An open film; a context manager. Frames and packets come from `items`, once.

    Args:
        path: the film.
        start_s: where to begin, in seconds since the first frame.
        end_s: where to end (frames at that time are left out); None for the film's end.
        max_side_px: make the frames smaller than they are, if they are larger than this.
        square_pixels: make them wider or higher where pixels are not square.

    Attributes:
        film: its description.
        stream: its pictures (an ``av`` stream).
        origin_s: where its times begin, which is not always 0.
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
        square_pixels: bool = False,
    ) -> None:
        self._av = import_av()
        name = self._name = os.fspath(path)
        self._converter = ColorConverter()
        with film_errors(name):
            with open_film(name) as container:
                self.film = sized(described(self._av, name, container), max_side_px, square_pixels)
                self._kind = container.format.name
            self._check_part(start_s, end_s)
            # opened anew: seeking back would leave out packets before time 0, as AAC begins with
            self.container = open_film(name)
            self.stream = picture_stream(name, self.container)
        self.start_s, self.end_s = start_s, end_s
        self.carried = [s for s in self.container.streams if s.type in ("audio", "subtitle")]
        self.origin_s = max(Fraction(self.container.start_time or 0, _SECOND), Fraction(0))
        self._times = self._new_times()

    def items(self, *, packets: bool = True) -> Iterator[FilmFrame | Damage | Any]:
        """Give `FilmFrame`, `Damage` and packets (``av.Packet``), as they come in the file.

        A packet that cannot be decoded is reported and skipped; a file that cannot be read on ends.

        Args:
            packets: also those of `carried`.
        """
        for frame in self._decoded([self.stream, *(self.carried if packets else ())]):
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
        for frame in self._decoded([self.stream]):
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

    def _new_times(self) -> FrameTimes:
        return FrameTimes(self._kind, self.stream.time_base, self.film.frame_rate)

    def _pts(self, frame: Any) -> int | None:
        """When a frame is shown; None for one outside the part."""
        pts = self._times(frame)
        time_s = float(pts * self.film.time_base) - self.film.start_s
        half_tick = float(self.film.time_base) / 2
        if time_s < self.start_s - half_tick:
            return None
        if self.end_s is not None and time_s >= self.end_s - half_tick:
            return None
        return pts

    def _decoded(self, streams: list[Any]) -> Iterator[Any]:
        if self.start_s > 0:
            self._seek()
        demuxed, times = packets_of(self.container, *streams), PacketTimes(self._kind)
        time_s, end = self.start_s, 0.0
        flags = Flags()
        while True:
            try:
                packet = next(demuxed, None)
            except self._av.FFmpegError as error:
                yield from self._flushed(time_s)
                yield Damage(time_s, f"cannot be read on ({error.strerror})", final=True)
                return
            if packet is None:
                yield from flags.rest()
                yield from self._flushed(time_s)
                yield from self._missing(end)
                return
            if packet.dts is None and packet.size == 0:  # a stream has ended
                if packet.stream is self.stream:
                    yield from self._flushed(time_s)
                continue
            yield from flags.settled(packet, joined=times(packet))
            at = None if packet.dts is None else float(packet.dts * packet.time_base) - self.film.start_s
            if at is not None:
                end = max(end, at + float((packet.duration or 0) * packet.time_base))
            if self.end_s is not None and at is not None and at > self.end_s + _AFTER_END_S:
                yield from self._flushed(time_s)
                return
            is_picture = packet.stream is self.stream
            if is_picture:
                time_s = time_s if at is None else max(at, 0.0)
            elif not packet.size or not self._is_in_part(packet):
                continue
            if packet.is_corrupt:
                of = "" if is_picture else f" of its {packet.stream.type}"
                flags.add(packet, Damage(max(at or 0.0, 0.0), f"a broken packet{of}"))
            if not is_picture:
                yield packet
                continue
            try:
                yield from packet.decode()
            except self._av.FFmpegError as error:
                flags.drop(packet)
                yield Damage(time_s, f"a broken packet ({error.strerror})")

    def _seek(self) -> None:
        """Go to where the part's first frame can be decoded from; stay at the beginning if there is none."""
        if self._kind in DISCONTINUOUS and self._has_jumps(self.start_s):
            return
        for earlier_s in _EARLIER_S:
            at_s = self.film.start_s + self.start_s - earlier_s
            if at_s <= self.film.start_s:
                return
            if self._can_begin_at(at_s):
                with suppress(self._av.FFmpegError):
                    self.container.seek(int(at_s * _SECOND))
                self._times = self._new_times()
                return

    def _can_begin_at(self, at_s: float) -> bool:
        """Say whether the first frame that decoding gives there is not behind the part's beginning."""
        latest = self.film.start_s + self.start_s + float(self.film.time_base) / 2
        with film_errors(self._name), open_film(self._name) as container:
            stream = picture_stream(self._name, container)
            try:
                container.seek(int(at_s * _SECOND))
                for packet, _ in zip(packets_of(container, stream), range(_TRIED_PACKETS), strict=False):
                    with suppress(self._av.InvalidDataError):
                        for frame in packet.decode():
                            if not frame.is_corrupt:
                                return frame.pts is not None and frame.pts * stream.time_base <= latest
            except self._av.FFmpegError:  # it cannot seek
                return False
        return False

    def _reaches(self, time_s: float) -> bool:
        """Say whether a film goes on so long; some containers only estimate it."""
        times = PacketTimes(self._kind)
        with film_errors(self._name), open_film(self._name) as container, suppress(self._av.FFmpegError):
            for packet in packets_of(container, picture_stream(self._name, container)):
                times(packet)
                at = packet.dts
                if at is not None and float(at * packet.time_base) - self.film.start_s >= time_s:
                    return True
        return False

    def _has_jumps(self, before_s: float) -> bool:
        """Say whether the clock is set anew before a time, which needs no decoding."""
        last_s = None
        with film_errors(self._name), open_film(self._name) as container, suppress(self._av.FFmpegError):
            for packet in packets_of(container, picture_stream(self._name, container)):
                if packet.dts is None:
                    continue
                time_s = Fraction(packet.dts * packet.time_base)
                if jumps(last_s, time_s, ahead=True):
                    return True
                last_s = time_s
                if time_s - self.film.start_s > before_s:
                    return False
        return False

    def _flushed(self, time_s: float) -> Iterator[Any]:
        try:
            yield from self.stream.decode(None)
        except self._av.EOFError:
            return
        except self._av.FFmpegError as error:
            yield Damage(time_s, f"a broken packet ({error.strerror})")

    def _missing(self, end_s: float) -> Iterator[Damage]:
        """Compare where the film ended with where it should, and a stream of packets with their size."""
        length = self.film.duration_s
        allowed = max(_MISSING_S, _MISSING_FRAMES / float(self.film.frame_rate))
        if self.end_s is None and length and self._kind in _KNOWN_LENGTH and end_s < length - allowed:
            yield Damage(end_s, f"it is cut short: {length - end_s:.1f} of {length:.1f} s are missing", True)
        elif self.end_s is None and self._kind == "mpegts":
            size = Path(self._name).stat().st_size
            if size % 188 and size % 192 and size % 204:  # the sizes of its packets
                yield Damage(end_s, "it is cut short: its last packet is not whole", True)

    def _is_in_part(self, packet: Any) -> bool:
        if packet.pts is None or (self.start_s == 0 and self.end_s is None):
            return True
        time_s = float(packet.pts * packet.time_base) - self.film.start_s
        return time_s >= self.start_s and (self.end_s is None or time_s < self.end_s)

    def _check_part(self, start_s: float, end_s: float | None) -> None:
        length = self.film.duration_s
        if not start_s >= 0 or (end_s is not None and not end_s > start_s):
            raise InputError(f"part of a film: expected 0 <= from < to, got {start_s:g} to {end_s}")
        if length is None or start_s < length:
            return
        if self._kind not in DISCONTINUOUS or not self._reaches(start_s):
            raise InputError(f"{self.film.name}: from {start_s:g} s is behind its end, at {length:g} s")
