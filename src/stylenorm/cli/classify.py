"""``stylenorm classify``: what pictures show."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from stylenorm.cli.progress import Failures, Progress
from stylenorm.cli.usage import (
    UsageError,
    add_network_argument,
    add_quiet_argument,
    as_usage,
    number_from,
)
from stylenorm.errors import printable

__all__ = ["HELP", "add_arguments", "run"]

HELP = "say what pictures show, by a network that train ibn made"
EPILOG = """examples:
  stylenorm classify photo.jpg --network run/
  stylenorm classify photos/ --network run/ --top 3 --json"""
RENAMED = {"--model": "--network"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="PICTURE", help="files or folders")
    add_network_argument(parser, "'stylenorm train ibn'")
    parser.add_argument(
        "--top", type=number_from(1), default=1, metavar="N", help="likeliest classes to name"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON for each picture")
    parser.add_argument("--threads", type=number_from(1), metavar="N", help="default: all cores")
    add_quiet_argument(parser, "no progress")


def run(options: argparse.Namespace) -> int:
    """Classify; a picture that fails is reported, and the others are done.

    Raises:
        UsageError: model or inputs are not as expected; nothing was done.
    """
    from stylenorm.media import find_pictures, read_picture
    from stylenorm.models.classifier import Classifier

    with as_usage():
        classifier = Classifier(options.network, threads=options.threads)
        paths = [
            path for given in options.inputs for path in (find_pictures(given) if given.is_dir() else [given])
        ]
    if not paths:
        raise UsageError(f"{options.inputs[0]}: expected pictures in the folder, got none")
    progress = Progress(len(paths), "picture", enabled=not options.quiet)
    failures = Failures(len(paths), "pictures", progress)
    with progress:
        for path in paths:
            progress.show(path.name)
            with failures.counted():
                shares = classifier(read_picture(path).pixels)
                likeliest = dict(list(shares.items())[: options.top])
                if options.json:
                    rounded = {name: round(share, 6) for name, share in likeliest.items()}
                    print(json.dumps({"path": str(path), "classes": rounded}, ensure_ascii=False))
                else:
                    words = ", ".join(f"{name} ({100 * share:.1f} %)" for name, share in likeliest.items())
                    print(printable(f"{path}: {words}"))
            progress.step()
    return failures.exit_code()
