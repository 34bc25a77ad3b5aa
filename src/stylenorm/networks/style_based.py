"""What StyleGAN and StyleGAN2 share: styles, weights scaled at run time, filtering, a discriminator's end.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019
(arXiv:1812.04948); Karras et al. 2020 (arXiv:1912.04958). Equalized learning rate and the deviation over a
minibatch are of Karras, Aila, Laine, Lehtinen 2018 (arXiv:1710.10196), sections 4.1 and 3; the filters before
and after resampling of Zhang 2019 (arXiv:1904.11486).
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import pixel_norm

__all__ = [
    "EqualConv2d",
    "EqualLinear",
    "Equalized",
    "MappingNetwork",
    "StyleGenerator",
    "blur",
    "channels_at",
    "leaky",
    "mixed_styles",
    "truncated",
    "with_deviation",
]

_GAIN = math.sqrt(2)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2, times the root of 2, so that what has variance 1 keeps about as much."""
    return F.leaky_relu(x, 0.2) * _GAIN


class Equalized(nn.Module):
    """A layer whose weights are drawn from N(0, 1) and scaled, as it runs, to He's deviation.

    Adam, whose steps do not depend on the gradient's scale, then moves all layers alike.

    Attributes:
        gain: what the weights are multiplied by.
        rate: what the biases are multiplied by, and the weights besides: a learning rate.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    gain: float
    rate: float = 1.0

    @torch.no_grad()
    def bake(self) -> None:
        """Scale the weights once and for all."""
        self.weight.mul_(self.gain)
        if self.bias is not None:
            self.bias.mul_(self.rate)
        self.gain = self.rate = 1.0


class EqualLinear(Equalized):
    """A linear map; see `Equalized`.

    Args:
        num_in: numbers in.
        num_out: numbers out.
        rate: learning rate of this layer, in units of the others'.
        bias: what the biases begin with.

    Shape: (N, num_in); returns (N, num_out).
    """

    bias: nn.Parameter

    def __init__(self, num_in: int, num_out: int, *, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_out, num_in) / rate)
        self.bias = nn.Parameter(torch.full((num_out,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(num_in), rate

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors."""
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class EqualConv2d(Equalized):
    """A convolution; see `Equalized`.

    Args:
        num_in: channels in.
        num_out: channels out.
        kernel: side of the kernel.
        stride: of the convolution.
        padding: zeros around the input.
        bias: add a bias.

    Shape: (N, num_in, H, W); returns (N, num_out, H', W').
    """

    def __init__(
        self, num_in: int, num_out: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_out, num_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(num_out)) if bias else None
        self.gain = 1 / math.sqrt(num_in * kernel**2)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return F.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.padding)


class MappingNetwork(nn.Module):
    """From a latent vector z, brought to the length that N(0, 1) has, to a style vector w.

    Args:
        latent_length: numbers in z; 512 in the papers.
        style_length: numbers in w; 512.
        num_layers: linear layers, each with a leaky ReLU; 8.
        rate: their learning rate, in units of the others'; 0.01.

    Shape: (N, latent_length); returns (N, style_length).
    """

    def __init__(
        self, latent_length: int, style_length: int, num_layers: int = 8, *, rate: float = 0.01
    ) -> None:
        super().__init__()
        lengths = [latent_length] + [style_length] * num_layers
        self.layers = nn.ModuleList(EqualLinear(a, b, rate=rate) for a, b in itertools.pairwise(lengths))

    def forward(self, z: Tensor) -> Tensor:
        """Map latent vectors."""
        x = pixel_norm(z)
        for layer in self.layers:
            x = leaky(layer(x))
        return x


