"""Fades, flashes and flat frames: how a frame's light stands to its scene's.

Instance norm takes light and contrast out of a picture, so a network paints a faded frame like the full one,
noise and all, and a flat frame in one colour, whichever it is flat in; statistics of a flat shot are close to
0 / 0. Here a frame of a fade is taken for what an editor made it from, ``gain * scene + offset``. It is
brought to the scene's light, painted, and the painting is faded as the film was.

A frame is in a fade if a frame near it has the same structure with more contrast. A flat frame is the end of
a fade if the film's contrast falls towards it, or a flash if it is short; it keeps the film's light then.
Flat frames that stand by themselves, such as title cards, are pictures of their own, and painted like these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLAT", "Light", "LightFinder", "LightFollower", "contrast_of"]

Thumbnail = NDArray[np.uint8]
Grid = NDArray[np.float32]
Pixels = NDArray[np.uint8]

FLAT = 2.0
"""Frames of less contrast, in grey levels of their thumbnail (`contrast_of`), are flat."""

_GRID = (9, 16)  # rows and columns of what fades are seen on
_ALIKE, _UNLIKE = 0.92, 0.8  # correlation of frames whose structure is the same, and is not
_SAME, _FADED = 0.9, 0.75  # gains: above nothing is done, below the whole fade is
_PAINTED, _UNPAINTED = 0.15, 0.05  # gains: so little of a scene is left that its painting is noise
_FALLING = 0.6  # of a scene's contrast is left beside a flat frame to which it fades
_FLASH_S = 0.3
_REACH = 512  # frames between which fades are seen
_EDGE = 12


@dataclass(frozen=True)
class Light:
    """``frame = gain * scene + offset``.

    Attributes:
        gain: 0 (nothing of the scene is left) to 1.
        offset: of red, green and blue, in levels of 255.
        alone: the frame is a picture of its own, painted by its own statistics; the rest does not matter.
    """

    gain: float = 1.0
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    alone: bool = False

    @property
    def shows(self) -> float:
        """How much of the painting is seen in what is left of the scene, 0 to 1."""
        return float(np.clip((self.gain - _UNPAINTED) / (_PAINTED - _UNPAINTED), 0, 1))

    def lifted(self, frame: Pixels) -> Pixels:
        """Return the scene behind a frame, both (H, W, 3) uint8; `shows` must not be 0."""
        table = (np.arange(256)[:, None] - np.array(self.offset)) / self.gain  # (256, 3)
        return _looked_up(table, frame)

    def lowered(self, painting: Pixels, frame: Pixels) -> Pixels:
        """Return the scene's painting faded as the frame is; all (H, W, 3) uint8."""
        shows, offset = self.shows, np.array(self.offset)
        if not shows:
            return frame.copy()
        faded = shows * (self.gain * np.arange(256)[:, None] + offset)  # (256, 3)
        if shows == 1:
            return _looked_up(faded, painting)
        mixed = np.empty(frame.shape, np.float32)
        for channel in range(3):
            mixed[..., channel] = faded.astype(np.float32)[painting[..., channel], channel]
        mixed += np.float32(1 - shows) * frame
        return np.rint(mixed).clip(0, 255).astype(np.uint8)


def contrast_of(thumbnail: Thumbnail) -> float:
    """Return how far a thumbnail's pixels are from its mean colour: root of the mean square, in levels."""
    values = thumbnail.astype(np.float32)
    return float(np.sqrt(np.mean((values - values.mean(axis=(0, 1))) ** 2)))


