"""What ``stylenorm stylize`` and ``live`` are asked about films and animations."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

__all__ = ["add_film_arguments", "add_steady_arguments"]

_PREVIEW = "only 3 seconds, at most 640 pixels wide"  # as stylenorm.batches.films has them
_SMOOTH = 0.6


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
        help=_PREVIEW,
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
