"""Live pictures: grab, paint, show, each beside the others, and never later than one painting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stylenorm.films.overlapping import AsyncWriter
from stylenorm.films.sources import LatestFrame, Source
from stylenorm.films.steadiness import Painter
from stylenorm.timing import timed, timed_items

__all__ = ["LiveReport", "paint_live"]

_RATE_OVER = 0.9  # how much of the last rate stays in the shown one


@dataclass(frozen=True)
class LiveReport:
    """What was shown.

    Attributes:
        num_frames: painted and shown.
        num_dropped: came while another one was being painted.
        seconds: that it took, from the first frame on.
    """

    num_frames: int
    num_dropped: int
    seconds: float

    @property
    def frames_a_second(self) -> float:
        """The rate of painted frames."""
        return self.num_frames / self.seconds if self.seconds > 0 else 0.0


def paint_live(
    source: Source,
    painter: Painter,
    show: Callable[[NDArray[np.uint8]], bool],
    *,
    max_frames: int | None = None,
    in_thread: bool = True,
    on_frame: Callable[[float], None] = lambda _: None,
) -> LiveReport:
    """Paint a source's frames as they come, until it ends, the viewer closes, or Ctrl-C.

    Args:
        source: gives frames; closed at the end.
        painter: paints them.
        show: takes a painted frame, (H, W, 3) uint8; returns False to end.
        max_frames: end after so many.
        in_thread: whether ``show`` may be called from another thread, beside the painting.
        on_frame: told the current rate, in frames a second, after each.

    Raises:
        Exception: what the source or ``show`` raised.
    """
    count, rate = 0, 0.0
    shows = True

    def shown(pixels: NDArray[np.uint8]) -> None:
        nonlocal shows
        with timed("show"):
            shows = show(pixels)

    newest = LatestFrame(source.frames())
    started = last = time.perf_counter()
    try:
        with AsyncWriter(shown, size=1) as behind:
            for frame in timed_items("wait for reading", newest):
                with timed("prepare"):
                    painting = painter(frame)
                if in_thread:
                    with timed("wait for writing"):
                        behind.put(painting)
                else:
                    shown(painting)
                count += 1
                now = time.perf_counter()
                if count == 1:  # compiling belongs to the start
                    started, rate = now, 0.0
                else:
                    current = 1 / max(now - last, 1e-9)
                    rate = current if count == 2 else _RATE_OVER * rate + (1 - _RATE_OVER) * current
                last = now
                on_frame(rate)
                if not shows or count == max_frames:
                    break
            behind.finish()
    except KeyboardInterrupt:
        pass
    finally:
        source.close()
        newest.close()
    return LiveReport(count, newest.num_dropped, last - started)
