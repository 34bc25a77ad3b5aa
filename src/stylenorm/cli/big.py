"""What ``stylenorm stylize`` is asked about big pictures, and how it shows them being painted."""

from __future__ import annotations

import argparse
import re
import time

from stylenorm.cli.progress import Progress
from stylenorm.cli.usage import positive_number

__all__ = [
    "Megapixels",
    "add_tile_arguments",
    "duration_text",
    "tile_size",
]

_SHOWN_S = 0.5


class Megapixels:
    """Shows how many megapixels are painted, and how long the rest will take.

    Args:
        progress: where it is shown.
        name: of the picture.
        num_pixels: of the picture.
    """

    def __init__(self, progress: Progress, name: str, num_pixels: int) -> None:
        self._progress, self._name, self._all = progress, name, num_pixels
        self._done, self._began = 0.0, time.monotonic()
        self._resumed, self._shown = 0.0, 0.0

    def __call__(self, pixels: float) -> None:
        """So many pixels more are done."""
        now = time.monotonic()
        self._done += pixels
        if now - self._began < _SHOWN_S:  # what an earlier process did comes at once: no measure of speed
            self._resumed = self._done
        if now - self._shown < _SHOWN_S:
            return
        self._shown = now
        text = f"{self._name}: {self._done / 1e6:.0f} of {self._all / 1e6:.0f} MP"
        if self._done > self._resumed:
            left_s = (now - self._began) * (self._all - self._done) / (self._done - self._resumed)
            text += f", {duration_text(left_s)} left"
        self._progress.show(text)


def add_tile_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is asked about big pictures."""
    group = parser.add_argument_group("big pictures")
    group.add_argument(
        "--tile",
        default="auto",
        metavar="auto|off|N",
        help="paint in tiles of N pixels, with the same result; auto: where memory asks for it (default)",
    )
    group.add_argument(
        "--memory",
        type=_memory_size,
        metavar="SIZE",
        help="use no more, as 1GB; default: most of what is free",
    )
    group.add_argument(
        "--stroke-size",
        type=_stroke_size,
        default=1.0,
        metavar="N",
        help="strokes N times as wide, for prints: painted small, then given the photo's detail (default: 1)",
    )
    group.add_argument(
        "--fast",
        action="store_true",
        help="in tiles, measure some of the picture instead of all; nearly the same",
    )


def _stroke_size(text: str) -> float:
    number = positive_number(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError(f"expected 1 to 64, got {text}")
    return number


def tile_size(text: str) -> int | str:
    """Return ``--tile`` as a number where it is one."""
    return int(text) if text.isdecimal() else text


def _memory_size(text: str) -> int:
    """Bytes of ``2GB``, ``500M``, ``1.5 GiB``."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    if match is None or not float(match[1]) > 0:
        raise argparse.ArgumentTypeError(f"expected a size as 500MB or 2GB, got {text}")
    power = " kmgt".index(match[2].lower() or " ")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


def duration_text(seconds: float) -> str:
    """Seconds as people say them: ``1 min 5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
