"""The networks as their papers have them: layers, parameters, borders, norms by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.networks import NORMS, PADDINGS, JohnsonNetwork2016, NormConv2d, UlyanovNetwork, make_norm
from tests.tolerances import assert_close

MODES = {"reflect": "reflect", "replicate": "replicate", "zeros": "constant", "circular": "circular"}
Weights = dict[str, Tensor]


def random_weights(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights of unit size, so that no layer is hidden behind another; scales and shifts too."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / fan_in**0.5
    return network.double()


def plain_norm(x: Tensor, w: Weights, name: str, norm: str) -> Tensor:
    """Every norm by its formula: what the statistics run over is all that differs."""
    if norm == "none":
        return x
    n, c, h, width = x.shape
    groups = {"batch": x, "instance": x, "group": x.reshape(n, -1, min(c, 8), h, width)}[norm]
    dims = {"batch": (0, 2, 3), "instance": (2, 3), "group": (2, 3, 4)}[norm]
    mean = groups.mean(dims, keepdim=True)
    var = ((groups - mean) ** 2).mean(dims, keepdim=True)
    y = ((groups - mean) / (var + 1e-5).sqrt()).reshape(x.shape)
    return y * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def plain_conv(x: Tensor, w: Weights, name: str, padding: str, stride: int = 1) -> Tensor:
    weight = w[f"{name}.weight"]
    pad = weight.shape[2] // 2
    if padding != "valid" and pad:
        x = F.pad(x, (pad,) * 4, mode=MODES[padding])
    return F.conv2d(x, weight, w[f"{name}.bias"], stride=stride)


def plain_layer(x: Tensor, w: Weights, name: str, norm: str, padding: str, stride: int = 1) -> Tensor:
    return plain_norm(plain_conv(x, w, f"{name}.conv", padding, stride), w, f"{name}.norm", norm)


def plain_johnson(network: JohnsonNetwork2016, photo: Tensor, enlarge: str) -> Tensor:
    """The module's table, written out; sides are multiples of 4."""
    w, norm = dict(network.named_parameters()), network.norm
    edge, inside = ("zeros", "valid") if network.padding == "start" else (network.padding,) * 2
    x = 2 * photo - 1
    if network.padding == "start":
        pad = 8 * network.num_blocks
        x = torch.from_numpy(np.pad(x.numpy(), [(0, 0), (0, 0), (pad, pad), (pad, pad)], mode="reflect"))
    for i, stride in enumerate((1, 2, 2)):
        x = F.relu(plain_layer(x, w, f"down.{i}", norm, edge, stride))
    for i in range(network.num_blocks):
        y = F.relu(plain_layer(x, w, f"blocks.{i}.first", norm, inside))
        y = plain_layer(y, w, f"blocks.{i}.second", norm, inside)
        x = (x[..., 2:-2, 2:-2] if network.padding == "start" else x) + y
    for i in range(2):
        if enlarge == "transposed":
            weight, bias = w[f"up.{i}.conv.weight"], w[f"up.{i}.conv.bias"]
            x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        else:
            x = plain_conv(F.interpolate(x, scale_factor=2, mode="nearest"), w, f"up.{i}.conv", edge)
        x = F.relu(plain_norm(x, w, f"up.{i}.norm", norm))
    return 0.5 + 0.5 * torch.tanh(plain_conv(x, w, "last.conv", edge))


@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize(("padding", "enlarge"), [("start", "transposed"), ("zeros", "nearest")])
def test_johnson_is_the_table_of_its_docstring(norm: str, padding: str, enlarge: str) -> None:
    network = JohnsonNetwork2016(norm, 4, 2, padding, enlarge)
    random_weights(network)
    photo = torch.rand(2, 3, 24, 32, dtype=torch.float64)
    painted = network(photo)
    assert painted.shape == photo.shape
    assert_close(painted, plain_johnson(network, photo, enlarge))


def test_johnson_mirrors_a_picture_smaller_than_its_padding_again_and_again() -> None:
    network = JohnsonNetwork2016("instance", 2, 2)
    random_weights(network)
    photo = torch.rand(1, 3, 4, 12, dtype=torch.float64)
    assert_close(network(photo), plain_johnson(network, photo, "transposed"))


