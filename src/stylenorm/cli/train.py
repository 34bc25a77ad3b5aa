"""``stylenorm train``: one sub-command a recipe; its options are the fields of its configurations."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.cli.usage import add_fields, as_usage, values_of
from stylenorm.errors import MissingExtraError

if TYPE_CHECKING:
    from stylenorm.configurations import RecipeEntry
    from stylenorm.training.loop import Recipe

__all__ = ["HELP", "add_arguments", "fit_recipe", "recorded_command", "run"]

HELP = "learn styles from paintings (needs torch)"
EPILOG = """example:
  stylenorm train multistyle --photos photos/ --paintings paintings/ --styles styles.toml -o trained/

Each recipe has its own: stylenorm train RECIPE --help"""
RENAMED = {"--out": "--output"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipes, each with its options."""
    from stylenorm.configurations import RECIPES

    commands = parser.add_subparsers(title="recipes", metavar="RECIPE", required=True, parser_class=_Plain)
    for entry in RECIPES:
        recipe = commands.add_parser(
            entry.name,
            help=entry.summary,
            description=entry.description,
            epilog=f"example:\n  stylenorm train {entry.name} {entry.example} -o run/",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        recipe.set_defaults(entry=entry)
        _add_options(recipe, entry)


def _add_options(recipe: argparse.ArgumentParser, entry: RecipeEntry) -> None:
    from stylenorm.configurations import PRESETS, LoopConfig, LoopDefaults, NetworkConfig, config_fields

    what = recipe.add_argument_group("what is learned")
    if entry.name == "multistyle":
        what.add_argument(
            "--paintings",
            type=Path,
            required=True,
            metavar="DIR",
            help="folder of paintings, artist--title.jpg",
        )
        what.add_argument(
            "--styles",
            type=Path,
            metavar="FILE",
            help="TOML or JSON: which of the paintings, under which names, with artist, title, year, licence",
        )
        what.add_argument(
            "--others",
            type=Path,
            metavar="DIR",
            help="paintings that are learned beside the styles and not kept: they widen what the network "
            "can do",
        )
    elif entry.name in ("johnson", "ulyanov"):
        what.add_argument(
            "--painting", type=Path, required=True, metavar="FILE", help="whose style is wanted"
        )
        what.add_argument("--name", help="name of the style, in kebab-case; default: the painting's")
    loop = config_fields(LoopConfig, vars(getattr(entry.config, "loop", LoopDefaults())))
    shared = {field.name for field in loop}  # the seed: one for all
    presets = PRESETS.get(entry.name, {}).values()
    turned_on = {name for values in presets for name, value in values.items() if value is True}
    own = [field for field in config_fields(entry.config) if field.name not in shared]
    add_fields(what, own, can_be_off=turned_on)
    if entry.name in PRESETS:
        recipe.add_argument(
            "--preset",
            choices=("cpu", "gpu"),
            help="sizes for this machine, unless you give others: cpu: small ones; gpu: the paper's",
        )
    if entry.name == "volumes":
        recipe.add_argument(
            "--plan-only",
            action="store_true",
            help="read the scans, say what would be trained on what, and stop",
        )
    if entry.name == "multistyle":
        add_fields(recipe.add_argument_group("network"), config_fields(NetworkConfig))
    add_fields(recipe.add_argument_group("training"), loop)


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "torch", "training")
    from stylenorm.training import ranks

    if ranks.is_first():
        return train(options)
    # Of several processes the first speaks; an error is raised past this, and told by whoever has it.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        return train(options)


def train(options: argparse.Namespace) -> int:
    """Train the recipe; report pictures that could not be read, and what to do with the result.

    Raises:
        UsageError: paintings, folders or settings are not as expected.
        TrainingError: the training cannot go on.
    """
    entry: RecipeEntry = options.entry
    _apply_preset(entry, options)
    recipe, filled = _BUILDERS.get(entry.name, _recipe)(entry, options)
    if getattr(options, "plan_only", False):
        print("\n".join(recipe.notes()))
        return 0
    code = fit_recipe(recipe, options)
    if code == 0:
        for source in recipe.photo_sources().values():
            if source.left_out.skipped():
                print(f"stylenorm: note: {source.folder}: {source.left_out.skipped()}", file=sys.stderr)
            for path, reason in source.unreadable.items():
                named = reason if reason.startswith(str(path)) else f"{path}: {reason}"
                print(f"stylenorm: note: skipped {named}", file=sys.stderr)
        _tell_figures(options.out)
        accuracy = ", ".join(f"{k} {100 * v:.1f} %" for k, v in getattr(recipe, "accuracy", {}).items())
        hint = entry.hint.format(out=options.out, accuracy=accuracy, **filled)
        print(f"{filled.get('network', options.out)}: {hint}")
    return code


