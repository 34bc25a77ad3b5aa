"""Residual blocks of torchvision and timm: a norm, the addition and the activation in one call each."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import stylenorm.nn as sn
from stylenorm.nn import blocks
from tests.requirements_met import need
from tests.tolerances import assert_close


def norm(channels: int, **_: Any) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def build(library: str, kind: str, **options: Any) -> nn.Module:
    """Two blocks, the first with another shortcut."""
    module = need("torchvision.models.resnet" if library == "torchvision" else "timm.models.resnet", library)
    block = getattr(module, kind)
    torch.manual_seed(0)
    wide = 8 * block.expansion
    shortcut = nn.Sequential(nn.Conv2d(8, wide, 1), norm(wide))
    first = block(8, 8, downsample=shortcut, norm_layer=norm, **options)
    model = nn.Sequential(first, block(wide, 8, norm_layer=norm, **options))
    for value in model.parameters():
        nn.init.normal_(value, std=0.3)
    return model


KINDS = [(lib, kind) for lib in ("torchvision", "timm") for kind in ("BasicBlock", "Bottleneck")]


@pytest.mark.parametrize(("library", "kind"), KINDS)
@pytest.mark.parametrize("engine", [None, "winograd"])
def test_outputs_and_gradients_stay(library: str, kind: str, engine: str | None) -> None:
    plain, x = build(library, kind), torch.randn(2, 8, 10, 9)
    model, exact = copy.deepcopy(plain), copy.deepcopy(plain).double()
    report = sn.convert(model, engine=engine)
    assert {c.name for c in report.changed if c.before == kind} == {"0", "1"}
    one, two = model(x), exact(x.double())
    assert_close(one, two, atol=1e-4)
    one.mean().backward()
    two.mean().backward()
    largest = max(float(p.grad.abs().max()) for p in exact.parameters())
    for found, right in zip(model.parameters(), exact.parameters(), strict=True):
        assert_close(found.grad, right.grad, rtol=1e-3, atol=1e-4 * largest)
    assert sn.revert(model) == sum(isinstance(m, nn.InstanceNorm2d) for m in plain.modules())
    assert torch.equal(model(x), plain(x))


@pytest.mark.parametrize("kind", ["BasicBlock", "Bottleneck"])
def test_the_addition_is_in_the_call(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[bool, str | None]] = []
    together = blocks._together

    def noted(norm: Any, act: Any, x: Any, residual: Any = None) -> Any:
        calls.append((residual is not None, type(act).__name__))
        return together(norm, act, x, residual)

    model = build("timm", kind)
    sn.convert(model)
    monkeypatch.setattr(blocks, "_together", noted)
    model(torch.randn(1, 8, 8, 8))
    within = [(False, "ReLU")] * (1 if kind == "BasicBlock" else 2)
    assert calls == [*within, (True, "ReLU")] * 2


@pytest.mark.parametrize(
    "option", [{"attn_layer": "se"}, {"drop_block": nn.Dropout2d}, {"act_layer": nn.Hardswish}]
)
def test_what_comes_between_keeps_the_forward(option: dict[str, Any]) -> None:
    resnet = need("timm.models.resnet", "timm")
    if "attn_layer" in option:
        from timm.layers import get_attn

        option = {"attn_layer": get_attn("se")}
    block = resnet.BasicBlock(8, 8, norm_layer=norm, **option).eval()
    x = torch.randn(1, 8, 8, 8)
    expected = block(x)
    report = sn.convert(block)
    assert type(block) is resnet.BasicBlock
    assert [item.name for item in report.left] == [""]
    assert_close(block(x), expected, atol=1e-5)