class LightFinder:
    """Takes a film's frames in turn and gives each one's light; holds few of them.

    Example:
        >>> scene = np.arange(48 * 27 * 3, dtype=np.uint8).reshape(27, 48, 3)
        >>> finder = LightFinder()
        >>> for i in range(12):
        ...     finder.add((scene * (1 - i / 11)).astype(np.uint8), i / 24)
        >>> [round(light.gain, 1) if light else 1.0 for light in finder.finish()]
        [1.0, 1.0, 0.9, 0.7, 0.6, 0.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    """

    def __init__(self) -> None:
        self._found: list[Light | None] = []
        self._grids: list[Grid] = []
        self._times: list[float] = []
        self._start = 0  # of the held frames, the first whose light is not found yet

    def add(self, thumbnail: Thumbnail, time_s: float) -> None:
        """Take the next frame's thumbnail, (h, w, 3) uint8, and when it is shown."""
        self._grids.append(_grid(thumbnail))
        self._times.append(time_s)
        if len(self._grids) - self._start >= 2 * _REACH:
            self._find(self._start + _REACH)
            past = max(self._start - _REACH, 0)
            del self._grids[:past], self._times[:past]
            self._start -= past

    def finish(self, end_s: float | None = None) -> list[Light | None]:
        """Return the light of each frame; None for the many whose light is the scene's.

        Args:
            end_s: when the last frame ends; None if it is not known.
        """
        self._find(len(self._grids), end_s)
        return self._found

    def _find(self, stop: int, end_s: float | None = None) -> None:
        if not self._grids:
            return
        values = np.stack(self._grids)  # (N, rows, columns, 3)
        means = values.mean(axis=(1, 2))  # (N, 3)
        centred = (values - means[:, None, None]).reshape(len(values), -1)
        contrasts = np.sqrt(np.mean(centred**2, axis=1))
        lights = _fades(centred, means, contrasts)
        self._mend_flat(lights, means, centred, contrasts, end_s)
        self._found += lights[self._start : stop]
        self._start = stop

    def _mend_flat(
        self,
        lights: list[Light | None],
        means: NDArray[np.float32],
        centred: NDArray[np.float32],
        contrasts: NDArray[np.float32],
        end_s: float | None,
    ) -> None:
        """Fill in the flat frames, run by run."""
        flat = contrasts < FLAT
        edges = np.flatnonzero(np.diff(np.concatenate(([False], flat, [False])).astype(np.int8)))
        for begin, end in edges.reshape(-1, 2):
            before, after = np.arange(begin - 1, max(begin - 1 - _EDGE, -1), -1), np.arange(end, end + _EDGE)
            after = after[after < len(flat)]
            falls = any(_falls(side, centred, contrasts) for side in (before, after))
            until = self._times[end] if end < len(flat) else end_s
            short = until is not None and until - self._times[begin] < _FLASH_S
            flash = short and len(before) > 0 and len(after) > 0
            for i in range(begin, end):
                light = Light(0.0, _colour(means[i])) if falls or flash else Light(alone=True)
                lights[i] = light


class LightFollower:
    """Says each frame's light from those before it alone, for live pictures.

    A fade to a flat picture is followed. One that begins from it is not seen: it is painted in full.
    """

    def __init__(self) -> None:
        self._best: Grid | None = None
        self._falling = False

    def reset(self) -> None:
        """Forget the past: a cut."""
        self._best, self._falling = None, False

    def __call__(self, thumbnail: Thumbnail) -> Light | None:
        """Take the next frame's thumbnail; None if its light is the scene's."""
        grid = _grid(thumbnail)
        mean = grid.mean(axis=(0, 1))
        if float(np.sqrt(np.mean((grid - mean) ** 2))) < FLAT:
            if self._falling and self._best is not None:
                return Light(0.0, _colour(mean))
            self.reset()
            return Light(alone=True)
        if self._best is None:
            self._best = grid
            return None
        pair = np.stack([self._best, grid])
        means = pair.mean(axis=(1, 2))
        centred = (pair - means[:, None, None]).reshape(2, -1)
        gain, alike = _compared(centred[1], centred[0])
        light = _light(gain, alike, means[1], means[0], 1.0)
        if alike < _UNLIKE or gain >= 1:
            self._best = grid  # another picture, or one in fuller light
        self._falling = light is not None and light.gain < _FALLING
        return light


