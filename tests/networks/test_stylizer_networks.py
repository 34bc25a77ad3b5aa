"""The two stylizer families: layers, parameters, the identity, any size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stylenorm.errors import ShapeError, UnknownNameError
from stylenorm.networks import NetworkConfig, StylizerNetwork, build_network
from stylenorm.networks.stylizer import conv2d_on_doubled
from tests.tolerances import assert_close

SMALL = [NetworkConfig("quarter", 8, 2), NetworkConfig("johnson", 4, 2)]


def network_and_style(config: NetworkConfig, seed: int = 0) -> tuple[StylizerNetwork, Tensor]:
    torch.manual_seed(seed)
    network = build_network(config).double().eval()
    style = torch.randn(network.style_length, dtype=torch.float64)
    style[-1] = 0.0
    return network, style


def plain_norm(x: Tensor, style: list[Tensor]) -> Tensor:
    gamma, beta = style.pop(0), style.pop(0)
    mean = x.mean(dim=(2, 3), keepdim=True)
    var = x.var(dim=(2, 3), keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(var + 1e-5) * gamma[None, :, None, None] + beta[None, :, None, None]


def plain_conv(x: Tensor, weight: Tensor, stride: int = 1, pad: int | None = None) -> Tensor:
    pad = weight.shape[2] // 2 if pad is None else pad
    return F.conv2d(F.pad(x, (pad,) * 4, mode="replicate"), weight, stride=stride)


def plain_quarter(network: StylizerNetwork, x: Tensor, style: list[Tensor]) -> Tensor:
    """The module's table, written out with torch's own layers."""
    weights = dict(network.named_parameters())
    x = F.relu(plain_norm(plain_conv(x, weights["stem.weight"], 4, 4), style))
    for i in range(network.config.num_blocks):
        y = F.relu(plain_norm(plain_conv(x, weights[f"blocks.{i}.first.weight"]), style))
        x = x + plain_norm(plain_conv(y, weights[f"blocks.{i}.second.weight"]), style)
    x = F.pixel_shuffle(plain_conv(x, weights["head.weight"]), 2)
    x = F.interpolate(F.relu(plain_norm(x, style)), scale_factor=2, mode="nearest")
    return torch.sigmoid(plain_conv(x, weights["last_weight"]) + weights["last_bias"][:, None, None])


def plain_johnson(network: StylizerNetwork, x: Tensor, style: list[Tensor]) -> Tensor:
    weights = dict(network.named_parameters())
    x = F.relu(plain_norm(plain_conv(x, weights["down.0.weight"]), style))
    x = F.relu(plain_norm(plain_conv(x, weights["down.1.weight"], 2), style))
    x = F.relu(plain_norm(plain_conv(x, weights["down.2.weight"], 2), style))
    for i in range(network.config.num_blocks):
        y = F.relu(plain_norm(plain_conv(x, weights[f"blocks.{i}.first.weight"]), style))
        x = x + plain_norm(plain_conv(y, weights[f"blocks.{i}.second.weight"]), style)
    for i in range(2):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.relu(plain_norm(plain_conv(x, weights[f"up.{i}.weight"]), style))
    return torch.sigmoid(plain_conv(x, weights["last.weight"]) + weights["last.bias"][:, None, None])


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c.family)
def test_network_is_the_table_of_its_docstring(config: NetworkConfig) -> None:
    network, style = network_and_style(config)
    photo = torch.rand(2, 3, 24, 32, dtype=torch.float64)
    plain = plain_quarter if config.family == "quarter" else plain_johnson
    sizes = [size for c in network.norm_sizes for size in (c, c)]
    assert_close(network(photo, style), plain(network, photo, list(torch.split(style[:-1], sizes))))


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (NetworkConfig("johnson", 16, 5), 0.42),
        (NetworkConfig("johnson", 32, 5), 1.68),
        (NetworkConfig("quarter", 48, 5), 0.26),
    ],
    ids=str,
)
def test_parameter_counts(config: NetworkConfig, millions: float) -> None:
    network = build_network(config)
    count = sum(p.numel() for p in network.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.025)  # ours have no biases before norms


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c.family)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (4, 8), (17, 31)], ids=str)
def test_any_size_in_the_same_size_out(config: NetworkConfig, size: tuple[int, int]) -> None:
    network, style = network_and_style(config)
    photo = torch.rand(2, 3, *size, dtype=torch.float64)
    painted = network(photo, style)
    assert painted.shape == photo.shape
    assert torch.isfinite(painted).all()
    assert 0 <= painted.min() <= painted.max() <= 1


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c.family)
def test_an_open_gate_returns_the_photo_exactly(config: NetworkConfig) -> None:
    network, style = network_and_style(config)
    network, style = network.float(), style.float()
    style[-1] = 1.0
    photo = torch.rand(1, 3, 18, 22)
    torch.testing.assert_close(network(photo, style), photo, rtol=0, atol=6e-8)  # one rounding of a + (b - a)


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c.family)
def test_a_batch_paints_each_photo_in_its_own_style(config: NetworkConfig) -> None:
    network, style = network_and_style(config)
    styles = torch.stack([style, style.flip(0)])
    styles[:, -1] = torch.tensor([0.0, 0.5], dtype=torch.float64)
    photos = torch.rand(2, 3, 16, 20, dtype=torch.float64)
    together = network(photos, styles)
    for i in range(2):
        assert_close(together[i : i + 1], network(photos[i : i + 1], styles[i]))


def test_wrong_style_length_is_named() -> None:
    network, style = network_and_style(SMALL[0])
    with pytest.raises(ShapeError, match=r"style: expected \(N, \d+\)"):
        network(torch.rand(1, 3, 8, 8, dtype=torch.float64), style[:-1])


def test_unknown_family() -> None:
    with pytest.raises(UnknownNameError, match="johnson, quarter"):
        build_network(NetworkConfig("jonson"))


def test_initial_style_damps_the_ends_of_blocks() -> None:
    network = build_network(NetworkConfig("quarter", 3, 2))
    gammas_and_betas = network.initial_style()[:-1].split([3, 3] * 5 + [1, 1])
    gammas = [g.unique().item() for g in gammas_and_betas[0::2]]
    assert gammas == pytest.approx([1, 1, 0.2, 1, 0.2, 1])
    assert all(not beta.any() for beta in gammas_and_betas[1::2])
    assert network.initial_style()[-1] == 0


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3))
def test_conv_on_doubled_is_enlarge_then_convolve(height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(5, 3, 3, 3, generator=generator, dtype=torch.float64)
    bias = torch.randn(5, generator=generator, dtype=torch.float64)
    doubled = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="replicate")
    assert_close(conv2d_on_doubled(x, weight, bias), F.conv2d(doubled, weight, bias))
