"""``stylenorm train``: one sub-command a recipe; its options are the fields of its configurations."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.cli.classify import add_classifier
from stylenorm.cli.recipes import add_recipes
from stylenorm.cli.stylegan import add_stylegans
from stylenorm.cli.translations import add_translations
from stylenorm.cli.usage import as_usage
from stylenorm.cli.volumes import add_volumes
from stylenorm.errors import MissingExtraError

if TYPE_CHECKING:
    from stylenorm.training.data.class_folders import ClassFolders
    from stylenorm.training.data.photos import Photos
    from stylenorm.training.loop import Recipe

__all__ = ["HELP", "add_arguments", "fit_recipe", "recorded_command", "run", "values_of"]

HELP = "learn styles from paintings (needs torch)"
EPILOG = """example:
  stylenorm train multistyle --photos photos/ --paintings paintings/ --styles styles.toml --out trained/"""

_Config = tuple[str, str]  # module and class of a recipe's configuration
_MULTISTYLE: _Config = ("stylenorm.training.recipes.multistyle", "MultistyleConfig")
_DISTILL: _Config = ("stylenorm.training.recipes.distill", "DistillConfig")
_PREDICT: _Config = ("stylenorm.training.recipes.predict", "PredictConfig")
_NETWORK: _Config = ("stylenorm.networks.stylizer", "NetworkConfig")
_LOOP: _Config = ("stylenorm.training.loop", "LoopConfig")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipes, each with its options."""
    from stylenorm.cli.configurations import add_fields, read_fields

    recipes = parser.add_subparsers(title="recipes", metavar="RECIPE", required=True, parser_class=_Plain)

    def add_recipe(
        name: str, summary: str, description: str, run: Callable[[argparse.Namespace], int]
    ) -> Any:
        recipe = recipes.add_parser(
            name,
            help=summary,
            description=description,
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        recipe.set_defaults(recipe=run)
        return recipe

    loop = read_fields(*_LOOP)
    shared = {field.name for field in loop}  # the seed: one for all

    def add_config(group: argparse._ArgumentGroup, config: _Config) -> None:
        add_fields(group, tuple(field for field in read_fields(*config) if field.name not in shared))

    recipe = add_recipe(
        "multistyle",
        "many styles in one network",
        "Learn a network, its identity style and a style for each painting.",
        train_multistyle,
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
    group.add_argument(
        "--others",
        type=Path,
        metavar="DIR",
        help="paintings that are learned beside the styles and not kept: they widen what the network can do",
    )
    add_config(group, _MULTISTYLE)
    add_config(recipe.add_argument_group("network"), _NETWORK)
    add_fields(recipe.add_argument_group("training"), loop)

    add_recipes(add_recipe, add_config, loop)
    add_translations(add_recipe, add_config, loop)
    add_classifier(add_recipe, add_config, loop)
    add_stylegans(add_recipe, add_config, loop)
    add_volumes(add_recipe, add_config, loop)

    recipe = add_recipe(
        "predict",
        "the predictor that makes any picture a style",
        "Learn to predict styles from pictures; the predictor is written into the network's folder.",
        train_predict,
    )
    add_config(recipe.add_argument_group("what is learned"), _PREDICT)
    add_fields(recipe.add_argument_group("training"), loop)

    recipe = add_recipe(
        "distill",
        "the feature networks that the losses look through",
        "Learn small feature networks whose losses move pictures as those of two classifiers do.",
        train_distill,
    )
    add_fields(recipe.add_argument_group("what is learned"), read_fields(*_DISTILL))


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "torch", "training")
    from stylenorm.training import ranks

    if ranks.is_first():
        return int(options.recipe(options))
    # Of several processes the first speaks; an error is raised past this, and told by whoever has it.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        return int(options.recipe(options))


def train_multistyle(options: argparse.Namespace) -> int:
    """Train `stylenorm.training.recipes.multistyle`; report photos that could not be read.

    Raises:
        UsageError: the paintings or their list are not as expected.
        TrainingError: the training cannot go on.
    """
    from stylenorm.networks import NetworkConfig
    from stylenorm.training.data.paintings import read_paintings
    from stylenorm.training.recipes.multistyle import Multistyle, MultistyleConfig

    network = NetworkConfig(**values_of(_NETWORK, options))
    config = MultistyleConfig(network=network, **values_of(_MULTISTYLE, options))
    with as_usage():
        paintings = read_paintings(options.paintings, options.styles)
        others = read_paintings(options.others, None) if options.others else []
    known = {painting.path.name for painting in paintings}
    others = [painting for painting in others if painting.path.name not in known]
    recipe = Multistyle(config, paintings, options.out, recorded_command(), others)
    code = fit_recipe(recipe, options)
    if code == 0:
        tell_unreadable(recipe.photos)
        print(
            f"{options.out}: {len(paintings)} styles; "
            f"paint with: stylenorm stylize --network {options.out} ..."
        )
    return code


def train_predict(options: argparse.Namespace) -> int:
    """Train `stylenorm.training.recipes.predict`.

    Raises:
        TrainingError: the training cannot go on.
    """
    from stylenorm.training.recipes.predict import Predict, PredictConfig

    recipe = Predict(PredictConfig(**values_of(_PREDICT, options)), recorded_command())
    code = fit_recipe(recipe, options)
    if code == 0:
        print(f"{options.network}: paint with: stylenorm stylize --network {options.network} --style PICTURE")
    return code


def train_distill(options: argparse.Namespace) -> int:
    """Carry `stylenorm.training.recipes.distill` out; it takes minutes, and is not resumed.

    Raises:
        TrainingError: a folder has too few pictures.
    """
    from stylenorm.training.recipes.distill import DistillConfig, distill

    record = distill(DistillConfig(**values_of(_DISTILL, options)), recorded_command())
    print(f"{options.out}: distilled.safetensors; errors on held-out pictures: {record['held_out_error']}")
    return 0


def fit_recipe(recipe: Recipe, options: argparse.Namespace) -> int:
    """Run the loop as the options say; return the exit code."""
    from stylenorm.training.loop import LoopConfig, fit

    try:
        fit(recipe, LoopConfig(**values_of(_LOOP, options)))
    except KeyboardInterrupt:
        print("stylenorm: interrupted; the same command with --resume goes on from here", file=sys.stderr)
        return 130
    except SystemExit:  # SIGTERM: from a scheduler, or from torchrun when another process has failed
        print(
            "stylenorm: stopped; the same command with --resume goes on from the last checkpoint",
            file=sys.stderr,
        )
        raise
    return 0


class _Plain(argparse.ArgumentParser):
    """A recipe's parser; named, since sub-parsers otherwise take the class of their command's parser."""


def tell_unreadable(*sources: Photos | ClassFolders) -> None:
    """Say which pictures a training skipped, and why."""
    from stylenorm.training.data.photos import Photos

    for source in sources:
        if isinstance(source, Photos) and source.left_out.skipped():
            print(f"stylenorm: note: {source.folder}: {source.left_out.skipped()}", file=sys.stderr)
        for path, reason in source.unreadable.items():
            print(f"stylenorm: note: skipped {path}: {reason}", file=sys.stderr)


def recorded_command() -> str:
    """The command as it goes into the record: of paths only the last part, which says enough."""
    words = [Path(word).name if "/" in word or "\\" in word else word for word in sys.argv[1:]]
    return shlex.join(["stylenorm", *words])


def values_of(config: _Config, options: argparse.Namespace) -> dict[str, Any]:
    """Return the values that the options have for a configuration's fields."""
    from stylenorm.cli.configurations import read_fields

    return {field.name: getattr(options, field.name) for field in read_fields(*config)}
