"""A film's clock: times that go on, whatever the file says.

Files joined end to end count from the beginning again; some containers guess the times of frames that are
decoded in another order than they are shown; streams of bare pictures have none, and equal stamps occur where
a container counts too coarsely. None of this is a reason to drop a frame or sound.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

__all__ = ["DISCONTINUOUS", "FrameTimes", "PacketTimes", "jumps"]

DISCONTINUOUS = {"mpegts", "mpeg"}
"""FFmpeg's names of the containers whose clock may jump ahead."""

_BACK_S, _AHEAD_S = Fraction(1, 2), Fraction(10)
_HOUR_S = Fraction(3600)  # no frame is shown for longer: its time is broken
_FINE = 4  # ticks that a frame lasts at least


def jumps(last_s: Fraction | None, time_s: Fraction, *, ahead: bool) -> bool:
    """Say whether a stream's clock was set between two packets, in the order of decoding.

    Args:
        last_s: the earlier packet's time; None if there is none.
        time_s: the later one's.
        ahead: whether small jumps ahead count, of some seconds.
    """
    if last_s is None:
        return False
    return time_s < last_s - _BACK_S or time_s > last_s + (_AHEAD_S if ahead else _HOUR_S)


class PacketTimes:
    """Shifts packets so that each part of a joined file begins where the one before it ended.

    All streams are shifted alike, each from the packet on at which its own clock jumps.

    Args:
        container: FFmpeg's name of it.
    """

    def __init__(self, container: str) -> None:
        self._ahead = container in DISCONTINUOUS
        self._shifts = [Fraction(0)]  # of each part, in seconds
        self._parts: dict[int, int] = {}  # by the number of the stream
        self._last: dict[int, Fraction] = {}  # before shifting
        self._lasts: dict[int, Fraction] = {}  # how long its last packet is shown or heard
        self._end = Fraction(0)

    def __call__(self, packet: Any) -> bool:
        """Shift a packet's times, in place; packets come in the order of the file.

        Returns:
            Whether its stream's clock was set before it.
        """
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            return False
        number, time_s = packet.stream.index, Fraction(stamp * packet.time_base)
        part = self._parts.get(number, 0)
        last_s = self._last.get(number)
        newest = len(self._shifts) - 1
        if part < newest and self._nearer(time_s, newest, part):
            part = newest
        elif part == newest and jumps(last_s, time_s, ahead=self._ahead and packet.stream.type != "subtitle"):
            self._shifts.append(self._end - time_s)
            part = newest + 1
        was_set = part != self._parts.get(number, 0)
        self._parts[number], self._last[number] = part, time_s
        shift_s = self._shifts[part]
        if packet.stream.type == "video" and last_s is not None and last_s < time_s:
            self._lasts[number] = time_s - last_s  # what frames say of themselves is often wrong
        elif packet.duration:
            self._lasts[number] = Fraction(packet.duration * packet.time_base)
        self._end = max(self._end, time_s + shift_s + self._lasts.get(number, 0))
        if shift_s:
            ticks = round(shift_s / packet.time_base)
            packet.dts = None if packet.dts is None else packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
        return was_set

    def _nearer(self, time_s: Fraction, part: int, other: int) -> bool:
        return abs(time_s + self._shifts[part] - self._end) < abs(time_s + self._shifts[other] - self._end)


class FrameTimes:
    """Gives each decoded frame its time, later than the one before.

    Where times of showing are as faulty as times of decoding are not, the latter are taken, as FFmpeg's own
    best effort has it; AVI has no others.

    Args:
        container: FFmpeg's name of it.
        time_base: of the stream, seconds.
        frame_rate: frames a second, on average.

    Attributes:
        time_base: of the times that are given: the stream's, or a whole part of it where that is too coarse.
        step: how long a frame lasts on average, in it.
    """

    def __init__(self, container: str, time_base: Fraction, frame_rate: Fraction) -> None:
        self._finer = max(-(-_FINE * frame_rate * time_base // 1), 1)
        if frame_rate * time_base <= Fraction(1, 2):
            self._finer = 1
        self.time_base = time_base / self._finer
        self.step = max(round(1 / (frame_rate * self.time_base)), 1)
        self._guessed = container == "avi"
        self._lag: int | None = None
        self._faults = [0, 0]
        self._before: list[int | None] = [None, None]
        self._last: int | None = None

    def __call__(self, frame: Any) -> int:
        """Return when a frame (``av.VideoFrame``) is shown, in `time_base`; frames come as they are shown."""
        time = self._stamp(frame.pts, frame.dts)
        if time is not None:
            time *= self._finer
        elif self._last is None:
            time = 0
        else:
            time = self._last + self.step
        if self._last is not None and time <= self._last:
            time = self._last + max(self.step // 2, 1)
        elif self._last is not None and (time - self._last) * self.time_base > _HOUR_S:
            time = self._last + self.step
        self._last = time
        return time

    def _stamp(self, pts: int | None, dts: int | None) -> int | None:
        if self._guessed and dts is not None:
            if self._lag is None:
                self._lag = 0 if pts is None else dts - pts
            return dts - self._lag
        for i, stamp in enumerate((pts, dts)):
            before = self._before[i]
            if stamp is not None:
                self._faults[i] += before is not None and stamp <= before
                self._before[i] = stamp
        if pts is not None and (dts is None or self._faults[0] <= self._faults[1]):
            return pts
        return dts
