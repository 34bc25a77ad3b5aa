"""Pictures like those in a folder, of styles put back after instance norm.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019
(arXiv:1812.04948).

As published (for FFHQ): networks, the logistic loss that does not saturate, R1 with 10 in every step, 9 of 10
pictures of mixed styles, Adam with (0, 0.99), the running average of the weights as the result.

Differs from the paper: no progressive growing (see `stylenorm.networks.stylegan`); the discriminator judges
the pictures that the generator was judged by in the same step; where styles change is drawn for each picture;
the centre of truncation is measured at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from stylenorm.networks import StyleGanDiscriminator, StyleGanGenerator
from stylenorm.training.recipes.style_based import Players, StyleBased

__all__ = ["StyleGan", "StyleGanConfig"]


@dataclass(frozen=True)
class StyleGanConfig:
    """What `StyleGan` learns from, and how.

    Attributes:
        photos: folder of pictures, sub-folders included.
        size_px: side of the pictures that are made, a power of 2 from 8; 1024 in the paper.
        channel_base: channels of the layers at a size, times that size.
        channel_max: the most channels of a layer.
        style_length: numbers in a latent vector and in a style vector.
        num_mapping_layers: layers from latent vectors to styles.
        batch_size: pictures a step, of all processes together.
        group_size: pictures over which the discriminator measures how much they differ.
        mixing: share of pictures that are made of two styles.
        r1_weight: weight of the discriminator's gradient at real pictures.
        r1_every: steps from one to the next that it is measured in.
        fit: how a picture becomes a square: centre, random, or squeeze.
        mirror: show one of two pictures mirrored.
        seed: what all choices are drawn from.
    """

    photos: Path
    size_px: int = 256
    channel_base: int = 16384
    channel_max: int = 512
    style_length: int = 512
    num_mapping_layers: int = 8
    batch_size: int = 32
    group_size: int = 4
    mixing: float = 0.9
    r1_weight: float = 10.0
    r1_every: int = 1
    fit: str = "centre"
    mirror: bool = False
    seed: int = 0


class StyleGan(StyleBased):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``mapping.onnx``, ``synthesis.onnx``, ``generator.json``.
        command: the command that started the training, for the record.
    """

    name = "stylegan"

    def __init__(self, config: StyleGanConfig, out: Path, command: str = "") -> None:
        torch.manual_seed(config.seed)
        shape = (config.size_px, config.channel_base, config.channel_max)
        players = Players(
            StyleGanGenerator(*shape, config.style_length, config.num_mapping_layers),
            StyleGanDiscriminator(*shape, config.group_size),
        )
        super().__init__(config, players, out, command)
