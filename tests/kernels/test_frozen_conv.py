"""Frozen convolutions in C against torch's in float64: forward, gradient of the input, what falls back."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.kernels import c_norm
from stylenorm.kernels.frozen_conv import FrozenConvReLU
from tests.tolerances import assert_close

if c_norm.reason_missing() is not None and shutil.which("cc") is None:
    pytest.skip("no C compiler here, so no C kernels", allow_module_level=True)

# The transforms lose a few digits: at 512 channels errors of 2e-5 of the largest value were seen.
OF_SCALE = 1e-4

# (N, C, H, W) and output channels: sides that are multiples of the tile and that are not, more rows and
# channels than one task and one block take, half a panel at the end.
CASES = [
    (1, 8, 4, 4, 8),
    (2, 64, 19, 23, 64),
    (1, 24, 9, 40, 40),
    (3, 16, 7, 5, 136),
    (1, 264, 12, 13, 16),
    (2, 3, 11, 17, 64),
    (1, 3, 4, 6, 24),
]


def convolution(c: int, k: int, seed: int = 0) -> FrozenConvReLU:
    torch.manual_seed(seed)
    conv = FrozenConvReLU(c, k).requires_grad_(False)
    conv.weight.normal_(std=(2 / 9 / c) ** 0.5)
    conv.bias.normal_()
    return conv


def by_torch(conv: FrozenConvReLU, x: Tensor) -> Tensor:
    """Before the activation, in float64."""
    return F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)


def gradient_by_torch(conv: FrozenConvReLU, gradient: Tensor) -> Tensor:
    return F.conv_transpose2d(gradient.double(), conv.weight.double(), padding=1)


def assert_near(actual: Tensor, expected: Tensor) -> None:
    assert_close(actual, expected, rtol=0, atol=OF_SCALE * float(expected.abs().max()))


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_forward_and_gradient_of_the_input(case: tuple[int, ...], last: bool) -> None:
    n, c, height, width, k = case
    conv = convolution(c, k)
    x = torch.randn(n, c, height, width, generator=torch.Generator().manual_seed(1))
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    assert conv._serves(x)
    x.requires_grad_()
    y = conv(x)
    assert y.grad_fn.name() == "_ConvReLUBackward"
    assert y.is_contiguous(memory_format=torch.channels_last)
    expected = by_torch(conv, x.detach())
    assert_near(y, expected.relu())
    with torch.no_grad():
        assert torch.equal(conv(x), y)
    gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    (found,) = torch.autograd.grad(y, x, gradient)
    # Where the activation cuts is taken from the output: within rounding of zero both ways are right.
    assert_near(found, gradient_by_torch(conv, gradient * (y > 0)))
    assert ((y > 0) != (expected > 0)).float().mean() < 1e-3


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("c", [8, 3])
def test_steps_along_the_gradient(c: int) -> None:
    """The gradient foretells what a small step changes; far from the kinks, where the output is positive."""
    conv = convolution(c, 16)
    conv.bias.fill_(20.0)
    x = torch.randn(1, c, 6, 7, requires_grad=True)
    direction = torch.randn_like(x)
    weights = torch.randn(1, 16, 6, 7, dtype=torch.float64)
    (conv(x) * weights).sum().backward()
    step = 0.125 * direction
    with torch.no_grad():  # linear there, so that the step need not be small
        change = ((conv(x + step).double() - conv(x - step).double()) * weights).sum()
    assert change == pytest.approx(float((x.grad.double() * step.double()).sum() * 2), rel=1e-3)


@pytest.mark.usefixtures("avx2")
def test_gradient_of_the_gradient() -> None:
    conv = convolution(8, 8)
    x = torch.randn(1, 8, 6, 6, requires_grad=True)

    def penalty(y: Tensor) -> Tensor:
        (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(g.square().sum(), x)
        return second

    expected = penalty(F.relu(F.conv2d(x, conv.weight, conv.bias, padding=1)))
    assert_near(penalty(conv(x)), expected)


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("c", [16, 3])
def test_the_same_bits_whatever_the_threads(c: int, threads) -> None:
    conv = convolution(c, 72)
    x = torch.randn(2, c, 37, 41, requires_grad=True)
    results = []
    for number in (1, 2, 5):
        threads(number)
        y = conv(x)
        results.append((y.detach(), torch.autograd.grad(y.square().sum(), x)[0]))
    for y, gradient in results[1:]:
        assert torch.equal(y, results[0][0])
        assert torch.equal(gradient, results[0][1])


@pytest.mark.usefixtures("avx2")
def test_values_that_are_not_numbers_stay_and_do_not_spread() -> None:
    conv = convolution(8, 8)
    x = torch.randn(1, 8, 16, 16)
    x[0, 3, 1, 2] = float("nan")
    expected = by_torch(conv, x).relu()
    y = conv(x)
    assert y[..., :3, 1:4].isnan().all()
    assert_near(y[..., 8:, 8:], expected[..., 8:, 8:])


@pytest.mark.usefixtures("avx2")
def test_new_weights_are_seen() -> None:
    conv = convolution(8, 8)
    x = torch.randn(1, 8, 8, 8)
    conv(x)
    conv.weight.mul_(-2)
    assert_near(conv(x), by_torch(conv, x).relu())
    conv.load_state_dict(convolution(8, 8, seed=3).state_dict(), assign=True)
    assert_near(conv(x), by_torch(conv, x).relu())
    copied = copy.deepcopy(conv)
    assert_near(copied(x), by_torch(conv, x).relu())
    assert set(conv.state_dict()) == {"weight", "bias"}


@pytest.mark.usefixtures("avx2")
def test_what_new_tensors_are_by_default_does_not_matter() -> None:
    conv = convolution(8, 8)
    x = torch.randn(1, 8, 8, 8)
    expected = conv(x)
    try:
        torch.set_default_dtype(torch.float64)
        found = conv(x)
        with torch.device("meta"):
            elsewhere = conv(x)
    finally:
        torch.set_default_dtype(torch.float32)
    for each in (found, elsewhere):
        assert each.dtype == torch.float32
        assert torch.equal(each, expected)


def test_what_is_left_to_torch(avx2) -> None:
    conv = convolution(8, 8)
    x = torch.randn(1, 8, 8, 8)
    assert conv._serves(x)
    for other in (x.double(), x[..., :3], x[0], torch.nn.Parameter(x), x.to("meta")):
        assert not conv._serves(other)
    assert not convolution(12, 8)._serves(torch.randn(1, 12, 8, 8))
    assert not convolution(8, 12)._serves(x)
    assert not FrozenConvReLU(8, 8)._serves(x)  # gradients of its weights are wanted
    with torch.no_grad():
        assert FrozenConvReLU(8, 8)._serves(x)
    single = conv(x)
    assert avx2.sn_use(b"baseline") == 0
    assert not conv._serves(x)
    assert_near(conv(x), single.double())
    assert_near(torch.func.vmap(conv)(x[None])[0], single.double())


def test_other_borders_are_torchs() -> None:
    """AdaIN's encoder reflects them: a flat picture has flat features, up to its edges."""
    conv = convolution(16, 24)
    conv.padding_mode = "reflect"
    x = torch.randn(1, 16, 12, 10)
    padded = F.pad(x.double(), (1, 1, 1, 1), mode="reflect")
    expected = F.relu(F.conv2d(padded, conv.weight.double(), conv.bias.double()))
    assert_close(conv(x), expected, atol=1e-5)
    flat = conv(torch.full((1, 16, 12, 10), 0.3))
    assert_close(flat, flat[:, :, 5:6, 5:6].expand_as(flat), atol=1e-5)
