"""A film in, a painted film out."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import PictureError
from stylenorm.films.light import Light, LightFinder
from stylenorm.films.overlapping import AsyncWriter, Prefetcher
from stylenorm.films.shots import THUMBNAIL_SIZE, Thumbnail
from stylenorm.films.steadiness import (
    Painter,
    RunningPainter,
    ShotPainter,
    SteadyOptions,
    measure_shots,
    thumbnail_of,
)
from stylenorm.media import (
    Animation,
    Damage,
    FilmFrame,
    FilmReader,
    FilmWriter,
    Frame,
    WritingOptions,
    atomic_write,
    check_output,
    fill_transparent,
    film_format_named,
    film_format_of,
)
from stylenorm.media.pictures.picture import to_uint8
from stylenorm.models.stylizer import Stylizer
from stylenorm.style import Statistics
from stylenorm.timing import timed, timed_items

__all__ = ["FilmInterruptedError", "FilmOptions", "FilmReport", "paint_animation", "paint_film"]

FrameT = TypeVar("FrameT")


@dataclass(frozen=True)
class FilmOptions:
    """Which part of a film is painted, at which size, and how it is kept steady and written.

    Attributes:
        start_s: where to begin, in seconds since the first frame.
        end_s: where to end; None for the film's end.
        max_side_px: paint and write it no larger than this; None for its own size.
        steady: statistics and smoothing.
        writing: quality, speed, metadata.
        format: a name of `stylenorm.media.FILM_FORMATS`; None takes the target's suffix.
        overwrite: replace a file that exists.
    """

    start_s: float = 0.0
    end_s: float | None = None
    max_side_px: int | None = None
    steady: SteadyOptions = field(default_factory=SteadyOptions)
    writing: WritingOptions = field(default_factory=WritingOptions)
    format: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class FilmReport:
    """What came of it.

    Attributes:
        path: the painted film.
        num_frames: how many frames it has.
        painted_s: how far into the film it reaches.
        damages: what could not be read of the film.
        losses: what could not be written, a line each.
        num_guessed: frames of which the decoder had to guess a part.
        notes: one line for each thing that was changed, ignored or assumed.
    """

    path: Path
    num_frames: int
    painted_s: float
    damages: tuple[Damage, ...] = ()
    num_guessed: int = 0
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


class FilmInterruptedError(KeyboardInterrupt):
    """Ctrl-C, after which ``report.path`` holds what was painted so far, playable."""

    def __init__(self, report: FilmReport) -> None:
        super().__init__(f"{report.path} has what was painted so far")
        self.report = report


def paint_film(
    source: str | Path,
    target: str | Path,
    stylizer: Stylizer,
    options: FilmOptions | None = None,
    *,
    on_start: Callable[[int], None] = lambda _: None,
    on_frame: Callable[[], None] = lambda: None,
) -> FilmReport:
    """Paint a film: pictures anew; times, sound and subtitles as they were.

    The film is read twice: first for its fades and, with ``steady="shot"``, its cuts and shots' statistics.

    Args:
        source: the film.
        target: where the painted one goes; its suffix says what it is (`stylenorm.media.film_format_of`).
        stylizer: paints the frames.
        options: which part, how large, how steady, how it is written.
        on_start: told how many frames there are about, before the first is painted; 0 if it is not known.
        on_frame: called after each painted frame.

    Returns:
        The report; a film with damages is painted as far as it can be read.

    Raises:
        PictureError: no film, or nothing of it can be read.
        InputError: the part is not in it.
        OutputError: the target exists, or cannot be written.
        FilmInterruptedError: Ctrl-C after the first frame; what was painted is kept beside the target, as
            ``name.partial.mp4``. A second Ctrl-C while that is being finished leaves nothing.
        MissingExtraError: PyAV (or, for smoothing, OpenCV) is not installed.
    """
    options = options or FilmOptions()
    target = Path(target)
    kind = film_format_of(target) if options.format is None else film_format_named(options.format)
    check_output(target, overwrite=options.overwrite)
    part = {
        "start_s": options.start_s,
        "end_s": options.end_s,
        "max_side_px": options.max_side_px,
        "square_pixels": not kind.holds_aspect,
    }
    with (
        FilmReader(source, **part) as reader,  # type: ignore[arg-type]
        atomic_write(target, overwrite=options.overwrite) as file,
    ):
        writer = FilmWriter(file, kind, reader, options.writing)
        try:
            on_start(_num_frames(reader))
            with timed("look"):
                painter, lights = _painter(source, part, stylizer, options.steady)
            run = _Run(reader, writer, painter, lights, on_frame)
            interrupted = not run.paint()
            report = run.report(target)
            if not report.num_frames:
                if interrupted:
                    raise KeyboardInterrupt
                reason = report.damages[0].reason if report.damages else "the part holds none"
                raise PictureError(f"{source}: expected frames to paint, found none ({reason})")
            with timed("write"):
                writer.close()
        finally:
            writer.abandon()
        if interrupted:
            partial = _keep_partial(file, target)
            raise FilmInterruptedError(run.report(partial))
    return run.report(target)


def paint_animation(
    animation: Animation,
    stylizer: Stylizer,
    options: SteadyOptions | None = None,
    *,
    on_frame: Callable[[], None] = lambda: None,
) -> Animation:
    """Return the animation painted as a film is: steady over each of its shots.

    Args:
        animation: its frames are read twice: now for the statistics, and when the result is iterated.
        stylizer: paints the frames.
        options: how steady, how strong.
        on_frame: called after each painted frame.

    Raises:
        PictureError: a frame of it is broken.
        MissingExtraError: smoothing needs OpenCV, which is not installed.
    """

    def visible(frame: Frame) -> NDArray[np.uint8]:
        return frame.pixels if frame.alpha is None else to_uint8(fill_transparent(frame.pixels, frame.alpha))

    options = options or SteadyOptions()

    def looked_at() -> Iterator[tuple[NDArray[np.uint8], Thumbnail, float]]:
        time_s = 0.0
        for frame in animation:
            pixels = visible(frame)
            yield pixels, thumbnail_of(pixels), time_s
            time_s += frame.duration_ms / 1000

    shots, lights = _looked_at(looked_at(), lambda pixels: pixels, stylizer, options)

    def painted() -> Iterator[Frame]:
        painter = _painter_of(stylizer, options, shots)
        for frame, light in zip(animation, chain(lights, repeat(None)), strict=False):
            yield frame.repainted(painter(visible(frame), light))
            on_frame()

    return replace(animation, open_frames=painted)


class _Run:
    """The frames' way from the reader through the painter to the writer."""

    def __init__(
        self,
        reader: FilmReader,
        writer: FilmWriter,
        painter: Painter,
        lights: Iterable[Light | None],
        on_frame: Callable[[], None],
    ) -> None:
        self._reader, self._writer, self._painter, self._on_frame = reader, writer, painter, on_frame
        self._lights = iter(lights)
        self._damages: list[Damage] = []
        self._num_frames = self._num_guessed = 0
        self._painted_s = 0.0

    def paint(self) -> bool:
        """Paint all; say whether it was not interrupted."""
        finished = True
        read = Prefetcher(timed_items("read", self._reader.items()))
        with read, AsyncWriter(self._write) as behind:
            try:
                for item in timed_items("wait for reading", read):
                    if isinstance(item, Damage):
                        self._damages.append(item)
                    elif isinstance(item, FilmFrame):
                        with timed("prepare"):
                            painting = self._painter(item.pixels, next(self._lights, None))
                        self._put(behind, item, painting)
                        self._num_frames += 1
                        self._num_guessed += item.damaged
                        self._painted_s = item.time_s
                        self._on_frame()
                    else:
                        self._put(behind, item, None)
            except KeyboardInterrupt:
                finished = False
            with timed("wait for writing"):
                behind.finish()
        return finished

    @staticmethod
    def _put(behind: AsyncWriter[Any], item: Any, painting: NDArray[np.uint8] | None) -> None:
        with timed("wait for writing"):
            behind.put((item, painting))

    def report(self, path: Path) -> FilmReport:
        """Say what came of it."""
        notes = (*self._reader.film.notes, *self._writer.notes)
        losses = (f"{n} packets of its {kind} cannot be written" for kind, n in self._writer.losses.items())
        damages = tuple(self._damages)
        return FilmReport(
            path, self._num_frames, self._painted_s, damages, self._num_guessed, notes, tuple(losses)
        )

    def _write(self, item: tuple[Any, NDArray[np.uint8] | None]) -> None:
        frame, pixels = item
        with timed("write"):
            if pixels is None:
                self._writer.write_packet(frame)
            else:
                self._writer.write_frame(frame, pixels)


