"""Pictures like those in a folder, of styles put back after instance norm.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019
(arXiv:1812.04948).

As published (for FFHQ): networks, the logistic loss that does not saturate, R1 with 10 in every step, 9 of 10
pictures of mixed styles, Adam with (0, 0.99), the running average of the weights as the result.

Differs from the paper: no progressive growing (see `stylenorm.networks.stylegan`); the discriminator scores
the pictures that the generator was scored by in the same step; where styles change is drawn for each picture;
the centre of truncation is measured at the end.
"""

from __future__ import annotations

from pathlib import Path

import torch

from stylenorm.configurations import StyleGanConfig
from stylenorm.networks import StyleGanDiscriminator, StyleGanGenerator
from stylenorm.training.recipes.style_based import Players, StyleBased

__all__ = ["StyleGan", "StyleGanConfig"]


class StyleGan(StyleBased):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``mapping.onnx``, ``synthesis.onnx``, ``generator.json``.
        command: the command that started the training, for the record.
    """

    name = "stylegan"
    loop_defaults = StyleGanConfig.loop

    def __init__(self, config: StyleGanConfig, out: Path, command: str = "") -> None:
        torch.manual_seed(config.seed)
        shape = (config.size_px, config.channel_base, config.channel_max)
        players = Players(
            StyleGanGenerator(*shape, config.style_length, config.num_mapping_layers),
            StyleGanDiscriminator(*shape, config.group_size),
        )
        super().__init__(config, players, out, command)
