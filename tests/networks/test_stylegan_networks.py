"""StyleGAN's networks against their papers' formulas, written out in float64, one picture at a time."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import modulated_conv2d
from stylenorm.networks import (
    StyleGan2Discriminator,
    StyleGan2Generator,
    StyleGanDiscriminator,
    StyleGanGenerator,
)
from stylenorm.networks.style_based import StyleGenerator, blur, mixed_styles, truncated, with_deviation
from tests.tolerances import assert_close

TINY = (16, 64, 6, 5, 2)  # pixels, channels at a size times that size, most channels, style, mapping layers


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def shaken(network: nn.Module) -> nn.Module:
    """In float64, with biases and strengths of noise that are not 0."""
    for parameter in network.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return network.double()


def num_parameters(kind: type[nn.Module]) -> int:
    return sum(parameter.numel() for parameter in kind().parameters())


def widths(base: int) -> list[int]:
    return [min(base // 2**i, 512) for i in range(2, 11)]  # 4 to 1024 pixels


def conv(a: int, b: int, k: int = 3) -> int:
    return a * b * k * k + b


def test_parameters_are_as_many_as_published() -> None:
    mapping = 8 * conv(512, 512, 1)
    c = widths(32768)
    styled = lambda a, b: conv(a, b) + conv(512, a, 1) + 1  # noqa: E731 (affine map, strength of the noise)
    rgb = lambda a: conv(a, 3, 1) + conv(512, a, 1)  # noqa: E731
    count = mapping + 16 * c[0] + styled(c[0], c[0]) + sum(map(rgb, c))
    count += sum(styled(a, b) + styled(b, b) for a, b in itertools.pairwise(c))
    assert num_parameters(StyleGan2Generator) == count == 30_370_060  # as the authors' code prints it
    last = conv(c[0] + 1, c[0]) + conv(16 * c[0], c[0], 1) + conv(c[0], 1, 1)
    judge = conv(3, c[-1], 1) + last
    judge += sum(conv(b, b) + conv(b, a) + a * b for a, b in itertools.pairwise(c))
    assert num_parameters(StyleGan2Discriminator) == judge == 29_012_513

    c = widths(16384)
    after = lambda a: 2 * a + conv(512, 2 * a, 1)  # noqa: E731 (noise, bias, style)
    count = mapping + 16 * c[0] + after(c[0]) + 9 * c[0] ** 2 + after(c[0]) + conv(c[-1], 3, 1)
    count += sum(9 * a * b + 9 * b * b + 2 * after(b) for a, b in itertools.pairwise(c))
    assert num_parameters(StyleGanGenerator) == count
    # The published networks grow, and keep a layer to and from RGB for each size.
    assert count + sum(conv(a, 3, 1) for a in c[:-1]) == 26_219_627
    last = conv(c[0] + 1, c[0]) + conv(16 * c[0], c[0], 1) + conv(c[0], 1, 1)
    judge = conv(3, c[-1], 1) + last + sum(conv(b, b) + conv(b, a) for a, b in itertools.pairwise(c))
    assert num_parameters(StyleGanDiscriminator) == judge
    assert judge + sum(conv(3, a, 1) for a in c[:-1]) == 23_087_249


# The formulas of the papers.


def lrelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x) * 2**0.5


def linear(x: Tensor, layer: nn.Module, rate: float = 1.0) -> Tensor:
    return x @ (layer.weight * rate / layer.weight.shape[1] ** 0.5).T + layer.bias * rate


def weights(layer: nn.Module) -> Tensor:
    return layer.weight / math.sqrt(layer.weight[0].numel())


def mapped(network: StyleGenerator, z: Tensor) -> Tensor:
    x = z / ((z**2).mean(1, keepdim=True) + 1e-8).sqrt()
    for layer in network.mapping.layers:
        x = lrelu(linear(x, layer, 0.01))
    return x


def filtered(x: Tensor, taps: list[float], before: int, after: int, gain: float = 1.0) -> Tensor:
    """Each place as the sum of its neighbours, one at a time."""
    total = sum(taps)
    x = F.pad(x, (before, after, before, after))
    height, width = (side - len(taps) + 1 for side in x.shape[2:])
    y = torch.zeros(*x.shape[:2], height, width, dtype=x.dtype)
    for i, a in enumerate(taps):
        for j, b in enumerate(taps):
            y += gain * a * b / total**2 * x[..., i : i + height, j : j + width]
    return y


def with_zeros(x: Tensor) -> Tensor:
    y = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3], dtype=x.dtype)
    y[..., ::2, ::2] = x
    return y


def stylegan(network: StyleGanGenerator, styles: Tensor, noise: list[Tensor]) -> Tensor:
    """One picture."""
    x = network.constant
    for i, layer in enumerate(network.layers):
        if i:
            if i % 2 == 0:
                x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = F.conv2d(x, weights(layer.conv), padding=1)
            if i % 2 == 0:
                x = filtered(x, [1, 2, 1], 1, 1)
        x = lrelu(x + layer.noise_strength.view(1, -1, 1, 1) * noise[i] + layer.bias.view(1, -1, 1, 1))
        mean = x.mean((2, 3), keepdim=True)
        x = (x - mean) / (((x - mean) ** 2).mean((2, 3), keepdim=True) + 1e-8).sqrt()
        gamma, beta = linear(styles[i : i + 1], layer.style).view(2, 1, -1, 1, 1)
        x = (1 + gamma) * x + beta
    return F.conv2d(x, weights(network.to_rgb), network.to_rgb.bias) / 2 + 0.5


def stylegan2(network: StyleGan2Generator, styles: Tensor, noise: list[Tensor]) -> Tensor:
    """One picture."""
    x, picture = network.constant, torch.zeros(1, 3, 2, 2, dtype=styles.dtype)
    for i, layer in enumerate(network.layers):
        weight = weights(layer) * linear(styles[i : i + 1], layer.style)[0].view(1, -1, 1, 1)
        weight = weight / ((weight**2).sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if i % 2:
            full = F.conv2d(F.pad(with_zeros(x), (2, 1, 2, 1)), weight.flip(2, 3))
            x = filtered(full, [1, 3, 3, 1], 1, 1, gain=4)
        else:
            x = F.conv2d(x, weight, padding=1)
        x = lrelu(x + layer.noise_strength * noise[i] + layer.bias.view(1, -1, 1, 1))
        if i % 2 == 0:
            rgb = network.to_rgb[i // 2]
            weight = weights(rgb) * linear(styles[i + 1 : i + 2], rgb.style)[0].view(1, -1, 1, 1)
            picture = filtered(with_zeros(picture), [1, 3, 3, 1], 2, 1, gain=4)
            picture = picture + F.conv2d(x, weight, rgb.bias)
    return picture / 2 + 0.5


@pytest.mark.parametrize(
    ("kind", "formula"), [(StyleGanGenerator, stylegan), (StyleGan2Generator, stylegan2)], ids=["1", "2"]
)
def test_generators_are_their_formulas(kind: type[StyleGenerator], formula: object) -> None:
    network = shaken(kind(*TINY))
    z = torch.randn(3, 5).double()
    noise = [each.double() for each in network.draw_noise(3)]
    made = network(z, noise)
    assert made.shape == (3, 3, 16, 16)
    w = mapped(network, z)
    for i in range(3):
        styles = w[i].repeat(network.num_styles, 1)
        assert_close(made[i : i + 1], formula(network, styles, [each[i : i + 1] for each in noise]))  # type: ignore[operator]
    # each layer has a style of its own, and each noise its place
    styles = torch.randn(1, network.num_styles, 5).double()
    one = [each[:1] for each in noise]
    assert_close(network.synthesize(styles, one), formula(network, styles[0], one))  # type: ignore[operator]


def deviation(x: Tensor, size: int) -> Tensor:
    maps = []
    for first in range(0, len(x), size):
        group = x[first : first + size]
        spread = (((group - group.mean(0)) ** 2).mean(0) + 1e-8).sqrt().mean()
        maps += [spread.expand(1, *x.shape[2:])] * len(group)
    return torch.cat([x, torch.stack(maps)], 1)


def judged(network: nn.Module, x: Tensor, size: int) -> Tensor:
    x = lrelu(F.conv2d(2 * x - 1, weights(network.from_rgb), network.from_rgb.bias))
    for block in network.blocks:
        y = lrelu(F.conv2d(x, weights(block.first), block.first.bias, padding=1))
        if isinstance(network, StyleGanDiscriminator):
            y = F.conv2d(filtered(y, [1, 2, 1], 1, 1), weights(block.second), padding=1)
            x = lrelu(F.avg_pool2d(y, 2) + block.second.bias.view(1, -1, 1, 1))
        else:
            y = lrelu(F.conv2d(filtered(y, [1, 3, 3, 1], 2, 2), weights(block.second), block.second.bias, 2))
            beside = F.conv2d(filtered(x, [1, 3, 3, 1], 1, 1)[..., ::2, ::2], weights(block.beside))
            x = (y + beside) / 2**0.5
    x = deviation(x, size)
    x = lrelu(F.conv2d(x, weights(network.last_conv), network.last_conv.bias, padding=1))
    return linear(lrelu(linear(x.flatten(1), network.hidden)), network.judgement)[:, 0]


@pytest.mark.parametrize("kind", [StyleGanDiscriminator, StyleGan2Discriminator])
def test_discriminators_are_their_formulas(kind: type[nn.Module]) -> None:
    network = shaken(kind(16, 64, 6, 2))
    x = torch.rand(4, 3, 16, 16).double()
    assert_close(network(x), judged(network, x, 2))
    # pictures that are all alike are told by the deviation
    same = x[:1].expand(2, -1, -1, -1)
    assert (network(same)[0] - network(x)[0]).abs() > 1e-6


def test_a_transposed_modulated_convolution() -> None:
    x, weight, style = torch.randn(3, 4, 5, 6), torch.randn(7, 4, 3, 3), torch.randn(3, 4)
    found = modulated_conv2d(x, weight, style, stride=2, transposed=True)
    assert found.shape == (3, 7, 11, 13)
    for i in range(3):
        w = weight.double() * style[i].double().view(1, -1, 1, 1)
        w = w / (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        assert_close(found[i], F.conv_transpose2d(x[i].double(), w.transpose(0, 1), stride=2), atol=1e-4)


def test_the_filter_keeps_what_is_flat() -> None:
    flat = torch.full((1, 2, 8, 8), 0.7)
    assert_close(blur(flat, (1, 2, 1), 1)[..., 1:-1, 1:-1], torch.full((1, 2, 6, 6), 0.7))
    x = torch.rand(2, 3, 7, 9)
    assert_close(blur(x, (1, 3, 3, 1), 2, gain=4.0), filtered(x.double(), [1, 3, 3, 1], 2, 2, gain=4))


def test_styles_change_at_the_crossover() -> None:
    a, b = torch.randn(4, 5), torch.randn(4, 5)
    mixed = mixed_styles(a, b, torch.tensor([1, 3, 5, 6]), 6)
    for i, crossover in enumerate([1, 3, 5, 6]):
        for layer in range(6):
            assert torch.equal(mixed[i, layer], (a if layer < crossover else b)[i])


def test_truncation_is_its_formula() -> None:
    network = StyleGan2Generator(*TINY)
    mean = network.mean_style(3000, seed=3)
    z = torch.randn(3000, 5, generator=torch.Generator().manual_seed(3))
    assert_close(mean, mapped(copy.deepcopy(network).double(), z.double()).mean(0), atol=1e-4)
    styles = torch.randn(2, network.num_styles, 5)
    assert_close(truncated(styles, mean, 0.7), mean.double() + 0.7 * (styles.double() - mean.double()))
    assert torch.equal(truncated(styles, mean, 0.0, 2)[:, 2:], styles[:, 2:])
    assert torch.equal(truncated(styles, mean, 0.0, 2)[:, :2], mean.expand(2, 2, 5))


@pytest.mark.parametrize("size", [8, 64])
@pytest.mark.parametrize("generation", ["1", "2"])
def test_any_power_of_two(size: int, generation: str) -> None:
    make, judge = {
        "1": (StyleGanGenerator, StyleGanDiscriminator),
        "2": (StyleGan2Generator, StyleGan2Discriminator),
    }[generation]
    network = make(size, 32, 4, 3, 1)
    with torch.no_grad():
        picture = network(torch.randn(2, 3))
        assert picture.shape == (2, 3, size, size)
        assert judge(size, 32, 4)(picture).shape == (2,)
    assert network.num_styles == 2 * (int(math.log2(size)) - 1)  # 18 for 1024


def test_what_cannot_be() -> None:
    for size in (4, 24, 0):
        with pytest.raises(InputError, match=f"a power of 2 from 8, got {size}"):
            StyleGanGenerator(size)
        with pytest.raises(InputError, match=f"a power of 2 from 8, got {size}"):
            StyleGan2Discriminator(size)
    with pytest.raises(InputError, match="style_length and num_mapping_layers of at least 1"):
        StyleGan2Generator(8, 32, 4, 3, 0)
    network = StyleGan2Generator(8, 32, 4, 3, 1)
    with pytest.raises(ShapeError, match=r"styles: expected \(N, 4, 3\), got \(1, 3, 3\)"):
        network.synthesize(torch.rand(1, 3, 3), network.draw_noise(1))
    with pytest.raises(ShapeError, match=r"noise: expected sides \[4, 8, 8\], got \[8, 8\]"):
        network.synthesize(torch.rand(1, 4, 3), network.draw_noise(1)[1:])
    with pytest.raises(ShapeError, match="a multiple of 4, the group's size, got 6"):
        with_deviation(torch.rand(6, 2, 4, 4), 4)
