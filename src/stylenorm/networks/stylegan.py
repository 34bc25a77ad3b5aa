"""StyleGAN: styles put back after instance norm.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019
(arXiv:1812.04948).

======================================================  ======  =================
generator's layer                                       grid    channels
======================================================  ======  =================
constant, noise, leaky ReLU, instance norm, style       4       c(4)
conv 3x3, noise, leaky ReLU, instance norm, style       4       c(4)
nearest * 2, conv 3x3, blur, noise, ..., style          8       c(8)
conv 3x3, noise, leaky ReLU, instance norm, style       8       c(8)
... two layers at each size                             ...     ...
conv 1x1                                                size    3
======================================================  ======  =================

======================================================  ======  =================
discriminator's layer                                   grid    channels
======================================================  ======  =================
conv 1x1, leaky ReLU                                    size    c(size)
conv 3x3, leaky ReLU                                    size    c(size)
blur, conv 3x3, mean of 2x2, leaky ReLU                 size/2  c(size/2)
... two layers at each size                             ...     ...
deviation over the minibatch, conv 3x3, leaky ReLU      4       c(4)
linear, leaky ReLU; linear                              1       c(4); 1
======================================================  ======  =================

c(r) is min(channel_base / r, channel_max), 16384 and 512 in the paper. Style: instance norm without scale and
shift, then (1 + gamma) and beta, an affine map of w. Noise has one learned strength for each channel, blur is
1-2-1 in both directions.

Differs from the paper: no progressive growing, so only the largest size has layers from and to RGB (the
paper's successor found it no loss to do without); the activation's gain is behind the activation; the
discriminator's groups are neighbours in the batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.functional import instance_norm
from stylenorm.networks.style_based import (
    EqualConv2d,
    EqualLinear,
    StyleGenerator,
    blur,
    channels_at,
    leaky,
)
from stylenorm.networks.style_discriminator import StyleDiscriminator

__all__ = ["StyleGanDiscriminator", "StyleGanGenerator"]

_TAPS = (1.0, 2.0, 1.0)


class _StyledLayer(nn.Module):
    """One row of the generator's table; without ``num_in``, the convolution is left out."""

    def __init__(self, num_in: int | None, channels: int, style_length: int, *, up: bool = False) -> None:
        super().__init__()
        padding = 2 if up else 1  # `_doubled` makes the kernel 4x4
        self.conv = None if num_in is None else EqualConv2d(num_in, channels, 3, padding=padding, bias=False)
        self.up = up
        self.noise_strength = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = EqualLinear(style_length, 2 * channels)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        if self.conv is not None and self.up:
            # nearest * 2, then conv 3x3, is a transposed convolution with each weight at 2 x 2 places
            kernel = _spread_over_2x2(self.conv.weight * self.conv.gain).flip(2, 3)
            x = F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2, padding=1)
            x = blur(x, _TAPS, 1)
        elif self.conv is not None:
            x = self.conv(x)
        x = leaky(x + self.noise_strength[:, None, None] * noise + self.bias[:, None, None])
        gamma, beta = self.style(w).chunk(2, dim=1)
        return instance_norm(x, weight=gamma, bias=beta, eps=1e-8, scale_offset=1.0)


class StyleGanGenerator(StyleGenerator):
    """See the module's table. At 1024 pixels, with the paper's channels: 26,212,019 parameters.

    Args:
        size_px: side of the pictures, a power of 2 from 8.
        channel_base: channels at a size, times that size.
        channel_max: the most channels.
        style_length: numbers in z and in w.
        num_mapping_layers: layers from z to w.

    Shape: z (N, style_length); returns (N, 3, size_px, size_px), RGB, 0..1 but not bounded.

    Raises:
        InputError: a size is none that can be.

    Example:
        >>> StyleGanGenerator(16, 128, 32, 16, 2)(torch.randn(2, 16)).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self,
        size_px: int = 1024,
        channel_base: int = 16384,
        channel_max: int = 512,
        style_length: int = 512,
        num_mapping_layers: int = 8,
    ) -> None:
        super().__init__(size_px, style_length, num_mapping_layers)
        sizes = [2**i for i in range(2, size_px.bit_length())]
        widths = [channels_at(px, channel_base, channel_max) for px in sizes]
        self.constant = nn.Parameter(torch.ones(1, widths[0], 4, 4))
        layers = [
            _StyledLayer(None, widths[0], style_length),
            _StyledLayer(widths[0], widths[0], style_length),
        ]
        for before, width in itertools.pairwise(widths):
            layers += [
                _StyledLayer(before, width, style_length, up=True),
                _StyledLayer(width, width, style_length),
            ]
        self.layers = nn.ModuleList(layers)
        self.to_rgb = EqualConv2d(widths[-1], 3, 1)
        self.num_styles = len(layers)
        self.noise_px = tuple(px for px in sizes for _ in range(2))

    def synthesize(self, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Make pictures; see `StyleGenerator.synthesize`."""
        self.check(styles, noise)
        x = self.constant.expand(styles.shape[0], -1, -1, -1)
        for i, (layer, each) in enumerate(zip(self.layers, noise, strict=True)):
            x = layer(x, styles[:, i], each)  # ends at (N, c, size_px, size_px)
        made: Tensor = (self.to_rgb(x) + 1) / 2
        return made


class _Halving(nn.Module):
    """Two layers of the discriminator, the second of which halves the grid."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.first = EqualConv2d(num_in, num_in, 3, padding=1)
        self.second = EqualConv2d(num_in, num_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = blur(leaky(self.first(x)), _TAPS, 1)
        # conv 3x3, then the mean of 2x2, is a convolution of stride 2 with each weight at 2 x 2 places
        kernel = _spread_over_2x2(self.second.weight * (self.second.gain / 4))
        return leaky(F.conv2d(x, kernel, self.second.bias, stride=2, padding=1))


class StyleGanDiscriminator(StyleDiscriminator):
    """See the module's table. At 1024 pixels, with the paper's channels: 23,077,137 parameters.

    Args:
        size_px: side of the pictures, a power of 2 from 8.
        channel_base: channels at a size, times that size.
        channel_max: the most channels.
        group_size: pictures over which the minibatch's deviation is taken.

    Shape: (N, 3, size_px, size_px), RGB, 0..1; returns (N,), not bounded: the larger, the more real.

    Raises:
        InputError: a size is none that can be.
    """

    def __init__(
        self, size_px: int = 1024, channel_base: int = 16384, channel_max: int = 512, group_size: int = 4
    ) -> None:
        super().__init__(_Halving, size_px, channel_base, channel_max, group_size)


def _spread_over_2x2(weight: Tensor) -> Tensor:
    """Return kernels (O, I, 3, 3) convolved with 2 x 2 ones: (O, I, 4, 4)."""
    wide = F.pad(weight, (1, 1, 1, 1))
    return wide[..., 1:, 1:] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., :-1, :-1]
