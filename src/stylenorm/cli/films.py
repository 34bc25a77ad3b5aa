"""What ``stylenorm stylize`` does with films, and with animations: their options, and one film painted."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.errors import PictureError

if TYPE_CHECKING:
    from stylenorm.cli.progress import Progress
    from stylenorm.films import FilmOptions, FilmReport, SteadyOptions
    from stylenorm.media import Job
    from stylenorm.models.stylizer import Stylizer

__all__ = [
    "FilmArguments",
    "add_film_arguments",
    "add_steady_arguments",
    "paint_film_job",
    "steady_options",
    "steady_options_of",
]

_PREVIEW_S, _PREVIEW_PX = 3.0, 640
_SMOOTH = 0.6


@dataclass(frozen=True)
class FilmArguments:
    """The arguments that films need, of whichever command."""

    strength: float
    keep_colors: bool | str
    quality: int
    strip: bool
    keep_gps: bool
    overwrite: bool
    start_s: float
    end_s: float | None
    preview: bool
    steady: str
    smooth: float | None
    preset: str

    @classmethod
    def of(cls, options: object) -> FilmArguments:
        """Take the fields from a command's options, which have those of the same names."""
        return cls(**{field.name: getattr(options, field.name) for field in fields(cls)})


def add_film_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of films."""
    group = parser.add_argument_group("films and animations")
    group.add_argument(
        "--from",
        dest="start_s",
        type=_seconds,
        default=0.0,
        metavar="TIME",
        help="begin there: 12.5 or 1:02:03",
    )
    group.add_argument("--to", dest="end_s", type=_seconds, metavar="TIME", help="end there")
    group.add_argument(
        "--preview",
        action="store_true",
        help=f"only {_PREVIEW_S:g} seconds, at most {_PREVIEW_PX} pixels wide",
    )
    add_steady_arguments(group, ("shot", "running", "off"), preset="standard")


def add_steady_arguments(group: Any, steady: Sequence[str], *, preset: str) -> None:
    """Add the arguments that films and live pictures share; the first way to be steady is the default."""
    group.add_argument(
        "--steady",
        default=steady[0],
        choices=steady,
        help="whose statistics the norms use: the whole shot's, running ones that follow slowly, or (off) "
        "those of each frame by itself, which flickers (default: %(default)s)",
    )
    group.add_argument(
        "--smooth",
        type=_smooth,
        metavar="0..0.9",
        help=f"let strokes travel with the motion: the more, the steadier (default: {_SMOOTH:g})",
    )
    group.add_argument(
        "--preset",
        default=preset,
        choices=("standard", "live"),
        help="live: as fast as can be (default: %(default)s)",
    )


def steady_options(options: FilmArguments) -> tuple[SteadyOptions, str]:
    """Return how a film is kept steady; see `steady_options_of`."""
    return steady_options_of(options.steady, options.smooth, options.strength, options.keep_colors)


def steady_options_of(
    steady: str, smooth: float | None, strength: float, keep_colors: bool | str
) -> tuple[SteadyOptions, str]:
    """Return how a film is kept steady, and a note if that is less than the default.

    Raises:
        MissingExtraError: smoothing was asked for, and OpenCV is not installed.
    """
    from stylenorm.errors import MissingExtraError
    from stylenorm.films import SteadyOptions, has_opencv

    note = ""
    if smooth and not has_opencv():
        raise MissingExtraError("opencv-python-headless", "video", "--smooth")
    if smooth is None:
        smooth = _SMOOTH if has_opencv() else 0.0
        if not has_opencv():
            note = "strokes do not travel with the motion, which needs OpenCV: pip install 'stylenorm[video]'"
    return SteadyOptions(steady, smooth, strength, keep_colors), note


def paint_film_job(
    job: Job, options: FilmArguments, stylizer: Stylizer, progress: Progress
) -> tuple[str, ...]:
    """Paint one film; returns notes.

    Raises:
        PictureError: it cannot be read, or only in part; then what could be painted is kept.
        StylenormError: as `stylenorm.films.paint_film`.
    """
    from stylenorm.films import FilmInterruptedError, paint_film

    assert job.source is not None  # noqa: S101 (planning takes no film from standard input)
    assert job.target is not None  # noqa: S101
    film_options, note = _film_options(job, options)
    progress.show(f"{job.source.name}: looking for cuts")

    def started(num_frames: int) -> None:
        progress.add_steps(num_frames)

    def stepped() -> None:
        progress.show(job.source.name if job.source else "")
        progress.step()

    try:
        report = paint_film(
            job.source, job.target, stylizer, film_options, on_start=started, on_frame=stepped
        )
    except FilmInterruptedError as stop:
        done = stop.report
        progress.print(
            f"stylenorm: {done.path}: playable, with what was painted so far ({_clock(done.painted_s)})"
        )
        raise
    if report.damages or report.losses:
        raise PictureError(_about_damage(report, job.source))
    notes = [*report.notes, *([note] if note else [])]
    if report.num_guessed:
        notes.append(
            f"{report.num_guessed} frames are damaged in the film: parts were guessed by its decoder"
        )
    return tuple(notes)


def _film_options(job: Job, options: FilmArguments) -> tuple[FilmOptions, str]:
    from stylenorm.films import FilmOptions, preset_named
    from stylenorm.media import WritingOptions

    steady, note = steady_options(options)
    preset = preset_named(options.preset)
    end_s, max_side_px = options.end_s, preset.max_side_px
    if options.preview:
        end_s = min(options.start_s + _PREVIEW_S, math.inf if end_s is None else end_s)
        max_side_px = min(_PREVIEW_PX, max_side_px or _PREVIEW_PX)
    writing = WritingOptions(options.quality, preset.speed, options.strip, options.keep_gps)
    film_options = FilmOptions(
        options.start_s, end_s, max_side_px, steady, writing, job.format, options.overwrite
    )
    return film_options, note


def _about_damage(report: FilmReport, source: Path) -> str:
    lines = []
    final = next((each for each in report.damages if each.final), None)
    broken = [each for each in report.damages if not each.final]
    if broken:
        many = f"{len(broken)} broken packets" if len(broken) > 1 else "a broken packet"
        lines.append(f"{many}, the first at {_clock(broken[0].time_s)} ({broken[0].reason})")
    lines += report.losses
    if final is not None:
        lines.append(f"{final.reason}, after {_clock(final.time_s)}")
    done = f"{report.path} has what could be painted, {report.num_frames} frames"
    return f"{source}: {'; '.join(lines)}; {done}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(seconds, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}"


def _seconds(text: str) -> float:
    """Parse seconds, minutes:seconds or hours:minutes:seconds.

    >>> _seconds("12.5"), _seconds("1:02:03")
    (12.5, 3723.0)
    """
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or not all(math.isfinite(n) and n >= 0 for n in numbers):
        raise argparse.ArgumentTypeError(f"expected seconds, 1:30 or 1:02:03.5, got {text!r}")
    seconds = 0.0
    for number in numbers:
        seconds = seconds * 60 + number
    return seconds


def _smooth(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 0.9:
        raise argparse.ArgumentTypeError(f"expected a number from 0 (off) to 0.9, got {text}")
    return number