def _painter(
    source: str | Path, part: dict[str, Any], stylizer: Stylizer, options: SteadyOptions
) -> tuple[Painter, Sequence[Light | None]]:
    with FilmReader(source, **part) as reader:
        frames = Prefetcher(((frame, _thumbnail(frame), time_s) for frame, time_s in reader.frames()), size=2)
        with frames:
            shots, lights = _looked_at(frames, reader.pixels, stylizer, options)
    return _painter_of(stylizer, options, shots), lights


def _looked_at(
    frames: Iterable[tuple[FrameT, Thumbnail, float]],
    load: Callable[[FrameT], NDArray[np.uint8]],
    stylizer: Stylizer,
    options: SteadyOptions,
) -> tuple[list[tuple[int, Statistics | None]], Sequence[Light | None]]:
    """Look at all frames once (frame, thumbnail and time of each): the shots, and each frame's light."""
    if not options.strength:
        return [], ()
    finder = LightFinder()

    def seen() -> Iterator[tuple[FrameT, Thumbnail]]:
        for frame, thumbnail, time_s in frames:
            finder.add(thumbnail, time_s)
            yield frame, thumbnail

    if options.steady == "shot":
        shots = list(measure_shots(seen(), load, stylizer, options.strength))
    else:
        shots = []
        deque(seen(), maxlen=0)
    return shots, finder.finish()


