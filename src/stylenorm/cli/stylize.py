"""``stylenorm stylize``: photos, folders and animations in; paintings out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.cli.big import (
    Megapixels,
    add_tile_arguments,
    big_picture,
    duration_text,
    paint_big_job,
    tile_size,
)
from stylenorm.cli.films import FilmArguments, add_film_arguments, paint_film_job, steady_options
from stylenorm.cli.progress import Progress
from stylenorm.cli.usage import (
    UsageError,
    add_engine_arguments,
    as_usage,
    number_from,
    one_line,
    positive_number,
    share,
)
from stylenorm.errors import InputError, OutputError, PictureError, StylenormError, printable

if TYPE_CHECKING:
    from stylenorm.media import Animation, Job, Picture
    from stylenorm.models.stylizer import Stylizer

__all__ = ["HELP", "StylizeOptions", "add_arguments", "run"]

_SHOWN_NAMES = 5
MORE = ("big pictures", "films and animations", "engine")
USAGE = "stylenorm stylize PHOTO [PHOTO ...] --style STYLE [-o PATH] [options]"

HELP = "paint photos, folders of photos, animations, films"
EPILOG = """examples:
  stylenorm stylize photo.jpg --style starry-night -o painting.png
  stylenorm stylize photo.jpg --style starry-night:0.6,great-wave:0.4 --strength 0.7
  stylenorm stylize holiday/ --style scream -o painted/
  stylenorm stylize a.jpg b.png --style all -o out/
  stylenorm stylize film.mp4 --style scream --preview
  stylenorm stylize huge.tif --style scream --memory 2GB
  cat photo.jpg | stylenorm stylize - --style great-wave -o - > out.png"""


@dataclass(frozen=True)
class StylizeOptions:
    """What is painted, how, and where it goes; the fields are the command's arguments."""

    inputs: tuple[str, ...]
    style: tuple[str, ...]
    output: str | None
    strength: float
    keep_colors: bool | str
    size: int | None
    format: str | None
    quality: int
    strip: bool
    keep_gps: bool
    overwrite: bool
    max_megapixels: float | None
    allow_truncated: bool
    tile: str
    memory: int | None
    fast: bool
    stroke_size: float
    start_s: float
    end_s: float | None
    preview: bool
    steady: str
    smooth: float | None
    preset: str
    network: str | None
    engine: str
    precision: str
    threads: int | None
    quiet: bool

    @classmethod
    def from_namespace(cls, options: argparse.Namespace) -> StylizeOptions:
        """Take the fields from parsed arguments."""
        values = {field.name: getattr(options, field.name) for field in fields(cls)}
        return cls(**{**values, "inputs": tuple(values["inputs"]), "style": tuple(values["style"])})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("inputs", nargs="+", metavar="PHOTO", help="files, folders, or - for standard input")
    parser.add_argument(
        "--style",
        required=True,
        action="append",
        metavar="STYLE",
        help="a name ('stylenorm styles' lists them), a style file, a mixture as scream:0.6,great-wave:0.4, "
        "or all; may be given several times",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="a file, a folder, or - for standard output; default: beside the photo, photo.STYLE.jpg",
    )
    parser.add_argument(
        "--strength", type=share, default=1.0, metavar="0..1", help="0: the photo; 1: the painting (default)"
    )
    parser.add_argument(
        "--keep-colors", action="store_true", help="keep every object's colour: take light and dark alone"
    )
    parser.add_argument(
        "--color-method",
        dest="keep_colors",
        choices=("luminance", "covariance", "histogram"),
        default=False,
        help="keep colours this way: luminance is --keep-colors; covariance and histogram give the painting "
        "the photo's palette, and leave it free where to use which colour",
    )
    parser.add_argument(
        "--size",
        type=number_from(1),
        metavar="PX",
        help="make pictures smaller first, so that the longer side has PX pixels at most",
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--format",
        metavar="NAME",
        help="png, jpeg, webp, tiff, gif, avif, bmp; mp4, mov, mkv, webm; default: by suffix",
    )
    files.add_argument(
        "--quality",
        type=number_from(1, 100),
        default=95,
        metavar="1..100",
        help="of JPEG, WebP, AVIF and films (default: %(default)s)",
    )
    files.add_argument("--strip", action="store_true", help="write no metadata")
    files.add_argument(
        "--keep-gps", action="store_true", help="keep where the photo was taken; otherwise removed"
    )
    files.add_argument("--overwrite", action="store_true", help="replace files that exist")
    files.add_argument(
        "--max-megapixels",
        type=positive_number,
        metavar="N",
        help="refuse larger pictures; guards against bombs",
    )
    files.add_argument(
        "--allow-truncated", action="store_true", help="paint what there is of files that were cut off"
    )
    add_tile_arguments(parser)
    add_film_arguments(parser)
    add_engine_arguments(parser)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no progress and no notes; errors are shown"
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    return stylize(StylizeOptions.from_namespace(options))


