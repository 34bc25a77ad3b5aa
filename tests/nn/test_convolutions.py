"""``convert(model, engine="winograd")``: whole networks agree with what they were, forth and back."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import stylenorm.nn as sn
from stylenorm.errors import InputError
from stylenorm.kernels import c_norm
from stylenorm.nn import convolutions
from tests.tolerances import assert_close

if not c_norm.has_conv():
    pytest.skip("no C kernels with convolutions here", allow_module_level=True)


class Residual(nn.Module):
    """A block whose own forward adds."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(16, 16, 3), nn.InstanceNorm2d(16), nn.SiLU()),
            *(
                nn.Conv2d(16, 16, 3, padding="same", padding_mode="reflect"),
                nn.InstanceNorm2d(16, affine=True),
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


def pictures() -> nn.Sequential:
    """Smooth activations: where a kink is crossed, gradients jump and say nothing about errors."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.InstanceNorm2d(16), nn.SiLU(), Residual()),
        *(nn.ZeroPad2d(1), nn.Conv2d(16, 24, 3, bias=False), nn.InstanceNorm2d(24), nn.SiLU()),
        *(nn.Conv2d(24, 24, 3, stride=2, padding=1), nn.ConvTranspose2d(24, 16, 2, 2)),
        *(nn.ReflectionPad2d(2), nn.Conv2d(16, 8, 3), nn.Conv2d(8, 3, 1)),
    )


def volumes() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv3d(1, 8, 3, padding=1), nn.InstanceNorm3d(8), nn.SiLU()),
        *(nn.Conv3d(8, 16, 3, padding=1), nn.InstanceNorm3d(16), nn.SiLU()),
        *(nn.Conv3d(16, 16, (1, 3, 3), padding=(0, 1, 1)), nn.InstanceNorm3d(16), nn.SiLU()),
        *(nn.Conv3d(16, 8, 3), nn.Conv3d(8, 2, 1)),
    )


NETWORKS = {"pictures": (pictures, (2, 3, 12, 14)), "volumes": (volumes, (1, 1, 5, 8, 10))}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("last", [False, True])
def test_whole_networks(name: str, last: bool) -> None:
    build, shape = NETWORKS[name]
    plain, x = build(), torch.randn(shape, generator=torch.Generator().manual_seed(1))
    model = copy.deepcopy(plain)
    if last:
        model.to(memory_format=torch.channels_last if x.dim() == 4 else torch.channels_last_3d)
    report = sn.convert(model, engine="winograd")
    assert sum("Winograd" in change.after for change in report.changed) == {"pictures": 4, "volumes": 3}[name]
    exact, double = copy.deepcopy(plain).double(), x.double()
    with torch.no_grad():
        assert_close(model.eval()(x), exact.eval()(double), atol=1e-4)
    model.train()(x).square().sum().backward()
    exact.train()(double).square().sum().backward()
    largest = max(float(p.grad.abs().max()) for p in exact.parameters())
    for found, right in zip(model.parameters(), exact.parameters(), strict=True):
        assert_close(found.grad, right.grad, rtol=1e-3, atol=2e-5 * largest)
    assert list(model.state_dict()) == list(plain.state_dict())
    assert sn.revert(model)
    assert [type(m) for m in model.modules()] == [type(m) for m in plain.modules()]
    with torch.no_grad():
        assert_close(model(x), plain(x), atol=1e-5)


def test_paddings_go_into_the_convolution_without_a_gradient(monkeypatch) -> None:
    model, x = pictures(), torch.randn(1, 3, 12, 14)
    sn.convert(model, engine="winograd")
    calls: list[tuple[tuple[int, ...], bool]] = []
    run = convolutions._Winograd.run

    def noted(self, x: Tensor, padding: tuple[int, ...], *, reflect: bool) -> Tensor:
        calls.append((padding, reflect))
        return run(self, x, padding, reflect=reflect)

    monkeypatch.setattr(convolutions._Winograd, "run", noted)
    with torch.no_grad():
        model(x)
    assert calls == [((1, 1), True), ((1, 1), True), ((1, 1), False), ((0, 0), False)]
    calls.clear()
    model(x)
    assert calls == [((0, 0), False), ((1, 1), True), ((1, 1), False), ((0, 0), False)]
    seen: list[torch.Size] = []
    model[3].block[0].register_forward_hook(lambda *args: seen.append(args[-1].shape))
    with torch.no_grad():
        model(x)
    assert seen == [(1, 16, 14, 16)]


def test_what_stays_and_why() -> None:
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3))
    old = nn.Conv2d(8, 8, 3)
    old.forward = lambda x: x
    model = nn.Sequential(
        *(conv, old, nn.Conv2d(8, 8, 5), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(6, 8, 3)),
        *(
            nn.Conv2d(8, 8, 3, padding=2),
            nn.Conv2d(8, 8, 3, padding_mode="circular"),
            nn.Conv2d(8, 8, 3).double(),
        ),
    )
    report = sn.convert(model, engine="winograd")
    assert not report.changed
    reasons = [item.reason for item in report.left]
    for word in ("replaced", "5 x 5", "groups", "6 to 8", "padding", "padding", "float64"):
        assert any(word in reason for reason in reasons), word
    assert len(reasons) == len(model) - 1  # what is parametrized is no class of torch's any more
    with pytest.raises(InputError, match="winograd"):
        sn.convert(model, engine="fast")


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_copies_pickles_graphs_and_scripts() -> None:
    model, x = pictures().eval(), torch.randn(1, 3, 12, 14)
    with torch.no_grad():
        expected = model(x)
    sn.convert(model, engine="winograd", check=(x,))
    torch.set_grad_enabled(False)
    try:
        assert_close(model(x), expected, atol=1e-5)
        assert "_stylenorm_packed" in model[5].__dict__
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
            assert type(other[5]) is convolutions.WinogradConv2d
            assert "_stylenorm_packed" not in other[5].__dict__
            assert torch.equal(other(x), model(x))
        traced = torch.fx.symbolic_trace(model)
        assert "5" in {node.target for node in traced.graph.nodes}
        assert_close(traced(x), expected, atol=1e-5)
        assert_close(torch.jit.script(nn.Sequential(model[5]))(torch.ones(1, 16, 8, 8)),
                     model[5](torch.ones(1, 16, 8, 8)), atol=1e-5)  # fmt: skip
        exported = torch.export.export(model, (x,)).module()
        assert_close(exported(x), expected, atol=1e-5)
        assert_close(model(x[0]), expected[0], atol=1e-5)
    finally:
        torch.set_grad_enabled(True)


def test_metadata_of_subclasses_stays() -> None:
    monai = pytest.importorskip("monai.data")
    model = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.InstanceNorm2d(8), nn.ReLU())
    x = monai.MetaTensor(torch.randn(1, 8, 12, 12), meta={"name": "scan"})
    expected = model(x)
    sn.convert(model, engine="winograd")
    y = model(x)
    assert y.meta["name"] == "scan"
    assert_close(y.as_tensor(), expected.as_tensor(), atol=1e-5)
    assert y.is_contiguous(memory_format=torch.channels_last)  # what the kernels give, and torch would not
