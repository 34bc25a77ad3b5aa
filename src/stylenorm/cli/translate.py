"""``stylenorm translate``: pictures of one domain as pictures of another."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stylenorm.cli.progress import Failures, Progress
from stylenorm.cli.usage import (
    UsageError,
    add_network_argument,
    add_quiet_argument,
    as_usage,
    number_from,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from stylenorm.models.translator import Translator

__all__ = ["HELP", "add_arguments", "run"]

HELP = "translate pictures or label maps by a network that train cyclegan, pix2pix or spade made"
EPILOG = """examples:
  stylenorm translate photo.jpg --network run/ -o out.png
  stylenorm translate photos/ --network run/ --direction b-to-a -o out/
  stylenorm translate photo.jpg --network run/ --size native -o out.png
  stylenorm translate labels.png --network run/ -o photo.png"""
RENAMED = {"--model": "--network"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs", nargs="+", metavar="PHOTO", help="files or folders; for spade of label maps"
    )
    add_network_argument(parser, "'stylenorm train cyclegan', 'pix2pix' or 'spade'")
    parser.add_argument("--direction", metavar="NAME", help="a-to-b (default) or b-to-a")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="a file or a folder; default: beside the photo, photo.a-to-b.jpg",
    )
    parser.add_argument(
        "--size",
        type=_size,
        default="learned",
        metavar="PX",
        help="scale the shorter side to so many pixels; learned (default): to the size of the pictures that "
        "the network learned from, where it is out of their range; native: leave it",
    )
    parser.add_argument(
        "--seed",
        type=number_from(0),
        metavar="N",
        help="for spade with --latent: which look; default: the middle of all",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--threads", type=number_from(1), metavar="N", help="default: all cores")
    add_quiet_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Translate; a picture that fails is reported, and the others are done.

    Raises:
        UsageError: model, direction or targets are not as expected; nothing was done.
    """
    from stylenorm.media import (
        FILM_FORMATS,
        Picture,
        check_labels,
        check_output,
        numbered_from_0,
        plan_outputs,
        read_labels,
        read_picture,
        write_picture,
    )
    from stylenorm.models.translator import Translator

    with as_usage():
        translator = Translator(
            options.network, options.direction, threads=options.threads, seed=options.seed
        )
        jobs = plan_outputs(options.inputs, options.output, styles=[translator.direction])
        for job in jobs:
            if job.source is None or job.target is None or job.format in FILM_FORMATS:
                raise UsageError(f"{job.source or '-'}: expected a picture's file")
    progress = Progress(len(jobs), "picture", enabled=not options.quiet)
    failures = Failures(len(jobs), "pictures", progress)
    with progress:
        for job in jobs:
            assert job.source is not None  # noqa: S101 (refused above)
            assert job.target is not None  # noqa: S101
            progress.show(job.source.name)
            with failures.counted():
                check_output(job.target, overwrite=options.overwrite)
                if translator.num_classes is None:
                    picture = read_picture(job.source)
                    size = _sized(translator, options.size, picture.width, picture.height)
                    was = picture.width, picture.height
                    translated = picture.scaled(size).painted_with(translator)
                else:
                    labels = numbered_from_0(read_labels(job.source), translator.first_class)
                    check_labels(labels, translator.num_classes, str(job.source))
                    was = labels.shape[1], labels.shape[0]
                    size = _sized(translator, options.size, *was)
                    translated = Picture(translator(_scaled_labels(labels, size)))
                if size != was and options.size == "learned" and not options.quiet:
                    progress.print(f"stylenorm: note: {_told(job.source, translator, was, size)}")
                write_picture(translated, job.target, overwrite=options.overwrite)
            progress.step()
    return failures.exit_code()


def _size(text: str) -> int | str:
    if text in ("learned", "native"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected pixels, or learned, or native, got {text}")
    return int(text)


def _sized(translator: Translator, asked: int | str, width: int, height: int) -> tuple[int, int]:
    from stylenorm.models.translator import shorter_sized

    if asked == "learned":
        return translator.learned_size(width, height)
    return (width, height) if isinstance(asked, str) else shorter_sized(width, height, asked)


def _scaled_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Class numbers in another size, (width, height): each pixel takes the nearest one's."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def _told(source: Path, translator: Translator, was: tuple[int, int], size: tuple[int, int]) -> str:
    assert translator.scale_px is not None  # noqa: S101 (narrows the type; without it sizes stay)
    before, now = (f"{width} x {height}" for width, height in (was, size))
    low, high = translator.scale_px
    return (
        f"{source}: {before} translated at {now}: the network learned from pictures whose shorter side has "
        f"{low} to {high} pixels; --size native keeps the picture's"
    )
