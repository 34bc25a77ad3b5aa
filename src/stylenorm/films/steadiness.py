"""Which statistics each frame of a film is painted with.

Instance norm measures each frame by itself, so whatever enters the picture changes the colours of all of it:
flicker. Three answers: the statistics of a *shot*, measured jointly over frames sampled from it and frozen;
*running* statistics, which follow the film slowly and need no look ahead, for live pictures; and *off*, each
frame by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stylenorm._moved import old_names
from stylenorm.errors import InputError, UnknownNameError
from stylenorm.films.light import FLAT, Light, LightFollower, contrast_of
from stylenorm.films.shots import THUMBNAIL_SIZE, Shot, ShotFinder, Thumbnail, is_cut
from stylenorm.films.smoothing import FlowSmoother
from stylenorm.models.stylizer import Stylizer
from stylenorm.style import Statistics
from stylenorm.timing import timed
from stylenorm.zoo import IDENTITY

__all__ = [
    "STEADY",
    "Painter",
    "RunningPainter",
    "ShotPainter",
    "SteadyOptions",
    "ema_statistics",
    "measure_shots",
    "thumbnail_of",
]

__getattr__ = old_names(__name__)

STEADY = ("shot", "running", "off")
"""Ways to keep a film steady."""

FrameT = TypeVar("FrameT")
Pixels = NDArray[np.uint8]

_NUM_SAMPLES = 6
_OUTGROWN = 1.25
_SAMPLED_PIXELS = 4_000_000  # of one shot together: measuring holds all activations of them


@dataclass(frozen=True)
class SteadyOptions:
    """How a film is painted.

    Attributes:
        steady: one of `STEADY`.
        smooth: weight of the past in blending along the motion, 0 (off) to 0.9.
        strength: 0 the film, 1 the painting.
        keep_colors: keep the film's colours; or the name of a way to, as `stylenorm.Stylizer` takes it.
    """

    steady: str = "shot"
    smooth: float = 0.6
    strength: float = 1.0
    keep_colors: bool | str = False

    def __post_init__(self) -> None:
        if self.steady not in STEADY:
            raise UnknownNameError("way to keep a film steady", self.steady, STEADY)
        if not 0 <= self.smooth <= 0.9:
            raise InputError(f"smooth: expected 0 (off) to 0.9, got {self.smooth:g}")


class Painter:
    """Paints frame after frame, each with its own statistics; the base of the steady ones.

    Args:
        stylizer: paints a frame.
        options: how.
        fast: for live pictures; see `FlowSmoother`.
    """

    def __init__(self, stylizer: Stylizer, options: SteadyOptions, *, fast: bool = False) -> None:
        self._stylizer, self._options = stylizer.with_noise(0), options
        self._smoother = FlowSmoother(options.smooth, fast=fast) if options.smooth else None

    def __call__(self, frame: Pixels, light: Light | None = None) -> Pixels:
        """Paint the next frame.

        Args:
            frame: (H, W, 3) uint8.
            light: how its light stands to its scene's; None if it is that, or is not known.
        """
        if not self._options.strength:
            return frame.copy()
        light = self._light(frame, light)
        self._next()
        if light is None:
            return self._steadied(frame)
        if light.alone:
            self._cut()
            return self._paint(self._stylizer, frame)
        painting = self._steadied(light.lifted(frame)) if light.shows else frame
        return light.lowered(painting, frame)

    def _steadied(self, frame: Pixels) -> Pixels:
        painting = self._paint(self._frozen(frame), frame)
        if self._smoother is None:
            return painting
        with timed("smooth"):
            return self._smoother(frame, painting)

    def _light(self, frame: Pixels, light: Light | None) -> Light | None:  # noqa: ARG002 (as below)
        return light

    def _next(self) -> None:
        """Go on to the next frame, whether it needs statistics or not."""

    def _frozen(self, frame: Pixels) -> Stylizer:  # noqa: ARG002 (those that look at the frame override it)
        return self._stylizer

    def _paint(self, stylizer: Stylizer, frame: Pixels) -> Pixels:
        painted: Pixels = stylizer(frame, self._options.strength, self._options.keep_colors)
        return painted

    def _cut(self) -> None:
        if self._smoother is not None:
            self._smoother.reset()


class ShotPainter(Painter):
    """Paints each shot with its own frozen statistics.

    Args:
        stylizer: paints a frame.
        options: how.
        shots: number of the first frame and statistics of each shot, in turn; from `measure_shots`. A shot
            without statistics is painted frame by frame.
    """

    def __init__(
        self, stylizer: Stylizer, options: SteadyOptions, shots: Sequence[tuple[int, Statistics | None]]
    ) -> None:
        super().__init__(stylizer, options)
        self._shots = list(shots)
        self._number, self._current = 0, stylizer

    def _next(self) -> None:
        if self._shots and self._number >= self._shots[0][0]:
            _, statistics = self._shots.pop(0)
            self._current = self._stylizer if statistics is None else self._stylizer.freeze(statistics)
            self._cut()
        self._number += 1

    def _frozen(self, frame: Pixels) -> Stylizer:  # noqa: ARG002
        return self._current


class RunningPainter(Painter):
    """Paints with statistics that follow the film, measured on every few frames; a cut begins anew.

    Args:
        stylizer: paints a frame.
        options: how.
        every: frames from one measurement to the next: each costs about as much as painting a frame.
        share: of the new measurement in the running statistics, 0..1.
        fast: for live pictures; see `FlowSmoother`.
        follow_light: see fades from the frames before alone, where nobody says each frame's light.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        options: SteadyOptions,
        *,
        every: int = 12,
        share: float = 0.2,
        fast: bool = False,
        follow_light: bool = True,
    ) -> None:
        super().__init__(stylizer, options, fast=fast)
        self._every, self._share = every, share
        self._statistics: Statistics | None = None
        self._thumbnail: Thumbnail | None = None
        self._current, self._age, self._contrast = stylizer, 0, 0.0
        self._follower = LightFollower() if follow_light else None
        self._seen: Thumbnail | None = None
        self._measurer = stylizer.engine.measurer()
        identity = stylizer.network.style(IDENTITY)
        self._vector = stylizer.style.weaken(options.strength, identity).vector()

    def _light(self, frame: Pixels, light: Light | None) -> Light | None:
        if light is None and self._follower is not None:
            thumbnail = thumbnail_of(frame)
            if self._seen is not None and is_cut(self._seen, thumbnail, None):
                self._follower.reset()
            self._seen = thumbnail
            light = self._follower(thumbnail)
        if light is not None and light.alone:
            self._statistics = self._thumbnail = None
        return light

    def _frozen(self, frame: Pixels) -> Stylizer:
        thumbnail = thumbnail_of(frame)
        contrast = contrast_of(thumbnail)
        if self._thumbnail is not None and is_cut(self._thumbnail, thumbnail, None):
            self._cut()
            self._statistics = None
        self._thumbnail = thumbnail
        if contrast < FLAT:
            self._statistics = None
            return self._stylizer
        # a picture that outgrows its statistics is far outside of what the network knows
        outgrown = contrast > _OUTGROWN * self._contrast
        if self._statistics is None or outgrown or self._age >= self._every:
            photo = frame.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
            with timed("measure"):
                new = self._measurer(photo, self._vector)
            old = None if outgrown else self._statistics
            self._statistics = ema_statistics(old, new, self._share)
            self._contrast = contrast if old is None else max(contrast, self._contrast)
            self._current, self._age = self._stylizer.freeze(self._statistics), 0
        self._age += 1
        return self._current