def stylize(options: StylizeOptions) -> int:
    """Plan, then paint one picture after the other; a failure is reported and the rest goes on.

    Returns:
        0, or 1 if a picture failed.

    Raises:
        UsageError: the plan cannot be made: an unknown style, an output that does not fit.
        MissingExtraError: the engine is not installed.
    """
    from stylenorm.media import LeftOut, plan_outputs
    from stylenorm.models.stylizer import Stylizer
    from stylenorm.tiles import Tiling
    from stylenorm.zoo import ALL, NetworkFolder, shipped_network

    with as_usage():
        if options.network:
            network = NetworkFolder.open(options.network)
        elif options.preset == "standard":  # without the time that films take to import
            network = shipped_network()
        else:
            from stylenorm.films import preset_named

            network = preset_named(options.preset).open_network()
        names = [
            name
            for text in options.style
            for name in (network.style_names() if text.casefold() == ALL else (text,))
        ]
        names = list(dict.fromkeys(names))  # once each
        if not names:
            raise UsageError(f"style 'all': {network.path} has no styles; name a style file")
        left_out = LeftOut()
        jobs = plan_outputs(
            options.inputs, options.output, styles=names, format=options.format, left_out=left_out
        )
        if any(job.target is None for job in jobs) and sys.stdout.isatty():
            raise UsageError(
                "standard output is a terminal: write to a file (-o painting.png) or into a pipe"
            )
        first = Stylizer(
            names[0],
            network=network,
            engine=options.engine,
            precision=options.precision,
            threads=options.threads,
            tiling=Tiling(tile_size(options.tile), options.memory, options.fast),
        )
        stylizers = {name: first.with_style(name) for name in names}
    with first, Progress(len(jobs), "picture", enabled=not options.quiet) as progress:
        run = _Run(options, stylizers, progress)
        for problem in left_out.problems():
            progress.print(f"stylenorm: {problem}")
        if left_out.skipped():
            run.note(left_out.skipped())
        return max(run.paint(jobs), 1 if left_out.problems() else 0)