def _fades(
    centred: NDArray[np.float32], means: NDArray[np.float32], contrasts: NDArray[np.float32]
) -> list[Light | None]:
    """Compare each frame with frames of more contrast before and behind it, ever farther away."""
    count = len(centred)
    norms = np.linalg.norm(centred, axis=1) + np.float32(1e-6)
    best = np.arange(count)
    steps = [1 << i for i in range(_REACH.bit_length())]
    for step in (sign * s for s in steps for sign in (1, -1)):
        here = np.arange(max(-step, 0), min(count, count - step))
        if not len(here):
            continue
        there = here + step
        alike = np.einsum("ij,ij->i", centred[here], centred[there]) / (norms[here] * norms[there])
        better = (alike > _ALIKE) & (contrasts[there] > contrasts[best[here]])
        best[here[better]] = there[better]
    lights: list[Light | None] = [None] * count
    for i in np.flatnonzero((contrasts >= FLAT) & (best != np.arange(count))).tolist():
        fullest = _fullest(i, best, centred)
        gain, alike = _compared(centred[i], centred[fullest])
        far = min(abs(fullest - i) / _REACH, 1.0)
        lights[i] = _light(gain, alike, means[i], means[fullest], 1 - far**2)
    return lights


def _fullest(i: int, best: NDArray[np.int64], centred: NDArray[np.float32]) -> int:
    """Go on from a frame's fuller one to that one's, as long as the frame itself is alike."""
    at = int(best[i])
    while best[at] != at and _compared(centred[i], centred[best[at]])[1] > _ALIKE:
        at = int(best[at])
    return at


def _compared(frame: NDArray[np.float32], full: NDArray[np.float32]) -> tuple[float, float]:
    """The gain that makes one centred frame of another, and their correlation."""
    product, square = float(frame @ full), float(full @ full)
    return product / max(square, 1e-6), product / max(math.sqrt(square * float(frame @ frame)), 1e-6)


def _light(
    gain: float, alike: float, mean: NDArray[np.float32], full: NDArray[np.float32], weight: float
) -> Light | None:
    """The light of a frame of this gain; less and less a fade towards the limits, lest anything jumps."""
    weight *= float(np.clip((_SAME - gain) / (_SAME - _FADED), 0, 1))
    weight *= float(np.clip((alike - _UNLIKE) / (_ALIKE - _UNLIKE), 0, 1))
    if weight <= 0:
        return None
    gain = 1 - weight * (1 - gain)
    scene = mean + np.float32(weight) * (full - mean)
    return Light(gain, _colour((mean - gain * scene).astype(np.float32)))


def _falls(side: NDArray[np.int64], centred: NDArray[np.float32], contrasts: NDArray[np.float32]) -> bool:
    """Say whether contrast falls towards a flat frame; ``side`` are the frames beside it, nearest first."""
    if not len(side):
        return False
    nearest, fullest = side[0], side[np.argmax(contrasts[side])]
    if contrasts[nearest] > _FALLING * contrasts[fullest]:
        return False
    return contrasts[nearest] < 2 * FLAT or _compared(centred[nearest], centred[fullest])[1] > _UNLIKE


def _colour(mean: NDArray[np.float32]) -> tuple[float, float, float]:
    return float(mean[0]), float(mean[1]), float(mean[2])


def _grid(thumbnail: Thumbnail) -> Grid:
    """Means over cells, (rows, columns, 3); of a thumbnail with fewer pixels than cells, its pixels."""
    starts = [np.arange(n) * size // n for n, size in zip(_GRID, thumbnail.shape[:2], strict=True)]
    starts = [np.minimum(s, size - 1) for s, size in zip(starts, thumbnail.shape[:2], strict=True)]
    values: Grid = thumbnail.astype(np.float32)
    if thumbnail.shape[0] < _GRID[0] or thumbnail.shape[1] < _GRID[1]:
        pixels: Grid = values[starts[0]][:, starts[1]]
        return pixels
    sums: Grid = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    sizes = [np.diff([*s, size]) for s, size in zip(starts, thumbnail.shape[:2], strict=True)]
    sums /= np.outer(*sizes)[..., None].astype(np.float32)
    return sums


def _looked_up(table: NDArray[np.float64], pixels: Pixels) -> Pixels:
    """Apply a table (256, 3) to pixels (H, W, 3), channel by channel."""
    rounded = np.rint(table).clip(0, 255).astype(np.uint8)
    result = np.empty_like(pixels)
    for channel in range(3):
        result[..., channel] = rounded[:, channel][pixels[..., channel]]
    return result
