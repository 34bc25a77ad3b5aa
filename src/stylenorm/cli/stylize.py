"""``stylenorm stylize``: photos, folders and animations in; paintings out."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

from stylenorm.cli.batches import add_batch_arguments
from stylenorm.cli.big import add_tile_arguments
from stylenorm.cli.films import add_film_arguments
from stylenorm.cli.timing import add_timing_argument
from stylenorm.cli.usage import add_engine_arguments, fields_of, number_from, positive_number, share

__all__ = ["HELP", "StylizeOptions", "add_arguments", "run"]

MORE = ("data sets", "big pictures", "films and animations", "engine")
USAGE = "stylenorm stylize PHOTO [PHOTO ...] --style STYLE [-o PATH] [options]"

HELP = "paint photos, folders of photos, animations, films"
EPILOG = """examples:
  stylenorm stylize photo.jpg --style starry-night -o painting.png
  stylenorm stylize photo.jpg --style starry-night:0.6,great-wave:0.4 --strength 0.7
  stylenorm stylize holiday/ --style scream -o painted/
  stylenorm stylize a.jpg b.png --style all -o out/
  stylenorm stylize photos/ --style all -o out/ --skip-existing --manifest out.jsonl
  stylenorm stylize imagenet/ --style random --seed 7 -o stylized/ --size 224 --crop --shard 3/64
  stylenorm stylize film.mp4 --style scream --preview
  stylenorm stylize huge.tif --style scream --memory 2GB
  cat photo.jpg | stylenorm stylize - --style great-wave -o - > out.png"""


@dataclass(frozen=True)
class StylizeOptions:
    """What is painted, how, and where it goes; the fields are the command's arguments."""

    inputs: tuple[str, ...]
    style: tuple[str, ...]
    output: str | None
    strength: float | tuple[float, float]
    keep_colors: bool | str
    size: int | None
    crop: bool
    seed: int
    styles_per_picture: int
    skip_existing: bool
    manifest: str | None
    shard: str | None
    watch: bool
    cluster: str | None
    workers: int | None
    column: str | None
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
    noise: float | None
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
    timing: bool
    quiet: bool

    @classmethod
    def from_namespace(cls, options: argparse.Namespace) -> StylizeOptions:
        """Take the fields from parsed arguments."""
        taken = fields_of(cls, options)
        return replace(taken, inputs=tuple(taken.inputs), style=tuple(taken.style))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("inputs", nargs="+", metavar="PHOTO", help="files, folders, or - for standard input")
    parser.add_argument(
        "--style",
        required=True,
        action="append",
        metavar="STYLE",
        help="a name ('stylenorm styles' lists them), a style file, a mixture as scream:0.6,great-wave:0.4, "
        "all, random, or random:FOLDER; may be given several times",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="a file, a folder, or - for standard output; default: beside the photo, photo.STYLE.jpg",
    )
    parser.add_argument(
        "--strength",
        type=_strength,
        default=1.0,
        metavar="0..1",
        help="0: the photo; 1: the painting (default); 0.4..1: drawn from this range for each painting",
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
        "--noise",
        type=share,
        metavar="0..1",
        help="faint noise on the photo, from which motifs begin in flat skies; 0: none, faces are clearer; "
        "default: as the network was trained; films have none",
    )
    parser.add_argument(
        "--size",
        type=number_from(1),
        metavar="PX",
        help="make pictures smaller first, so that the longer side has PX pixels at most",
    )
    parser.add_argument(
        "--crop", action="store_true", help="cut the square from the middle; with --size, of PX x PX pixels"
    )
    parser.add_argument(
        "--skip-existing", action="store_true", help="what is there already is done, and no failure"
    )
    parser.add_argument(
        "--manifest",
        metavar="FILE",
        help="write a JSON line for each painting there; what it lists as done is not done again",
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
    add_batch_arguments(parser)
    add_tile_arguments(parser)
    add_film_arguments(parser)
    add_engine_arguments(parser)
    add_timing_argument(parser)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no progress and no notes; errors are shown"
    )


def _strength(text: str) -> float | tuple[float, float]:
    """A strength, or a range of them as ``0.4..1``."""
    low, dots, high = text.partition("..")
    if not dots:
        return share(text)
    bounds = share(low), share(high)
    if bounds[0] > bounds[1]:
        raise argparse.ArgumentTypeError(f"expected the smaller strength first, as 0.4..1, got {text}")
    return bounds


def run(options: argparse.Namespace) -> int:
    """Carry the command out.

    Returns:
        0, or 1 if a picture failed.

    Raises:
        UsageError: the plan cannot be made: an unknown style, an output that does not fit.
        MissingExtraError: the engine, or what reads the data set, is not installed.
    """
    from stylenorm.cli.painting import stylize

    return stylize(StylizeOptions.from_namespace(options))
