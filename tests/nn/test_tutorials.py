"""What tutorials write by hand, and the line of ours that gives the same; the table is in the docs."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import stylenorm.functional as sf
import stylenorm.nn as sn
from stylenorm.functional import norm_preset
from stylenorm.networks import CycleGanGenerator, JohnsonExamplesNetwork, UNetGenerator
from stylenorm.perceptual import gram_matrix, total_variation
from tests.export.test_importing import PublishedExample
from tests.networks.test_translation_networks import PublishedCycleGan, PublishedUNet
from tests.tolerances import assert_close

DOCS = Path(__file__).parents[2] / "docs" / "tutorials.md"

Pair = tuple[Tensor, Tensor]  # the tutorial's numbers, and ours


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def stirred(network: nn.Module) -> nn.Module:
    """Weights away from where they begin, so that scales and shifts matter."""
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


# The tutorials' code, as it is found again and again.


class ResidualBlock(nn.Module):
    """Of CycleGAN's tutorials; with ``affine`` of those that write affine=True."""

    def __init__(self, c: int, *, affine: bool = False) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(c, c, 3),
            nn.InstanceNorm2d(c, affine=affine),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(c, c, 3),
            nn.InstanceNorm2d(c, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class TransposedJohnson(nn.Module):
    """Johnson's network with transposed convolutions on the way up, as older tutorials have it."""

    def __init__(self, c: int) -> None:
        super().__init__()
        down: list[nn.Module] = [nn.ReflectionPad2d(4), nn.Conv2d(3, c, 9), nn.InstanceNorm2d(c, affine=True)]
        for k in (1, 2):
            down += [nn.ReLU(), nn.Conv2d(k * c, 2 * k * c, 3, 2, 1)]
            down += [nn.InstanceNorm2d(2 * k * c, affine=True)]
        up: list[nn.Module] = []
        for k in (4, 2):
            up += [nn.ConvTranspose2d(k * c, k * c // 2, 3, 2, 1, output_padding=1)]
            up += [nn.InstanceNorm2d(k * c // 2, affine=True), nn.ReLU()]
        middle = [ResidualBlock(4 * c, affine=True) for _ in range(2)]
        self.net = nn.Sequential(*down, nn.ReLU(), *middle, *up, nn.ReflectionPad2d(4), nn.Conv2d(c, 3, 9))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.net(x))


def calc_mean_std(feat: Tensor, eps: float = 1e-5) -> Pair:
    n, c = feat.size()[:2]
    var = feat.view(n, c, -1).var(dim=2) + eps
    return feat.view(n, c, -1).mean(dim=2).view(n, c, 1, 1), var.sqrt().view(n, c, 1, 1)


def adain_outside(x: Tensor, y: Tensor, eps: float = 1e-5) -> Tensor:
    mean_x, std_x = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)
    mean_y, std_y = y.mean((2, 3), keepdim=True), y.std((2, 3), keepdim=True)
    return std_y * (x - mean_x) / (std_x + eps) + mean_y


class StyleMod(nn.Module):
    """StyleGAN's block: instance norm, then one linear layer that gives scale and shift."""

    def __init__(self, c: int, w: int) -> None:
        super().__init__()
        self.norm, self.lin = nn.InstanceNorm2d(c), nn.Linear(w, 2 * c)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        scale, shift = self.lin(w)[:, :, None, None].chunk(2, dim=1)
        return self.norm(x) * (scale + 1) + shift


class TwoLinears(nn.Module):
    """The same with two linear layers, and no 1 added."""

    def __init__(self, c: int, w: int) -> None:
        super().__init__()
        self.norm, self.scale, self.bias = nn.InstanceNorm2d(c), nn.Linear(w, c), nn.Linear(w, c)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.scale(w)[:, :, None, None] * self.norm(x) + self.bias(w)[:, :, None, None]


class Conditional(nn.Module):
    """Conditional instance norm by an embedding of twice the channels."""

    def __init__(self, c: int, styles: int) -> None:
        super().__init__()
        self.norm, self.embed = nn.InstanceNorm2d(c), nn.Embedding(styles, 2 * c)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        gamma, beta = self.embed(y)[:, :, None, None].chunk(2, dim=1)
        return gamma * self.norm(x) + beta


def converted(network: nn.Module, *inputs: Tensor) -> Pair:
    ours = copy.deepcopy(network)
    sn.convert(ours)
    return network(*inputs), ours(*inputs)


def residual_block() -> Pair:
    return converted(ResidualBlock(8), drawn(2, 8, 12, 10))


def johnson_transposed() -> Pair:
    return converted(stirred(TransposedJohnson(4)), drawn(1, 3, 32, 24))


def johnson_example() -> Pair:
    theirs = stirred(PublishedExample(4))
    ours = JohnsonExamplesNetwork.from_published(theirs.state_dict())
    x = torch.rand(1, 3, 32, 24)
    return (theirs(255 * x) / 255).clamp(0, 1), ours(x)


def cyclegan_affine() -> Pair:
    return converted(
        stirred(
            nn.Sequential(
                nn.Conv2d(3, 8, 7), nn.InstanceNorm2d(8, affine=True), ResidualBlock(8, affine=True)
            )
        ),
        drawn(1, 3, 20, 20),
    )


def cyclegan_generator() -> Pair:
    theirs = stirred(PublishedCycleGan(4, 2))
    ours = CycleGanGenerator.from_published(theirs.state_dict())
    x = torch.rand(1, 3, 32, 32)
    return (theirs(2 * x - 1) + 1) / 2, ours(x)


def pix2pix_unet() -> Pair:
    theirs = stirred(PublishedUNet(4, 5))
    ours = UNetGenerator.from_published(theirs.state_dict())
    x = torch.rand(1, 3, 32, 32)
    return (theirs(2 * x - 1) + 1) / 2, ours(x)


def adain_port() -> Pair:
    x, y = drawn(2, 5, 8, 7), 3 + 2 * drawn(2, 5, 6, 6, seed=1)
    (mean_x, std_x), (mean_y, std_y) = calc_mean_std(x), calc_mean_std(y)
    options = norm_preset("adain")
    return (x - mean_x) / std_x * std_y + mean_y, sf.adaptive_instance_norm(
        x, y, **{k: options[k] for k in ("eps", "eps_mode", "correction")}
    )


def adain_tutorial() -> Pair:
    x, y = drawn(2, 5, 8, 7), 3 + 2 * drawn(2, 5, 6, 6, seed=1)
    options = norm_preset("adain-tutorials")
    ours = sf.instance_norm(x, weight=y.std((2, 3)), bias=y.mean((2, 3)), **options)
    return adain_outside(x, y), ours


def stylegan_block() -> Pair:
    theirs = stirred(StyleMod(6, 5))
    ours = sn.AdaptiveInstanceNorm2d(6, 5)
    ours.fc.load_state_dict(theirs.lin.state_dict())
    x, w = drawn(3, 6, 7, 8), drawn(3, 5, seed=2)
    return theirs(x, w), ours(x, w)


def stylegan_two_linears() -> Pair:
    theirs = stirred(TwoLinears(6, 5))
    ours = sn.AdaptiveInstanceNorm2d.from_linear(theirs.scale, theirs.bias)
    x, w = drawn(3, 6, 7, 8), drawn(3, 5, seed=2)
    return theirs(x, w), ours(x, w)


def conditional() -> Pair:
    theirs = stirred(Conditional(6, 4))
    ours = sn.ConditionalInstanceNorm2d(6, 4)
    gamma, beta = theirs.embed.weight.detach().chunk(2, dim=1)
    ours.load_state_dict({"weight": gamma, "bias": beta})
    x, y = drawn(3, 6, 7, 8), torch.tensor([2, 0, 3])
    return theirs(x, y), ours(x, y)


def spade_block() -> Pair:
    ours = stirred(sn.SPADE2d(6, 3, hidden=4))
    x, labels = drawn(2, 6, 8, 8), (drawn(2, 3, 16, 16, seed=3) > 0).float()
    shared = F.relu(ours.mlp_shared[0](F.interpolate(labels, size=(8, 8), mode="nearest")))
    theirs = F.instance_norm(x) * (1 + ours.mlp_gamma(shared)) + ours.mlp_beta(shared)
    return theirs, ours(x, labels)


def pixel() -> Pair:
    x = drawn(2, 6, 5, 4)
    return x / torch.sqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8), sn.PixelNorm()(x)


def response() -> Pair:
    ours = stirred(sn.FilterResponseNorm2d(6))
    x = drawn(2, 6, 5, 4)
    gamma, beta, tau = (p.reshape(1, -1, 1, 1) for p in (ours.weight, ours.bias, ours.threshold))
    normed = x * torch.rsqrt(torch.mean(x**2, dim=[2, 3], keepdim=True) + 1e-6)
    return torch.max(gamma * normed + beta, tau), ours(x)


def modulated() -> Pair:
    x, weight, style = drawn(3, 4, 8, 8), drawn(5, 4, 3, 3, seed=1), 1 + drawn(3, 4, seed=2)
    w = weight[None] * style[:, None, :, None, None]
    w = w * torch.rsqrt(w.pow(2).sum([2, 3, 4]) + 1e-8)[:, :, None, None, None]
    theirs = F.conv2d(x.reshape(1, 12, 8, 8), w.reshape(15, 4, 3, 3), padding=1, groups=3).reshape(3, 5, 8, 8)
    return theirs, sf.modulated_conv2d(x, weight, style, padding=1)


def gram() -> Pair:
    y = drawn(2, 6, 5, 4)
    features = y.view(2, 6, 20)
    return features.bmm(features.transpose(1, 2)) / (6 * 5 * 4), gram_matrix(y) / 6


def variation() -> Pair:
    x = torch.rand(1, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    theirs = (x[:, :, :, :-1] - x[:, :, :, 1:]).abs().mean() + (x[:, :, :-1] - x[:, :, 1:]).abs().mean()
    return theirs, total_variation(x)[0]


ROWS: dict[str, Callable[[], Pair]] = {
    "residual block": residual_block,
    "Johnson, transposed convolutions": johnson_transposed,
    "Johnson of pytorch/examples": johnson_example,
    "CycleGAN's layers, affine": cyclegan_affine,
    "CycleGAN's generator": cyclegan_generator,
    "pix2pix' U-Net": pix2pix_unet,
    "AdaIN by `calc_mean_std`": adain_port,
    "AdaIN, eps outside": adain_tutorial,
    "StyleGAN's block": stylegan_block,
    "StyleGAN's block, two layers": stylegan_two_linears,
    "conditional instance norm": conditional,
    "SPADE": spade_block,
    "pixel norm": pixel,
    "filter response norm": response,
    "modulated convolution": modulated,
    "Gram matrix": gram,
    "total variation": variation,
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_table(name: str) -> None:
    with torch.no_grad():
        theirs, ours = ROWS[name]()
    assert theirs.shape == ours.shape
    assert theirs.dim() == 0 or theirs.std() > 1e-4
    assert_close(ours, theirs.double(), rtol=0, atol=2e-5 * max(1.0, float(theirs.abs().max())))


def test_the_table_has_these_rows() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ", DOCS.read_text(), flags=re.MULTILINE)
    assert rows[1:] == list(ROWS), "the first is the header"