class StyleGenerator(nn.Module):
    """What makes pictures of style vectors, one for each of its layers, and of noise.

    Args:
        size_px: side of the pictures, a power of 2 from 8.
        style_length: numbers in z and in w.
        num_mapping_layers: layers from z to w.

    Attributes:
        size_px: side of the pictures.
        num_styles: layers that take a style.
        noise_px: side of the noise that each layer with noise takes.

    Raises:
        InputError: a size is none that can be.
    """

    num_styles: int
    noise_px: tuple[int, ...]

    def __init__(self, size_px: int, style_length: int, num_mapping_layers: int) -> None:
        super().__init__()
        if style_length < 1 or num_mapping_layers < 1:
            raise InputError(
                "expected style_length and num_mapping_layers of at least 1, "
                f"got {style_length} and {num_mapping_layers}"
            )
        check_size(size_px)
        self.size_px, self.style_length = size_px, style_length
        self.mapping = MappingNetwork(style_length, style_length, num_mapping_layers)

    @abstractmethod
    def synthesize(self, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Make pictures.

        Args:
            styles: (N, num_styles, style_length).
            noise: for each of ``noise_px`` (N or 1, 1, px, px); see `draw_noise`.

        Returns:
            (N, 3, size_px, size_px), RGB; 0..1 is what it learns, and nothing bounds it.
        """

    def draw_noise(self, count: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Draw the noise of ``count`` pictures from N(0, 1)."""
        return [torch.randn(count, 1, px, px, generator=generator) for px in self.noise_px]

    def spread(self, w: Tensor) -> Tensor:
        """Return style vectors (N, style_length) as those of every layer: (N, num_styles, style_length)."""
        return w[:, None].expand(-1, self.num_styles, -1)

    def forward(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Make pictures of latent vectors (N, style_length); without ``noise``, it is drawn."""
        if noise is None:
            noise = [each.to(z.device) for each in self.draw_noise(len(z))]
        return self.synthesize(self.spread(self.mapping(z)), noise)

    @torch.no_grad()
    def mean_style(self, count: int = 10_000, seed: int = 0) -> Tensor:
        """Return the mean w, (style_length,), of ``count`` latent vectors: the centre of `truncated`."""
        device = next(self.parameters()).device
        z = torch.randn(count, self.style_length, generator=torch.Generator().manual_seed(seed))
        parts = torch.split(z, 1000)
        return torch.stack([self.mapping(part.to(device)).sum(0) for part in parts]).sum(0) / count

    def check(self, styles: Tensor, noise: Sequence[Tensor]) -> None:
        """Refuse what `synthesize` cannot use.

        Raises:
            ShapeError: styles or noise are not as many, or as large, as there are layers.
        """
        if styles.dim() != 3 or styles.shape[1:] != (self.num_styles, self.style_length):
            raise ShapeError(
                f"styles: expected (N, {self.num_styles}, {self.style_length}), got {tuple(styles.shape)}"
            )
        if [each.shape[-1] for each in noise] != list(self.noise_px):
            raise ShapeError(
                f"noise: expected sides {list(self.noise_px)}, got {[each.shape[-1] for each in noise]}"
            )


def check_size(size_px: int) -> None:
    """Refuse sides that are no power of 2 from 8."""
    if size_px < 8 or size_px & (size_px - 1):
        raise InputError(f"size_px: expected a power of 2 from 8, got {size_px}")


def channels_at(size_px: int, base: int, most: int) -> int:
    """Return the channels of the layers at a size: ``base / size_px``, at most ``most``, at least 1."""
    return max(1, min(base // size_px, most))


def mixed_styles(first: Tensor, second: Tensor, crossover: Tensor, num_styles: int) -> Tensor:
    """Return styles for every layer: ``first`` up to a layer, ``second`` from it on.

    Args:
        first: (N, style_length).
        second: likewise.
        crossover: (N,): the first layer with the second style; ``num_styles`` mixes nothing.
        num_styles: how many layers there are.

    Returns:
        (N, num_styles, style_length).
    """
    layers = torch.arange(num_styles, device=first.device)
    is_first = layers[None, :, None] < crossover.to(first.device)[:, None, None]
    return torch.where(is_first, first[:, None], second[:, None])


def truncated(styles: Tensor, mean: Tensor, truncation: float, num_layers: int | None = None) -> Tensor:
    r"""Bring styles closer to their mean: :math:`\bar w + \psi (w - \bar w)`.

    Pictures get more alike, and better. Args: styles (N, L, style_length); mean (style_length,); truncation
    1 changes nothing, 0 leaves the mean; of the first ``num_layers`` layers, None for all.
    """
    near = mean + truncation * (styles - mean)
    return near if num_layers is None else torch.cat([near[:, :num_layers], styles[:, num_layers:]], dim=1)


def blur(x: Tensor, taps: Sequence[float], padding: int, gain: float = 1.0) -> Tensor:
    """Filter rows and columns of (N, C, H, W) with ``taps``, whose sum becomes 1, between zeros.

    Args:
        x: features.
        taps: symmetric.
        padding: zeros around the features.
        gain: what the result is multiplied by.
    """
    line = x.new_tensor(list(taps))
    kernel = line[:, None] * line * (gain / line.sum() ** 2)
    # depthwise: 13 times as fast, forward and backward, as one channel at a time
    return F.conv2d(x, kernel.expand(x.shape[1], 1, -1, -1), padding=padding, groups=x.shape[1])


def with_deviation(x: Tensor, group_size: int) -> Tensor:
    """Add a channel that says how much the pictures of a batch differ: mean deviation over groups of them.

    Groups are neighbours in the batch, so processes that share a batch agree with one that has it all, if
    each has whole groups. (The papers' code takes each group from all over the batch.)

    Args:
        x: (N, C, H, W).
        group_size: pictures in a group; of a smaller batch, all.

    Returns:
        (N, C + 1, H, W).

    Raises:
        ShapeError: the batch is not made of whole groups.
    """
    n, _, h, w = x.shape
    size = min(group_size, n)
    if n % size:
        raise ShapeError(f"x: expected a batch that is a multiple of {size}, the group's size, got {n}")
    groups = x.reshape(n // size, size, *x.shape[1:])
    deviation = (groups.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # (N / size,)
    return torch.cat([x, deviation.repeat_interleave(size)[:, None, None, None].expand(n, 1, h, w)], dim=1)
