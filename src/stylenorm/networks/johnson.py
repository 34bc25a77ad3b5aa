"""Johnson's residual generator with conditional instance norm.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016
(arXiv:1603.08155), with the changes that became standard: instance norm (Ulyanov 2016, arXiv:1607.08022),
conditional (Dumoulin 2017), nearest-neighbour enlargement before the convolutions of the way up.

================================  =========  ===========
layer (width c, n = 5 blocks)     grid       channels
================================  =========  ===========
conv 9x9, norm, ReLU              1          c
conv 3x3 / 2, norm, ReLU          1/2        2c
conv 3x3 / 2, norm, ReLU          1/4        4c
n x residual (conv 3x3, norm,     1/4        4c
ReLU, conv 3x3, norm)
nearest x 2, conv 3x3, norm,      1/2        2c
ReLU
nearest x 2, conv 3x3, norm,      1          c
ReLU
conv 9x9, sigmoid                 1          3
================================  =========  ===========

Differs from the paper: borders are replicated at every convolution (the paper pads the picture by 40 pixels
and lets the blocks eat them), sigmoid in place of the scaled tanh. Width 32 is the paper's; width 16 is what
its authors released with instance norm. He initialisation; gamma and beta: `StylizerNetwork.initial_style`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.networks.stylizer import NetworkConfig, StyledConv2d, StyledResidual, StylizerNetwork

__all__ = ["JohnsonNetwork"]


class JohnsonNetwork(StylizerNetwork):
    """See the module's table. Width 16 has 0.42 M parameters, width 32 1.68 M.

    Shape: see `StylizerNetwork`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        c, n = config.width, config.num_blocks
        super().__init__(config, [c, 2 * c, 4 * c] + [4 * c] * (2 * n) + [2 * c, c], first_block=3)
        self.down = nn.ModuleList(
            [
                StyledConv2d(3, c, 9),
                StyledConv2d(c, 2 * c, stride=2),
                StyledConv2d(2 * c, 4 * c, stride=2),
            ]
        )
        self.blocks = nn.ModuleList(StyledResidual(4 * c) for _ in range(n))
        self.up = nn.ModuleList(
            [StyledConv2d(4 * c, 2 * c, nearest=True), StyledConv2d(2 * c, c, nearest=True)]
        )
        self.last = nn.Conv2d(c, 3, 9, padding=4, padding_mode="replicate")
        nn.init.xavier_normal_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def paint(self, photo: Tensor, style: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Paint photos whose sides are multiples of 4; see `StylizerNetwork`."""
        x = photo
        for layer, pair in zip(self.down, style, strict=False):
            x = F.relu(layer(x, *pair))  # ends at (N, 4c, H/4, W/4)
        for i, block in enumerate(self.blocks):
            x = block(x, style[3 + 2 * i : 5 + 2 * i])
        for layer, pair in zip(self.up, style[-2:], strict=True):
            x = F.relu(layer(x, *pair))  # ends at (N, c, H, W)
        return torch.sigmoid(self.last(x))
