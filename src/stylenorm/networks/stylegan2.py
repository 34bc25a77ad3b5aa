"""StyleGAN2: styles scale the weights, and what they do to the deviation is divided out of the weights.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, "Analyzing and Improving the Image Quality of StyleGAN",
CVPR 2020 (arXiv:1912.04958), configuration F.

======================================================  ======  =================
generator's layer                                       grid    channels
======================================================  ======  =================
constant                                                4       c(4)
modulated conv 3x3, noise, leaky ReLU                   4       c(4)
modulated conv 3x3 * 2, blur, noise, leaky ReLU         8       c(8)
modulated conv 3x3, noise, leaky ReLU                   8       c(8)
... two layers at each size                             ...     ...
at each size: modulated conv 1x1, not demodulated,      r       3
added to twice the size of the picture so far
======================================================  ======  =================

======================================================  ======  =================
discriminator's layer                                   grid    channels
======================================================  ======  =================
conv 1x1, leaky ReLU                                    size    c(size)
conv 3x3, leaky ReLU, blur, conv 3x3 / 2, leaky ReLU;   size/2  c(size/2)
beside it blur, conv 1x1 / 2; their sum / sqrt 2
... one block at each size                              ...     ...
deviation over the minibatch, conv 3x3, leaky ReLU      4       c(4)
linear, leaky ReLU; linear                              1       c(4); 1
======================================================  ======  =================

c(r) is min(channel_base / r, channel_max), 32768 and 512 in the paper (16384 in its smaller configurations).
Noise has one learned strength a layer; blur is 1-3-3-1 in both directions. A layer and the RGB layer before
it share a style.

Differs from the paper: the discriminator's groups are neighbours in the batch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.functional import modulated_conv2d
from stylenorm.networks.style_based import (
    EqualConv2d,
    Equalized,
    EqualLinear,
    StyleGenerator,
    blur,
    channels_at,
    leaky,
)
from stylenorm.networks.style_discriminator import StyleDiscriminator

__all__ = ["StyleGan2Discriminator", "StyleGan2Generator"]

_TAPS = (1.0, 3.0, 3.0, 1.0)


class _Modulated(Equalized):
    """A convolution whose weights a style scales."""

    bias: nn.Parameter

    def __init__(self, num_in: int, num_out: int, kernel: int, style_length: int) -> None:
        super().__init__()
        self.style = EqualLinear(style_length, num_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(num_out, num_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(num_out))
        self.gain = 1 / math.sqrt(num_in * kernel**2)


class _StyledLayer(_Modulated):
    """One row of the generator's table; ``up`` doubles the grid."""

    def __init__(self, num_in: int, num_out: int, style_length: int, *, up: bool = False) -> None:
        super().__init__(num_in, num_out, 3, style_length)
        self.up = up
        self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        weight, style = self.weight * self.gain, self.style(w)
        if self.up:
            x = modulated_conv2d(x, weight, style, stride=2, transposed=True)  # (N, c, 2H + 1, 2W + 1)
            x = blur(x, _TAPS, 1, gain=4.0)
        else:
            x = modulated_conv2d(x, weight, style, padding=1)
        return leaky(x + self.noise_strength * noise + self.bias[:, None, None])


class _ToRgb(_Modulated):
    """Features as a contribution to the picture."""

    def __init__(self, num_in: int, style_length: int) -> None:
        super().__init__(num_in, 3, 1, style_length)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return modulated_conv2d(x, self.weight * self.gain, self.style(w), self.bias, demodulate=False)


class StyleGan2Generator(StyleGenerator):
    """See the module's table. At 1024 pixels, with the paper's channels: 30,370,060 parameters.

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
        >>> StyleGan2Generator(16, 128, 32, 16, 2)(torch.randn(2, 16)).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self,
        size_px: int = 1024,
        channel_base: int = 32768,
        channel_max: int = 512,
        style_length: int = 512,
        num_mapping_layers: int = 8,
    ) -> None:
        super().__init__(size_px, style_length, num_mapping_layers)
        sizes = [2**i for i in range(2, size_px.bit_length())]
        widths = [channels_at(px, channel_base, channel_max) for px in sizes]
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        layers = [_StyledLayer(widths[0], widths[0], style_length)]
        for before, width in itertools.pairwise(widths):
            layers += [
                _StyledLayer(before, width, style_length, up=True),
                _StyledLayer(width, width, style_length),
            ]
        self.layers = nn.ModuleList(layers)
        self.to_rgb = nn.ModuleList(_ToRgb(width, style_length) for width in widths)
        self.num_styles = len(layers) + 1  # the last is the last RGB layer's
        self.noise_px = (4, *(px for px in sizes[1:] for _ in range(2)))

    def synthesize(self, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Make pictures; see `StyleGenerator.synthesize`."""
        self.check(styles, noise)
        x = self.constant.expand(styles.shape[0], -1, -1, -1)
        picture: Tensor | None = None
        for i, (layer, each) in enumerate(zip(self.layers, noise, strict=True)):
            x = layer(x, styles[:, i], each)
            if i % 2 == 0:  # the last layer of its size
                added = self.to_rgb[i // 2](x, styles[:, i + 1])
                picture = added if picture is None else _doubled(picture) + added
        assert picture is not None  # noqa: S101 (narrows the type: there is a layer)
        return (picture + 1) / 2


class _Residual(nn.Module):
    """One block of the discriminator, which halves the grid."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.first = EqualConv2d(num_in, num_in, 3, padding=1)
        self.second = EqualConv2d(num_in, num_out, 3, stride=2)
        self.beside = EqualConv2d(num_in, num_out, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = leaky(self.second(blur(leaky(self.first(x)), _TAPS, 2)))
        halved: Tensor = (y + self.beside(blur(x, _TAPS, 1))) / math.sqrt(2)
        return halved


class StyleGan2Discriminator(StyleDiscriminator):
    """See the module's table. At 1024 pixels, with the paper's channels: 29,012,513 parameters.

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
        self, size_px: int = 1024, channel_base: int = 32768, channel_max: int = 512, group_size: int = 4
    ) -> None:
        super().__init__(_Residual, size_px, channel_base, channel_max, group_size)


def _doubled(picture: Tensor) -> Tensor:
    """Return (N, 3, 2H, 2W): zeros between the pixels, then blur, which is bilinear but for the borders."""
    line = picture.new_tensor(_TAPS) / 4
    kernel = (line[:, None] * line).expand(picture.shape[1], 1, 4, 4)
    return F.conv_transpose2d(picture, kernel, stride=2, padding=1, groups=picture.shape[1])
