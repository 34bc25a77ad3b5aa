"""Residual networks with mixed norms: sizes, where the norms are, published checkpoints, the mixture."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.networks import IBN_NORMS, IbnResNet
from stylenorm.nn import IBN
from tests.tolerances import assert_close


def num_parameters(depth: int, norm: str, classes: int) -> int:
    """Counted from the papers' tables: convolutions without bias, two numbers a channel in each norm."""
    blocks = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]
    total, before = 3 * 64 * 49 + 2 * 64, 64
    for stage, num in enumerate(blocks):
        inner = 64 * 2**stage
        after = 4 * inner if depth == 50 else inner
        for i in range(num):
            if depth == 50:
                total += before * inner + 9 * inner * inner + inner * after + 2 * (2 * inner + after)
            else:
                total += 9 * before * inner + 9 * inner * inner + 4 * inner
            if i == 0 and (stage or before != after):
                total += before * after + 2 * after
            before = after
        if norm == "ibn-b" and stage < 2:
            total += 2 * after
    return total + before * classes + classes


@pytest.mark.parametrize("norm", IBN_NORMS)
def test_parameters_are_as_many_as_the_table_has(norm: str) -> None:
    with torch.device("meta"):
        for depth, classes in ((18, 10), (50, 1000)):
            count = sum(p.numel() for p in IbnResNet(classes, norm, depth=depth).parameters())
            assert count == num_parameters(depth, norm, classes)
            if (depth, norm) == (50, "batch"):
                assert count == 25_557_032  # as torchvision gives it


def test_norms_are_where_the_paper_has_them() -> None:
    with torch.device("meta"):
        networks = {norm: IbnResNet(2, norm) for norm in IBN_NORMS}
    kinds = {
        norm: {name: type(m) for name, m in network.named_modules()} for norm, network in networks.items()
    }
    mixed = [name for name, kind in kinds["ibn-a"].items() if kind is IBN]
    assert mixed == [f"layer{s}.{i}.bn1" for s, num in ((1, 3), (2, 4), (3, 6)) for i in range(num)]
    whole = [name for name, m in networks["ibn-b"].named_modules() if isinstance(m, nn.InstanceNorm2d)]
    assert whole == ["bn1", "layer1.2.IN", "layer2.3.IN"]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in networks["instance"].modules())
    assert not any(isinstance(m, nn.InstanceNorm2d) for m in networks["batch"].modules())


def normalized(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred / (centred.square().mean(dims, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["ibn-a", "ibn-b"])
def test_a_block_is_the_papers_in_float64(norm: str, training: bool) -> None:
    torch.manual_seed(0)
    network = IbnResNet(3, norm, depth=10, width=4, stem="small").double().train(training)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    block = network.layer1[0]
    x = torch.rand(3, 4, 7, 6, dtype=torch.double)

    def batch(y: Tensor, of: nn.Module) -> Tensor:
        scale, shift = (p.view(-1, 1, 1) for p in (of.weight, of.bias))
        return scale * (normalized(y, (0, 2, 3)) if training else y / (1 + 1e-5) ** 0.5) + shift

    def instance(y: Tensor, of: nn.Module) -> Tensor:
        return of.weight.view(-1, 1, 1) * normalized(y, (2, 3)) + of.bias.view(-1, 1, 1)

    y = F.conv2d(x, block.conv1.weight, padding=1)
    if norm == "ibn-a":
        y = torch.cat([instance(y[:, :2], block.bn1.IN), batch(y[:, 2:], block.bn1.BN)], dim=1)
    else:
        y = batch(y, block.bn1)
    y = x + batch(F.conv2d(y.clamp(min=0), block.conv2.weight, padding=1), block.bn2)
    if norm == "ibn-b":
        y = instance(y, block.IN)
    assert_close(block(x), y.clamp(min=0))


def test_only_the_mixture_forgets_light() -> None:
    """In evaluation, half of IBN's channels do not see brightness and contrast; no batch norm's do not."""
    torch.manual_seed(0)
    norm = IBN(8).eval()
    x = torch.rand(2, 8, 5, 5)
    changed = (norm(3 * x + 1) - norm(x)).abs().amax((0, 2, 3))
    assert changed[:4].max() < 1e-3
    assert changed[4:].min() > 0.5


@pytest.mark.parametrize("norm", ["ibn-a", "ibn-b"])
def test_published_checkpoints(norm: str) -> None:
    network = IbnResNet(4, norm, depth=18, width=8)
    torch.manual_seed(1)
    state = {key: torch.rand_like(value) for key, value in network.state_dict().items() if value.dim()}
    mixed = "layer3.1.bn1.IN" if norm == "ibn-a" else "layer2.1.IN"
    assert f"{mixed}.weight" in state
    old = {f"module.{key}": value for key, value in state.items()}
    old[f"module.{mixed}.running_mean"] = torch.rand(4)  # older versions of PyTorch wrote them
    network.load_published(old)
    for key, value in state.items():
        assert torch.equal(network.state_dict()[key], value)
    with pytest.raises(InputError, match=r"expected a checkpoint of this network with .*norm, depth, width"):
        IbnResNet(4, "batch", depth=18, width=8).load_published(state)
    with pytest.raises(InputError, match=r"fc.bias \(5,\), got \(4,\)"):
        IbnResNet(5, norm, depth=18, width=8).load_published(state)


def test_sizes_and_settings_that_do_not_fit() -> None:
    for stem, size in (("small", (16, 19)), ("large", (64, 70))):
        network = IbnResNet(3, "instance", depth=50, width=2, stem=stem)
        assert network(torch.rand(2, 3, *size)).shape == (2, 3)
        with pytest.raises(ShapeError, match=f"sides of at least {size[0]}, got"):
            network(torch.rand(2, 3, size[0] - 1, 70))
    with pytest.raises(UnknownNameError, match="unknown norm 'ibn-c'"):
        IbnResNet(3, "ibn-c")
    with pytest.raises(UnknownNameError, match="unknown stem"):
        IbnResNet(3, stem="tiny")
    with pytest.raises(InputError, match=r"depth: expected one of 10, 18, 34, 50, 101, 152, got 20"):
        IbnResNet(3, depth=20)
    with pytest.raises(InputError, match="2 or more classes, got 64 and 1"):
        IbnResNet(1)
