"""InstanceNorm1d/2d/3d as drop-in replacements: torch's behaviour, checkpoints and module samples."""

from __future__ import annotations

import copy
import itertools
import warnings

import pytest
import torch

import stylenorm.nn as sn
from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import norm_preset
from tests.functional.test_others_tests import documented, opinfo
from tests.requirements_met import need
from tests.tolerances import assert_close

PAIRS = [(getattr(sn, f"InstanceNorm{r}d"), getattr(torch.nn, f"InstanceNorm{r}d"), r) for r in (1, 2, 3)]
SHAPES = {1: (2, 4, 9), 2: (2, 4, 6, 5), 3: (2, 4, 4, 3, 5)}


@pytest.mark.parametrize(("mine", "theirs", "rank"), PAIRS)
def test_is_a_subclass_with_the_same_face(mine, theirs, rank: int) -> None:
    for arguments in ((4,), (4, 1e-3, 0.2, True, True), (4, 1e-5, None, True)):
        a, b = mine(*arguments), theirs(*arguments)
        assert isinstance(a, theirs)
        assert repr(a) == repr(b)
        assert list(a.state_dict()) == list(b.state_dict())
        assert a.state_dict()._metadata == b.state_dict()._metadata
        b.load_state_dict(a.state_dict())
        a.load_state_dict(b.state_dict())
    assert mine.__name__ == theirs.__name__  # weight initializers look at the name


@pytest.mark.parametrize(("mine", "theirs", "rank"), PAIRS)
@pytest.mark.parametrize(("affine", "track"), list(itertools.product((False, True), repeat=2)))
def test_trains_as_torch(mine, theirs, rank: int, affine: bool, track: bool) -> None:
    torch.manual_seed(0)
    a, b = (c(4, 1e-4, 0.3, affine, track) for c in (mine, theirs))
    for step in range(3):
        x = torch.randn(SHAPES[rank]) * 3 + step
        xa, xb = x.clone().requires_grad_(), x.clone().requires_grad_()
        ya, yb = a(xa), b(xb)
        assert_close(ya, yb.detach())
        ya.square().mean().backward()
        yb.square().mean().backward()
        assert_close(xa.grad, xb.grad, atol=1e-6)
    for name, value in b.state_dict().items():
        if name != "num_batches_tracked":
            assert_close(a.state_dict()[name], value)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert_close(p.grad, q.grad)
    assert_close(a.eval()(x), b.eval()(x).detach())
    assert_close(a(x[0]), b(x[0]).detach())  # without a batch


def test_counts_batches_and_averages_them() -> None:
    """What torch documents for momentum=None and does not do."""
    norm = sn.InstanceNorm1d(2, momentum=None, track_running_stats=True)
    xs = [torch.randn(3, 2, 8) + i for i in range(4)]
    for x in xs:
        norm(x)
    assert int(norm.num_batches_tracked) == 4
    assert_close(norm.running_mean, torch.stack(xs).mean((0, 1, 3)), atol=1e-6)


def test_wrong_numbers_of_channels() -> None:
    x = torch.rand(2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"input: expected 4 channels at dim 1, got 3"):
        sn.InstanceNorm2d(4, affine=True)(x)
    with pytest.warns(UserWarning, match=r"expected 4 channels"):  # as torch
        assert_close(sn.InstanceNorm2d(4)(x), torch.nn.functional.instance_norm(x))
    with pytest.raises(ShapeError, match=r"expected 4 dimensions, or 3 without a batch, got \(2, 3\)"):
        sn.InstanceNorm2d(3)(torch.rand(2, 3))
    for bad in (0, -1, 2.5, "4", True):
        with pytest.raises(InputError, match="num_features: expected an integer >= 1"):
            sn.InstanceNorm2d(bad)


