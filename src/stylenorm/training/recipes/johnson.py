"""One painting in one residual network.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016
(arXiv:1603.08155); with instance norm, Ulyanov, Vedaldi, Lempitsky 2016 (arXiv:1607.08022).

As published: the network (`stylenorm.networks.JohnsonNetwork2016`), Adam with a rate of 1e-3, batches of 4
crops of 256 pixels, 40,000 steps, total variation; with VGG-16, content at relu2_2 and style at relu1_2,
relu2_2, relu3_3 and relu4_3; batch norms folded away in the result (``--norm batch``).

Differs from the paper:

- Instance norm unless batch norm is asked for.
- Losses are relative (`stylenorm.perceptual.losses`), so weights are of another size than the paper's.
- Of VGG-16 what ships ends at relu4_1, which is compared in place of relu4_3.
- Photo and painting are cropped by the same random few pixels before the losses
  (`generators.py`): at a fixed phase the generator hides checkerboard artefacts where they do not look.
- The rate warms up and falls by a cosine, gradients are clipped, and the result is the running average of the
  weights, as in every recipe here.
- Photos are cropped and flipped at random (the paper scales each to 256 x 256).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from stylenorm.configurations import JohnsonConfig
from stylenorm.networks import SingleStyleConfig, SingleStyleNetwork
from stylenorm.training.data.paintings import Painting
from stylenorm.training.recipes.generators import GeneratorRecipe

__all__ = ["Johnson", "JohnsonConfig"]


class Johnson(GeneratorRecipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        painting: its style.
        out: folder for the results: a network folder, which ``stylenorm stylize --network`` paints with.
        command: the command that started the training, for the record.
    """

    name = "johnson"
    loop_defaults = JohnsonConfig.loop
    vgg_taps = ("relu2_2", ("relu1_2", "relu2_2", "relu3_3", "relu4_3"))

    def __init__(self, config: JohnsonConfig, painting: Painting, out: Path, command: str = "") -> None:
        names = ("norm", "width", "num_blocks", "padding", "enlarge")
        network = SingleStyleConfig("johnson-2016", {name: getattr(config, name) for name in names})
        super().__init__(config, network, painting, out, command)

    def paint(
        self,
        model: SingleStyleNetwork,
        photo: Tensor,
        generator: torch.Generator,  # noqa: ARG002 (nothing is random here)
    ) -> Tensor:
        """Paint a batch of photos."""
        painted: Tensor = model.generator(photo)
        return painted
