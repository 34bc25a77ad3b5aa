"""What engineers bring along: lazy layers, masks, other keys and arguments, group norms."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import stylenorm.nn as sn
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.functional import adaptive_instance_norm, norm_preset
from tests import reference as ref
from tests.requirements_met import need
from tests.tolerances import assert_close


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_lazy_layers_become_ours_and_are_as_torchs(rank: int) -> None:
    x = torch.randn(2, 4, *(5,) * rank)
    mine, theirs = (getattr(m, f"LazyInstanceNorm{rank}d")() for m in (sn, nn))
    assert_close(mine(x), theirs(x).detach(), atol=2e-6)
    assert type(mine) is getattr(sn, f"InstanceNorm{rank}d")
    assert repr(mine) == repr(theirs)
    assert int(mine.num_batches_tracked) == 1
    assert_close(mine.running_var, theirs.running_var)
    loaded = getattr(sn, f"LazyInstanceNorm{rank}d")()
    loaded.load_state_dict(mine.state_dict())
    assert_close(loaded.eval()(x), mine.eval()(x).detach())


def test_modules_take_a_mask() -> None:
    x = torch.randn(2, 3, 10)
    mask = torch.ones(2, 1, 10)
    mask[0, :, 6:] = 0
    for norm, act in ((sn.InstanceNorm1d(3, affine=True), None), (sn.InstanceNormAct1d(3), "relu")):
        y = norm(x.where(mask > 0, torch.tensor(float("nan"))), mask=mask)
        assert_close(y[0, :, :6], ref.instance_norm(x[:1, :, :6], act=act)[0])
        assert_close(y[1], ref.instance_norm(x[1:], act=act)[0])
        assert_close(norm(x[0], mask=mask[0])[:, :6], ref.instance_norm(x[:1, :, :6], act=act)[0])


def test_keys_and_shapes_of_tutorials_load() -> None:
    gamma, beta, tau = (torch.rand(1, 4, 1, 1) for _ in range(3))
    net = nn.Sequential(sn.InstanceNorm2d(4, affine=True))
    net.load_state_dict({"0.gamma": gamma, "0.beta": beta})
    assert torch.equal(net[0].weight, gamma.flatten())
    assert torch.equal(net[0].bias, beta.flatten())
    frn = sn.FilterResponseNorm2d(4)
    frn.load_state_dict({"gamma": gamma, "beta": beta, "tau": tau})
    assert torch.equal(frn.threshold, tau.flatten())
    unit = sn.ThresholdedLinearUnit(4)
    unit.load_state_dict({"tau": tau})
    assert torch.equal(unit.threshold, tau.flatten())
    with pytest.raises(RuntimeError, match=r"Unexpected key.*gamma"):
        sn.InstanceNorm2d(4).load_state_dict({"gamma": gamma})
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        sn.InstanceNorm2d(4, affine=True).load_state_dict({"gamma": gamma[:, :3], "beta": beta})


def test_timms_own_layer_loads_and_agrees() -> None:
    layers = need("timm.layers", "timm")
    theirs = layers.FilterResponseNormTlu2d(4)
    for p in theirs.parameters():
        nn.init.uniform_(p)
    mine = sn.FilterResponseNorm2d(4, eps=1e-5)
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 4, 5, 6)
    assert_close(mine(x), theirs(x).detach(), atol=1e-5)


def test_adain_as_tutorials_write_it() -> None:
    content, style = torch.randn(2, 3, 6, 5), torch.randn(2, 3, 4, 4) * 2 + 1

    def tutorial(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        mean, std = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True) + 1e-5
        return (y.std((2, 3), keepdim=True) + 1e-5) * (x - mean) / std + y.mean((2, 3), keepdim=True)

    options = {k: v for k, v in norm_preset("adain-tutorials").items() if k != "scale_offset"}
    assert_close(adaptive_instance_norm(content, style, **options), tutorial(content, style), atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_a_stylegan_block_of_two_linear_layers(bias: bool) -> None:
    scale, shift = (nn.Linear(6, 4, bias=bias) for _ in range(2))
    layer = sn.AdaptiveInstanceNorm2d.from_linear(scale, shift)
    x, w = torch.randn(3, 4, 5, 5), torch.randn(3, 6)
    expected = scale(w)[:, :, None, None] * nn.functional.instance_norm(x) + shift(w)[:, :, None, None]
    assert_close(layer(x, w), expected.detach(), atol=1e-5)
    with pytest.raises(ShapeError, match="shift: expected a layer like scale"):
        sn.AdaptiveInstanceNorm2d.from_linear(scale, nn.Linear(6, 5))


def test_activations_as_timms_layers_take_them() -> None:
    x = torch.randn(2, 4, 5, 5)
    norm = sn.InstanceNormAct2d(4, act_layer=nn.LeakyReLU, act_kwargs={"negative_slope": 0.3})
    assert_close(norm(x), ref.instance_norm(x, act="leaky_relu", slope=0.3))
    assert_close(sn.InstanceNormAct2d(4, apply_act=False)(x), ref.instance_norm(x))
    assert sn.InstanceNormAct2d(4, act_layer=nn.PReLU, act_kwargs={"num_parameters": 4}).act_weight.shape == (
        4,
    )
    with pytest.raises(UnknownNameError, match="act_layer 'Tanh'"):
        sn.InstanceNormAct2d(4, act_layer=nn.Tanh)
    with pytest.raises(InputError, match=r"act_kwargs: expected .*got slope"):
        sn.InstanceNormAct2d(4, act_layer=nn.LeakyReLU, act_kwargs={"slope": 0.3})


def test_group_norm_of_one_channel_a_group_is_converted() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(4, 4), nn.ReLU(), nn.GroupNorm(2, 4))
    x = torch.randn(2, 3, 8, 8)
    for p in model[1].parameters():
        nn.init.uniform_(p)
    before = copy.deepcopy(model)
    report = sn.convert(model)
    assert [c.name for c in report.changed] == ["1"]
    assert "in one call with 2 (ReLU)" in report.changed[0].after
    assert list(model.state_dict()) == list(before.state_dict())
    grads = [torch.autograd.grad(m(x).square().sum(), list(m.parameters())) for m in (model, before)]
    assert_close(model(x), before(x).detach(), atol=1e-5)
    for a, b in zip(*grads, strict=True):
        assert_close(a, b, atol=1e-5 * float(b.abs().max()) + 1e-4)
    assert_close(model[1](x[:, :1].expand(2, 4, 8, 8)[:, :, 0, 0]), before[1](torch.ones(2, 4)).detach())
    assert sn.revert(model) == 1
    assert type(model[1]) is nn.GroupNorm
    assert torch.equal(model(x), before(x))
