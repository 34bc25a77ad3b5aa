"""Where one shot of a film ends and the next begins, and which of its frames stand for it.

What matters here is whether the statistics of the picture jump, so the question is put to two cheap measures
of a thumbnail: how far the pixels moved (mean absolute difference) and how far the colours did (distance of
histograms). A cut must show in both, stand out from the film's own motion just before, and last: after a
flash the picture returns. A cut between shots of alike colours may be missed, and does no harm then: the
statistics are alike too. A fade or dissolve is part of a shot; frames of much less contrast than others
do not stand for it: the frames in full light would be far outside their statistics.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stylenorm.films.light import contrast_of

__all__ = ["THUMBNAIL_SIZE", "Shot", "ShotFinder", "Thumbnail", "is_cut"]

Thumbnail = NDArray[np.uint8]
FrameT = TypeVar("FrameT")

THUMBNAIL_SIZE = (48, 27)
"""Width and height of the thumbnails that frames are compared by."""

_MIN_MOVED = 0.07  # of the range of a pixel, on average
_MIN_RECOLORED = 0.30  # of all pixels change their bin, in the mean over channels
_TIMES_MOTION = 2.5
_RETURNS = 0.6  # a flash: the frame after is nearer to the one before than this
_BINS = 12
_MEMORY = 8
_FULL = 0.25  # of the largest contrast: frames of less would not stand for the shot


@dataclass(frozen=True)
class Shot(Generic[FrameT]):
    """One shot.

    Attributes:
        start: number of its first frame, from 0.
        samples: frames spread evenly over it, without those that fade.
        contrast: the largest of its frames (`stylenorm.films.light.contrast_of`).
    """

    start: int
    samples: tuple[FrameT, ...]
    contrast: float = 0.0


class ShotFinder(Generic[FrameT]):
    """Takes a film's frames in turn and gives its shots; holds few frames however long a shot is.

    Args:
        num_samples: at least so many frames stand for a shot (if it has them), and less than twice as many
            are held.

    Example:
        >>> finder = ShotFinder[int](num_samples=2)
        >>> dark, light = np.zeros((27, 48, 3), np.uint8), np.full((27, 48, 3), 200, np.uint8)
        >>> shots = [finder.add(i, dark if i < 5 else light) for i in range(9)]
        >>> [shot for shot in shots if shot], finder.finish()
        ([Shot(start=0, samples=(0, 4), contrast=0.0)], Shot(start=5, samples=(6, 8), contrast=0.0))
    """

    def __init__(self, num_samples: int = 4) -> None:
        self._num_samples = num_samples
        self._count = 0
        self._held: list[tuple[FrameT, Thumbnail]] = []  # the last frame, whose place is not decided yet
        self._before: Thumbnail | None = None
        self._motion: deque[float] = deque(maxlen=_MEMORY)
        self._begin(0)

    def add(self, frame: FrameT, thumbnail: Thumbnail) -> Shot[FrameT] | None:
        """Take the next frame; return a shot that turned out to have ended before the last one.

        Args:
            frame: anything that stands for the frame.
            thumbnail: (h, w, 3) uint8, of one size throughout.
        """
        ended = None
        if self._held:
            held, picture = self._held.pop()
            motion = tuple(self._motion)
            jumps = self._before is not None and is_cut(self._before, picture, None, motion)
            if self._before is None or (jumps and is_cut(self._before, picture, thumbnail, motion)):
                if self._count:
                    ended = self._shot()
                    self._begin(self._count)
                self._motion.clear()
                self._before = picture
            elif not jumps:  # else it is a flash: the next frame is compared with the one before it
                self._motion.append(_moved(self._before, picture))
                self._before = picture
            self._keep(held, picture)
        self._held.append((frame, thumbnail))
        return ended

    def finish(self) -> Shot[FrameT] | None:
        """Return the last shot; None if there was no frame."""
        for held, picture in self._held:
            self._keep(held, picture)
        self._held.clear()
        return self._shot() if self._count else None

    def _begin(self, start: int) -> None:
        self._start, self._stride = start, 1
        self._samples: list[tuple[float, FrameT]] = []
        self._fullest: tuple[float, FrameT]  # from the first frame on

    def _keep(self, frame: FrameT, thumbnail: Thumbnail) -> None:
        """Keep every stride-th frame, every second of those once they are too many, and the fullest."""
        contrast, place = contrast_of(thumbnail), self._count - self._start
        self._count += 1
        if place == 0 or contrast > self._fullest[0]:
            self._fullest = (contrast, frame)
        if place % self._stride:
            return
        self._samples.append((contrast, frame))
        if len(self._samples) == 2 * self._num_samples + 1:
            self._samples = self._samples[::2]
            self._stride *= 2

    def _shot(self) -> Shot[FrameT]:
        fullest = self._fullest
        held = [frame for contrast, frame in self._samples if contrast >= _FULL * fullest[0]]
        count = min(self._num_samples, len(held))
        # the middles of equal parts
        places = [(2 * i + 1) * len(held) // (2 * count) for i in range(count)]
        return Shot(self._start, tuple(held[place] for place in places) or (fullest[1],), fullest[0])


def is_cut(
    before: Thumbnail, after: Thumbnail, later: Thumbnail | None, motion: tuple[float, ...] = ()
) -> bool:
    """Say whether a cut lies between two frames.

    Args:
        before: thumbnail of the frame before, (h, w, 3) uint8.
        after: of the frame after.
        later: of the one after that, which tells a flash from a cut; None if it is not there yet.
        motion: how far pixels moved between the last frames of the shot, each 0..1.
    """
    moved = _moved(before, after)
    usual = float(np.mean(motion)) if motion else 0.0
    if moved < max(_MIN_MOVED, _TIMES_MOTION * usual) or _recolored(before, after) < _MIN_RECOLORED:
        return False
    return later is None or _moved(before, later) >= _RETURNS * moved


def _moved(a: Thumbnail, b: Thumbnail) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean()) / 255


def _recolored(a: Thumbnail, b: Thumbnail) -> float:
    """Share of pixels whose colour has no counterpart in the other picture, 0..1."""
    shares = []
    for channel in range(3):
        counts = [
            np.bincount((picture[..., channel].ravel() * np.uint16(_BINS)) >> 8, minlength=_BINS)
            for picture in (a, b)
        ]
        # neighbouring bins count half, lest a small change of brightness look like a new picture
        soft = [np.convolve(count, (0.25, 0.5, 0.25), mode="same") for count in counts]
        shares.append(np.abs(soft[0] - soft[1]).sum() / (2 * counts[0].sum()))
    return float(np.mean(shares))
