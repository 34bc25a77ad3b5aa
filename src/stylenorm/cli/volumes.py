"""``stylenorm train volumes``: the recipe that segments scans."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from stylenorm.cli.usage import as_usage

__all__ = ["VOLUMES", "add_volumes"]

VOLUMES = ("stylenorm.training.recipes.volumes", "VolumesConfig")
"""Module and class of the recipe's configuration."""

_LOOP = {"steps": 250_000, "learning_rate": 3e-4, "clip": 12.0}  # nnU-Net's; the rate is of 2018, for Adam


def add_volumes(add_recipe: Callable[..., Any], add_config: Callable[..., None], loop: Any) -> None:
    """Add the recipe's parser; see `stylenorm.cli.recipes.add_recipes`."""
    from stylenorm.cli.configurations import add_fields

    recipe: argparse.ArgumentParser = add_recipe(
        "volumes",
        "segmentation of CT, MR and other volumes (Isensee 2021)",
        "Learn to label scans, by nnU-Net's plain recipe, from scans with labels.",
        train_volumes,
    )
    add_config(recipe.add_argument_group("what is learned"), VOLUMES)
    add_fields(recipe.add_argument_group("training"), loop, _LOOP)


def train_volumes(options: argparse.Namespace) -> int:
    """Train `stylenorm.training.recipes.volumes`.

    Raises:
        UsageError: folders or settings are not as expected.
        TrainingError: the training cannot go on.
    """
    from stylenorm.cli.train import fit_recipe, recorded_command, values_of
    from stylenorm.training.recipes.volumes import Volumes, VolumesConfig

    with as_usage():
        recipe = Volumes(VolumesConfig(**values_of(VOLUMES, options)), options.out, recorded_command())
    code = fit_recipe(recipe, options)
    if code == 0:
        print(
            f"{options.out}: segment with: stylenorm segment scan.nii.gz --model {options.out} -o out.nii.gz"
        )
    return code
