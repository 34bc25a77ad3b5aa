"""Winograd convolutions of converted networks against torch's in float64, and what falls back."""

from __future__ import annotations

import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.kernels import c_norm, spatial_conv
from stylenorm.kernels.spatial_conv import PackedFilters, conv, filters_obstacle
from tests.tolerances import assert_close

if c_norm.reason_missing() is not None and shutil.which("cc") is None:
    pytest.skip("no C compiler here, so no C kernels", allow_module_level=True)

OF_SCALE = 1e-4  # errors of 1e-5 of the largest value are usual

# Shape of the input, output channels, padding, slices of the filters: sides that are multiples of the tile
# and that are not, more tiles, slices and channels than one task takes, half a panel, axes without padding.
CASES = [
    ((1, 8, 4, 4), 8, (1, 1), 1),
    ((2, 64, 19, 23), 40, (1, 1), 1),
    ((2, 24, 9, 40), 136, (0, 0), 1),
    ((3, 264, 12, 13), 16, (0, 1), 1),
    ((2, 16, 5, 9, 10), 24, (1, 1, 1), 3),
    ((1, 32, 7, 8, 17), 32, (0, 1, 0), 3),
    ((2, 8, 3, 6, 6), 8, (0, 1, 1), 1),
    ((1, 16, 4, 6, 6), 72, (1, 1, 1), 1),
    ((1, 8, 1, 8, 8), 8, (1, 1, 1), 3),
]


