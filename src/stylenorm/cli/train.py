"""``stylenorm train``: one sub-command a recipe; its options are the fields of its configurations."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from stylenorm.cli.usage import as_usage
from stylenorm.errors import MissingExtraError

__all__ = ["HELP", "add_arguments", "run"]

HELP = "learn styles from paintings (needs torch)"
EPILOG = """example:
  stylenorm train multistyle --photos photos/ --paintings paintings/ --styles styles.toml \\
      --features features/ --out trained/"""

_DATA = ("stylenorm.training.multistyle", "MultistyleConfig")
_NETWORK = ("stylenorm.networks.stylizer", "NetworkConfig")
_LOOP = ("stylenorm.training.loop", "LoopConfig")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipes, each with its options."""
    from stylenorm.cli.configurations import add_fields, read_fields

    recipes = parser.add_subparsers(title="recipes", metavar="RECIPE", required=True, parser_class=_Plain)
    recipe = recipes.add_parser(
        "multistyle",
        help="many styles in one network",
        description="Learn a network, its identity style and a style for each painting.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group = recipe.add_argument_group("what is learned")
    group.add_argument(
        "--paintings", type=Path, required=True, metavar="DIR", help="folder of paintings, artist--title.jpg"
    )
    group.add_argument(
        "--styles",
        type=Path,
        metavar="FILE",
        help="TOML or JSON: which of the paintings, under which names, with artist, title, year, licence",
    )
    loop = read_fields(*_LOOP)
    shared = {field.name for field in loop}  # the seed: one for all
    add_fields(group, tuple(field for field in read_fields(*_DATA) if field.name not in shared))
    add_fields(recipe.add_argument_group("network"), read_fields(*_NETWORK))
    add_fields(recipe.add_argument_group("training"), loop)
    recipe.set_defaults(recipe=train_multistyle)


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "torch", "training")
    return int(options.recipe(options))


def train_multistyle(options: argparse.Namespace) -> int:
    """Train `stylenorm.training.multistyle`; report photos that could not be read.

    Raises:
        UsageError: the paintings or their list are not as expected.
        TrainingError: the training cannot go on.
    """
    from stylenorm.cli.paintings import read_paintings
    from stylenorm.networks import NetworkConfig
    from stylenorm.training.loop import LoopConfig, fit
    from stylenorm.training.multistyle import Multistyle, MultistyleConfig

    network = NetworkConfig(**_values(_NETWORK, options))
    config = MultistyleConfig(network=network, **_values(_DATA, options))
    with as_usage():
        paintings = read_paintings(options.paintings, options.styles)
    command = shlex.join(["stylenorm", *_without_folders(sys.argv[1:])])
    recipe = Multistyle(config, paintings, options.out, command)
    try:
        fit(recipe, LoopConfig(**_values(_LOOP, options)))
    except KeyboardInterrupt:
        print("stylenorm: interrupted; the same command with --resume goes on from here", file=sys.stderr)
        return 130
    for path, reason in recipe.photos.unreadable.items():
        print(f"stylenorm: note: skipped {path}: {reason}", file=sys.stderr)
    print(
        f"{options.out}: {len(paintings)} styles; paint with: stylenorm stylize --network {options.out} ..."
    )
    return 0


class _Plain(argparse.ArgumentParser):
    """A recipe's parser; named, since sub-parsers otherwise take the class of their command's parser."""


def _values(config: tuple[str, str], options: argparse.Namespace) -> dict[str, Any]:
    from stylenorm.cli.configurations import read_fields

    return {field.name: getattr(options, field.name) for field in read_fields(*config)}


def _without_folders(words: list[str]) -> list[str]:
    """The arguments as they go into the record: of paths only the last part, which says enough."""
    return [Path(word).name if "/" in word or "\\" in word else word for word in words]
