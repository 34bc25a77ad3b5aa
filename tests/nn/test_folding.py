"""fold_norms against the same network, not folded, in float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import stylenorm.nn as sn
from stylenorm.errors import InputError, ShapeError
from tests.requirements_met import need
from tests.tolerances import assert_close


def filled(model: nn.Module) -> nn.Module:
    """Parameters and statistics that are none of 0 and 1, in evaluation."""
    torch.manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            nn.init.uniform_(value, 0.5, 1.5) if "var" in name else nn.init.normal_(value, std=0.5)
    return model.eval()


def same(model: nn.Module, x: torch.Tensor, count: int) -> sn.Conversion:
    """Fold ``count`` norms; the output is that of float64 within float32's rounding."""
    exact = copy.deepcopy(filled(model)).double()
    report = sn.fold_norms(model)
    assert len(report.changed) == count, str(report)
    with torch.no_grad():
        right = exact(x.double())
        assert_close(model(x), right, rtol=0, atol=2e-6 * float(right.abs().max()))
    return report


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_convolutions(rank: int, transposed: bool, groups: int, bias: bool) -> None:
    conv = getattr(nn, f"Conv{'Transpose' if transposed else ''}{rank}d")(4, 6, 3, groups=groups, bias=bias)
    model = nn.Sequential(conv, getattr(nn, f"BatchNorm{rank}d")(6), nn.ReLU())
    same(model, torch.randn(2, 4, *(7,) * rank), 1)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(6, affine=False, eps=0.1),
        nn.SyncBatchNorm(6),
        nn.InstanceNorm2d(6, affine=True, track_running_stats=True),
        nn.InstanceNorm2d(6, track_running_stats=True),
        sn.InstanceNorm2d(6, affine=True, track_running_stats=True, bias=False, scale_offset=1.0),
        sn.InstanceNorm2d(6, track_running_stats=True, eps_mode="outside", eps=0.1, correction=1),
    ],
    ids=repr,
)
def test_norms(norm: nn.Module) -> None:
    same(nn.Sequential(nn.Conv2d(3, 6, 3), norm), torch.randn(2, 3, 8, 8), 1)


@pytest.mark.parametrize("owner", ["torchvision.ops.FrozenBatchNorm2d", "timm.layers.FrozenBatchNormAct2d",
                                   "timm.layers.BatchNormAct2d"])  # fmt: skip
def test_norms_of_libraries(owner: str) -> None:
    library, _, kind = owner.rpartition(".")
    norm = getattr(need(library, library.split(".")[0]), kind)(6)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), norm)
    same(model, torch.randn(2, 3, 8, 8), 1)
    assert type(model[1]) is (nn.Identity if "torchvision" in owner else nn.ReLU)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_linear_keeps_its_rank() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    same(model, torch.randn(3, 5), 1)
    with pytest.raises(ShapeError, match="expected 2 dimensions, got"):
        model(torch.randn(3, 4, 5))  # the norm would have taken axis 1 for its channels
    assert torch.jit.script(model)(torch.ones(1, 5)).shape == (1, 4)


def test_a_resnet() -> None:
    model = need("torchvision.models", "torchvision").resnet18(num_classes=4)
    report = same(model, torch.randn(1, 3, 40, 40), 20)
    assert report.left == ()
    assert all(type(m) is not nn.BatchNorm2d for m in model.modules())


class Uses(nn.Module):
    """A convolution that is called twice, read, or shared, and one that is not."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.good = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), nn.BatchNorm2d(3)
        self.conv, self.norm, self.other = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)
        if how == "tied":
            self.other.weight = self.conv.weight
        if how == "hook":
            self.conv.register_forward_hook(lambda *_: None)
        if how == "weight norm":
            nn.utils.parametrizations.weight_norm(self.conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(self.first(x))
        z = self.norm(y)
        if self.how == "twice":
            return self.conv(z)
        if self.how == "norm twice":
            return self.norm(z)
        if self.how == "read":
            return z + self.conv.weight.sum()
        return z + y if self.how == "output" else self.other(z)


REASONS = {
    "twice": "used twice", "norm twice": "used twice", "read": "used twice", "tied": "used twice",
    "output": "used twice", "hook": "hooks", "weight norm": "parametrizations",
}  # fmt: skip


@pytest.mark.parametrize(("how", "reason"), REASONS.items())
def test_what_is_left(how: str, reason: str) -> None:
    report = same(Uses(how), torch.randn(2, 3, 4, 4), 1)
    left = {item.name: item.reason for item in report.left}
    assert reason in left["norm"]
    assert "no convolution" in left["good"]


def refused(model: nn.Module, text: str) -> None:
    state = copy.deepcopy(model.state_dict())
    with pytest.raises(InputError, match=text):
        sn.fold_norms(model)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


class Branches(nn.Sequential):
    def forward(self, x: Any) -> Any:
        return super().forward(x) if x.sum() > 0 else x


def test_refusals() -> None:
    def layers(norm: nn.Module) -> list[nn.Module]:
        return [nn.Conv2d(3, 3, 1), norm]

    refused(nn.Sequential(*layers(nn.BatchNorm2d(3))), "got the model .Sequential. in training")
    partly = nn.Sequential(*layers(nn.BatchNorm2d(3))).eval()
    partly[1].train()
    refused(partly, "got 1 .BatchNorm2d. in training")
    refused(Branches(*layers(nn.BatchNorm2d(3))).eval(), "that torch.fx can follow, got TraceError")
    refused(nn.Sequential(*layers(nn.InstanceNorm2d(3))).eval(), "1 .InstanceNorm2d.: it measures its input")
    refused(nn.Sequential(*layers(nn.ReLU())).eval(), "got no such norm")
    refused(nn.Sequential(nn.BatchNorm2d(3)).eval(), "no convolution")
    for lazy in ([nn.LazyConv2d(3, 1), nn.BatchNorm2d(3)], layers(nn.LazyBatchNorm2d())):
        with pytest.raises(InputError, match="is lazy: run the model once first"):
            sn.fold_norms(nn.Sequential(*lazy).eval())
    converted = nn.Sequential(*layers(nn.InstanceNorm2d(3, track_running_stats=True))).eval()
    sn.convert(converted)
    refused(converted, "no converted layers, got the model")
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module, got int"):
        sn.fold_norms(3)  # type: ignore[arg-type]
    act = sn.InstanceNormAct2d(3, track_running_stats=True)
    refused(nn.Sequential(*layers(act)).eval(), "InstanceNormAct2d has a behaviour of its own")
