"""What the commands share that paint one photo like paintings: what they are asked, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stylenorm.cli.usage import UsageError, number_from

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stylenorm.media import Picture

T = TypeVar("T")

__all__ = [
    "add_mask_argument",
    "add_photo_arguments",
    "add_writing_arguments",
    "mask_named",
    "masks",
    "one_each",
    "write",
]

_NO_MASK = "none"


def add_photo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the photo, the paintings and the result."""
    parser.add_argument("photo", type=Path, help="the photo")
    parser.add_argument("paintings", nargs="+", type=Path, metavar="PAINTING", help="one or more")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PATH", help="the result")


def add_mask_argument(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    """Add masks, one a painting."""
    parser.add_argument(name, nargs="+", metavar="FILE", help=f"one a painting: {text}")


def add_writing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the result is written."""
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument(
        "--quality", type=number_from(1, 100), default=95, metavar="1..100", help="of JPEG, WebP and AVIF"
    )


def one_each(options: argparse.Namespace, flag: str, default: T) -> Sequence[T]:
    """Return an option's values, one a painting.

    Raises:
        UsageError: there are more or fewer.
    """
    count = len(options.paintings)
    given: Sequence[T] = getattr(options, flag.removeprefix("--").replace("-", "_")) or [default] * count
    if len(given) != count:
        raise UsageError(f"{flag}: expected {count}, one a painting, got {len(given)}")
    return given


def mask_named(name: str, size: tuple[int, int]) -> NDArray[np.float32] | None:
    """Read a mask for a picture of this size, (width, height); None where none is asked for."""
    from stylenorm.media import read_mask

    return None if name == _NO_MASK else read_mask(name, size)


def masks(options: argparse.Namespace, flag: str) -> Sequence[str]:
    """Return the names of the masks, one a painting."""
    return one_each(options, flag, _NO_MASK)


def write(options: argparse.Namespace, picture: Picture, painting: Any) -> None:
    """Write the painting (H, W, 3) uint8 with what the photo's file says, and say what was noted."""
    from stylenorm.media import finished_picture, write_picture

    notes = write_picture(
        finished_picture(picture, painting),
        options.output,
        quality=options.quality,
        overwrite=options.overwrite,
    )
    if not options.quiet:
        for note in (*picture.notes, *notes):
            print(f"stylenorm: note: {note}", file=sys.stderr)
