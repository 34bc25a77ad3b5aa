"""``stylenorm train cyclegan | pix2pix | spade``: the recipes that translate pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from stylenorm.cli.usage import as_usage

__all__ = ["TRANSLATIONS", "add_translations"]

TRANSLATIONS: dict[str, tuple[str, str]] = {
    "cyclegan": ("stylenorm.training.recipes.cyclegan", "CycleGanConfig"),
    "pix2pix": ("stylenorm.training.recipes.pix2pix", "Pix2PixConfig"),
    "spade": ("stylenorm.training.recipes.spade", "SpadeConfig"),
}
"""Module and class of each recipe's configuration."""

_TEXTS = {
    "cyclegan": (
        "from one domain of pictures to another, without pairs (Zhu 2017)",
        "Learn to translate pictures of folder a into such as are in folder b, and back.",
    ),
    "pix2pix": (
        "from one domain of pictures to another, from pairs (Isola 2017)",
        "Learn to translate pictures from pairs of what is given and what shall come out.",
    ),
    "spade": (
        "photos from label maps (Park 2019)",
        "Learn to paint label maps as photos, from labelled photos.",
    ),
}
_LOOP = {"steps": 100_000, "learning_rate": 2e-4, "clip": 0.0}  # the papers'
_GENERATOR_RATE = {"spade": 1e-4}  # where it is another; spade's discriminators learn four times as fast


def add_translations(add_recipe: Callable[..., Any], add_config: Callable[..., None], loop: Any) -> None:
    """Add the recipes' parsers; see `stylenorm.cli.recipes.add_recipes`."""
    from stylenorm.cli.configurations import add_fields

    for name, config in TRANSLATIONS.items():
        defaults = {**_LOOP, "learning_rate": _GENERATOR_RATE.get(name, _LOOP["learning_rate"])}
        recipe: argparse.ArgumentParser = add_recipe(name, *_TEXTS[name], train_translation)
        recipe.set_defaults(recipe_name=name)
        add_config(recipe.add_argument_group("what is learned"), config)
        add_fields(recipe.add_argument_group("training"), loop, defaults)


def train_translation(options: argparse.Namespace) -> int:
    """Train `cyclegan`, `pix2pix` or `spade` of `stylenorm.training.recipes`.

    Raises:
        UsageError: settings are not as expected.
        TrainingError: the training cannot go on.
    """
    from stylenorm.cli.train import fit_recipe, recorded_command, values_of
    from stylenorm.training.recipes.cyclegan import CycleGan, CycleGanConfig
    from stylenorm.training.recipes.pix2pix import Pix2Pix, Pix2PixConfig
    from stylenorm.training.recipes.spade import Spade, SpadeConfig

    values = values_of(TRANSLATIONS[options.recipe_name], options)
    recipe: CycleGan | Pix2Pix | Spade
    with as_usage():
        if options.recipe_name == "cyclegan":
            recipe = CycleGan(CycleGanConfig(**values), options.out, recorded_command())
        elif options.recipe_name == "spade":
            recipe = Spade(SpadeConfig(**values), options.out, recorded_command())
        else:
            recipe = Pix2Pix(Pix2PixConfig(**values), options.out, recorded_command())
    code = fit_recipe(recipe, options)
    if code == 0:
        given = "labels.png" if options.recipe_name == "spade" else "photo.jpg"
        print(f"{options.out}: translate with: stylenorm translate {given} --model {options.out} -o out.png")
    return code
