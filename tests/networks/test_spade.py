"""SPADE's networks: the formula in float64, spectral norm by SVD, sizes, published checkpoints."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from stylenorm.errors import InputError, ShapeError
from stylenorm.networks import MultiscaleDiscriminator, SpadeEncoder, SpadeGenerator
from tests.tolerances import assert_close


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def conv(a: int, b: int, k: int, *, bias: bool = True) -> int:
    return k * k * a * b + bias * b


def generator_size(labels: int, width: int = 64, hidden: int = 128) -> int:
    def spade(c: int) -> int:
        return conv(labels, hidden, 3) + 2 * conv(hidden, c, 3)

    size = conv(labels, 16 * width, 3) + conv(width, 3, 3)
    for a, b in itertools.pairwise([16 * width] * 4 + [8 * width, 4 * width, 2 * width, width]):
        middle = min(a, b)
        size += conv(a, middle, 3) + conv(middle, b, 3) + spade(a) + spade(middle)
        if a != b:
            size += conv(a, b, 1, bias=False) + spade(a)
    return size


# Channels of labels in the authors' settings: classes, the unlabelled (but for Cityscapes), edges (but for
# ADE20K). Li et al. 2020 (arXiv:2003.08936, table 1) count 93.0 million in the generator for Cityscapes.
@pytest.mark.parametrize(
    ("labels", "expected"), [(35 + 1, 93_048_003), (150 + 1, 96_492_483), (182 + 1 + 1, 97_480_899)]
)
def test_parameters_in_the_published_settings(labels: int, expected: int) -> None:
    assert generator_size(labels) == expected  # as the documentation says
    if labels == 36:
        assert round(expected / 1e6, 1) == 93.0


@pytest.mark.parametrize(("labels", "width", "hidden"), [(5, 4, 16), (9, 3, 7)])
def test_parameters_are_the_formula_s(labels: int, width: int, hidden: int) -> None:
    assert num_parameters(SpadeGenerator(labels, width, hidden)) == generator_size(labels, width, hidden)
    c = [labels + 3, width, 2 * width, 4 * width, 8 * width, 1]
    judge = sum(conv(a, b, 4, bias=i in (0, 4)) for i, (a, b) in enumerate(itertools.pairwise(c)))
    assert num_parameters(MultiscaleDiscriminator(labels, width)) == 2 * judge
    c = [3, width, 2 * width, 4 * width, 8 * width]
    encoder = sum(conv(a, b, 3, bias=False) for a, b in itertools.pairwise(c))
    encoder += 2 * (16 * 8 * width + 1) * hidden
    assert num_parameters(SpadeEncoder(hidden, width, 64)) == encoder


@pytest.mark.parametrize("num_doublings", [3, 4, 5, 6])
@pytest.mark.parametrize("latent", [0, 3])
def test_any_size(num_doublings: int, latent: int) -> None:
    network = SpadeGenerator(4, 2, 4, num_doublings=num_doublings, latent=latent, start_px=2)
    assert network.multiple == 2**num_doublings
    for size in ((1, 1), (8, 70), (33, 20)):
        painted = network(torch.rand(2, 4, *size))
        assert painted.shape == (2, 3, *size)
        assert painted.min() >= 0
        assert painted.max() <= 1
        assert bool(torch.isfinite(painted).all())


def test_odd_sizes_are_extended_by_their_edge() -> None:
    network = SpadeGenerator(3, 2, 4, num_doublings=3).eval()
    numbers = torch.randint(3, (1, 13, 21), generator=torch.Generator().manual_seed(0))
    labels = F.one_hot(numbers, 3).movedim(-1, 1).float()
    wide = torch.from_numpy(np.pad(labels.numpy(), ((0, 0), (0, 0), (0, 3), (0, 3)), mode="edge"))
    with torch.no_grad():
        assert_close(network(labels), network(wide)[..., :13, :21])


def test_sizes_of_judgements() -> None:
    judge = MultiscaleDiscriminator(4, 2)
    for height, width in ((1, 1), (33, 20), (64, 65)):
        features = judge(torch.rand(2, 4, height, width), torch.rand(2, 3, height, width))
        for scale, layers in enumerate(features):
            h, w = ((side + scale) // (scale + 1) for side in (height, width))
            for i, layer in enumerate(layers):
                h, w = (h // 2 + 1, w // 2 + 1) if i < 3 else (h + 1, w + 1)
                assert layer.shape == (2, (2, 4, 8, 16, 1)[i], h, w)


def test_what_cannot_be() -> None:
    with pytest.raises(InputError, match=r"expected 3 to 6 doublings .*, got 2"):
        SpadeGenerator(4, num_doublings=2)
    with pytest.raises(ShapeError, match=r"labels: expected \(N, 4, H, W\), got \(1, 3, 8, 8\)"):
        SpadeGenerator(4, 2, 4)(torch.rand(1, 3, 8, 8))
    with pytest.raises(ShapeError, match=r"picture: expected the size of the labels, \(8, 8\), got \(8, 9\)"):
        MultiscaleDiscriminator(4, 2)(torch.rand(1, 4, 8, 8), torch.rand(1, 3, 8, 9))
    with pytest.raises(InputError, match="got 0 channels"):
        MultiscaleDiscriminator(0)
    with pytest.raises(InputError, match="expected size_px to be a power of two of at least 8, got 48"):
        SpadeEncoder(size_px=48)


def test_spectral_norm_makes_the_largest_singular_value_1() -> None:
    judge, generator = MultiscaleDiscriminator(3, 2), SpadeGenerator(3, 2, 4, num_doublings=3)
    random = torch.Generator().manual_seed(0)
    labels, picture = torch.rand(1, 3, 16, 16, generator=random), torch.rand(1, 3, 16, 16, generator=random)
    known = [name for name in generator.state_dict() if name.endswith("._u")]
    assert len(known) == 7 * 2 + 4
    before = {name: generator.state_dict()[name].clone() for name in known}
    with torch.no_grad():
        judge(labels, picture)
        generator(labels)
    assert any(not torch.equal(value, generator.state_dict()[name]) for name, value in before.items())
    normed = 0
    for network in (judge, generator):
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d) and hasattr(module, "parametrizations"):
                with torch.no_grad():
                    for _ in range(300):  # each use in training is one step of the power iteration
                        used = module.weight
                module.eval()
                assert torch.allclose(module.weight, used)
                weight = module.weight.detach().double().flatten(1).numpy()
                largest = np.linalg.svd(weight, compute_uv=False)[0]
                assert abs(largest - 1) < 1e-3, name  # measured: below 1e-4
                normed += 1
    assert normed == 2 * 3 + 7 * 2 + 4
    before = {name: generator.state_dict()[name].clone() for name in known}
    generator.eval()(labels)
    assert all(torch.equal(value, generator.state_dict()[name]) for name, value in before.items())
    folded = generator.folded()
    assert not any("parametrizations" in key for key in folded.state_dict())
    with torch.no_grad():
        assert torch.equal(folded(labels), generator(labels))  # and the original still works
    assert any("parametrizations" in key for key in generator.state_dict())


def test_a_block_is_the_papers_formula() -> None:
    """y = conv(act(spade(x))) twice, beside a shortcut, by float64 numpy; labels by nearest neighbours."""
    generator = SpadeGenerator(3, 2, 5, num_doublings=3).eval()
    block = generator.blocks[3]
    random = np.random.default_rng(0)
    for parameter in block.parameters():
        parameter.data = torch.from_numpy(random.normal(0, 0.3, tuple(parameter.shape))).float()
    x = random.normal(0, 2, (2, 32, 6, 6))
    labels = np.eye(3)[random.integers(3, size=(2, 24, 24))].transpose(0, 3, 1, 2)
    small = np.stack([[labels[:, :, i * 4, j * 4] for j in range(6)] for i in range(6)]).transpose(2, 3, 0, 1)

    def plain(conv: nn.Module) -> tuple[np.ndarray, np.ndarray]:
        bias = np.zeros(conv.weight.shape[0]) if conv.bias is None else conv.bias.detach().double().numpy()
        return conv.weight.detach().double().numpy(), bias

    def convolved(conv: nn.Module, x: np.ndarray) -> np.ndarray:
        weight, bias = plain(conv)
        k = weight.shape[2]
        padded = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))
        return np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None]

    def normed(norm: nn.Module, x: np.ndarray) -> np.ndarray:
        mean, variance = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
        hidden = np.maximum(convolved(norm.mlp_shared[0], small), 0)
        scale, shift = convolved(norm.mlp_gamma, hidden), convolved(norm.mlp_beta, hidden)
        return (x - mean) / np.sqrt(variance + 1e-5) * (1 + scale) + shift

    def leaky(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, 0.2 * x)

    y = convolved(block.conv_0, leaky(normed(block.norm_0, x)))
    y = convolved(block.conv_1, leaky(normed(block.norm_1, y)))
    expected = convolved(block.conv_s, normed(block.norm_s, x)) + y
    with torch.no_grad():
        found = block(torch.from_numpy(x).float(), torch.from_numpy(labels).float())
    assert_close(found, expected, atol=1e-4 * np.abs(expected).max())  # of values of many units


# The authors' networks, as the paper and the names in their checkpoints describe them, on -1..1.


class PublishedSpade(nn.Module):
    def __init__(self, c: int, labels: int, hidden: int) -> None:
        super().__init__()
        self.param_free_norm = nn.BatchNorm2d(c, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(labels, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, c, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, c, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        hidden = self.mlp_shared(F.interpolate(labels, size=x.shape[2:], mode="nearest"))
        return self.param_free_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class PublishedBlock(nn.Module):
    def __init__(self, a: int, b: int, labels: int, hidden: int) -> None:
        super().__init__()
        middle = min(a, b)
        self.conv_0 = spectral_norm(nn.Conv2d(a, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, b, 3, padding=1))
        self.norm_0, self.norm_1 = PublishedSpade(a, labels, hidden), PublishedSpade(middle, labels, hidden)
        if a != b:
            self.conv_s = spectral_norm(nn.Conv2d(a, b, 1, bias=False))
            self.norm_s = PublishedSpade(a, labels, hidden)

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        shortcut = self.conv_s(self.norm_s(x, m)) if hasattr(self, "conv_s") else x
        y = self.conv_0(F.leaky_relu(self.norm_0(x, m), 0.2))
        return shortcut + self.conv_1(F.leaky_relu(self.norm_1(y, m), 0.2))


class PublishedGenerator(nn.Module):
    def __init__(self, n: int, labels: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.fc = nn.Linear(latent, 16 * n * 4) if latent else nn.Conv2d(labels, 16 * n, 3, padding=1)
        self.head_0, self.G_middle_0, self.G_middle_1 = (
            PublishedBlock(16 * n, 16 * n, labels, hidden) for _ in range(3)
        )
        self.up_0, self.up_1, self.up_2, self.up_3 = (
            PublishedBlock(2 * k * n, k * n, labels, hidden) for k in (8, 4, 2, 1)
        )
        self.conv_img = nn.Conv2d(n, 3, 3, padding=1)

    def forward(self, m: Tensor, z: Tensor | None = None) -> Tensor:
        up = nn.Upsample(scale_factor=2)
        x = self.fc(F.interpolate(m, size=(2, 2))) if z is None else self.fc(z).view(len(z), -1, 2, 2)
        x = self.G_middle_1(self.G_middle_0(up(self.head_0(x, m)), m), m)
        for block in (self.up_0, self.up_1, self.up_2, self.up_3):
            x = block(up(x), m)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))


class PublishedJudge(nn.Module):
    def __init__(self, labels: int, n: int) -> None:
        super().__init__()
        for scale in range(2):
            judge = nn.Module()
            judge.model0 = nn.Sequential(nn.Conv2d(labels + 3, n, 4, 2, 2), nn.LeakyReLU(0.2))
            for i, stride in ((1, 2), (2, 2), (3, 1)):
                layer = spectral_norm(nn.Conv2d(n * 2 ** (i - 1), n * 2**i, 4, stride, 2, bias=False))
                normed = nn.Sequential(layer, nn.InstanceNorm2d(n * 2**i))
                judge.add_module(f"model{i}", nn.Sequential(normed, nn.LeakyReLU(0.2)))
            judge.model4 = nn.Sequential(nn.Conv2d(8 * n, 1, 4, 1, 2))
            self.add_module(f"discriminator_{scale}", judge)

    def forward(self, x: Tensor) -> list[Tensor]:
        judged = []
        for judge in self.children():
            y = x
            for layer in judge.children():
                y = layer(y)
            judged.append(y)
            x = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
        return judged


class PublishedEncoder(nn.Module):
    def __init__(self, n: int, latent: int) -> None:
        super().__init__()
        c = [3, n, 2 * n, 4 * n, 8 * n, 8 * n, 8 * n]
        for i, (a, b) in enumerate(itertools.pairwise(c)):
            layer = spectral_norm(nn.Conv2d(a, b, 3, 2, 1, bias=False))
            self.add_module(f"layer{i + 1}", nn.Sequential(layer, nn.InstanceNorm2d(b)))
        self.fc_mu, self.fc_var = nn.Linear(128 * n, latent), nn.Linear(128 * n, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.interpolate(x, size=(256, 256), mode="bilinear")
        for i in range(6):
            x = F.leaky_relu(self.get_submodule(f"layer{i + 1}")(x), 0.2)
        return self.fc_mu(x.flatten(1)), self.fc_var(x.flatten(1))


def drawn(network: nn.Module) -> dict[str, Tensor]:
    """Random weights, and running statistics that are none of a new network; the state as it is saved."""
    random = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.rand(parameter.shape, generator=random) - 0.4
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand(buffer.shape, generator=random) + 0.5)
    network.train()
    return {f"module.{key}": value for key, value in network.state_dict().items()}


@pytest.mark.parametrize("latent", [0, 6])
def test_published_generators_give_the_published_pictures(latent: int) -> None:
    published = PublishedGenerator(2, 5, 6, latent)
    labels, z = torch.rand(2, 5, 64, 64), torch.randn(2, latent) if latent else None
    drawn(published)
    with torch.no_grad():
        published(labels, z)  # the power iteration goes on, and the statistics are those of a training
    state = {f"module.{key}": value for key, value in published.state_dict().items()}
    ours = SpadeGenerator(5, 2, 6, norm="batch", latent=latent, start_px=2).eval()
    ours.load_published(state)
    with torch.no_grad():
        theirs = published.eval().double()(labels.double(), None if z is None else z.double())
        assert_close(ours(labels, z), (theirs + 1) / 2, atol=1e-4)  # measured: 4e-6, of fifteen layers
    assert "head_0.norm_0.mlp_shared.0.weight" in published.state_dict()
    assert "up_0.conv_0.weight_u" in published.state_dict()
    with pytest.raises(InputError, match="expected a checkpoint of SpadeGenerator"):
        SpadeGenerator(5, 2, 6, latent=latent, start_px=2).load_published(state)  # has no batch norms


def test_published_judges_and_encoders() -> None:
    judge, encoder = PublishedJudge(4, 3), PublishedEncoder(2, 5)
    ours, reads = MultiscaleDiscriminator(4, 3).eval(), SpadeEncoder(5, 2).eval()
    ours.load_published(drawn(judge))
    reads.load_published(drawn(encoder))
    labels, picture = torch.rand(2, 4, 33, 40), torch.rand(2, 3, 33, 40)
    with torch.no_grad():
        theirs = judge.eval()(torch.cat([labels, 2 * picture - 1], dim=1))
        for found, expected in zip(ours(labels, picture), theirs, strict=True):
            assert_close(found[-1], expected, atol=1e-4 * float(expected.abs().max()))
        for found, expected in zip(reads(picture), encoder.eval()(2 * picture - 1), strict=True):
            assert_close(found, expected, atol=1e-4 * float(expected.abs().max()))
