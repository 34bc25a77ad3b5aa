"""``stylenorm live``: a camera, or a film, painted as it comes; in a window, or on a page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from stylenorm.cli.films import add_steady_arguments
from stylenorm.cli.timing import add_timing_argument, timing_lines
from stylenorm.cli.usage import add_engine_arguments, as_usage, fields_of, number_from, share

__all__ = ["HELP", "LiveOptions", "add_arguments", "run"]

HELP = "paint what a camera sees, as it sees it (needs the extra video)"
EPILOG = """examples:
  stylenorm live --style scream
  stylenorm live --style starry-night --port 8000       a page, for a browser
  stylenorm live --style great-wave --source film.mp4 --max-side 640"""

_EVERY_S = 0.5  # between two looks at the rate


@dataclass(frozen=True)
class LiveOptions:
    """What is painted, how, and where it is shown; the fields are the command's arguments."""

    style: str
    source: str
    strength: float
    keep_colors: bool
    port: int | None
    host: str
    max_side: int | None
    frames: int | None
    steady: str
    smooth: float | None
    preset: str
    network: str | None
    engine: str
    precision: str
    threads: int | None
    timing: bool
    quiet: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--style", required=True, metavar="STYLE", help="a name, a style file, or a mixture")
    parser.add_argument(
        "--source", default="0", metavar="WHAT", help="a camera's number, or a film (default: camera 0)"
    )
    parser.add_argument(
        "--strength",
        type=share,
        default=1.0,
        metavar="0..1",
        help="0: the camera; 1: the painting (default)",
    )
    parser.add_argument("--keep-colors", action="store_true", help="keep the colours of the camera")
    shown = parser.add_argument_group("where it is shown")
    shown.add_argument(
        "--port",
        type=number_from(0, 65535),
        metavar="N",
        help="on a page at this port, 0: a free one; default: in a window, or a page if there is no screen",
    )
    shown.add_argument(
        "--host",
        default="127.0.0.1",
        help="address that the page listens on; 0.0.0.0 shows it to the whole network (default: %(default)s)",
    )
    shown.add_argument(
        "--max-side",
        type=number_from(16),
        metavar="PX",
        help="paint no larger than this; default: the preset's",
    )
    shown.add_argument("--frames", type=number_from(1), metavar="N", help="end after so many")
    add_steady_arguments(parser.add_argument_group("how"), ("running", "off"), preset="live")
    add_engine_arguments(parser)
    add_timing_argument(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="do not show the rate")


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    return live(fields_of(LiveOptions, options))


def live(options: LiveOptions) -> int:
    """Paint until the source ends, the window is closed, or Ctrl-C.

    Returns:
        0; also after Ctrl-C, which is how it is meant to end.

    Raises:
        UsageError: no such style, source or port.
        MissingExtraError: PyAV or OpenCV is not installed.
    """
    from stylenorm.batches.films import steady_options_of
    from stylenorm.films import (
        Painter,
        RunningPainter,
        open_source,
        paint_live,
        preset_named,
    )
    from stylenorm.models.stylizer import Stylizer
    from stylenorm.timing import collected
    from stylenorm.zoo import NetworkFolder

    with as_usage():
        preset = preset_named(options.preset)
        network = NetworkFolder.open(options.network) if options.network else preset.open_network()
        steady, note = steady_options_of(
            options.steady, options.smooth, options.strength, options.keep_colors
        )
        stylizer = Stylizer(
            options.style,
            network=network,
            engine=options.engine,
            precision=options.precision,
            threads=options.threads,
        )
        source = open_source(options.source, max_side_px=options.max_side or preset.max_side_px)
    if note:
        print(f"stylenorm: note: {note}", file=sys.stderr)
    kind = RunningPainter if steady.steady == "running" else Painter
    painter = kind(stylizer, steady, fast=preset.fast)
    rate = _Rate(enabled=not options.quiet)
    with ExitStack() as stack:
        timing = stack.enter_context(collected()) if options.timing and not options.quiet else None
        stack.enter_context(stylizer)
        viewer, in_thread = stack.enter_context(_viewer(options))
        report = paint_live(
            source, painter, viewer.show, max_frames=options.frames, in_thread=in_thread, on_frame=rate.show
        )
        lines = timing_lines(timing, timing.passed_s) if timing is not None else []
    rate.end()
    for line in lines:
        print(f"stylenorm: {line}", file=sys.stderr)
    if not options.quiet:
        print(
            f"stylenorm: {report.num_frames} frames, {report.frames_a_second:.1f} a second, "
            f"{report.num_dropped} came too fast and were left out",
            file=sys.stderr,
        )
    return 0


@contextmanager
def _viewer(options: LiveOptions) -> Iterator[tuple[Any, bool]]:
    """Give what shows the frames, and whether it may be called from another thread."""
    from stylenorm.films.window import LiveWindow, has_screen

    if options.port is None and has_screen():
        with LiveWindow() as window:
            yield window, False
        return
    from stylenorm.films.page import LivePage

    with as_usage():
        page = LivePage(options.host, options.port or 0)
    with page:
        print(f"stylenorm: {page.url} shows it; Ctrl-C ends it", file=sys.stderr, flush=True)
        yield page, True


class _Rate:
    """Frames a second, on one line of a terminal."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._next = 0.0

    def show(self, rate: float) -> None:
        now = time.monotonic()
        if self._enabled and now >= self._next:
            self._next = now + _EVERY_S
            print(f"\r{rate:5.1f} frames/s ", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._enabled:
            print("\r" + " " * 20 + "\r", end="", file=sys.stderr)
