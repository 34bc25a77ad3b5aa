"""``stylenorm learn``: a style of one's own from one picture."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.cli.usage import UsageError, add_fields, as_usage, number_from, values_of
from stylenorm.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HELP", "add_arguments", "respelled", "run"]

HELP = "learn a style from a picture, in about two minutes (needs torch)"
EPILOG = """example:
  stylenorm learn painting.jpg --name mine
  stylenorm stylize photo.jpg --style mine"""

MORE = ("what is learned",)
USAGE = "stylenorm learn PICTURE [--name NAME] [-o PATH] [options]"
RENAMED = {"--preview": "--sample"}
_SAMPLE_EVERY = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from stylenorm.configurations import LearnConfig, config_fields

    parser.add_argument("painting", type=Path, metavar="PICTURE", help="the picture whose style is wanted")
    parser.add_argument("--name", help="name of the style, in kebab-case; default: the picture's")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PATH",
        help="the style file; with --thorough the network folder; default: among your own styles",
    )  # fmt: skip
    parser.add_argument("--network", metavar="DIR", help="a network folder; default: the one that ships")
    parser.add_argument(
        "--sample", type=Path, metavar="PATH", help="a picture that shows how far it is; painted anew often"
    )
    parser.add_argument(
        "--steps", type=number_from(1), metavar="N",
        help=f"how long to learn (default: {LearnConfig.loop.steps}; {LearnConfig.thorough_loop.steps} with "
        "--thorough)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace a style of that name")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="keep a checkpoint there")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint in --checkpoints; without one, begin"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, ...; auto takes a GPU if there is one")
    add_fields(parser.add_argument_group("what is learned"), config_fields(LearnConfig))


def respelled(words: list[str]) -> list[str]:
    """Turn the old ``--resume DIR`` into ``--checkpoints DIR --resume``; it goes with the next release."""
    place = words.index("--resume") + 1 if "--resume" in words else len(words)
    if place == len(words) or words[place].startswith("-") or Path(words[place]).is_file():
        return words
    folder = words[place]
    print(
        f"stylenorm: note: --resume {folder} is now --checkpoints {folder} --resume; the old spelling goes "
        "with the next release",
        file=sys.stderr,
    )
    return [*words[: place - 1], "--checkpoints", folder, "--resume", *words[place + 1 :]]


def run(options: argparse.Namespace) -> int:
    """Learn the style.

    Raises:
        UsageError: the name is taken, or is no name; the picture or the network is not there.
        MissingExtraError: torch is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "torch", "learning a style")
    from stylenorm.cli.train import recorded_command
    from stylenorm.configurations import LearnConfig, LoopConfig
    from stylenorm.training.loop import fit
    from stylenorm.training.recipes.learn import Learn
    from stylenorm.zoo import NetworkFolder, shipped_network

    config = LearnConfig(**values_of(LearnConfig, options))
    checkpoints: Path | None = options.checkpoints
    if options.resume and checkpoints is None:
        raise UsageError("--resume: expected --checkpoints DIR too, the folder of the checkpoint")
    with as_usage():
        network = NetworkFolder.open(options.network) if options.network else shipped_network()
        name = _name(options, network)
        destination = _destination(options, name)
        recipe = Learn(
            config,
            options.painting,
            name,
            destination,
            network=network,
            command=recorded_command(options.words, with_paths=False),
            on_preview=_preview(options.sample),
        )
    with tempfile.TemporaryDirectory(prefix="stylenorm-learn-") as scratch:
        loop = LoopConfig(
            out=checkpoints or Path(scratch),
            steps=options.steps,
            sample_every=_SAMPLE_EVERY if options.sample else 0,
            seed=config.seed,
            resume=options.resume,
            device=options.device,
        )
        try:
            fit(recipe, loop)
        except KeyboardInterrupt:
            if checkpoints is None:
                raise
            print("stylenorm: interrupted; the same command with --resume goes on from here", file=sys.stderr)
            return 130
    where = (
        f"--network {destination} --style {name}" if config.thorough else f"--style {_said(options, name)}"
    )
    print(f"{destination}: paint with: stylenorm stylize photo.jpg {where}")
    return 0


def _name(options: argparse.Namespace, network: Any) -> str:
    from stylenorm.training.data.paintings import check_name, kebab

    name = options.name if options.name is not None else kebab(options.painting.stem)
    check_name(name, "--name")
    if name in network.style_names():
        raise UsageError(f"--name: {name!r} is a style of the network already; choose another name")
    return str(name)


def _destination(options: argparse.Namespace, name: str) -> Path:
    from stylenorm.media import check_output
    from stylenorm.zoo import own_style

    path = options.output or own_style(name)
    if options.thorough:
        path = options.output or own_style(name).with_suffix("")
        if path.exists() and not options.overwrite:
            raise UsageError(f"{path} exists; choose another --output, or replace it with --overwrite")
        return Path(path)
    if options.output is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    check_output(path, overwrite=options.overwrite)
    return Path(path)


def _said(options: argparse.Namespace, name: str) -> str:
    return str(options.output) if options.output else name


def _preview(path: Path | None) -> Any:
    if path is None:
        return None

    def write(pixels: NDArray[np.uint8]) -> None:
        from stylenorm.media import Picture, write_picture

        write_picture(Picture(pixels), path, overwrite=True)

    return write
