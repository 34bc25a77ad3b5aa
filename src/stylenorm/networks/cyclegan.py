"""CycleGAN's generator: a residual network from one domain of pictures to another.

Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
ICCV 2017 (arXiv:1703.10593), appendix 7.2; after Johnson 2016.

===================================  ======  ==========
layer (width c, n = 6 or 9 blocks)   grid    channels
===================================  ======  ==========
conv 7x7, norm, ReLU                 1       c
conv 3x3 / 2, norm, ReLU             1/2     2c
conv 3x3 / 2, norm, ReLU             1/4     4c
n x residual (conv 3x3, norm,        1/4     4c
ReLU, conv 3x3, norm)
conv 3x3 * 2, norm, ReLU             1/2     2c
conv 3x3 * 2, norm, ReLU             1       c
conv 7x7, tanh                       1       3
===================================  ======  ==========

Instance norms without scale and shift, reflection at the borders of the 7x7 convolutions and in the blocks,
zeros elsewhere, as in the authors' code. 6 blocks are the paper's for pictures of 128 pixels, 9 from 256 on.

Differs from the paper: pictures are RGB in 0..1 (scaled to -1..1 inside); sides need not be multiples of 4
(the picture is extended by its edge, and cropped back).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.networks.patch_discriminator import drawn_from_normal, load_renamed
from stylenorm.nn import InstanceNormAct2d

__all__ = ["CycleGanGenerator"]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norms = nn.ModuleList([InstanceNormAct2d(channels), InstanceNormAct2d(channels, act=None)])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norms[1](self.second(self.norms[0](self.first(x))), x)  # norm(...) + x
        return y


class CycleGanGenerator(nn.Module):
    """See the module's table. With 9 blocks of width 64: 11,378,179 parameters.

    Args:
        num_blocks: residual blocks.
        width: channels of the first convolution; 64 in the paper.

    Shape: (N, 3, H, W), RGB, 0..1; returns the same. H and W from 5.

    Example:
        >>> sum(p.numel() for p in CycleGanGenerator().parameters())
        11378179
    """

    multiple = 4
    smallest_px = 5  # becomes 8, of which a block sees 2: the least that can be reflected

    def __init__(self, num_blocks: int = 9, width: int = 64) -> None:
        super().__init__()
        if num_blocks < 0 or width < 1:
            raise InputError(
                f"expected 0 or more blocks and a width of at least 1, got {num_blocks} and {width}"
            )
        c = width
        self.first = nn.Conv2d(3, c, 7, padding=3, padding_mode="reflect")
        self.down = nn.ModuleList(
            [nn.Conv2d(c, 2 * c, 3, 2, padding=1), nn.Conv2d(2 * c, 4 * c, 3, 2, padding=1)]
        )
        self.blocks = nn.Sequential(*(_Residual(4 * c) for _ in range(num_blocks)))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, a // 2, 3, 2, padding=1, output_padding=1) for a in (4 * c, 2 * c)
        )
        self.norms = nn.ModuleList(InstanceNormAct2d(k * c) for k in (1, 2, 4, 2, 1))
        self.last = nn.Conv2d(c, 3, 7, padding=3, padding_mode="reflect")
        drawn_from_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """Translate pictures; see the class for shapes."""
        height, width = x.shape[-2:]
        if height < self.smallest_px or width < self.smallest_px:  # no min(): an exporter follows this
            raise ShapeError(
                f"x: expected height and width of at least {self.smallest_px}, got {tuple(x.shape)}"
            )
        missing = -width % self.multiple, -height % self.multiple
        if missing != (0, 0):
            x = F.pad(x, (0, missing[0], 0, missing[1]), mode="replicate")
        y = self.norms[0](self.first(2 * x - 1))
        for conv, norm in zip(self.down, self.norms[1:3], strict=True):
            y = norm(conv(y))  # ends at (N, 4c, H/4, W/4)
        y = self.blocks(y)
        for conv, norm in zip(self.up, self.norms[3:], strict=True):
            y = norm(conv(y))  # ends at (N, c, H, W)
        translated: Tensor = (torch.tanh(self.last(y)) + 1) / 2
        return translated[..., :height, :width]

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the authors' PyTorch code, whose layers are numbered in one Sequential.

        ``model.1`` is `first`, 4 and 7 are `down`, ``model.(10 + i).conv_block.1`` and ``.5`` are the
        convolutions of block i, and behind the n blocks 10 + n and 13 + n are `up`, 17 + n is `last`.

        Raises:
            InputError: it is a checkpoint of another network.
        """
        n = len(self.blocks)
        names = {"model.1": "first", "model.4": "down.0", "model.7": "down.1"}
        for i in range(n):
            names |= {
                f"model.{10 + i}.conv_block.{number}": f"blocks.{i}.{name}"
                for number, name in ((1, "first"), (5, "second"))
            }
        names |= {f"model.{10 + n}": "up.0", f"model.{13 + n}": "up.1", f"model.{17 + n}": "last"}
        load_renamed(self, state, names)