def tensors(shape: tuple[int, ...], k: int, slices: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Input, filters and bias."""
    torch.manual_seed(0)
    size = (3, 3) if len(shape) == 4 else (slices, 3, 3)
    weight = torch.randn(k, shape[1], *size) * (2 / 9 / slices / shape[1]) ** 0.5
    return torch.randn(shape), weight, torch.randn(k)


def by_torch(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...]) -> Tensor:
    function = F.conv2d if x.dim() == 4 else F.conv3d
    return function(x, weight, bias, padding=padding)


def assert_near(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert_close(actual, expected, rtol=0, atol=OF_SCALE * float(expected.detach().abs().max()))


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients(case, number: int, threads) -> None:
    shape, k, padding, slices = case
    threads(number)
    single = [v.requires_grad_() for v in tensors(shape, k, slices)]
    double = [v.detach().double().requires_grad_() for v in single]
    y, expected = conv(*single, padding), by_torch(*double, padding)
    assert y.grad_fn.name() == "_ConvolutionBackward"
    assert_near(y, expected)
    gradient = torch.randn(expected.shape)
    y.backward(gradient)
    expected.backward(gradient.double())
    for found, right in zip(single, double, strict=True):
        assert_near(found.grad, right.grad)
    with torch.no_grad():
        assert torch.equal(conv(*single, padding), y)
        last = {4: torch.channels_last, 5: torch.channels_last_3d}[len(shape)]
        assert torch.equal(conv(single[0].contiguous(memory_format=last), *single[1:], padding), y)
        assert y.is_contiguous(memory_format=last) or y.is_contiguous()


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("shape", [(2, 16, 9, 10), (1, 8, 2, 2), (1, 8, 3, 13)])
def test_mirrored_borders(shape: tuple[int, ...]) -> None:
    x, weight, bias = (v.requires_grad_() for v in tensors(shape, 24))
    padded = F.pad(x.detach().double(), (1, 1, 1, 1), mode="reflect")
    expected = F.conv2d(padded, weight.double(), bias.double())
    y = conv(x, weight, bias, (1, 1), reflect=True)
    assert_near(y, expected)
    with torch.no_grad():
        assert_near(conv(x, weight, bias, (1, 1), reflect=True), expected)
    y.square().sum().backward()
    again = x.detach().double().requires_grad_()
    padded = F.pad(again, (1, 1, 1, 1), mode="reflect")
    F.conv2d(padded, weight.detach().double(), bias.detach().double()).square().sum().backward()
    assert_near(x.grad, again.grad)


@pytest.mark.usefixtures("avx2")
def test_the_same_bits_whatever_the_threads(threads) -> None:
    x, weight, bias = (v.requires_grad_() for v in tensors((2, 16, 5, 21, 18), 40, 3))
    results = []
    for number in (1, 2, 5):
        threads(number)
        y = conv(x, weight, bias, (1, 1, 1))
        results.append((y.detach(), *torch.autograd.grad(y.square().sum(), (x, weight))))
    for others in results[1:]:
        for found, first in zip(others, results[0], strict=True):
            assert torch.equal(found, first)


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("of", ["x", "weight"])
@pytest.mark.parametrize("last", [False, True])
def test_gradient_of_the_gradient(of: str, last: bool) -> None:
    x, weight, bias = (v.requires_grad_() for v in tensors((1, 8, 6, 6), 8))
    if last:
        x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()

    def penalty(y: Tensor) -> list[Tensor]:
        (g,) = torch.autograd.grad(y.square().sum(), x if of == "x" else weight, create_graph=True)
        return list(torch.autograd.grad(g.square().sum(), (x, weight)))

    found = penalty(conv(x, weight, bias, (1, 1)))
    for one, right in zip(found, penalty(by_torch(x, weight, bias, (1, 1))), strict=True):
        assert_near(one, right)


@pytest.mark.usefixtures("avx2")
def test_torchs_defaults_do_not_matter() -> None:
    """New memory is of the input's type and device, whatever new tensors are of."""
    x, weight, bias = (v.requires_grad_() for v in tensors((1, 8, 6, 6), 8))
    expected = by_torch(x, weight, bias, (1, 1))
    wanted = torch.autograd.grad(expected.sum(), (x, weight, bias))
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        y = conv(x, weight, bias, (1, 1))
        found = torch.autograd.grad(y.sum(), (x, weight, bias))
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    for one, right in zip((y, *found), (expected, *wanted), strict=True):
        assert one.dtype == torch.float32
        assert_near(one, right)


@pytest.mark.usefixtures("avx2")
def test_changed_filters_are_seen_however_they_were_changed() -> None:
    x, weight, bias = tensors((1, 8, 8, 8), 8)
    packed = PackedFilters()

    def is_right() -> None:
        assert_near(conv(x, weight, bias, (1, 1), packed=packed), by_torch(x, weight, bias, (1, 1)))

    is_right()
    kept = packed.of(weight)
    assert packed.of(weight) is kept
    weight.mul_(-2)
    is_right()
    weight.data.add_(0.1)  # its version does not tell
    is_right()
    weight = weight.contiguous(memory_format=torch.channels_last)
    is_right()


@pytest.mark.usefixtures("avx2")
def test_few_tiles_of_many_channels_are_torchs_and_agree(monkeypatch) -> None:
    """A matter of speed only: where the filters are larger than what they are used for."""
    x, weight, bias = (v.requires_grad_() for v in tensors((1, 96, 4, 4), 96))
    assert not spatial_conv._serves(x, weight, bias, (1, 1), False)
    monkeypatch.setattr(spatial_conv, "SMALL_BYTES", 1 << 30)
    assert spatial_conv._serves(x, weight, bias, (1, 1), False)
    y = conv(x, weight, bias, (1, 1))
    monkeypatch.undo()  # now the gradient of the filters is torch's
    y.square().sum().backward()
    double = [v.detach().double().requires_grad_() for v in (x, weight, bias)]
    by_torch(*double, (1, 1)).square().sum().backward()
    for found, right in zip((x, weight, bias), double, strict=True):
        assert_near(found.grad, right.grad)
    # Torch's convolution is given one layout: that of the filters, which are larger.
    last = x.detach().contiguous(memory_format=torch.channels_last)
    assert conv(last, weight, bias, (1, 1)).is_contiguous()
    filters = weight.detach().contiguous(memory_format=torch.channels_last)
    assert conv(last, filters, bias, (1, 1)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch's own, in its forward-mode rules
def test_what_is_left_to_torch(avx2) -> None:
    x, weight, bias = tensors((1, 8, 8, 8), 8)
    serves, negated = spatial_conv._serves, torch.complex(x, x).conj().imag
    assert serves(x, weight, bias, (1, 1), False)
    for other in (x.double(), x.to("meta"), x[..., :1], x[:0], torch.randn(1, 8, 8, 8, 8), negated):
        assert not serves(other, weight, bias, (1, 1), False)
    with torch.autocast("cpu"):
        assert conv(x, weight, bias, (1, 1)).dtype == torch.bfloat16
    expected = by_torch(x, weight, bias, (1, 1))
    assert_near(torch.func.vmap(lambda v: conv(v, weight, bias, (1, 1)))(x[None])[0], expected)
    dual = torch.func.jvp(lambda v: conv(v, weight, bias, (1, 1)), (x,), (x,))[1]
    assert_near(dual, by_torch(x, weight, None, (1, 1)))
    assert avx2.sn_use(b"baseline") == 0
    assert not serves(x, weight, bias, (1, 1), False)
    assert_near(conv(x, weight, bias, (1, 1)), expected)
    with pytest.raises(RuntimeError, match="channels"):
        conv(x[:, :5], weight, bias, (1, 1))


def test_reasons() -> None:
    fine = torch.zeros(8, 16, 3, 3)
    assert filters_obstacle(fine, (1, 1), (1, 1), 1) is None
    assert filters_obstacle(torch.zeros(8, 16, 1, 3, 3), (1, 1, 1), (1, 1, 1), 1) is None
    assert "stride" in filters_obstacle(fine, (2, 1), (1, 1), 1)
    assert "5 x 5" in filters_obstacle(torch.zeros(8, 8, 5, 5), (1, 1), (1, 1), 1)
    assert "3 to 8" in filters_obstacle(torch.zeros(8, 3, 3, 3), (1, 1), (1, 1), 1)
    assert "float64" in filters_obstacle(fine.double(), (1, 1), (1, 1), 1)
