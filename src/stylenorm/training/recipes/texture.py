"""A texture from noise: one picture in one texture network, without photos.

Ulyanov, Lebedev, Vedaldi, Lempitsky, "Texture Networks: Feed-forward Synthesis of Textures and Stylized
Images", ICML 2016 (arXiv:1603.03417), section 3.

As published: the network (`stylenorm.networks.UlyanovNetwork`, five scales of noise), the style loss alone;
with VGG-19 at relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1; batches of 16 samples of 256 pixels.

Differs from the paper:

- Instance norm unless batch norm is asked for.
- The loss is relative (`stylenorm.perceptual.losses`), and by default on the feature networks that ship.
- Batches of 4; the rate warms up and falls by a cosine, gradients are clipped, and the result is the running
  average of the weights, as in every recipe here.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from stylenorm.configurations import TextureConfig
from stylenorm.errors import InputError
from stylenorm.export import export_texture
from stylenorm.media import atomic_write, write_json
from stylenorm.networks import UlyanovNetwork
from stylenorm.perceptual import PerceptualLoss, gram_matrix, style_loss, total_variation
from stylenorm.training import ranks
from stylenorm.training.data.photos import read_painting
from stylenorm.training.recipe import Recipe, to_pixels
from stylenorm.training.recipes.generators import load_loss_networks, remeasured

__all__ = ["Texture", "TextureConfig"]

_VGG_TAPS = ("relu4_2", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"))
_NUM_SAMPLES = 4


class Texture(Recipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``texture.onnx``, ``texture.png``, ``record.json``.
        command: the command that started the training, for the record.
    """

    name = "texture"
    loop_defaults = TextureConfig.loop
    model: UlyanovNetwork

    def __init__(self, config: TextureConfig, out: Path, command: str = "") -> None:
        self.settings, self.out, self.command = config, out, command
        self.loss = PerceptualLoss(load_loss_networks(config.features, _VGG_TAPS), config.num_scales)
        smallest = max(n.smallest_px for n in self.loss.networks) << (config.num_scales - 1)
        for name, size in (("crop_px", config.crop_px), ("picture_px", config.picture_px)):
            if size < smallest:
                raise InputError(f"{name}: expected at least {smallest}, got {size}")
        self.target = self.loss.style_target(read_painting(config.picture, config.picture_px))
        torch.manual_seed(config.seed)
        self.model = UlyanovNetwork(
            config.norm,
            config.pyramid,
            "texture",
            config.padding,
            config.channels,
            config.noise_channels,
        )

    def companions(self) -> Sequence[nn.Module]:
        """Return the feature networks."""
        return self.loss.networks

    def to(self, device: torch.device) -> None:
        """Move the networks, and what the picture measures."""
        super().to(device)
        self.target = self.target.to(device)

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all must be the same when a checkpoint is resumed."""
        settings = {k: v for k, v in vars(self.settings).items() if k != "features"}
        return {**settings, "picture": self.settings.picture.name}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the named, weighted losses of a step."""
        noise = self._noise(self.settings.batch_size, self.settings.crop_px, generator)
        made = self.model(None, ranks.shard(noise))
        terms = [
            style_loss(gram_matrix(features[tap]), self.target.grams[key][tap])
            for key, features in self.loss.features(made).items()
            for tap in self.loss.networks[key[0]].style_taps
        ]
        return {
            "style": torch.stack(terms).mean(),
            "variation": self.settings.tv_weight * total_variation(made).mean(),
        }

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return four samples side by side."""
        assert isinstance(model, UlyanovNetwork)  # noqa: S101 (narrows the type; not a user's input)
        generator = torch.Generator().manual_seed(self.settings.seed)
        made = self._evaluated(model)(None, self._noise(_NUM_SAMPLES, self.settings.crop_px, generator))
        return to_pixels(torch.cat(list(made), dim=2))

    @torch.no_grad()
    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the generator, checked against PyTorch; paint a large sample; write the record."""
        assert isinstance(model, UlyanovNetwork)  # noqa: S101 (narrows the type; not a user's input)
        network = self._evaluated(model).cpu()
        self.device = torch.device("cpu")
        whole_record = {
            **record,
            "command": self.command,
            "features": ", ".join(network.name for network in self.loss.networks),
            "machine": platform.machine(),
        }
        export_texture(network, self.out)
        generator = torch.Generator().manual_seed(self.settings.seed)
        made = network(None, self._noise(1, self.settings.result_px, generator))[0]
        with atomic_write(self.out / "texture.png", overwrite=True) as file:
            pixels = to_pixels(made)
            Image.fromarray(pixels).save(file, format="PNG", compress_level=4)
        write_json(self.out / "record.json", {**whole_record, **self.config()})

    def _noise(self, count: int, size_px: int, generator: torch.Generator) -> Tensor:
        return self.model.noise(count, size_px, size_px, generator).to(self.device)

    def _evaluated(self, model: UlyanovNetwork) -> UlyanovNetwork:
        generator = torch.Generator().manual_seed(self.settings.seed + 1)
        size = (self.settings.batch_size, self.settings.crop_px)
        return remeasured(
            model, lambda copied: [copied(None, self._noise(*size, generator)) for _ in range(4)]
        )
