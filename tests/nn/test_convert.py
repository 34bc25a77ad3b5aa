"""convert and revert on real networks and on the layer orders of those that are no package."""
# ruff: noqa: E501 - layer orders read better in long lines

from __future__ import annotations

import copy
import functools
import pickle
from collections import OrderedDict

import pytest
import torch
from torch import nn

import stylenorm.nn as sn
from stylenorm.errors import InputError, StylenormError
from tests.requirements_met import need
from tests.tolerances import assert_close


def same_results(model: nn.Module, *inputs: torch.Tensor, fused: int | None = None, plain: int | None = None):
    """Convert; compare outputs, gradients and keys with a copy, in float64; revert and compare bit by bit.

    In float32 the gradients of a convolution's bias before a norm, which are zero, would be compared as noise.
    """
    torch.manual_seed(0)
    model.double()
    inputs = tuple(x.double() for x in inputs)
    with torch.no_grad():
        for name, p in model.named_parameters():  # scales of one and shifts of zero hide mistakes
            if p.dim() == 1:
                p.add_(torch.randn(p.shape) * 0.1)
            assert name
    before = copy.deepcopy(model)
    keys = list(model.state_dict())
    identities = {n: id(p) for n, p in model.named_parameters()}
    report = sn.convert(model)
    assert list(model.state_dict()) == keys
    assert {n: id(p) for n, p in model.named_parameters()} == identities
    blocks = [c for c in report.changed if "addition in one call" in c.after]
    taken = [c for c in report.changed if "in one call with" in c.after]
    if fused is not None:
        assert len(taken) == fused, str(report)
    if plain is not None:
        assert len(report.changed) - len(taken) - len(blocks) == plain, str(report)

    def run(m: nn.Module):
        torch.manual_seed(1)  # dropout
        m.zero_grad()
        leaves = [x.clone().requires_grad_() for x in inputs]
        y = m(*leaves)
        y = y[0] if isinstance(y, (list, tuple)) else y
        g = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
        grads = torch.autograd.grad(y, [*leaves, *m.parameters()], g, allow_unused=True)
        return y.detach(), grads

    for training in (True, False):
        (y, grads), (z, others) = run(model.train(training)), run(before.train(training))
        assert_close(y, z, rtol=1e-7, atol=1e-7)
        for a, b in zip(grads, others, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert_close(a, b, rtol=1e-6, atol=1e-6 * (float(b.abs().max()) + 1))
    twin = copy.deepcopy(model)
    assert torch.equal(twin.eval()(*inputs)[0], model.eval()(*inputs)[0])
    sn.revert(model)
    assert repr(model) == repr(before)
    assert torch.equal(model.eval()(*inputs)[0], before.eval()(*inputs)[0])
    assert list(model.state_dict()) == keys
    return report


@pytest.mark.parametrize(
    "act", [nn.ReLU(), nn.ReLU(inplace=True), nn.LeakyReLU(0.2), nn.LeakyReLU(0.1, inplace=True), nn.PReLU(),
            nn.PReLU(4), nn.SiLU(), nn.GELU(), nn.ELU(0.5)], ids=str,
)  # fmt: skip
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pairs_in_a_sequential(act: nn.Module, rank: int) -> None:
    conv, norm = getattr(nn, f"Conv{rank}d"), getattr(nn, f"InstanceNorm{rank}d")
    model = nn.Sequential(conv(2, 4, 3), norm(4, affine=True, eps=1e-3), copy.deepcopy(act), conv(4, 2, 1))
    report = same_results(model, torch.randn(2, 2, *(7,) * rank), fused=1, plain=0)
    assert report.changed[0].name == "1"
    sn.convert(model)
    assert type(model[2]) is type(act)
    assert type(model[1]) is getattr(sn, f"InstanceNorm{rank}d")
    assert len(model) == 4
    loaded = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
    x = torch.randn(1, 2, *(7,) * rank).double()
    assert torch.equal(loaded(x), model(x))


def test_prelu_slopes_are_still_learned_and_shared_copies_follow() -> None:
    model = nn.Sequential(nn.InstanceNorm2d(3, affine=True), nn.PReLU())
    sn.convert(model)
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight"]
    model(torch.randn(2, 3, 4, 4)).sum().backward()
    assert model[1].weight.grad is not None
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin[1].weight.fill_(0.9)
    x = torch.randn(1, 3, 4, 4)
    assert not torch.allclose(twin(x), model(x))
    model.double()
    assert sn.revert(model) == 1
    assert model[1].weight.dtype == torch.float64


def test_what_is_left_is_said() -> None:
    class Own(nn.InstanceNorm2d):
        def forward(self, x):
            return super().forward(x) + 1

    class Calls(nn.Sequential):
        def forward(self, x):
            return self[1](self[0](x)) * 2

    hooked = nn.InstanceNorm2d(4)
    seen = []
    hooked.register_forward_hook(lambda _m, _i, o: seen.append(o.min().item()))
    shared = nn.InstanceNorm2d(4)
    model = nn.Sequential(
        OrderedDict(
            own=nn.Sequential(Own(4), nn.ReLU()),
            calls=Calls(nn.InstanceNorm2d(4), nn.ReLU()),
            hooked=nn.Sequential(hooked, nn.ReLU()),
            first=nn.Sequential(shared, nn.ReLU()),
            second=nn.Sequential(shared, nn.SiLU()),
            gelu=nn.Sequential(nn.InstanceNorm2d(4), nn.GELU(approximate="tanh")),
            dropped=nn.Sequential(nn.InstanceNorm2d(4), nn.Dropout(0.5), nn.ReLU()),
            undropped=nn.Sequential(nn.InstanceNorm2d(4), nn.Dropout(0.0), nn.Identity(), nn.ReLU()),
        )
    )
    report = same_results(model, torch.randn(2, 4, 6, 6), fused=2, plain=4)
    assert min(seen) < 0  # the hook still sees what the norm gives, not what the activation makes of it
    reasons = {item.name: item.reason for item in report.left}
    assert "subclass" in reasons["own.0"]
    assert "hooks" in reasons["hooked.1"]
    assert "approximated" in reasons["gelu.1"]
    text = str(report)
    assert (
        "changed undropped.0: InstanceNorm2d -> stylenorm InstanceNorm2d, in one call with 3 (ReLU)" in text
    )
    assert str(sn.convert(nn.Linear(1, 1))) == "no instance norm found that is not converted yet"
    lazy = sn.convert(nn.Sequential(nn.LazyInstanceNorm2d()))
    assert "lazy" in lazy.left[0].reason


def test_converting_twice_and_a_lone_norm() -> None:
    norm = nn.InstanceNorm2d(4, affine=True)
    assert len(sn.convert(norm).changed) == 1
    assert type(norm) is sn.InstanceNorm2d
    assert sn.convert(norm).changed == ()
    assert sn.revert(norm) == 1
    assert type(norm) is nn.InstanceNorm2d
    ours = nn.Sequential(sn.InstanceNorm2d(4))
    sn.convert(ours)
    assert sn.revert(ours) == 0
    assert type(ours[0]) is sn.InstanceNorm2d
    with pytest.raises(InputError, match=r"model: expected a torch\.nn\.Module, got list"):
        sn.convert([norm])


def test_check_reverts_what_differs() -> None:
    model = nn.Sequential(nn.InstanceNorm2d(3), nn.ReLU())
    x = torch.randn(1, 3, 8, 8) + 1e5  # torch itself is off here
    assert sn.convert(model, check=(torch.randn(1, 3, 8, 8),)).changed
    sn.revert(model)
    with pytest.raises(StylenormError, match=r"differs by .* it was reverted"):
        sn.convert(model, check=(x,), tolerance=1e-7)
    assert type(model[0]) is nn.InstanceNorm2d
    assert model.training


# --- real networks -----------------------------------------------------------------------------------------


def test_monai_networks() -> None:
    nets = need("monai.networks.nets", "monai")
    x = torch.randn(1, 1, 32, 32)
    # UNet: PReLU by default, order NDA.
    unet = nets.UNet(2, 1, 2, (4, 8, 8), (2, 2), num_res_units=1)
    same_results(unet, x, fused=6, plain=0)
    dropped = nets.UNet(2, 1, 2, (4, 8), (2,), num_res_units=1, dropout=0.2)
    same_results(dropped, x, fused=0)  # training; in evaluation the dropout between does nothing
    basic = nets.BasicUNet(2, 1, 2, (4, 4, 8, 8, 8, 4))  # affine, LeakyReLU 0.1
    same_results(basic, x, fused=18, plain=0)
    seg = nets.SegResNet(2, init_filters=4, in_channels=1, out_channels=2, norm="instance", blocks_down=(1, 1),
                         blocks_up=(1,))  # fmt: skip
    report = same_results(seg, x, fused=1, plain=6)
    assert sum("in one call each" in c.after for c in report.changed) == 3
    for block in (False, True):
        dyn = nets.DynUNet(2, 1, 2, (3, 3, 3), (1, 2, 2), (2, 2), filters=(4, 8, 8), res_block=block)
        report = same_results(dyn, x)
        assert sum("in one call each" in c.after for c in report.changed) == 5
        assert not report.left
        sn.convert(dyn)
        y = dyn.eval()(x.double())
        assert torch.equal(pickle.loads(pickle.dumps(dyn))(x.double()), y)  # noqa: S301 - our own bytes
        sn.revert(dyn)
        dyn.input_block.lrelu.register_forward_hook(lambda _m, _i, o: o * 2)
        assert "hooks" in same_results(dyn, x).left[0].reason


def test_monai_adn_orders() -> None:
    blocks = need("monai.networks.blocks", "monai")
    x = torch.randn(2, 4, 8, 8)
    for order, fused in (("NDA", 1), ("NA", 1), ("AN", 0), ("DNA", 1), ("N", 0)):
        adn = blocks.ADN(order, 4, act="PRELU", norm="INSTANCE", norm_dim=2)
        same_results(nn.Sequential(nn.Conv2d(4, 4, 1), adn), x, fused=fused, plain=1 - fused)


@pytest.mark.parametrize("nonlin_first", [False, True])
def test_nnunets_networks(nonlin_first: bool) -> None:
    unet = need("dynamic_network_architectures.architectures.unet", "dynamic-network-architectures")
    common = {
        "input_channels": 1, "n_stages": 3, "features_per_stage": (4, 8, 8), "conv_op": nn.Conv2d, "kernel_sizes": 3,
        "strides": (1, 2, 2), "num_classes": 2, "conv_bias": True, "norm_op": nn.InstanceNorm2d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "nonlin": nn.LeakyReLU, "nonlin_kwargs": {"inplace": True},
    }  # fmt: skip
    x = torch.randn(1, 1, 32, 32)
    plain = unet.PlainConvUNet(
        **common, n_conv_per_stage=2, n_conv_per_stage_decoder=1, nonlin_first=nonlin_first
    )
    if not nonlin_first:
        assert any(".all_modules.1." in k for k in plain.state_dict())
    same_results(plain, x, fused=0 if nonlin_first else 8)
    if not nonlin_first:
        residual = unet.ResidualEncoderUNet(**common, n_blocks_per_stage=2, n_conv_per_stage_decoder=1)
        report = same_results(residual, x)
        assert sum("in one call each" in c.after for c in report.changed) == 6
    direct = unet.PlainConvUNet(
        **{**common, "norm_op": sn.InstanceNorm2d}, n_conv_per_stage=2, n_conv_per_stage_decoder=1,
        nonlin_first=nonlin_first,
    )  # fmt: skip
    direct.double().load_state_dict(plain.state_dict())
    x = x.double()
    assert_close(direct.eval()(x), plain.eval()(x).detach(), rtol=1e-7, atol=1e-7)


# --- layer orders written out ------------------------------------------------------------------------------

plain_norm = functools.partial(nn.InstanceNorm2d, affine=False, track_running_stats=False)


class ResnetBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3), plain_norm(dim), nn.ReLU(True), nn.Dropout(0.5),
            nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3), plain_norm(dim),
        )  # fmt: skip

    def forward(self, x):
        return x + self.conv_block(x)


