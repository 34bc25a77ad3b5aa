"""One painting in one residual network.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016
(arXiv:1603.08155); with instance norm, Ulyanov, Vedaldi, Lempitsky 2016 (arXiv:1607.08022).

As published: the network (`stylenorm.networks.JohnsonNetwork2016`), Adam with a rate of 1e-3, batches of 4
crops of 256 pixels, 40,000 steps, total variation; with VGG-16, content at relu2_2 and style at relu1_2,
relu2_2, relu3_3 and relu4_3; batch norms folded away in the result (``--norm batch``).

Differs from the paper:

- Instance norm unless batch norm is asked for.
- Losses are relative (`stylenorm.perceptual.losses`), so weights are of another size than the paper's; and by
  default the feature networks are those that ship.
- Photo and painting are cropped by the same random few pixels before the losses
  (`generators.py`): at a fixed phase the generator hides a lattice where they do not look.
- The rate warms up and falls by a cosine, gradients are clipped, and the result is the running average of the
  weights, as in every recipe here.
- Photos are cropped and flipped at random (the paper scales each to 256 x 256).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stylenorm.networks import SingleStyleConfig, SingleStyleNetwork
from stylenorm.training.recipes.generators import GeneratorRecipe
from stylenorm.training.recipes.multistyle import Painting

__all__ = ["Johnson", "JohnsonConfig"]


@dataclass(frozen=True)
class JohnsonConfig:
    """What `Johnson` learns from, and which network.

    Attributes:
        photos: folder of photos.
        features: the networks that judge: distilled for those that ship, vgg16 as in the paper, vgg19, or a
            folder with the Darknets' weights; several separated by commas.
        norm: instance, batch (the paper's), group or none.
        width: channels of the first convolution; the paper has 32, its authors' instance-norm models 16.
        num_blocks: residual blocks.
        padding: start (the paper's: once, by reflection), reflect, replicate, zeros or circular.
        enlarge: transposed (the paper's) or nearest, which leaves no checkerboard.
        crop_px: side of the training crops.
        batch_size: crops a step.
        painting_px: shorter side of the painting when it is measured; sets the size of the strokes.
        num_scales: scales at which style is compared; 1 in the paper.
        content_weight: weight of the content loss.
        style_weight: weight of the style loss.
        tv_weight: weight of the total variation.
        num_held_out: photos (the first by name) that are never trained on, for samples.
        seed: what the choice of photos is drawn from.
    """

    photos: Path
    features: str = "distilled"
    norm: str = "instance"
    width: int = 32
    num_blocks: int = 5
    padding: str = "start"
    enlarge: str = "transposed"
    crop_px: int = 256
    batch_size: int = 4
    painting_px: int = 384
    num_scales: int = 1
    content_weight: float = 1.0
    style_weight: float = 10.0
    tv_weight: float = 1.0
    num_held_out: int = 16
    seed: int = 0


class Johnson(GeneratorRecipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        painting: its style.
        out: folder for the results: a network folder, which ``stylenorm stylize --network`` paints with.
        command: the command that started the training, for the record.
    """

    name = "johnson"
    vgg_taps = ("relu2_2", ("relu1_2", "relu2_2", "relu3_3", "relu4_3"))

    def __init__(self, config: JohnsonConfig, painting: Painting, out: Path, command: str = "") -> None:
        network = SingleStyleConfig(
            "johnson-2016",
            {
                "norm": config.norm,
                "width": config.width,
                "num_blocks": config.num_blocks,
                "padding": config.padding,
                "enlarge": config.enlarge,
            },
        )
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
