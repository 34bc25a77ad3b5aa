"""Pictures like those in a folder, of styles that scale weights.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, "Analyzing and Improving the Image Quality of StyleGAN",
CVPR 2020 (arXiv:1912.04958).

As published: networks of configuration F, the logistic loss that does not saturate, R1 with 10 in every 16th
step and path lengths with 2 in every 4th (times as much, and in turns of their own), 9 of 10 pictures of
mixed styles, Adam with (0, 0.99), rates lower by as much as the further turns add, the running average of the
weights as the result.

Differs from the paper: Adam's second factor is not adjusted to the further turns; the mean of path lengths
begins with the first ones, not with 0, and has no gradient; the discriminator scores the pictures that the
generator was scored by in the same step; where styles change is drawn for each picture; the centre of
truncation is measured at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from stylenorm.configurations import StyleGan2Config
from stylenorm.networks import StyleGan2Discriminator, StyleGan2Generator
from stylenorm.training import ranks
from stylenorm.training.recipes.style_based import Players, StyleBased

__all__ = ["StyleGan2", "StyleGan2Config", "path_lengths"]

_MEAN_FACTOR = 0.01  # how fast the mean of the path lengths follows


class StyleGan2(StyleBased):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``mapping.onnx``, ``synthesis.onnx``, ``generator.json``.
        command: the command that started the training, for the record.
    """

    name = "stylegan2"
    loop_defaults = StyleGan2Config.loop
    settings: StyleGan2Config

    def __init__(self, config: StyleGan2Config, out: Path, command: str = "") -> None:
        torch.manual_seed(config.seed)
        shape = (config.size_px, config.channel_base, config.channel_max)
        players = Players(
            StyleGan2Generator(*shape, config.style_length, config.num_mapping_layers),
            StyleGan2Discriminator(*shape, config.group_size),
        )
        super().__init__(config, players, out, command)

    def param_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return generator and discriminator, each with a rate lower by what its further phases add."""
        settings, m = self.settings, self.model
        return [
            (list(player.parameters()), every / (every + 1) if weight and every > 1 else 1.0)
            for player, every, weight in (
                (m.generator, settings.path_every, settings.path_weight),
                (m.judge, settings.r1_every, settings.r1_weight),
            )
        ]

    def regularized(
        self, step: int, generator: torch.Generator
    ) -> Iterator[tuple[list[nn.Parameter], dict[str, Tensor]]]:
        """Yield the generator with the differences of path lengths, of half as many pictures."""
        settings, m = self.settings, self.model
        if not settings.path_weight or step % settings.path_every:
            return
        styles, noise = self.drawn(max(1, settings.batch_size // 2), generator)
        picture = m.generator.synthesize(styles, noise)
        drawn = torch.randn(max(1, settings.batch_size // 2), *picture.shape[1:], generator=generator)
        lengths = path_lengths(picture, styles, ranks.shard(drawn).to(self.device))
        factor = torch.where(m.path_mean == 0, 1.0, _MEAN_FACTOR)  # from 0 it would draw all lengths there
        m.path_mean.lerp_(ranks.all_gather(lengths).mean(), factor)
        loss = (lengths - m.path_mean.clone()).square().mean()  # a copy: the buffer may move before backward
        yield (
            list(m.generator.parameters()),
            {"path": settings.path_every * settings.path_weight * loss},
        )


def path_lengths(picture: Tensor, styles: Tensor, direction: Tensor) -> Tensor:
    r"""Return how far a step in the styles moves each picture, along a random direction of pictures.

    .. math:: \lVert J_w^T y \rVert_2,\qquad y \sim N(0, 1) / \sqrt{H W}

    Args:
        picture: (N, 3, H, W), made of ``styles``; 0..1, and measured in the paper's scale, -1..1.
        styles: (N, L, style_length), a style for each layer; the root of the mean over the layers is taken.
        direction: like ``picture``, drawn from N(0, 1).

    Returns:
        (N,), itself differentiable.
    """
    scaled = (2 * picture * direction).sum() / math.sqrt(picture.shape[2] * picture.shape[3])
    (gradient,) = torch.autograd.grad(scaled, styles, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()
