"""``stylenorm generate``: pictures from seeds: a grid, one file each, styles mixed, or a walk as a film."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.cli.progress import Progress
from stylenorm.cli.usage import UsageError, add_network_argument, add_quiet_argument, as_usage, number_from

if TYPE_CHECKING:
    from stylenorm.models.generator import PictureGenerator

__all__ = ["HELP", "add_arguments", "run"]

HELP = "make pictures by a network that train stylegan or stylegan2 made"
EPILOG = """examples:
  stylenorm generate --network run/ --seeds 0-15 --truncation 0.7 -o grid.png
  stylenorm generate --network run/ --seeds 0-999 -o pictures/
  stylenorm generate --network run/ --seeds 0-4 --mix 10-15 --layers coarse -o mixed.png
  stylenorm generate --network run/ --seeds 3,8,21 --walk walk.mp4"""
RENAMED = {"--model": "--network"}

_MOST_SEEDS = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_network_argument(parser, "'stylenorm train stylegan' or 'stylegan2'")
    parser.add_argument(
        "--seeds", default="0-15", metavar="N", help="such as 0-15 or 3,8,20-24 (default: %(default)s)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="a file: all pictures in a grid; a folder, or a name that ends with a slash: a file each",
    )
    parser.add_argument("--columns", type=number_from(1), metavar="N", help="of the grid; default: a square")
    parser.add_argument(
        "--truncation",
        type=float,
        default=0.7,
        metavar="PSI",
        help="1: all that was learned; less: more alike, and better; 0: one picture (default: %(default)s)",
    )
    parser.add_argument(
        "--truncation-layers",
        type=number_from(1),
        metavar="N",
        help="truncate the first N only; default: all",
    )
    parser.add_argument(
        "--noise-seed", type=number_from(0), metavar="N", help="one noise for all; default: each seed's own"
    )
    mix = parser.add_argument_group("styles mixed")
    mix.add_argument(
        "--mix", metavar="N", help="a figure: a row for each of --seeds, a column for each of these seeds"
    )
    mix.add_argument(
        "--layers",
        default="coarse",
        metavar="WHICH",
        help="those that take the column's style: coarse, middle, fine, or numbers such as 0-3 "
        "(default: %(default)s)",
    )
    walk = parser.add_argument_group("walk")
    walk.add_argument(
        "--walk", type=Path, metavar="FILE", help="a film (or .gif, .webp) through --seeds and back"
    )
    walk.add_argument(
        "--seconds", type=float, default=2.0, metavar="S", help="from seed to seed (default: 2)"
    )
    walk.add_argument(
        "--rate", type=number_from(1, 240), default=30, metavar="N", help="frames a second (30)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--threads", type=number_from(1), metavar="N", help="default: all cores")
    add_quiet_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Make what is asked for.

    Raises:
        UsageError: model, seeds, layers or targets are not as expected; nothing was made.
    """
    from stylenorm.models.generator import PictureGenerator

    with as_usage():
        if options.output is None and options.walk is None:
            raise UsageError("expected -o or --walk, got neither: name what is to be made")
        if not 0 <= options.truncation <= 2:
            raise UsageError(f"--truncation: expected 0 to 2, got {options.truncation:g}")
        seeds = _numbers(options.seeds, "--seeds")
        columns = None if options.mix is None else _numbers(options.mix, "--mix")
        jobs: list[Any] = []
        generator = PictureGenerator(options.network, threads=options.threads)
        if options.output is not None:
            jobs.append(_pictures(generator, seeds, columns, options))
        if options.walk is not None:
            jobs.append(_walk(generator, seeds, options))
    for job in jobs:
        job()
    return 0


