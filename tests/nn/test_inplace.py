"""convert(inplace=True): the same numbers and gradients, less memory, nothing unsafe."""

from __future__ import annotations

import torch
from torch import nn

from stylenorm.kernels import explain
from stylenorm.nn import convert, revert
from tests.requirements_met import need
from tests.tolerances import assert_close


def step(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], int]:
    """Output, gradients, and the bytes of the distinct tensors that were kept for backward."""
    kept = {}

    def pack(t: torch.Tensor) -> torch.Tensor:
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = model(x)
    grads = torch.autograd.grad(y.square().mean(), list(model.parameters()))
    return y.detach(), list(grads), sum(kept.values())


def network(act: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for _ in range(3):
        parts += [nn.Conv2d(4, 4, 3, padding=1), nn.InstanceNorm2d(4, affine=True), act]
    return nn.Sequential(*parts)


def compare(model: nn.Module, x: torch.Tensor) -> tuple[int, int, int]:
    convert(model)
    y, grads, bytes_before = step(model, x)
    revert(model)
    report = convert(model, inplace=True)
    z, other, bytes_after = step(model, x)
    assert_close(z, y)
    for one, two in zip(other, grads, strict=True):
        assert_close(one, two, rtol=0, atol=2e-5 * float(two.abs().max()) + 1e-7)
    assert revert(model) > 0
    assert not any(getattr(m, "inplace", False) for m in model.modules() if "Norm" in type(m).__name__)
    return bytes_before, bytes_after, sum(c.after == "in place" for c in report.changed)


def test_sequential() -> None:
    x = torch.rand(2, 4, 32, 32)
    before, after, count = compare(network(nn.LeakyReLU(0.1)), x)
    assert count == 3
    if explain(x).kernel == "c":
        # Kept were the first input, each norm's input, and the outputs that a convolution follows: 6 tensors.
        # In place they are the first input and three outputs.
        assert after < before * 0.68
    assert compare(network(nn.ReLU()), x)[2] == 0, "relu cannot be inverted"


class Skipping(nn.Module):
    """The norm's input is used once more, outside of any Sequential."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.tail = nn.Conv2d(4, 4, 1), nn.Sequential(nn.InstanceNorm2d(4), nn.LeakyReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv(x)
        return self.tail(h) + h


def test_what_others_may_see_is_not_overwritten() -> None:
    assert compare(Skipping(), torch.rand(2, 4, 8, 8))[2] == 0


def test_monai_dynunet() -> None:
    need("monai")
    from monai.networks.nets import DynUNet

    torch.manual_seed(0)
    model = DynUNet(2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], filters=[4, 8, 8])
    x = torch.rand(1, 1, 32, 32)
    before, after, count = compare(model, x)
    assert count >= 6
    if explain(x).kernel == "c":
        assert after < before * 0.85
