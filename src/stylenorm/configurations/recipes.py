"""The table of recipes: what ``stylenorm train`` knows of each, without torch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from stylenorm.configurations.papers import AdainConfig, JohnsonConfig, TextureConfig, UlyanovConfig
from stylenorm.configurations.pictures import (
    CycleGanConfig,
    Pix2PixConfig,
    SpadeConfig,
    StyleGan2Config,
    StyleGanConfig,
)
from stylenorm.configurations.recognition import IbnConfig, VolumesConfig
from stylenorm.configurations.styles import MultistyleConfig, PredictConfig

__all__ = ["RECIPES", "RecipeEntry"]


@dataclass(frozen=True)
class RecipeEntry:
    """A recipe.

    Attributes:
        name: of the command, and of the module in `stylenorm.training.recipes`.
        summary: one line.
        description: one sentence.
        config: its configuration; the loop's defaults are its ``loop``.
        recipe: name of its class, or of its function.
        hint: what to do with the result: ``{out}`` and the configuration's fields are filled in.
        example: its options in a command that can be run, for its help.
    """

    name: str
    summary: str
    description: str
    config: type
    recipe: str
    hint: str
    example: str

    def load(self) -> Any:
        """Return the recipe; needs torch."""
        return getattr(importlib.import_module(f"stylenorm.training.recipes.{self.name}"), self.recipe)


_PAINT = "paint with: stylenorm stylize photo.jpg --network {out} --style {style}"
_TRANSLATE = "translate with: stylenorm translate photo.jpg --network {out} -o out.png"
_GENERATE = "make pictures with: stylenorm generate --network {out} -o grid.png"

RECIPES = (
    RecipeEntry(
        "multistyle",
        "many styles in one network",
        "Learn a network, its identity style and a style for each painting.",
        MultistyleConfig,
        "Multistyle",
        "{num_styles} styles; paint with: stylenorm stylize --network {out} ...",
        "--photos photos/ --paintings paintings/ --styles styles.toml",
    ),
    RecipeEntry(
        "johnson",
        "one style in a residual network (Johnson 2016)",
        "Learn one painting as Johnson, Alahi and Fei-Fei did, with instance norm or as published.",
        JohnsonConfig,
        "Johnson",
        _PAINT,
        "--photos photos/ --painting starry-night.jpg --crop-px 128 --steps 5000",
    ),
    RecipeEntry(
        "ulyanov",
        "one style in a texture network (Ulyanov 2016)",
        "Learn one painting by a pyramid of noise and photo, with instance norm or as published.",
        UlyanovConfig,
        "Ulyanov",
        _PAINT,
        "--photos photos/ --painting starry-night.jpg --crop-px 128 --steps 5000",
    ),
    RecipeEntry(
        "texture",
        "a texture, from noise (Ulyanov 2016)",
        "Learn to paint a picture's texture, at any size, from noise alone.",
        TextureConfig,
        "Texture",
        "texture.png, and texture.onnx, which paints it at any size from noise",
        "--picture bricks.jpg --crop-px 128 --steps 1000",
    ),
    RecipeEntry(
        "adain",
        "any painting as a style, by its features' statistics (Huang 2017)",
        "Learn a decoder for features whose means and standard deviations were a painting's.",
        AdainConfig,
        "Adain",
        "paint with: stylenorm adain PHOTO PAINTING --network {out} -o OUT",
        "--photos photos/ --paintings paintings/ --crop-px 128 --steps 10000",
    ),
    RecipeEntry(
        "cyclegan",
        "from one domain of pictures to another, without pairs (Zhu 2017)",
        "Learn to translate pictures of folder a into such as are in folder b, and back.",
        CycleGanConfig,
        "CycleGan",
        _TRANSLATE,
        "--a photos/ --b paintings/ --preset cpu",
    ),
    RecipeEntry(
        "pix2pix",
        "from one domain of pictures to another, from pairs (Isola 2017)",
        "Learn to translate pictures from pairs of what is given and what should come out.",
        Pix2PixConfig,
        "Pix2Pix",
        _TRANSLATE,
        "--pairs facades/ --direction b-to-a --preset cpu",
    ),
    RecipeEntry(
        "spade",
        "photos from label maps (Park 2019)",
        "Learn to paint label maps as photos, from labelled photos.",
        SpadeConfig,
        "Spade",
        _TRANSLATE.replace("photo.jpg", "labels.png"),
        "--pairs labelled/ --preset cpu",
    ),
    RecipeEntry(
        "ibn",
        "a classifier for domains that it never saw (Pan 2018)",
        "Learn to classify pictures in one domain, and count how many are recognized in another.",
        IbnConfig,
        "Ibn",
        "recognized: {accuracy}; stylenorm classify picture.png --network {out}",
        "--source photos/ --unseen sketches/ --crop-px 64",
    ),
    RecipeEntry(
        "stylegan",
        "pictures like those in a folder, by styles after instance norm (Karras 2019)",
        "Learn to make pictures like those in a folder: each layer's statistics are taken out, and a style's "
        "put back.",
        StyleGanConfig,
        "StyleGan",
        _GENERATE,
        "--photos faces/ --mirror --preset cpu",
    ),
    RecipeEntry(
        "stylegan2",
        "pictures like those in a folder, by styles in the weights (Karras 2020)",
        "Learn to make pictures like those in a folder: styles scale the weights, which are demodulated.",
        StyleGan2Config,
        "StyleGan2",
        _GENERATE,
        "--photos faces/ --mirror --preset cpu",
    ),
    RecipeEntry(
        "volumes",
        "segmentation of CT, MR and other volumes (Isensee 2021)",
        "Learn to label scans, by nnU-Net's plain recipe, from scans with labels.",
        VolumesConfig,
        "Volumes",
        "segment with: stylenorm segment scan.nii.gz --network {out} -o out.nii.gz",
        "--cases Task04_Hippocampus/ --num-held-out 20 --preset cpu",
    ),
    RecipeEntry(
        "predict",
        "the predictor that makes any picture a style",
        "Learn to predict styles from pictures; the predictor is written into the network's folder.",
        PredictConfig,
        "Predict",
        "paint with: stylenorm stylize --network {network} --style PICTURE",
        "--network trained/ --photos photos/ --paintings paintings/",
    ),
)
"""In the order in which ``stylenorm train --help`` lists them."""