def test_cyclegan_generator() -> None:
    model = nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, 4, 7), plain_norm(4), nn.ReLU(True),
        nn.Conv2d(4, 8, 3, 2, 1), plain_norm(8), nn.ReLU(True), ResnetBlock(8), ResnetBlock(8),
        nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), plain_norm(4), nn.ReLU(True), nn.ReflectionPad2d(3),
        nn.Conv2d(4, 3, 7), nn.Tanh(),
    )  # fmt: skip
    same_results(model, torch.randn(1, 3, 24, 24), fused=5, plain=2)


class UnetSkip(nn.Module):
    """pix2pix: the in-place activation of the inner block also changes what the skip carries."""

    def __init__(self, outer: int, inner: int, sub: nn.Module | None, *, outermost: bool = False) -> None:
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(3 if outermost else outer, inner, 4, 2, 1)
        up_in = inner * 2 if sub else inner
        up = nn.ConvTranspose2d(up_in, outer, 4, 2, 1)
        if outermost:
            layers = [down, sub, nn.ReLU(True), up, nn.Tanh()]
        elif sub is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, plain_norm(outer)]
        else:
            layers = [nn.LeakyReLU(0.2, True), down, plain_norm(inner), sub, nn.ReLU(True), up, plain_norm(outer),
                      nn.Dropout(0.5)]  # fmt: skip
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


