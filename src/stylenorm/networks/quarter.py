"""The fast stylizer: everything happens on a quarter of the picture's grid.

The first convolution is 12 x 12 with stride 4 (space-to-depth by 4, Shi et al., CVPR 2016,
arXiv:1609.05158, and a 3 x 3 convolution, written as one); a residual trunk works there; the way back is two
steps.
In the family ``quarter`` the first is depth-to-space and the second nearest-neighbour enlargement with a
convolution, since depth-to-space by 4 alone leaves a checkerboard of 4 pixels; a faint one remains. In
the family ``quarter-nearest`` both enlarge by nearest neighbours: what is flat stays flat, at the same cost.

================================  =========  ===========
layer (width c, head h, n blocks) grid       channels
================================  =========  ===========
conv 12x12 / 4, norm, ReLU        1/4        c
n x residual (conv 3x3, norm,     1/4        c
ReLU, conv 3x3, norm)
conv 3x3, depth-to-space 2 (or     1/2        h
nearest x 2, conv 3x3), norm, ReLU
nearest x 2, conv 3x3, sigmoid    1          3
================================  =========  ===========

Norms are conditional instance norms; borders are replicated (any size works, from one pixel);
He initialisation; gamma and beta: `StylizerNetwork.initial_style`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.networks.stylizer import (
    NetworkConfig,
    StyledConv2d,
    StyledResidual,
    StylizerNetwork,
    conv2d_on_doubled,
)

__all__ = ["QuarterNetwork"]


class QuarterNetwork(StylizerNetwork):
    """See the module's table. ``NetworkConfig("quarter", width=48, num_blocks=5)`` has 0.26 M parameters.

    Shape: see `StylizerNetwork`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        c, n = config.width, config.num_blocks
        head = config.head or max(1, c // 3)
        super().__init__(config, [c] * (1 + 2 * n) + [head], first_block=1)
        self.stem = StyledConv2d(3, c, 12, stride=4)
        self.blocks = nn.ModuleList(StyledResidual(c) for _ in range(n))
        if config.family == "quarter-nearest":
            self.head = StyledConv2d(c, head, nearest=True)
        else:
            self.head = StyledConv2d(c, 4 * head, upscale=2)
        self.last_weight = nn.Parameter(torch.empty(3, head, 3, 3))
        self.last_bias = nn.Parameter(torch.zeros(3))
        nn.init.xavier_normal_(self.last_weight)

    def paint(self, photo: Tensor, style: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Paint photos whose sides are multiples of 4; see `StylizerNetwork`."""
        x = F.relu(self.stem(photo, *style[0]))  # (N, c, H/4, W/4)
        for i, block in enumerate(self.blocks):
            x = block(x, style[1 + 2 * i : 3 + 2 * i])
        x = F.relu(self.head(x, *style[-1]))  # (N, h, H/2, W/2)
        return torch.sigmoid(conv2d_on_doubled(x, self.last_weight, self.last_bias))
