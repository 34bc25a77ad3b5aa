"""One film of a batch, from file to file."""

from __future__ import annotations

import math
from pathlib import Path

from stylenorm.batches.options import Listener, PaintOptions
from stylenorm.batches.task import Task
from stylenorm.errors import MissingExtraError, PictureError
from stylenorm.films import (
    FilmInterruptedError,
    FilmOptions,
    FilmReport,
    SteadyOptions,
    has_opencv,
    paint_film,
    preset_named,
)
from stylenorm.media import WritingOptions
from stylenorm.models.stylizer import Stylizer

__all__ = ["paint_film_task", "steady_options", "steady_options_of"]

PREVIEW_S, PREVIEW_PX = 3.0, 640
DEFAULT_SMOOTH = 0.6


def steady_options_of(
    steady: str, smooth: float | None, strength: float, keep_colors: bool | str
) -> tuple[SteadyOptions, str]:
    """Return how a film is kept steady, and a note if that is less than the default.

    Raises:
        MissingExtraError: smoothing was asked for, and OpenCV is not installed.
    """
    note = ""
    if smooth and not has_opencv():
        raise MissingExtraError("opencv-python-headless", "video", "--smooth")
    if smooth is None:
        smooth = DEFAULT_SMOOTH if has_opencv() else 0.0
        if not has_opencv():
            note = "strokes do not travel with the motion, which needs OpenCV: pip install 'stylenorm[video]'"
    return SteadyOptions(steady, smooth, strength, keep_colors), note


def paint_film_task(
    task: Task, options: PaintOptions, stylizer: Stylizer, listener: Listener
) -> tuple[str, ...]:
    """Paint one film; returns notes.

    Raises:
        PictureError: it cannot be read, or only in part; then what could be painted is kept.
        StylenormError: as `stylenorm.films.paint_film`.
    """
    assert task.source is not None  # noqa: S101 (planning takes no film from standard input)
    assert task.target is not None  # noqa: S101
    film_options, note = _film_options(task, options)
    listener.show(f"{task.source.name}: looking for cuts")

    def started(num_frames: int) -> None:
        listener.add_steps(num_frames)

    def stepped() -> None:
        listener.show(task.source.name if task.source else "")
        listener.step()

    try:
        report = paint_film(
            task.source, task.target, stylizer, film_options, on_start=started, on_frame=stepped
        )
    except FilmInterruptedError as stop:
        done = stop.report
        listener.say(f"{done.path}: playable, with what was painted so far ({_clock(done.painted_s)})")
        raise
    if report.damages or report.losses:
        raise PictureError(_about_damage(report, task.source))
    notes = [*report.notes, *([note] if note else [])]
    if report.num_guessed:
        notes.append(
            f"{report.num_guessed} frames are damaged in the film: parts were guessed by its decoder"
        )
    return tuple(notes)


def steady_options(options: PaintOptions, strength: float) -> tuple[SteadyOptions, str]:
    """Return how a film or an animation is kept steady; see `steady_options_of`."""
    return steady_options_of(options.film.steady, options.film.smooth, strength, options.keep_colors)


def _film_options(task: Task, options: PaintOptions) -> tuple[FilmOptions, str]:
    steady, note = steady_options(options, task.strength)
    part = options.film
    preset = preset_named(part.preset)
    end_s, max_side_px = part.end_s, preset.max_side_px
    if part.preview:
        end_s = min(part.start_s + PREVIEW_S, math.inf if end_s is None else end_s)
        max_side_px = min(PREVIEW_PX, max_side_px or PREVIEW_PX)
    writing = WritingOptions(options.quality, preset.speed, options.strip, options.keep_gps)
    film_options = FilmOptions(
        part.start_s, end_s, max_side_px, steady, writing, task.format, options.overwrite
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