@pytest.mark.parametrize("padding", PADDINGS)
def test_johnson_pads_as_it_is_told(padding: str) -> None:
    network = JohnsonNetwork2016("instance", 2, 1, padding, "nearest")
    random_weights(network)
    photo = torch.rand(1, 3, 16, 20, dtype=torch.float64)
    assert_close(network(photo), plain_johnson(network, photo, "nearest"))


def plain_ulyanov(network: UlyanovNetwork, photo: Tensor | None, noise: Tensor) -> Tensor:
    """The module's drawing, written out; sides are multiples of the grid."""
    w, k, each = dict(network.named_parameters()), network.num_scales, network.noise_channels

    def block(x: Tensor, name: str) -> Tensor:
        for i in range(3):
            x = F.leaky_relu(plain_layer(x, w, f"{name}.{i}", network.norm, network.padding), 0.01)
        return x

    inputs = []
    for i in range(k):
        x = 2 * noise[:, i * each : (i + 1) * each, :: 2**i, :: 2**i] - 1
        if photo is not None:
            small = 2 * F.avg_pool2d(photo, 2**i) - 1
            x = torch.cat([small, x], dim=1)
        inputs.append(x)
    y = block(inputs[-1], "branches.0")
    for i in range(1, k):
        y = F.interpolate(y, scale_factor=2, mode="nearest")
        y = plain_norm(y, w, f"joined_norms.{i - 1}", network.norm)
        z = plain_norm(block(inputs[k - 1 - i], f"branches.{i}"), w, f"branch_norms.{i - 1}", network.norm)
        y = block(torch.cat([y, z], dim=1), f"joints.{i - 1}")
    return torch.sigmoid(F.conv2d(y, w["last.weight"], w["last.bias"]))


@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize("mode", ["style", "texture"])
def test_ulyanov_is_the_drawing_of_its_docstring(norm: str, mode: str) -> None:
    network = UlyanovNetwork(norm, 3, mode)
    random_weights(network)
    photo = torch.rand(2, 3, 16, 24, dtype=torch.float64) if mode == "style" else None
    noise = network.noise(2, 16, 24, torch.Generator().manual_seed(0)).double()
    assert_close(network(photo, noise), plain_ulyanov(network, photo, noise))


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
@pytest.mark.parametrize(("width", "count"), [(32, 1_679_235), (16, 424_899)])
def test_johnson_has_the_papers_number_of_parameters(norm: str, width: int, count: int) -> None:
    # 1,679,235 is what others count of the same layers; by hand, with biases, scales and shifts:
    c, convs = width, 3 * 81 * width + width
    convs += 9 * (c * 2 * c + 2 * c * 4 * c) * 2 + (2 * c + 4 * c) + (2 * c + c)  # down and up
    convs += 5 * 2 * (9 * (4 * c) ** 2 + 4 * c) + (c * 81 * 3 + 3)
    norms = 2 * (c + 2 * c + 4 * c + 10 * 4 * c + 2 * c + c)
    network = JohnsonNetwork2016(norm, width)
    assert sum(p.numel() for p in network.parameters()) == convs + norms == count


@pytest.mark.parametrize(("mode", "scales", "count"), [("texture", 5, 71_659), ("style", 6, 118_211)])
def test_ulyanov_has_the_number_of_parameters_of_its_drawing(mode: str, scales: int, count: int) -> None:
    def block(read: int, width: int) -> int:
        return 9 * read * width + 9 * width**2 + width**2 + 3 * width + 3 * 2 * width

    read, widths = 3 if mode == "texture" else 6, [8 * k for k in range(1, scales + 1)]
    expected = scales * block(read, 8) + sum(block(width, width) for width in widths[1:])
    expected += 2 * 8 * (scales - 1) + 2 * sum(widths[:-1]) + 3 * widths[-1] + 3
    network = UlyanovNetwork("batch", mode=mode)
    assert network.num_scales == scales
    assert sum(p.numel() for p in network.parameters()) == expected == count