def test_pix2pix_generator() -> None:
    inner = UnetSkip(8, 8, None)
    model = UnetSkip(3, 4, UnetSkip(4, 8, UnetSkip(8, 8, inner)), outermost=True)
    report = same_results(model, torch.randn(1, 3, 32, 32), fused=0, plain=5)
    assert not report.left


class StarGanBlock(nn.Module):
    """StarGAN v2: one activation object, given as a default, called before the norms' convolutions."""

    def __init__(self, dim: int, actv: nn.Module) -> None:
        super().__init__()
        self.actv = actv
        self.conv1, self.conv2 = nn.Conv2d(dim, dim, 3, 1, 1), nn.Conv2d(dim, dim, 3, 1, 1)
        self.norm1, self.norm2 = (nn.InstanceNorm2d(dim, affine=True) for _ in range(2))

    def forward(self, x):
        y = self.conv1(self.actv(self.norm1(x)))
        return (x + self.conv2(self.actv(self.norm2(y)))) / 2**0.5


def test_stargan_v2_shared_activation() -> None:
    actv = nn.LeakyReLU(0.2)
    to_rgb = nn.Sequential(nn.InstanceNorm2d(4, affine=True), actv, nn.Conv2d(4, 3, 1))
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), StarGanBlock(4, actv), StarGanBlock(4, actv), to_rgb)
    same_results(model, torch.randn(2, 3, 16, 16), fused=1, plain=4)
    sn.convert(model)
    assert model[1].actv is actv  # shared, and still an activation for the others
    assert model[3][1] is actv


