"""Blocks whose forward is ``x + self.part(x)``, of any class: the last norm and the addition in one call."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import stylenorm.nn as sn
from stylenorm.nn import instance_norm
from tests.tolerances import assert_close


def layers(width: int, *last: nn.Module) -> list[nn.Module]:
    def norm() -> nn.Module:
        return nn.InstanceNorm2d(width, affine=True)

    parts = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(), nn.ReLU(True)]
    return [*parts, nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(), *last]


class Block(nn.Module):
    """CycleGAN's."""

    def __init__(self, *last: nn.Module) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(*layers(8, *last))
        self.strength = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x)


class Reversed(Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(self.conv_block(x), x)


class Onto(Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv_block(x)
        out += x
        return out


class Nested(Block):
    def __init__(self) -> None:
        super().__init__()
        parts = list(self.conv_block)
        self.conv_block = nn.Sequential(nn.Sequential(*parts[:4]), nn.Sequential(*parts[4:], nn.Identity()))


def noted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each call of a norm: whether it adds something."""
    calls: list[bool] = []
    plain = instance_norm._Instance.run

    def run(self: Any, x: Any, residual: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(residual is not None)
        return plain(self, x, residual, *args, **kwargs)

    monkeypatch.setattr(instance_norm._Instance, "run", run)
    return calls


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("kind", [Block, Reversed, Onto, Nested])
@pytest.mark.parametrize("engine", [None, "winograd"])
def test_outputs_and_gradients_stay(kind: Any, engine: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    plain = kind()
    for value in plain.parameters():
        nn.init.normal_(value, std=0.3)
    model, exact, x = copy.deepcopy(plain), copy.deepcopy(plain).double(), torch.randn(2, 8, 9, 10)
    report = sn.convert(model, engine=engine)
    assert [c.after for c in report.changed if c.name == ""] == ["its last norm and its addition in one call"]
    calls = noted(monkeypatch)
    with torch.no_grad():
        assert_close(model(x), exact(x.double()), atol=1e-4)
    assert calls == [False, True]
    model(x).square().mean().backward()
    exact(x.double()).square().mean().backward()
    largest = max(float(p.grad.abs().max()) for p in exact.parameters())
    for found, right in zip(model.parameters(), exact.parameters(), strict=True):
        assert_close(found.grad, right.grad, rtol=1e-3, atol=1e-4 * largest)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert torch.equal(twin(x), model(x))
        assert isinstance(twin, kind)
    assert_close(torch.fx.symbolic_trace(model)(x), plain(x), atol=1e-4)
    assert_close(torch.jit.script(model)(x), plain(x), atol=1e-5)
    assert sn.revert(model) == 2
    assert type(model) is kind
    assert vars(model).keys() == vars(plain).keys()
    assert torch.equal(model(x), plain(x))


def test_what_changes_later_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Block(nn.Dropout(0.5))
    sn.convert(model)
    calls, x = noted(monkeypatch), torch.randn(1, 8, 6, 6)
    model(x)  # dropout comes between now
    assert calls == [False, False]
    model.eval()(x)
    assert calls.pop()
    seen: list[torch.Tensor] = []
    hook = model.conv_block[6].register_forward_hook(lambda _m, _i, out: seen.append(out))
    y = model(x)
    assert torch.equal(y, x + seen[0])
    hook.remove()
    hook = model.conv_block.register_forward_hook(lambda _m, _i, out: 2 * out)
    assert_close(model(x) - x, 2 * (y - x), atol=1e-5)
    hook.remove()
    model.conv_block.append(nn.Tanh())
    assert_close(model(x), x + torch.tanh(y - x), atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 6, 6), (1, 8, 6, 6)])
def test_sums_that_the_norm_cannot_do(shape: tuple[int, ...]) -> None:
    model = Block()
    model.conv_block = nn.Sequential(nn.Conv2d(8, 1, 1), nn.InstanceNorm2d(1))  # broadcast over channels
    plain, x = copy.deepcopy(model), torch.randn(*shape)
    sn.convert(model)
    assert model(x).shape == x.shape
    assert_close(model(x), plain(x), atol=1e-5)
    both = Block(), Block()
    both[1].load_state_dict(both[0].state_dict())
    sn.convert(both[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        one, two = both[0](x), both[1](x)
    assert one.dtype == two.dtype
    assert_close(one.float(), two.float(), atol=5e-2)


class Branch(Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x) if self.strength == 1 else x


class Scaled(Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.strength * self.conv_block(x)


class Less(Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.conv_block(x)


class Alpha(Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(x, self.conv_block(x), alpha=2)


class InPlace(Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x += self.conv_block(x)
        return x


class Twice(Block):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(self.conv_block(x))


class Acting(Block):
    def __init__(self) -> None:
        super().__init__(nn.ReLU())


@pytest.mark.parametrize("kind", [Branch, Scaled, Less, Alpha, InPlace, Twice, Acting])
def test_other_forwards_keep_their_class(kind: Any) -> None:
    model, x = kind(), torch.randn(1, 8, 6, 6)
    expected = model(x.clone())
    report = sn.convert(model)
    assert type(model) is kind
    assert not any(c.name == "" for c in report.changed)
    assert_close(model(x.clone()), expected, atol=1e-5)