def measure_shots(
    frames: Iterable[tuple[FrameT, Thumbnail]],
    load: Callable[[FrameT], Pixels],
    stylizer: Stylizer,
    strength: float = 1.0,
) -> Iterator[tuple[int, Statistics | None]]:
    """Find a film's shots and measure each; gives number of the first frame and statistics, shot by shot.

    A flat shot has none: its variances are rounding errors, and it is painted frame by frame.

    Args:
        frames: each frame, in whatever form, and its thumbnail.
        load: gives a frame's pixels, (H, W, 3) uint8; asked for sampled ones only.
        stylizer: in whose style they are measured.
        strength: likewise.
    """
    finder = ShotFinder[FrameT](_NUM_SAMPLES)
    for frame, thumbnail in frames:
        shot = finder.add(frame, thumbnail)
        if shot is not None:
            yield shot.start, _measured(shot, load, stylizer, strength)
    shot = finder.finish()
    if shot is not None:
        yield shot.start, _measured(shot, load, stylizer, strength)


def ema_statistics(old: Statistics | None, new: Statistics, share: float) -> Statistics:
    """Return running statistics: those of a mixture of ``1 - share`` parts old picture and ``share`` new.

    Mean and variance are those of the mixture: the variance grows by how far the means are apart. Repeated,
    the weight of a measurement decays exponentially.

    Args:
        old: what ran so far; None if nothing did.
        new: the latest measurement, of the same network.
        share: 0..1.

    Raises:
        ShapeError: the two were measured on different networks.
        InputError: ``share`` is not in 0..1.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share: expected 0 to 1, got {share:g}")
    if old is None:
        return new
    # merging weighs by counts: give both the counts that make the share
    parts = [_with_counts(old, 1 - share), _with_counts(new, share)]
    return parts[0].merge(parts[1])


def _with_counts(statistics: Statistics, share: float) -> Statistics:
    total = 10**9  # large, since counts are whole numbers
    count = round(total * share)
    m2s = tuple(variance * count for variance in statistics.variances())
    return Statistics((count,) * len(m2s), statistics.means, m2s)


def thumbnail_of(pixels: Pixels) -> Thumbnail:
    """Return a small picture of a frame, about 48 x 27, by means over cells; (H, W, 3) uint8 in."""
    columns, rows = THUMBNAIL_SIZE
    height, width = max(pixels.shape[0] // rows, 1), max(pixels.shape[1] // columns, 1)
    # of a cell, every third row and column says enough
    cells = pixels[:: -(-height // 3), :: -(-width // 3)]
    height, width = max(cells.shape[0] // rows, 1), max(cells.shape[1] // columns, 1)
    rows, columns = cells.shape[0] // height, cells.shape[1] // width
    cells = cells[: rows * height, : columns * width].reshape(rows, height, columns, width, 3)
    small: Thumbnail = cells.mean(axis=(1, 3), dtype=np.float32).astype(np.uint8)
    return small


def _measured(
    shot: Shot[FrameT], load: Callable[[FrameT], Pixels], stylizer: Stylizer, strength: float
) -> Statistics | None:
    """Measure some frames of a shot jointly; fewer of them where they are large."""
    if shot.contrast < FLAT:
        return None
    samples = [load(sample) for sample in shot.samples]
    room = max(_SAMPLED_PIXELS * 3 // samples[0].size, 1)
    if room < len(samples):
        samples = [samples[(2 * i + 1) * len(samples) // (2 * room)] for i in range(room)]
    return stylizer.with_noise(0).measure(samples, strength)
