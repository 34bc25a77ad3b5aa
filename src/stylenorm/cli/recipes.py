"""``stylenorm train johnson | ulyanov | texture | adain``: the papers' recipes."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stylenorm.cli.usage import as_usage

__all__ = ["CONFIGS", "add_recipes"]

_Config = tuple[str, str]
CONFIGS: dict[str, _Config] = {
    "johnson": ("stylenorm.training.recipes.johnson", "JohnsonConfig"),
    "ulyanov": ("stylenorm.training.recipes.ulyanov", "UlyanovConfig"),
    "texture": ("stylenorm.training.recipes.texture", "TextureConfig"),
    "adain": ("stylenorm.training.recipes.adain", "AdainConfig"),
}
"""Module and class of each recipe's configuration."""


def add_recipes(add_recipe: Callable[..., Any], add_config: Callable[..., None], loop: Any) -> None:
    """Add the recipes' parsers.

    Args:
        add_recipe: adds a sub-command: name, help, description, function.
        add_config: adds a configuration's options to a group.
        loop: the fields of the loop's configuration.
    """
    from stylenorm.cli.configurations import add_fields

    def add(name: str, summary: str, description: str, run: Any, **defaults: float) -> None:
        recipe: argparse.ArgumentParser = add_recipe(name, summary, description, run)
        recipe.set_defaults(recipe_name=name)
        what = recipe.add_argument_group("what is learned")
        if name in ("johnson", "ulyanov"):
            what.add_argument(
                "--painting",
                type=Path,
                required=True,
                metavar="FILE",
                help="whose style is wanted",
            )
            what.add_argument("--name", help="name of the style, in kebab-case; default: the painting's")
        add_config(what, CONFIGS[name])
        add_fields(recipe.add_argument_group("training"), loop, defaults)

    add(
        "johnson",
        "one style in a residual network (Johnson 2016)",
        "Learn one painting as Johnson, Alahi and Fei-Fei did, with instance norm or as published.",
        train_generator,
        steps=40_000,
        learning_rate=1e-3,
    )
    add(
        "ulyanov",
        "one style in a texture network (Ulyanov 2016)",
        "Learn one painting by a pyramid of noise and photo, with instance norm or as published.",
        train_generator,
        steps=20_000,
        learning_rate=1e-2,
    )
    add(
        "texture",
        "a texture, from noise (Ulyanov 2016)",
        "Learn to paint a picture's texture, at any size, from noise alone.",
        train_texture,
        steps=3000,
        learning_rate=1e-2,
    )

    add(
        "adain",
        "any painting as a style, by its features' statistics (Huang 2017)",
        "Learn a decoder for features whose means and deviations were a painting's.",
        train_adain,
        steps=160_000,
        learning_rate=1e-4,
    )


def train_generator(options: argparse.Namespace) -> int:
    """Train `stylenorm.training.recipes.johnson` or `stylenorm.training.recipes.ulyanov`.

    Raises:
        UsageError: painting, name or settings are not as expected.
        TrainingError: the training cannot go on.
    """
    from stylenorm.cli.train import fit_recipe, recorded_command, tell_unreadable, values_of
    from stylenorm.training.data.paintings import check_name, named_painting
    from stylenorm.training.recipes.johnson import Johnson, JohnsonConfig
    from stylenorm.training.recipes.ulyanov import Ulyanov, UlyanovConfig

    with as_usage():
        painting = named_painting(options.painting)
        if options.name is not None:
            painting = dataclasses.replace(painting, name=options.name)
        name = painting.name
        check_name(name, "--name")
        recipe: Johnson | Ulyanov
        if options.recipe_name == "johnson":
            config = JohnsonConfig(**values_of(CONFIGS["johnson"], options))
            recipe = Johnson(config, painting, options.out, recorded_command())
        else:
            settings = UlyanovConfig(**values_of(CONFIGS["ulyanov"], options))
            recipe = Ulyanov(settings, painting, options.out, recorded_command())
    code = fit_recipe(recipe, options)
    if code == 0:
        tell_unreadable(recipe.photos)
        print(
            f"{options.out}: paint with: stylenorm stylize photo.jpg --network {options.out} --style {name}"
        )
    return code


def train_texture(options: argparse.Namespace) -> int:
    """Train `stylenorm.training.recipes.texture`.

    Raises:
        UsageError: picture or settings are not as expected.
        TrainingError: the training cannot go on.
    """
    from stylenorm.cli.train import fit_recipe, recorded_command, values_of
    from stylenorm.training.recipes.texture import Texture, TextureConfig

    with as_usage():
        config = TextureConfig(**values_of(CONFIGS["texture"], options))
        recipe = Texture(config, options.out, recorded_command())
    code = fit_recipe(recipe, options)
    if code == 0:
        print(f"{options.out}: texture.png, and texture.onnx, which paints it at any size from noise")
    return code


def train_adain(options: argparse.Namespace) -> int:
    """Train `stylenorm.training.recipes.adain`.

    Raises:
        UsageError: folders or settings are not as expected.
        TrainingError: the training cannot go on.
    """
    from stylenorm.cli.train import fit_recipe, recorded_command, tell_unreadable, values_of
    from stylenorm.training.recipes.adain import Adain, AdainConfig

    with as_usage():
        config = AdainConfig(**values_of(CONFIGS["adain"], options))
        recipe = Adain(config, options.out, recorded_command())
    code = fit_recipe(recipe, options)
    if code == 0:
        tell_unreadable(recipe.photos, recipe.paintings)
        print(f"{options.out}: paint with: stylenorm adain PHOTO PAINTING --network {options.out} -o OUT")
    return code
