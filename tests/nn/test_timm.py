"""timm's contract of norm layers, from the installed timm: its factories, its blocks, a model of it."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

import stylenorm.nn as sn
from tests.requirements_met import need
from tests.tolerances import assert_close

layers = need("timm.layers", "timm")


def with_act(channels: int, **options: Any) -> nn.Module:
    """A function: timm asks those that it does not know for nothing, so the activation is bound to it."""
    return sn.InstanceNormAct2d(channels, affine=True, **options)


def test_its_factory_of_norms_hands_ours_out() -> None:
    norm = layers.get_norm_layer(partial(sn.InstanceNorm2d, affine=True))(
        8, device="meta", dtype=torch.float64
    )
    assert type(norm) is sn.InstanceNorm2d
    assert (norm.weight.device.type, norm.weight.dtype) == ("meta", torch.float64)


@pytest.mark.parametrize("act", [nn.ReLU, nn.SiLU, partial(nn.LeakyReLU, negative_slope=0.2)])
def test_its_block_of_convolution_norm_and_activation(act: Any) -> None:
    torch.manual_seed(0)
    bound = partial(with_act, act_layer=getattr(act, "func", act))
    block = layers.ConvNormAct(3, 8, 3, norm_layer=bound, act_kwargs=getattr(act, "keywords", None))
    x = torch.randn(2, 3, 9, 9)
    y = nn.functional.instance_norm(block.conv(x), weight=block.bn.weight, bias=block.bn.bias)
    assert_close(block(x), act()(y).detach(), atol=1e-5)
    linear = layers.ConvNormAct(3, 8, 3, norm_layer=with_act, apply_act=False)
    assert bool((linear(x) < 0).any())


def test_its_group_norm_of_one_channel_a_group_is_ours() -> None:
    theirs = layers.GroupNormAct(6, num_groups=6, act_layer=nn.SiLU)
    for p in theirs.parameters():
        nn.init.uniform_(p)
    mine = sn.InstanceNormAct2d(6, affine=True, act_layer=nn.SiLU)
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 6, 7, 5)
    assert_close(mine(x), theirs(x).detach(), atol=1e-5)


def test_a_model_of_it() -> None:
    """A ResNet with our norm has torch's keys and results; converted, its blocks are fused."""
    resnet = need("timm.models.resnet", "timm")

    def build(kind: Any) -> nn.Module:
        torch.manual_seed(0)
        return resnet.ResNet(
            resnet.BasicBlock, (1, 1, 1, 1), channels=(16, 16, 32, 32), num_classes=4, stem_width=16,
            norm_layer=partial(kind, affine=True),
        ).eval()  # fmt: skip

    theirs, mine = build(nn.InstanceNorm2d), build(sn.InstanceNorm2d)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 128, 128)  # less would end in planes of one element
    expected = theirs(x).detach()
    assert_close(mine(x), expected, atol=1e-4)
    names = [f"layer{i}.0" for i in (1, 2, 3, 4)]
    for engine in (None, "winograd"):
        model = copy.deepcopy(theirs)
        report = sn.convert(model, engine=engine, check=(x,))
        assert [c.name for c in report.changed if c.before == "BasicBlock"] == names
        assert_close(model(x), expected, atol=1e-4)