def _apply_preset(entry: RecipeEntry, options: argparse.Namespace) -> None:
    """Give the options that were not given the preset's values, and say so."""
    from stylenorm.configurations import preset_values

    if getattr(options, "preset", None) is None:
        return
    values = preset_values(entry.name, options.preset, getattr(options, "given", ()))
    for name, value in values.items():
        setattr(options, name, value)
    flags = {name: f"--{name.replace('_', '-')}" for name in values}
    told = " ".join(
        flags[name] if value is True else f"{flags[name]} {value}" for name, value in values.items()
    )
    print(f"stylenorm: note: --preset {options.preset}: {told}", file=sys.stderr)


def _tell_figures(out: Path) -> None:
    """What was measured at the end on what was held out, from the log."""
    log = out / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    held_out = json.loads(lines[-1]).get("held_out", {}) if lines else {}
    if held_out:
        print(f"held out: {', '.join(f'{name} {value:.4g}' for name, value in held_out.items())}")


_Built = tuple[Any, Mapping[str, Any]]  # a recipe, and what its hint says


def _recipe(entry: RecipeEntry, options: argparse.Namespace) -> _Built:
    with as_usage():
        config = entry.config(**values_of(entry.config, options))
        return entry.load()(config, options.out, recorded_command(options.words)), {}


def _one_style(entry: RecipeEntry, options: argparse.Namespace) -> _Built:
    from stylenorm.training.data.paintings import check_name, named_painting

    with as_usage():
        painting = named_painting(options.painting)
        if options.name is not None:
            painting = replace(painting, name=options.name)
        check_name(painting.name, "--name")
        config = entry.config(**values_of(entry.config, options))
        recipe = entry.load()(config, painting, options.out, recorded_command(options.words))
        return recipe, {"style": painting.name}


def _multistyle(entry: RecipeEntry, options: argparse.Namespace) -> _Built:
    from stylenorm.configurations import NetworkConfig
    from stylenorm.training.data.paintings import read_paintings

    network = NetworkConfig(**values_of(NetworkConfig, options))
    config = entry.config(network=network, **values_of(entry.config, options))
    with as_usage():
        paintings = read_paintings(options.paintings, options.styles)
        others = read_paintings(options.others, None) if options.others else []
    known = {painting.path.name for painting in paintings}
    others = [painting for painting in others if painting.path.name not in known]
    recipe = entry.load()(config, paintings, options.out, recorded_command(options.words), others)
    return recipe, {"num_styles": len(paintings)}


def _predict(entry: RecipeEntry, options: argparse.Namespace) -> _Built:
    config = entry.config(**values_of(entry.config, options))
    return entry.load()(config, recorded_command(options.words)), {"network": options.network}


_BUILDERS: dict[str, Callable[[Any, argparse.Namespace], _Built]] = {
    "johnson": _one_style,
    "multistyle": _multistyle,
    "predict": _predict,
    "ulyanov": _one_style,
}


def fit_recipe(recipe: Recipe, options: argparse.Namespace) -> int:
    """Run the loop as the options say; return the exit code."""
    from stylenorm.configurations import LoopConfig
    from stylenorm.training.loop import fit

    try:
        fit(recipe, LoopConfig(**values_of(LoopConfig, options)))
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


def recorded_command(words: Sequence[str], *, with_paths: bool = True) -> str:
    """The command as it goes into the record, with its paths as they were given: it can be run again.

    Args:
        words: what followed the program's name.
        with_paths: else paths are their last parts, for what is made to be given to others.
    """
    if not with_paths:
        words = [Path(word).name if "/" in word or "\\" in word else word for word in words]
    return shlex.join(["stylenorm", *words])
