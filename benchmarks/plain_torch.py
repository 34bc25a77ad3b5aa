"""The stylizer networks as one writes them with torch's own layers: what an engine is to be compared with.

The same mathematics and weights as `stylenorm.networks`, without what makes those fast in eager PyTorch:
torch's instance norm in place of ours, and enlarging before a convolution in place of the folded kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.networks import JohnsonNetwork, StylizerNetwork


class PlainStylizer(nn.Module):
    """Either family, (N, 3, H, W) with sides that are multiples of 4, in one fixed style (L,)."""

    def __init__(self, network: StylizerNetwork, style: Tensor) -> None:
        super().__init__()
        self.network = network
        sizes = [size for channels in network.norm_sizes for size in (channels, channels)]
        self.style = torch.split(style[:-1], sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Paint."""
        weights = dict(self.network.named_parameters())
        style = iter(self.style)
        is_johnson = isinstance(self.network, JohnsonNetwork)
        if is_johnson:
            for i, stride in enumerate((1, 2, 2)):
                x = F.relu(_norm(_conv(x, weights[f"down.{i}.weight"], stride), style))
        else:
            x = F.relu(_norm(_conv(x, weights["stem.weight"], 4), style))
        for i in range(self.network.config.num_blocks):
            y = F.relu(_norm(_conv(x, weights[f"blocks.{i}.first.weight"]), style))
            x = x + _norm(_conv(y, weights[f"blocks.{i}.second.weight"]), style)
        if is_johnson:
            for i in range(2):
                x = F.relu(_norm(_conv(F.interpolate(x, scale_factor=2), weights[f"up.{i}.weight"]), style))
            return torch.sigmoid(_conv(x, weights["last.weight"]) + weights["last.bias"][:, None, None])
        if self.network.config.family == "quarter-nearest":
            x = _conv(F.interpolate(x, scale_factor=2), weights["head.weight"])
        else:
            x = F.pixel_shuffle(_conv(x, weights["head.weight"]), 2)
        x = F.relu(_norm(x, style))
        x = _conv(F.interpolate(x, scale_factor=2), weights["last_weight"])
        return torch.sigmoid(x + weights["last_bias"][:, None, None])


def _conv(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    pad = (weight.shape[2] - stride + 1) // 2
    return F.conv2d(F.pad(x, (pad,) * 4, mode="replicate"), weight, stride=stride)


def _norm(x: Tensor, style: Iterator[Tensor]) -> Tensor:
    return F.instance_norm(x, weight=next(style), bias=next(style))