class MunitBlock(nn.Module):
    """MUNIT: pad, conv, norm, activation as attributes, some of them None."""

    def __init__(self, cin: int, cout: int, activation: str) -> None:
        super().__init__()
        self.pad, self.conv = nn.ReflectionPad2d(1), nn.Conv2d(cin, cout, 3)
        self.norm = nn.InstanceNorm2d(cout)
        self.activation = nn.ReLU(inplace=True) if activation == "relu" else None

    def forward(self, x):
        x = self.norm(self.conv(self.pad(x)))
        return self.activation(x) if self.activation else x


def test_munit_encoder() -> None:
    model = nn.Sequential(MunitBlock(3, 4, "relu"), MunitBlock(4, 4, "none"), MunitBlock(4, 4, "relu"))
    same_results(model, torch.randn(1, 3, 16, 16), fused=0, plain=3)


# --- what is done to a converted model afterwards ----------------------------------------------------------


def small() -> tuple[nn.Sequential, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ReLU())
    return model, torch.randn(2, 3, 8, 8)


def test_parts_of_a_converted_model_are_what_they_were() -> None:
    model, x = small()
    features = [model[: i + 1](x) for i in range(3)]
    sn.convert(model)
    for i, expected in enumerate(features):
        assert_close(model[: i + 1](x), expected.detach(), atol=1e-5)
    seen = []
    handle = model[1].register_forward_hook(lambda _m, _i, o: seen.append(o))
    assert_close(model(x), features[2].detach(), atol=1e-5)
    assert_close(seen[0], features[1].detach(), atol=1e-5)  # what the norm gives, not what ReLU makes of it
    handle.remove()
    hook = nn.modules.module.register_module_forward_hook(lambda m, _i, o: seen.append((type(m), o)))
    try:
        model(x)
    finally:
        hook.remove()
    assert [t for t, _ in seen[1:]] == [nn.Conv2d, sn.InstanceNorm2d, nn.ReLU, type(model)]
    model[2] = nn.LeakyReLU(0.2)
    assert_close(model(x), nn.functional.leaky_relu(features[1], 0.2).detach(), atol=1e-5)
    model.insert(2, nn.Hardtanh(-0.5, 0.5))
    assert_close(model(x), nn.functional.leaky_relu(features[1].clamp(-0.5, 0.5), 0.2).detach(), atol=1e-5)


