"""A feature network that is quick: two taps, the second on half the grid, random weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.perceptual import FeatureNetwork, Look, PaintingLoss

LOOKS = (Look(0, ("a",)), Look(1, ("a", "b"), ("b",)))


class TinyFeatures(FeatureNetwork):
    name, content_tap, style_taps, smallest_px = "tiny", "b", ("a", "b"), 2

    def __init__(self, dtype: torch.dtype = torch.float32, width: int = 4) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)

        def weights(*shape: int) -> nn.Parameter:
            drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return nn.Parameter(drawn.to(dtype), requires_grad=False)

        self.first, self.second = weights(width, 3, 1, 1), weights(width + 1, width, 1, 1)

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = F.relu(F.conv2d(x, self.first))
        yield "a", x
        yield "b", F.relu(F.conv2d(F.avg_pool2d(x, 2), self.second))


def tiny_loss(dtype: torch.dtype = torch.float32, width: int = 4) -> PaintingLoss:
    loss = PaintingLoss(TinyFeatures(dtype, width), LOOKS)
    loss.directions = loss.directions.to(dtype)
    return loss
