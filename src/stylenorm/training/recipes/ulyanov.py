"""One painting in one texture network.

Ulyanov, Lebedev, Vedaldi, Lempitsky, "Texture Networks: Feed-forward Synthesis of Textures and Stylized
Images", ICML 2016 (arXiv:1603.03417); with instance norm, Ulyanov, Vedaldi, Lempitsky, "Instance
Normalization: The Missing Ingredient for Fast Stylization", 2016 (arXiv:1607.08022). Textures themselves:
`stylenorm.training.recipes.texture`.

As published: the network (`stylenorm.networks.UlyanovNetwork`, six scales of noise and photo), batches of 4
crops of 256 pixels; with VGG-19, content at relu4_2 and style at relu1_1 to relu5_1, no total variation.

Differs from the papers:

- Instance norm unless batch norm is asked for.
- Losses are relative (`stylenorm.perceptual.losses`), so weights are of another size than the papers'; and by
  default the feature networks are those that ship.
- Photo and painting are cropped by the same random few pixels before the losses
  (`generators.py`): at a fixed phase the generator hides checkerboard artefacts where they do not look.
- The rate warms up and falls by a cosine, gradients are clipped, and the result is the running average of the
  weights, as in every recipe here. (The first paper starts at 0.1 and takes 0.7 of it ever again, the second
  one's code starts at 1e-3.)
- Noise is drawn anew for every step; the result has tiles of it (`stylenorm.networks.SingleStyleNetwork`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from stylenorm.configurations import UlyanovConfig
from stylenorm.networks import SingleStyleConfig, SingleStyleNetwork, UlyanovNetwork
from stylenorm.training import ranks
from stylenorm.training.data.paintings import Painting
from stylenorm.training.recipes.generators import GeneratorRecipe

__all__ = ["Ulyanov", "UlyanovConfig"]


class Ulyanov(GeneratorRecipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        painting: its style.
        out: folder for the results: a network folder, which ``stylenorm stylize --network`` paints with.
        command: the command that started the training, for the record.
    """

    name = "ulyanov"
    loop_defaults = UlyanovConfig.loop
    vgg_taps = ("relu4_2", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"))

    def __init__(self, config: UlyanovConfig, painting: Painting, out: Path, command: str = "") -> None:
        network = SingleStyleConfig(
            "ulyanov",
            {
                "norm": config.norm,
                "num_scales": config.pyramid,
                "channels": config.channels,
                "noise_channels": config.noise_channels,
                "padding": config.padding,
            },
        )
        super().__init__(config, network, painting, out, command)

    def paint(self, model: SingleStyleNetwork, photo: Tensor, generator: torch.Generator) -> Tensor:
        """Paint a batch of photos with fresh noise."""
        network = model.generator
        assert isinstance(network, UlyanovNetwork)  # noqa: S101 (narrows the type; not a user's input)
        noise = network.noise(len(photo) * ranks.world_size(), photo.shape[2], photo.shape[3], generator)
        painted: Tensor = network(photo, ranks.shard(noise).to(photo.device))
        return painted
