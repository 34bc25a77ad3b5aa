"""``stylenorm train stylegan | stylegan2``: the recipes that make pictures from nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from stylenorm.cli.usage import as_usage

__all__ = ["STYLEGANS", "add_stylegans"]

STYLEGANS: dict[str, tuple[str, str]] = {
    "stylegan": ("stylenorm.training.recipes.stylegan", "StyleGanConfig"),
    "stylegan2": ("stylenorm.training.recipes.stylegan2", "StyleGan2Config"),
}
"""Module and class of each recipe's configuration."""

_TEXTS = {
    "stylegan": (
        "pictures like those in a folder, by styles after instance norm (Karras 2019)",
        "Learn to make pictures like those in a folder: each layer's statistics are taken out, and a style's "
        "put back.",
    ),
    "stylegan2": (
        "pictures like those in a folder, by styles in the weights (Karras 2020)",
        "Learn to make pictures like those in a folder: styles scale the weights, which are demodulated.",
    ),
}
_LOOP = {"steps": 780_000, "learning_rate": 2e-3, "clip": 0.0}  # the papers': 25 million pictures by 32


def add_stylegans(add_recipe: Callable[..., Any], add_config: Callable[..., None], loop: Any) -> None:
    """Add the recipes' parsers; see `stylenorm.cli.recipes.add_recipes`."""
    from stylenorm.cli.configurations import add_fields

    for name, config in STYLEGANS.items():
        recipe: argparse.ArgumentParser = add_recipe(name, *_TEXTS[name], train_stylegan)
        recipe.set_defaults(recipe_name=name)
        add_config(recipe.add_argument_group("what is learned"), config)
        add_fields(recipe.add_argument_group("training"), loop, _LOOP)


def train_stylegan(options: argparse.Namespace) -> int:
    """Train `stylenorm.training.recipes.stylegan` or `stylenorm.training.recipes.stylegan2`.

    Raises:
        UsageError: settings are not as expected.
        TrainingError: the training cannot go on.
    """
    from stylenorm.cli.train import fit_recipe, recorded_command, tell_unreadable, values_of
    from stylenorm.training.recipes.stylegan import StyleGan, StyleGanConfig
    from stylenorm.training.recipes.stylegan2 import StyleGan2, StyleGan2Config

    values = values_of(STYLEGANS[options.recipe_name], options)
    recipe: StyleGan | StyleGan2
    with as_usage():
        if options.recipe_name == "stylegan":
            recipe = StyleGan(StyleGanConfig(**values), options.out, recorded_command())
        else:
            recipe = StyleGan2(StyleGan2Config(**values), options.out, recorded_command())
    code = fit_recipe(recipe, options)
    if code == 0:
        tell_unreadable(recipe.photos)
        print(f"{options.out}: make pictures with: stylenorm generate --model {options.out} -o grid.png")
    return code