def test_what_a_convolution_gave_is_overwritten_only_where_nobody_sees_it() -> None:
    model, x = small()
    sn.convert(model)
    kept = []
    handle = model[0].register_forward_hook(lambda _m, _i, o: kept.append(o))
    with torch.no_grad():
        expected = torch.relu(
            nn.functional.instance_norm(model[0](x), weight=model[1].weight, bias=model[1].bias)
        )
        before = kept[0].clone()
        assert_close(model(x), expected, atol=1e-5)
    assert torch.equal(kept[1], before)
    handle.remove()
    y = torch.randn(2, 4, 8, 8)
    copy_of_y = y.clone()
    with torch.no_grad():
        model[1:](y)  # what comes in from outside is never overwritten
        assert torch.equal(y, copy_of_y)
        given = []
        model[0].forward = lambda _x: given.append(y) or y  # a part that gives what it keeps
        model(x)
    assert torch.equal(y, copy_of_y)


def test_networks_built_with_our_norms_are_fused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), sn.InstanceNorm2d(4), nn.LeakyReLU())
    x = torch.randn(2, 3, 8, 8)
    expected = model(x)
    report = sn.convert(model)
    assert [c.after for c in report.changed] == ["stylenorm InstanceNorm2d, in one call with 2 (LeakyReLU)"]
    assert_close(model(x), expected.detach(), atol=1e-6)
    assert type(model) is not nn.Sequential
    sn.revert(model)
    assert type(model) is nn.Sequential
    assert type(model[1]) is sn.InstanceNorm2d
    twice = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.LeakyReLU())
    sn.convert(twice, fuse=False)
    assert "in one call with 2" in str(sn.convert(twice))


def test_monai_and_nnunet_built_with_our_norm() -> None:
    nets = need("monai.networks.nets", "monai")
    name = sn.register_monai()
    x = torch.randn(1, 1, 32, 32)
    for norm in ("instance", name):
        dyn = nets.DynUNet(2, 1, 2, (3, 3, 3), (1, 2, 2), (2, 2), filters=(4, 8, 8), norm_name=norm)
        report = sn.convert(dyn)
        assert sum("in one call each" in c.after for c in report.changed) == 5, str(report)
        unet = nets.UNet(2, 1, 2, (4, 8, 8), (2, 2), num_res_units=1, norm=norm)
        report = sn.convert(unet)
        assert sum("in one call with" in c.after for c in report.changed) == 6, str(report)
        assert unet(x).shape == (1, 2, 32, 32)


