"""``stylenorm norms``: what each norm pools, keeps and takes out, as two tables."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylenorm.cli.usage import as_usage, number_from
from stylenorm.errors import MissingExtraError

__all__ = ["HELP", "NormsOptions", "add_arguments", "run"]

HELP = "compare the norms: over which axes each pools, and what it takes out of a photo"
EPILOG = """examples:
  stylenorm norms
  stylenorm norms photo.jpg --shape 4 64 256 256"""

_MAX_SIDE_PX = 512  # the table's two digits need no more


@dataclass(frozen=True)
class NormsOptions:
    """What is compared; the fields are the command's arguments."""

    photo: Path | None
    shape: tuple[int, ...]
    groups: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "photo", nargs="?", type=Path, help="a picture; it is made bright, dark and flat, and normalized"
    )
    parser.add_argument(
        "--shape", nargs="+", type=number_from(1), default=[4, 64, 256, 256], metavar="N",
        help="features to count the statistics of: N C and one to three sizes (default: 4 64 256 256)",
    )  # fmt: skip
    parser.add_argument(
        "--groups", type=number_from(1), default=32, metavar="N", help="of group norm (default: 32)"
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    return norms(NormsOptions(options.photo, tuple(options.shape), options.groups))


def norms(options: NormsOptions) -> int:
    """Print the tables.

    Raises:
        MissingExtraError: torch is not installed.
        UsageError: the shape is none, or the photo cannot be read.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "torch", "comparing norms") from error
    from stylenorm.media import read_picture
    from stylenorm.nn import CHANGES, OTHER_CHANGES, compare_norms, remaining_change

    with as_usage():
        facts = compare_norms(options.shape, options.groups)
        picture = None if options.photo is None else read_picture(options.photo)
    print(f"features {' x '.join(map(str, options.shape))}")
    header = ("norm", "pools over", "statistics", "in training", "in evaluation", "sees the batch")
    rows = [
        (f.name, f.axes, f"{f.statistics:,}", f.in_training, f.in_evaluation, f.sees_the_batch) for f in facts
    ]
    _print_table(header, rows, right=(2,))
    if picture is None:
        print("\nwith a photo, a second table shows what each norm takes out of it: stylenorm norms PHOTO")
        return 0
    step = max(1, -(-max(picture.pixels.shape) // _MAX_SIDE_PX))
    pixels = picture.pixels[::step, ::step]
    top = 65535 if pixels.dtype.itemsize == 2 else 255
    table = remaining_change(torch.from_numpy(pixels.astype("float64") / top).movedim(-1, 0))
    changes = (*CHANGES, *OTHER_CHANGES)
    print(f"\n{options.photo}: how far a change of light moves the values, in deviations of the photo's own")
    _print_table(
        ("behind", *changes),
        [(name, *(f"{row[change]:.2f}" for change in changes)) for name, row in table.items()],
        right=range(1, len(changes) + 1),
    )
    plain, instance = table["none"], table["instance"]
    rest = ", ".join(f"{instance[c]:.2f} of {plain[c]:.2f} ({c})" for c in OTHER_CHANGES)
    print(
        "\ninstance norm takes out a gain and an offset of each channel, all of it, and of what is neither "
        f"only a part: left of this photo's are {rest}"
    )
    return 0


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, ["-" * w for w in widths], *rows):
        cells = [
            v.rjust(w) if i in right else v.ljust(w) for i, (v, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