class _Run:
    """One run over all jobs; keeps the photo that was read last, for its next style."""

    def __init__(self, options: StylizeOptions, stylizers: dict[str, Stylizer], progress: Progress) -> None:
        self.options, self.stylizers, self.progress = options, stylizers, progress
        self._last: tuple[Path | None, Picture | Animation] | None = None
        self._num_painted, self._several = 0, False
        self._existing: list[Path] = []
        self._noted: set[str] = set()

    def paint(self, jobs: Sequence[Job]) -> int:
        """Paint them all, and say how it went; return the exit code.

        Raises:
            KeyboardInterrupt: says how many were done.
        """
        began = time.monotonic()
        num_failed, self._several = 0, len(jobs) > 1
        try:
            for job in jobs:
                num_failed += not self._try_job(job)
        except KeyboardInterrupt:
            done = f"{self._num_painted} of {len(jobs)} are done" if len(jobs) > 1 else ""
            raise KeyboardInterrupt(done) from None
        if self._existing:
            shown = ", ".join(str(path) for path in self._existing[:_SHOWN_NAMES])
            more = ", ..." if len(self._existing) > _SHOWN_NAMES else ""
            self.progress.print(
                f"stylenorm: {len(self._existing)} of {len(jobs)} exist already and were left as they are "
                f"(--overwrite replaces them): {shown}{more}"
            )
        other_failures = num_failed - len(self._existing)
        if other_failures and len(jobs) > 1:
            self.progress.print(f"stylenorm: {other_failures} of {len(jobs)} failed")
        if self._num_painted > 1:
            self._tell(
                f"{self._num_painted} of {len(jobs)} painted in {duration_text(time.monotonic() - began)}"
            )
        return 1 if num_failed else 0

    def _try_job(self, job: Job) -> bool:
        """Paint one picture; report what goes wrong with it, and say whether it went well."""
        name = "standard input" if job.source is None else printable(job.source)
        self.progress.show(Path(name).name)
        try:
            self._paint(job, name)
        except (StylenormError, OSError, MemoryError) as error:
            if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
                raise
            self._report(job, name, error)
            return False
        finally:
            self.progress.step()
        self._num_painted += 1
        if job.target is not None:
            self._tell(str(job.target))
        return True

    def _report(self, job: Job, name: str, error: BaseException) -> None:
        reason = one_line(error)
        if isinstance(error, OutputError) and "exists already" in reason:
            if self._several and job.target is not None:
                self._existing.append(job.target)  # one line for all of them
                return
            reason += " (--overwrite)"
        if "raise the limit if you trust" in reason:
            reason += " (--max-megapixels N)"
        if isinstance(error, PictureError) and "got a truncated one" in reason:
            reason += " (--allow-truncated paints what there is)"
        if isinstance(error, MemoryError):
            reason += "; or let it be painted in smaller parts (--memory 1GB, or --tile 256)"
        says_where = isinstance(error, OutputError) or name in reason
        self.progress.print(f"stylenorm: {reason if says_where else f'{name}: {reason}'}")

    def _paint(self, job: Job, name: str) -> None:
        from stylenorm.media import FILM_FORMATS, Animation, check_fits, check_output, write_media

        options, stylizer = self.options, self.stylizers[job.style]
        if job.target is not None:
            check_output(job.target, overwrite=options.overwrite)
        if job.format in FILM_FORMATS:
            if options.size is not None:
                raise InputError("--size: expected pictures, got a film, which keeps its size")
            for note in paint_film_job(job, FilmArguments.of(options), stylizer, self.progress):
                self.note(f"{job.target}: {note}")
            return
        is_read = self._last is not None and self._last[0] == job.source
        big = None if is_read or options.size is not None else big_picture(job, options, stylizer)
        if big is not None:
            self._last = None
            for note in paint_big_job(job, big, options, stylizer, self.progress):
                self.note(f"{job.target}: {note}")
            return
        media = self._read(job.source, name)
        check_fits(job.format, media.width, media.height)

        def paint(pixels: Any) -> Any:
            shown = Megapixels(self.progress, Path(name).name, pixels.shape[0] * pixels.shape[1])
            return stylizer(
                pixels,
                options.strength,
                options.keep_colors,
                stroke_size=options.stroke_size,
                progress=shown,
            )

        notes = write_media(
            self._painted(media, stylizer) if isinstance(media, Animation) else media.painted_with(paint),
            sys.stdout.buffer if job.target is None else job.target,
            format=job.format,
            quality=options.quality,
            strip=options.strip,
            overwrite=options.overwrite,
        )
        for note in notes:
            self.note(f"{job.target or 'standard output'}: {note}")

    def _read(self, source: Path | None, name: str) -> Picture | Animation:
        from stylenorm.media import MAX_MEGAPIXELS, read_media

        if self._last is None or self._last[0] != source:
            self._last = None  # two photos at once would be one too many
            media = read_media(
                sys.stdin.buffer if source is None else source,
                max_megapixels=self.options.max_megapixels or MAX_MEGAPIXELS,
                keep_gps=self.options.keep_gps,
                allow_truncated=self.options.allow_truncated,
            )
            for note in media.notes:
                self.note(f"{name}: {note}")
            if self.options.size is not None:
                media = media.fitted(self.options.size)
            self._last = (source, media)
        return self._last[1]

    def _painted(self, animation: Animation, stylizer: Stylizer) -> Animation:
        from stylenorm.films import paint_animation

        self.progress.add_steps(animation.num_frames)
        steady, note = steady_options(FilmArguments.of(self.options))
        if note and note not in self._noted:  # the same for every animation
            self._noted.add(note)
            self.note(note)
        return paint_animation(animation, stylizer, steady, on_frame=self.progress.step)

    def note(self, text: str) -> None:
        """Say what a user should know, unless asked to be quiet."""
        if not self.options.quiet:
            self.progress.print(f"stylenorm: note: {text}")

    def _tell(self, text: str) -> None:
        """Say what was done, to who sits before a terminal."""
        if not self.options.quiet and sys.stderr.isatty():
            self.progress.print(f"stylenorm: {text}")
