"""An AdaIN network that paints something in no time: a random encoder, a random decoder of width 4."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.export import export_adain
from stylenorm.networks import AdainDecoder, AdainNetwork
from stylenorm.perceptual import FeatureNetwork
from tests.made_once import made_once

CHANNELS = (3, 8, 16, 16, 24)


class TinyEncoder(FeatureNetwork):
    """Four convolutions, each but the first after a pooling by 2."""

    name, content_tap, style_taps, smallest_px = "tiny", "conv4", ("conv1", "conv4"), 8

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in itertools.pairwise(CHANNELS)
        )
        generator = torch.Generator().manual_seed(4)
        for conv in self.convs:
            drawn = torch.randn(conv.weight.shape, generator=generator)
            conv.weight.data = drawn * (2 / conv.weight[0].numel()) ** 0.5
            conv.bias.data = 0.1 * torch.randn(conv.bias.shape, generator=generator)
        self.requires_grad_(False)

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for number, conv in enumerate(self.convs, start=1):
            x = F.relu(conv(F.avg_pool2d(x, 2) if number > 1 else x))
            yield f"conv{number}", x


def tiny_adain() -> AdainNetwork:
    torch.manual_seed(2)  # of several the one whose paintings vary most
    decoder = AdainDecoder(CHANNELS[-1], 4)
    for parameter in decoder.parameters():
        drawn = torch.randn_like(parameter)
        parameter.data = (
            drawn * (2 / parameter[0].numel()) ** 0.5 if parameter.dim() == 4 else 0.1 * drawn.abs()
        )
    last = decoder.layers[-1].conv
    last.weight.data *= 0.6
    last.bias.data.fill_(0.5)  # a painting in the middle of 0..1, where nothing is clipped
    return AdainNetwork([TinyEncoder()], decoder).eval()


def tiny_adain_folder() -> Path:
    return made_once("adain", lambda folder: export_adain(tiny_adain(), folder, {"seed": "0"}))