@given(st.sampled_from(sorted(PADDINGS)), st.integers(2, 5), st.integers(2, 5))
def test_conv_on_doubled_pads_like_conv_on_the_doubled_picture(padding: str, height: int, width: int) -> None:
    layer = NormConv2d(2, 3, norm="none", padding=padding, enlarge="nearest", act=None).double()
    x = torch.rand(1, 2, height, width, dtype=torch.float64)
    doubled = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode=MODES[padding])
    assert_close(layer(x), F.conv2d(doubled, layer.conv.weight, layer.conv.bias))


@pytest.mark.parametrize("size", [(17, 21), (33, 18)], ids=str)
def test_any_size_in_the_same_size_out(size: tuple[int, int]) -> None:
    photo = torch.rand(2, 3, *size)
    assert JohnsonNetwork2016("group", 2, 2)(photo[..., :1, :3]).shape == (2, 3, 1, 3)
    noise = torch.rand(2, 9, *size)
    for painted in (JohnsonNetwork2016("instance", 4, 2)(photo), UlyanovNetwork("instance", 3)(photo, noise)):
        assert painted.shape == photo.shape
        assert torch.isfinite(painted).all()
        assert 0 <= painted.min() <= painted.max() <= 1
    assert UlyanovNetwork("instance", 3, noise_channels=0)(photo).shape == photo.shape


def test_noise_makes_another_texture_and_the_same_noise_the_same() -> None:
    network = UlyanovNetwork(mode="texture", num_scales=3)
    first, again, other = (
        network(None, network.noise(1, 16, 16, torch.Generator().manual_seed(seed))) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 1e-3
    assert network.noise(1, 16, 16, torch.Generator().manual_seed(0), scale=0.25).max() <= 0.25


def test_group_norm_takes_8_channels_a_group_or_what_divides_them() -> None:
    assert [make_norm("group", c).num_groups for c in (4, 8, 32, 12)] == [1, 1, 4, 3]


def test_what_cannot_be_built_or_painted_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown norm 'batchnorm': did you mean 'batch'"):
        JohnsonNetwork2016("batchnorm")
    with pytest.raises(UnknownNameError, match="unknown padding 'reflection'"):
        JohnsonNetwork2016(padding="reflection")
    with pytest.raises(UnknownNameError, match="unknown padding 'start'"):
        UlyanovNetwork(padding="start")
    with pytest.raises(UnknownNameError, match="unknown enlargement 'bilinear'"):
        JohnsonNetwork2016(enlarge="bilinear")
    with pytest.raises(UnknownNameError, match="unknown mode 'textures'"):
        UlyanovNetwork(mode="textures")
    with pytest.raises(UnknownNameError, match="unknown activation"):
        NormConv2d(1, 1, norm="none", act="elu")
    with pytest.raises(InputError, match="one channel of noise"):
        UlyanovNetwork(mode="texture", noise_channels=0)
    with pytest.raises(InputError, match="a width of at least 1"):
        JohnsonNetwork2016(width=0)
    with pytest.raises(InputError, match="kernel_size 3 and stride 1"):
        NormConv2d(1, 1, 5, norm="none", enlarge="nearest")
    with pytest.raises(InputError, match="keeps the size"):
        NormConv2d(1, 1, norm="none", padding="valid", enlarge="nearest")
    with pytest.raises(ShapeError, match="at least 5"):
        JohnsonNetwork2016(width=1, num_blocks=0, padding="reflect")(torch.rand(1, 3, 4, 40))
    photo = torch.rand(1, 3, 16, 16)
    network = UlyanovNetwork(num_scales=2, padding="reflect")
    with pytest.raises(ShapeError, match=r"noise: expected \(N, 6, H, W\), got None"):
        network(photo)
    with pytest.raises(ShapeError, match=r"noise: expected \(1, 6, 16, 16\), got \(1, 6, 8, 8\)"):
        network(photo, torch.rand(1, 6, 8, 8))
    with pytest.raises(ShapeError, match=r"photo: expected \(N, 3, H, W\) in mode 'style', got None"):
        network(None, torch.rand(1, 6, 8, 8))
    with pytest.raises(ShapeError, match="at least 3"):
        network(photo[..., :2], torch.rand(1, 6, 16, 2))