def test_checkpoints_from_before_0_4_load() -> None:
    """Then, running statistics were saved though never used; and no version was."""
    old = {"0.weight": torch.rand(4), "0.bias": torch.rand(4), "0.running_mean": torch.rand(4),
           "0.running_var": torch.rand(4)}  # fmt: skip
    model = torch.nn.Sequential(sn.InstanceNorm2d(4, affine=True))
    with pytest.warns(UserWarning, match=r"0\.running_mean, 0\.running_var: left out"):
        model.load_state_dict(dict(old))
    assert torch.equal(model[0].weight, old["0.weight"])
    tracked = torch.nn.Sequential(sn.InstanceNorm2d(4, affine=True, track_running_stats=True))
    tracked.load_state_dict(dict(old))
    assert torch.equal(tracked[0].running_var, old["0.running_var"])
    with pytest.raises(RuntimeError):  # torch's own module refuses
        torch.nn.Sequential(torch.nn.InstanceNorm2d(4, affine=True)).load_state_dict(dict(old))
    current = torch.nn.InstanceNorm2d(4, affine=True, track_running_stats=True).state_dict()
    with pytest.raises(
        RuntimeError, match="running_mean"
    ):  # a new checkpoint with other arguments is a mistake
        sn.InstanceNorm2d(4, affine=True).load_state_dict(current)


def test_switches_show_and_presets_build() -> None:
    norm = sn.InstanceNorm2d(4, affine=True, **norm_preset("keras-contrib"))
    assert "eps=0.001" in repr(norm)
    assert "eps_mode='outside'" in repr(norm)
    x = torch.randn(2, 4, 5, 5)
    var = x.var((2, 3), keepdim=True, correction=0)
    assert_close(norm(x), ((x - x.mean((2, 3), keepdim=True)) / (var.sqrt() + 1e-3)))
    one_plus = sn.InstanceNorm2d(4, affine=True, **norm_preset("stylegan"))
    assert not one_plus.weight.any()


def test_residual_is_added_before_the_activation() -> None:
    x, r = torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    norm = sn.InstanceNormAct2d(4, act="leaky_relu", negative_slope=0.1)
    expected = torch.nn.functional.leaky_relu(torch.nn.functional.instance_norm(x) + r, 0.1)
    assert_close(norm(x, r), expected)
    assert_close(norm(x[0], r[0]), expected[0])


def test_clip_gate_and_reference_names() -> None:
    norm = sn.BatchInstanceNorm2d(3)
    with torch.no_grad():
        norm.gate.copy_(torch.tensor([-1.0, 0.5, 2.0]))
    norm.clip_gate()
    assert norm.gate.tolist() == [0.0, 0.5, 1.0]
    assert {"IN.weight", "BN.running_mean"} <= set(sn.IBN(4).state_dict())
    keys = {"mlp_shared.0.weight", "mlp_gamma.bias", "mlp_beta.weight"}
    assert keys <= set(sn.SPADE2d(4, 3).state_dict())
    for norm_name in ("batch", "sync-batch"):
        spade = sn.SPADE2d(4, 3, norm=norm_name).eval()
        assert "param_free_norm.running_mean" in spade.state_dict()
        x, labels = torch.randn(2, 4, 6, 6), torch.randn(2, 3, 3, 3)
        wide = torch.nn.functional.interpolate(labels, size=(6, 6))
        hidden = spade.mlp_shared(wide)
        expected = x / (1 + 1e-5) ** 0.5 * (1 + spade.mlp_gamma(hidden)) + spade.mlp_beta(hidden)
        assert_close(spade(x, labels), expected.detach())


def module_samples(name: str) -> list:
    opinfo()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_modules import module_db
    (info,) = [m for m in module_db if m.name == name]
    found = []
    for training in (True, False):
        torch.manual_seed(0)
        samples = info.module_inputs_func(info, "cpu", torch.float32, True, training)
        found += [(training, sample) for sample in samples]
    return found


def run_module_samples(name: str, memory_format: bool) -> int:
    """torch's ModuleInfo: ours against torch's, values, gradients and, unlike upstream, memory format."""
    samples = module_samples(name)
    rank = int(name[-2])
    for training, sample in samples:
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        mine, theirs = (
            getattr(n, name.split(".")[-1])(*args, **kwargs).train(training) for n in (sn, torch.nn)
        )
        x = sample.forward_input.args[0].detach()
        if memory_format:
            if rank == 1 or x.dim() != rank + 2:
                continue
            x = x.contiguous(memory_format=torch.channels_last if rank == 2 else torch.channels_last_3d)
        xa, xb = x.clone().requires_grad_(), x.clone().requires_grad_()
        ya, yb = mine(xa), theirs(xb)
        assert_close(ya, yb.detach())
        g = torch.empty_like(ya).copy_(torch.randn(ya.shape, generator=torch.Generator().manual_seed(1)))
        ga, gb = torch.autograd.grad(ya, xa, g)[0], torch.autograd.grad(yb, xb, g)[0]
        assert_close(ga, gb, atol=1e-5)
        if memory_format:
            assert ya.stride() == x.stride()
            assert ga.stride() == x.stride()
    return len(samples)


