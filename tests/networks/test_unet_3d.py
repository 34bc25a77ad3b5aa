"""nnU-Net's network: its size, any volume, and MONAI's DynUNet layer by layer."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.networks import UNet3d
from tests.requirements_met import need
from tests.tolerances import assert_close


def counted(num_classes: int, levels: int, width: int, channels: int) -> int:
    """Parameters, by the table of the paper's network."""
    c = [min(width * 2**level, 320) for level in range(levels)]
    down = sum(27 * a * b + 27 * b * b + 4 * b for a, b in zip([channels, *c], c, strict=False))
    lift = sum(8 * a * b + a for a, b in pairwise(c))
    up = sum(27 * (2 * a) * a + 27 * a * a + 4 * a for a in c[:-1])
    return down + lift + up + c[0] * num_classes + num_classes


@pytest.mark.parametrize("size", [(3, 6, 32, 1), (2, 3, 8, 4), (14, 4, 16, 1)])
@pytest.mark.parametrize("norm", ["instance", "group", "batch"])
def test_parameters_are_as_many_as_the_table_has(size: tuple[int, int, int, int], norm: str) -> None:
    num_classes, levels, width, channels = size
    with torch.device("meta"):
        network = UNet3d(num_classes, levels, width, channels, norm)
    assert sum(p.numel() for p in network.parameters()) == counted(*size)


@pytest.mark.parametrize("norm", ["instance", "group", "batch"])
@pytest.mark.parametrize("sides", [(1, 1, 1), (8, 8, 8), (5, 9, 18)])
def test_any_size(sides: tuple[int, int, int], norm: str) -> None:
    network = UNet3d(3, 3, 4, in_channels=2, norm=norm).eval()
    with torch.no_grad():
        logits = network(torch.randn(2, 2, *sides))
    assert logits.shape == (2, 3, *sides)
    assert logits.isfinite().all()


def test_sides_that_are_no_multiples_are_extended_by_the_edge() -> None:
    network, x = UNet3d(2, 3, 4).eval(), torch.randn(1, 1, 6, 8, 7)
    extended = torch.cat([x, x[..., -1:]], dim=4)
    extended = torch.cat([extended, extended[:, :, -1:], extended[:, :, -1:]], dim=2)
    with torch.no_grad():
        assert_close(network(x), network(extended)[:, :, :6, :, :7])


def test_instance_norm_lets_no_sample_see_another() -> None:
    x = torch.randn(2, 1, 8, 8, 8)
    other = torch.cat([x[:1], 100 * torch.randn(1, 1, 8, 8, 8)])
    with torch.no_grad():
        network = UNet3d(2, 2, 4)
        assert torch.equal(network(x)[0], network(other)[0])
        group = UNet3d(2, 2, 16, norm="group")
        assert torch.equal(group(x)[0], group(other)[0])
        assert [m.num_groups for m in group.modules() if isinstance(m, torch.nn.GroupNorm)][:2] == [2, 2]
        batch = UNet3d(2, 2, 4, norm="batch")
        assert (batch(x)[0] - batch(other)[0]).abs().max() > 1e-3


def dynunet(levels: int, width: int, norm: str, heads: int, *, bias: bool) -> nn.Module:
    strides = [1] + [2] * (levels - 1)
    networks = need("monai.networks.nets", "monai")
    torch.manual_seed(0)
    network = networks.DynUNet(
        3,
        2,
        3,
        [3] * levels,
        strides,
        strides[1:],
        filters=[width << level for level in range(levels)],
        norm_name=(norm, {"affine": True}),
        deep_supervision=heads > 1,
        deep_supr_num=max(1, heads - 1),
        trans_bias=bias,
    )
    generator = torch.Generator().manual_seed(1)
    for name, value in network.state_dict().items():  # norms and biases that are not 1 and 0
        if value.dim() == 1 and "num" not in name:
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return network


@pytest.mark.parametrize(
    ("levels", "norm", "heads", "bias"),
    [(4, "INSTANCE", 3, True), (3, "INSTANCE", 1, False), (3, "BATCH", 2, True)],
)
def test_dynunets_weights_give_dynunets_features_at_every_level(
    levels: int, norm: str, heads: int, bias: bool
) -> None:
    theirs = dynunet(levels, 4, norm, heads, bias=bias).eval()
    ours = UNet3d(3, levels, 4, in_channels=2, norm=norm.lower(), num_heads=heads).eval()
    ours.load_monai(theirs.state_dict())
    seen: dict[str, Tensor] = {}
    watched = {f"down{i}": each for i, each in enumerate([theirs.input_block, *theirs.downsamples])}
    watched["bottom"] = theirs.bottleneck
    watched |= {f"up{levels - 2 - i}": each for i, each in enumerate(theirs.upsamples)}
    for name, layer in watched.items():
        layer.register_forward_hook(lambda *args, name=name: seen.update({name: args[-1].clone()}))
    x = torch.randn(2, 2, 16, 24, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = theirs(x)
        down = x
        for level, block in enumerate(ours.down):
            down = block(down)
            assert_close(
                down, seen["bottom" if level == levels - 1 else f"down{level}"], atol=5e-5, rtol=1e-5
            )
        features = ours.features(x)
        for level in range(levels - 1):
            # measured: 1e-5, of up to 18 layers in float32
            assert_close(features[level], seen[f"up{level}"], atol=1e-4, rtol=1e-4)
        assert_close(ours(x), expected, atol=1e-4, rtol=1e-4)
        logits = ours.supervised(x)
        assert len(logits) == heads
        for level in range(1, heads):
            head = theirs.deep_supervision_heads[level - 1]
            assert_close(logits[level], head(seen[f"up{level}"]), atol=1e-4, rtol=1e-4)


def test_a_dynunet_of_another_kind() -> None:
    state = dynunet(3, 4, "INSTANCE", 1, bias=True).state_dict()
    with pytest.raises(
        InputError, match=r"expected a DynUNet with .* \(8,.*got \(4,.*build the network with"
    ):
        UNet3d(3, 3, 8, in_channels=2).load_monai(state)
    with pytest.raises(InputError, match="got none"):
        UNet3d(3, 4, 4, in_channels=2).load_monai(state)


def test_networks_that_cannot_be() -> None:
    with pytest.raises(UnknownNameError, match="unknown norm 'grup'"):
        UNet3d(2, 3, 4, norm="grup")
    with pytest.raises(InputError, match="at least 2 levels"):
        UNet3d(2, 1)
    with pytest.raises(InputError, match="num_heads: expected 1 to 2, got 3"):
        UNet3d(2, 3, 4, num_heads=3)
    with pytest.raises(ShapeError, match=r"expected \(N, 1, D, H, W\), got \(1, 2, 8, 8, 8\)"):
        UNet3d(2, 2, 4)(torch.rand(1, 2, 8, 8, 8))