def _numbers(text: str, option: str) -> list[int]:
    """Read ``3,8,20-24``."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UsageError(f"{option}: expected numbers such as 0-15 or 3,8,20-24, got {text!r}")
        if int(last or first) - int(first) >= _MOST_SEEDS:
            raise UsageError(f"{option}: expected at most {_MOST_SEEDS} at once, got {text!r}")
        found += range(int(first), int(last or first) + 1)
    return found


def _styles(generator: PictureGenerator, seed: int, options: argparse.Namespace) -> Any:
    return generator.style(seed, options.truncation, options.truncation_layers)


def _noise_seed(seed: int, options: argparse.Namespace) -> int:
    return seed if options.noise_seed is None else int(options.noise_seed)


def _pictures(
    generator: PictureGenerator, seeds: list[int], columns: list[int] | None, options: argparse.Namespace
) -> Any:
    """Check what is asked for, and return what makes it: the grid, the figure, or a file each."""
    from stylenorm.media import Picture, check_output, write_picture
    from stylenorm.media.formats import format_of

    is_folder = options.output.endswith(("/", "\\")) or Path(options.output).is_dir()
    if is_folder and columns is None:
        targets = [Path(options.output) / f"seed{seed:04d}.png" for seed in seeds]
    elif is_folder:
        raise UsageError(f"{options.output}: expected a file for the figure of --mix, got a folder")
    else:
        targets = [Path(options.output)]
        format_of(options.output)  # refuses what is no picture's suffix
    for target in targets:
        check_output(target, overwrite=options.overwrite)
    chosen = None if columns is None else _layers(generator, options.layers)

    def each(total: int) -> Progress:
        return Progress(total, "picture", enabled=not options.quiet)

    def write(pixels: Any, target: Path) -> None:
        write_picture(Picture(pixels), target, overwrite=options.overwrite)

    def made(seed: int) -> Any:
        return generator(_styles(generator, seed, options), noise_seed=_noise_seed(seed, options))

    def make() -> None:
        if columns is not None and chosen is not None:
            with each((len(seeds) + 1) * (len(columns) + 1) - 1) as progress:
                write(_figure(generator, seeds, columns, chosen, options, progress), targets[0])
            return
        with each(len(seeds)) as progress:
            pictures = []
            for seed, target in zip(seeds, targets if is_folder else targets * len(seeds), strict=True):
                if is_folder:
                    write(made(seed), target)
                else:
                    pictures.append(made(seed))
                progress.step()
        if not is_folder:
            write(_grid(pictures, options.columns or math.ceil(math.sqrt(len(seeds)))), targets[0])

    return make


def _layers(generator: PictureGenerator, text: str) -> range:
    if not text[:1].isdigit():
        return generator.layers_named(text)
    numbers = _numbers(text, "--layers")
    chosen = range(numbers[0], numbers[-1] + 1)
    if list(chosen) != numbers or chosen.stop > generator.num_styles:
        raise UsageError(
            f"--layers: expected neighbours of 0 to {generator.num_styles - 1}, the layers of this network, "
            f"got {text!r}"
        )
    return chosen


def _figure(
    generator: PictureGenerator,
    rows: list[int],
    columns: list[int],
    layers: range,
    options: argparse.Namespace,
    progress: Progress,
) -> Any:
    """The columns' pictures on top, the rows' at the left, and the rows' with the columns' styles."""
    import numpy as np

    def made(styles: Any, seed: int) -> Any:
        progress.step()
        return generator(styles, noise_seed=_noise_seed(seed, options))

    across = {seed: _styles(generator, seed, options) for seed in columns}
    blank = np.full((generator.size_px, generator.size_px, 3), 255, np.uint8)
    pictures = [blank, *(made(across[seed], seed) for seed in columns)]
    for row in rows:
        styles = _styles(generator, row, options)
        pictures.append(made(styles, row))
        pictures += [made(generator.mixed(styles, across[seed], layers), row) for seed in columns]
    return _grid(pictures, len(columns) + 1)


def _grid(pictures: list[Any], columns: int) -> Any:
    """Pictures of one size, row by row; what is left of the last row is white."""
    import numpy as np

    columns = min(columns, len(pictures))
    missing = -len(pictures) % columns
    full = [*pictures, *[np.full_like(pictures[0], 255)] * missing]
    rows = [np.concatenate(full[i : i + columns], axis=1) for i in range(0, len(full), columns)]
    return np.concatenate(rows, axis=0)


def _walk(generator: PictureGenerator, seeds: list[int], options: argparse.Namespace) -> Any:
    """Check what is asked for, and return what writes the film."""
    from stylenorm.media import check_output
    from stylenorm.media.video.film import import_av
    from stylenorm.media.video.formats import is_film
    from stylenorm.media.video.frames_to_video import check_film_target, write_film

    between = round(options.seconds * options.rate) if 0 < options.seconds < 3600 else 0
    if len(seeds) < 2 or between < 1:
        raise UsageError(
            "--walk: expected at least 2 seeds and --seconds of at least a frame, "
            f"got {len(seeds)} and {options.seconds:g}"
        )
    check_film_target(options.walk)
    check_output(options.walk, overwrite=options.overwrite)
    if is_film(options.walk):
        import_av()  # before an hour of work, not after

    def make() -> None:
        styles = [_styles(generator, seed, options) for seed in seeds]
        with Progress(len(seeds) * between, "frame", enabled=not options.quiet) as progress:

            def frames() -> Iterator[Any]:
                for pixels in generator.walk(styles, between, noise_seed=options.noise_seed or 0):
                    progress.step()
                    yield pixels

            notes = write_film(
                frames,
                options.walk,
                width=generator.size_px,
                height=generator.size_px,
                num_frames=len(seeds) * between,
                frame_rate=options.rate,
                overwrite=options.overwrite,
            )
            for note in notes:
                progress.print(f"stylenorm: note: {note}")

    return make
