"""The frame that StyleGAN's discriminators share: blocks that halve the grid, and the minibatch's deviation.

The papers are cited in `stylenorm.networks.stylegan` and `stylenorm.networks.stylegan2`, which say what a
block is.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from stylenorm.networks.style_based import (
    EqualConv2d,
    EqualLinear,
    channels_at,
    check_size,
    leaky,
    with_deviation,
)

__all__ = ["StyleDiscriminator"]


class StyleDiscriminator(nn.Module):
    """Scores pictures.

    Args:
        block: makes a block that halves the grid, of the channels before and after it.
        size_px: side of the pictures, a power of 2 from 8.
        channel_base: channels at a size, times that size.
        channel_max: the most channels.
        group_size: pictures over which the minibatch's deviation is taken.

    Shape: (N, 3, size_px, size_px), RGB, 0..1; returns (N,), not bounded: the larger, the more real.

    Raises:
        InputError: a size is none that can be.
    """

    def __init__(
        self,
        block: Callable[[int, int], nn.Module],
        size_px: int,
        channel_base: int,
        channel_max: int,
        group_size: int,
    ) -> None:
        super().__init__()
        check_size(size_px)
        widths = [
            channels_at(size_px >> i, channel_base, channel_max) for i in range(size_px.bit_length() - 2)
        ]
        self.group_size = group_size
        self.from_rgb = EqualConv2d(3, widths[0], 1)
        self.blocks = nn.Sequential(*map(block, widths[:-1], widths[1:]))
        self.last_conv = EqualConv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.hidden, self.judgement = EqualLinear(16 * widths[-1], widths[-1]), EqualLinear(widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Score pictures; see the class for shapes."""
        x = self.blocks(leaky(self.from_rgb(2 * x - 1)))  # ends at (N, c, 4, 4)
        x = leaky(self.last_conv(with_deviation(x, self.group_size)))
        score: Tensor = self.judgement(leaky(self.hidden(x.flatten(1))))[:, 0]
        return score
