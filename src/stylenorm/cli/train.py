"""``stylenorm train``: one sub-command a recipe; the options are the fields of the recipe's configurations.

The tables below repeat names, types and defaults of dataclasses that live beside torch, so that ``--help``
needs none; tests/cli/test_cli_train.py holds the two together.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylenorm.cli.usage import as_usage
from stylenorm.errors import MissingExtraError

__all__ = ["HELP", "LOOP", "MULTISTYLE", "NETWORK", "Option", "add_arguments", "run"]

HELP = "learn styles from paintings (needs torch)"


@dataclass(frozen=True)
class Option:
    """One field of a configuration as an option.

    Attributes:
        field: the field's name; ``content_target`` is ``--content-target``.
        default: the field's default; None if the option is required. Its type is the option's.
        help: one line.
        kind: the type of an option without a default.
    """

    field: str
    default: Any
    help: str
    kind: Callable[[str], Any] = str

    def add_to(self, parser: argparse._ArgumentGroup) -> None:
        """Add the option to a parser."""
        flag = "--" + self.field.replace("_", "-")
        if isinstance(self.default, bool):
            parser.add_argument(flag, action="store_true", help=self.help)
        elif self.default is None:
            parser.add_argument(flag, type=self.kind, required=True, metavar="DIR", help=self.help)
        else:
            default = f"{self.default:g}" if isinstance(self.default, float) else self.default
            parser.add_argument(
                flag,
                type=type(self.default),
                default=self.default,
                metavar=self.field.rpartition("_")[2].upper(),
                help=f"{self.help} (default: {default})",
            )


MULTISTYLE = (
    Option("photos", None, "folder of photos, sub-folders included", Path),
    Option("features", None, "folder with the feature networks' weights", Path),
    Option("crop_px", 256, "side of the training crops"),
    Option("batch_size", 4, "crops a step"),
    Option("painting_px", 512, "shorter side of the paintings as measured; sets the size of the strokes"),
    Option("num_scales", 2, "scales at which style is compared"),
    Option("style_weight", 20.0, "style weight to start from; each painting's own is found from there"),
    Option("content_target", 1.0, "relative content loss that the balance aims at"),
    Option("tv_weight", 1.0, "weight of the total variation"),
    Option("identity_weight", 20.0, "weight of the identity's squared error"),
    Option("identity_share", 0.1, "share of the samples that are trained as the identity"),
)
NETWORK = (
    Option("family", "quarter", "quarter or johnson"),
    Option("width", 48, "channels of the trunk (quarter) or of the first convolution (johnson)"),
    Option("num_blocks", 5, "residual blocks"),
)
LOOP = (
    Option("out", None, "folder for checkpoint, samples and results", Path),
    Option("steps", 4000, "optimiser steps"),
    Option("learning_rate", 3e-3, "peak rate of Adam"),
    Option("clip", 1.0, "largest norm of the gradient"),
    Option("average", 0.998, "factor of the running average of the weights"),
    Option("checkpoint_every_s", 60.0, "seconds between checkpoints"),
    Option("sample_every", 250, "steps between pictures of samples; 0 for none"),
    Option("seed", 0, "what all randomness is drawn from"),
    Option("resume", False, "go on from the checkpoint in --out, if there is one"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipes, each with its options."""
    recipes = parser.add_subparsers(title="recipes", metavar="RECIPE", required=True)
    recipe = recipes.add_parser(
        "multistyle",
        help="many styles in one network",
        description="Learn a network, its identity style and a style for each painting.",
        allow_abbrev=False,
    )
    data = recipe.add_argument_group("what is learned")
    data.add_argument(
        "--paintings", type=Path, required=True, metavar="DIR", help="folder of paintings, artist--title.jpg"
    )
    data.add_argument(
        "--styles",
        type=Path,
        metavar="FILE",
        help="TOML or JSON: which of the paintings, under which names, with artist, title, year, licence",
    )
    for title, options in (("", MULTISTYLE), ("network", NETWORK), ("training", LOOP)):
        group = recipe.add_argument_group(title) if title else data
        for option in options:
            option.add_to(group)
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

    network = NetworkConfig(**_values(NETWORK, options))
    config = MultistyleConfig(network=network, seed=options.seed, **_values(MULTISTYLE, options))
    with as_usage():
        paintings = read_paintings(options.paintings, options.styles)
    command = shlex.join(["stylenorm", *_arguments(sys.argv)])
    recipe = Multistyle(config, paintings, options.out, command)
    try:
        fit(recipe, LoopConfig(**_values(LOOP, options)))
    except KeyboardInterrupt:
        print("stylenorm: interrupted; the same command with --resume goes on from here", file=sys.stderr)
        return 130
    for path, reason in recipe.photos.unreadable.items():
        print(f"stylenorm: note: skipped {path}: {reason}", file=sys.stderr)
    print(
        f"{options.out}: {len(paintings)} styles; paint with: stylenorm stylize --network {options.out} ..."
    )
    return 0


def _values(table: tuple[Option, ...], options: argparse.Namespace) -> dict[str, Any]:
    return {option.field: getattr(options, option.field) for option in table}


def _arguments(argv: list[str]) -> list[str]:
    """The arguments as they go into the record: of paths only the last part, which says enough."""
    return [Path(word).name if "/" in word or "\\" in word else word for word in argv[1:]]