def test_a_parametrization_between_convert_and_revert() -> None:
    model, x = small()
    sn.convert(model)
    nn.utils.parametrize.register_parametrization(model[1], "weight", nn.Softplus())
    expected = model(x).detach()
    sn.revert(model)
    assert isinstance(model[1], nn.InstanceNorm2d)
    assert not isinstance(model[1], sn.InstanceNorm2d)
    assert_close(model(x), expected, atol=1e-5)
    assert nn.utils.parametrize.is_parametrized(model[1], "weight")
    nn.utils.parametrize.remove_parametrizations(model[1], "weight")
    assert_close(model(x), expected, atol=1e-5)


# --- tracers, TorchScript, quantization --------------------------------------------------------------------


def test_symbolic_tracing_takes_a_norm_as_a_leaf() -> None:
    model, x = small()
    sn.convert(model)
    graph = torch.fx.symbolic_trace(model)
    assert [n.target for n in graph.graph.nodes if n.op == "call_module"] == ["0", "1", "2"]
    assert_close(graph(x), model(x).detach(), atol=1e-6)
    layers = nn.Sequential(sn.IBN(4), sn.FilterResponseNorm2d(4), sn.InstanceNormAct2d(4), sn.PixelNorm())
    graph = torch.fx.symbolic_trace(layers)
    assert [n.target for n in graph.graph.nodes if n.op == "call_module"] == ["0", "1", "2", "3"]
    y = torch.randn(2, 4, 5, 5)
    assert_close(graph.eval()(y), layers.eval()(y).detach())


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("act", [nn.ReLU(), nn.LeakyReLU(0.2), nn.PReLU(4)], ids=str)
def test_torchscript_of_a_converted_model(act: nn.Module, tmp_path) -> None:
    model, x = small()
    model[2] = act
    sn.convert(model)
    y = model.eval()(x).detach()
    scripted = torch.jit.script(model)
    torch.jit.save(scripted, tmp_path / "model.pt")
    assert_close(torch.jit.load(tmp_path / "model.pt")(x), y, atol=1e-5)
    assert_close(model(x), y, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize(
    "norm",
    [
        sn.InstanceNormAct2d(4, affine=True, act="silu"),
        sn.InstanceNormAct2d(4, affine=True, act="prelu", num_parameters=4),
        sn.InstanceNorm2d(4, affine=True, eps_mode="outside", correction=1),
        sn.InstanceNorm2d(4, affine=True, scale_offset=1.0),
        sn.InstanceNormAct2d(4, affine=True, act="elu", track_running_stats=True),
    ],
    ids=str,
)
def test_torchscript_of_our_layers(norm: nn.Module) -> None:
    x, r = torch.randn(2, 4, 6, 5), torch.randn(2, 4, 6, 5)
    for training in (True, False):
        norm.train(training)
        scripted = torch.jit.script(copy.deepcopy(norm))
        assert_close(scripted(x), norm(x).detach(), atol=1e-5)
        assert_close(scripted(x[0], r[0]), norm(x[0], r[0]).detach(), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_of_what_it_cannot_have_is_one_line() -> None:
    with pytest.raises(InputError, match=r"torch\.jit\.script: expected .*got IBN; use torch\.export"):
        torch.jit.script(sn.IBN(4))


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # of torch's quantization about itself
def test_eager_quantization_says_what_to_do() -> None:
    quantization = torch.ao.quantization
    model, x = small()
    sn.convert(model.eval())
    wrapped = nn.Sequential(quantization.QuantStub(), model, quantization.DeQuantStub()).eval()
    wrapped.qconfig = quantization.get_default_qconfig("fbgemm")
    prepared = quantization.prepare(wrapped)
    prepared(x)
    with pytest.raises(InputError, match=r"input: expected a floating tensor, got torch\.quint8; .*revert"):
        quantization.convert(prepared)(x)
    sn.revert(model)
    prepared = quantization.prepare(wrapped)
    prepared(x)
    assert quantization.convert(prepared)(x).shape == (2, 4, 6, 6)