@pytest.mark.parametrize("memory_format", [False, True], ids=["values", "memory-format"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_torch_module_samples(rank: int, memory_format: bool) -> None:
    count = run_module_samples(f"nn.InstanceNorm{rank}d", memory_format)
    if not memory_format:
        assert documented()[f"torch ModuleInfo, InstanceNorm{rank}d"] == count


def test_torch_group_norm_module_samples() -> None:
    """GroupNorm as instance norm of its groups."""
    samples = module_samples("nn.GroupNorm")
    for training, sample in samples:
        norm = torch.nn.GroupNorm(*sample.constructor_input.args, **sample.constructor_input.kwargs).train(
            training
        )
        x = sample.forward_input.args[0].detach()
        length = x[0].numel() // norm.num_groups if len(x) else 1
        plain = sn.InstanceNorm1d(norm.num_groups, eps=norm.eps)
        y = plain(x.reshape(len(x), norm.num_groups, length)).reshape(x.shape)
        if norm.affine:
            shape = (1, -1, *(1,) * (x.dim() - 2))
            bias = 0 if norm.bias is None else norm.bias.reshape(shape)
            y = y * norm.weight.reshape(shape) + bias
        assert_close(y, norm(x).detach())
    assert documented()["torch ModuleInfo, GroupNorm"] == len(samples)


DROP_IN = list(itertools.product((1e-5, 1e-3), (0.1, 0.3), (False, True), ("contiguous", "channels_last_3d")))


@pytest.mark.parametrize(("eps", "momentum", "affine", "layout"), DROP_IN)
def test_monai_drop_in_acceptance(eps: float, momentum: float, affine: bool, layout: str) -> None:
    """What MONAI asked of its ``instance_nvfuser``: swap the state, compare, over all of these."""
    nets = need("monai.networks.nets", "monai")
    assert sn.register_monai() == sn.register_monai() == "INSTANCE_FAST"
    torch.manual_seed(0)
    kwargs = {"eps": eps, "momentum": momentum, "affine": affine}
    build = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "kernel_size": (3, 3, 3),
             "strides": (1, 2, 2),
             "upsample_kernel_size": (2, 2), "filters": (4, 8, 8)}  # fmt: skip
    theirs = nets.DynUNet(**build, norm_name=("instance", kwargs))
    mine = nets.DynUNet(**build, norm_name=("instance_fast", kwargs))
    mine.load_state_dict(theirs.state_dict())
    assert any(type(m) is sn.InstanceNorm3d for m in mine.modules())
    x = torch.randn(1, 1, 16, 16, 16)
    if layout == "channels_last_3d":
        mine = mine.to(memory_format=torch.channels_last_3d)
        x = x.contiguous(memory_format=torch.channels_last_3d)
    for training in (True, False):
        # Measured 3e-6: convolutions of another layout sum in another order.
        assert_close(mine.train(training)(x), theirs.train(training)(x).detach(), atol=3e-5, rtol=1e-4)


def test_monai_factory_entry() -> None:
    factories = need("monai.networks.layers.factories", "monai")
    sn.register_monai()
    assert factories.Norm["instance_fast", 3] is sn.InstanceNorm3d
    layers = need("monai.networks.layers.utils", "monai")
    norm = layers.get_norm_layer(("instance_fast", {"affine": True}), spatial_dims=2, channels=5)
    assert repr(norm).startswith("InstanceNorm2d(5, eps=1e-05, momentum=0.1, affine=True")


def test_statistics_without_their_version_are_refused_as_torch_refuses() -> None:
    """safetensors and plain dicts lose the version; the counter of batches tells them from old files."""
    for theirs in (torch.nn.InstanceNorm2d, sn.InstanceNorm2d):
        plain = dict(theirs(4, affine=True, track_running_stats=True).state_dict())
        with pytest.raises(RuntimeError, match="running_mean"):
            sn.InstanceNorm2d(4, affine=True).load_state_dict(plain)
        sn.InstanceNorm2d(4, affine=True, track_running_stats=True).load_state_dict(plain)


def test_an_empty_batch_is_not_counted() -> None:
    norm = sn.InstanceNorm2d(1, track_running_stats=True, momentum=None)
    x = torch.randn(2, 1, 8, 8) + 5
    norm(torch.zeros(0, 1, 4, 4))
    norm(x)
    assert int(norm.num_batches_tracked) == 1
    assert_close(norm.running_mean, x.mean((0, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_ibn_under_vmap_and_with_timms_arguments(training: bool) -> None:
    layer = sn.IBN(8, device="cpu", dtype=torch.float64).train(training)
    assert {p.dtype for p in layer.parameters()} == {torch.float64}
    x = torch.randn(3, 2, 8, 4, 4, dtype=torch.float64)
    if not training:
        assert_close(torch.func.vmap(layer)(x), torch.stack([layer(v) for v in x]).detach())
    assert sn.IBN(8, device="meta").IN.weight.is_meta


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_spade_keeps_the_type_of_the_features(norm: str, dtype: torch.dtype) -> None:
    layer = sn.SPADE2d(4, 3, hidden=4, norm=norm).eval()
    x, labels = torch.randn(1, 4, 4, 4), torch.randn(1, 3, 4, 4)
    y = layer(x.to(dtype), labels)
    assert y.dtype == dtype
    assert_close(y, layer(x.to(dtype).float(), labels).detach(), atol=0.05)


@pytest.mark.parametrize("where", ["torch", "ours"])
def test_running_statistics_of_a_functional_call_under_grad(where: str) -> None:
    """torch's batch norm writes to captured statistics inside of ``torch.func.grad``; so does ours."""
    kind = sn.InstanceNorm2d if where == "ours" else torch.nn.InstanceNorm2d
    norm, x = kind(4, affine=True, track_running_stats=True), torch.randn(2, 4, 5, 5)
    parameters = dict(norm.named_parameters())
    grads = torch.func.grad(lambda p: torch.func.functional_call(norm, p, (x,)).square().sum())(parameters)
    assert_close(norm.running_mean, 0.1 * x.mean((0, 2, 3)), atol=1e-6)
    leaf = {k: v.detach().clone().requires_grad_() for k, v in parameters.items()}
    y = torch.nn.functional.instance_norm(x, weight=leaf["weight"], bias=leaf["bias"]).square().sum()
    for name, g in zip(leaf, torch.autograd.grad(y, list(leaf.values())), strict=True):
        assert_close(grads[name], g, atol=1e-4)


def test_per_sample_gradients_by_expanded_weights() -> None:
    from torch.nn.utils._per_sample_grad import call_for_per_sample_grads

    torch.manual_seed(0)
    x, found = torch.randn(2, 3, 4, 4), {}
    for kind in (torch.nn.InstanceNorm2d, sn.InstanceNorm2d):
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), kind(4, affine=True))
        for p in model.parameters():
            torch.nn.init.constant_(p, 0.3)
        call_for_per_sample_grads(model)(x).square().sum().backward()
        found[kind] = model[1].weight.grad_sample
    assert found[sn.InstanceNorm2d].shape == (2, 4)
    assert torch.equal(*found.values())


def test_compile_of_all_sizes_in_one_graph() -> None:
    torch._dynamo.reset()
    for norm in (
        sn.InstanceNorm2d(3, affine=True),
        sn.InstanceNormAct2d(3, act="leaky_relu"),
        sn.IBN(3).eval(),
    ):
        compiled = torch.compile(norm, dynamic=True, fullgraph=True, backend="eager")
        for size in (5, 8):
            x = torch.randn(2, 3, size, size + 1)
            assert_close(compiled(x), norm(x).detach())


def test_export_of_training_with_running_statistics_and_any_height() -> None:
    norm = sn.InstanceNorm2d(3, track_running_stats=True)
    x = torch.randn(2, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        shapes = ({2: torch.export.Dim("h", min=4, max=64)},)
        program = torch.export.export(copy.deepcopy(norm), (x,), dynamic_shapes=shapes)
    other = torch.randn(2, 3, 13, 8)
    module = program.module()
    assert_close(module(other), norm(other))
    assert_close(dict(module.named_buffers())["running_mean"], norm.running_mean)
    assert_close(dict(module.named_buffers())["running_var"], norm.running_var)