def _painter_of(
    stylizer: Stylizer, options: SteadyOptions, shots: list[tuple[int, Statistics | None]]
) -> Painter:
    if options.steady == "shot":
        return ShotPainter(stylizer, options, shots)
    if options.steady == "running":
        return RunningPainter(stylizer, options, follow_light=False)
    return Painter(stylizer, options)


def _thumbnail(frame: Any) -> Thumbnail:
    """A decoded frame's thumbnail; range and matrix do not matter, since only differences are looked at."""
    width, height = THUMBNAIL_SIZE
    small: Thumbnail = frame.reformat(
        width=width, height=height, format="rgb24", interpolation="AREA", threads=1
    ).to_ndarray()
    return small


def _num_frames(reader: FilmReader) -> int:
    film = reader.film
    if film.num_frames is None or not film.duration_s:
        return 0
    end_s = film.duration_s if reader.end_s is None else min(reader.end_s, film.duration_s)
    return round(film.num_frames * (end_s - reader.start_s) / film.duration_s)


def _keep_partial(file: BinaryIO, target: Path) -> Path:
    """Copy what was painted to a name that says that it is a part; never over a file that exists."""
    for number in range(1, 1000):
        middle = ".partial" if number == 1 else f".partial-{number}"
        path = target.with_name(f"{target.stem}{middle}{target.suffix}")
        if not path.exists():
            break
    with suppress(OSError):
        file.flush()
    with atomic_write(path) as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy, 1 << 20)
    return path
