"""out=, inplace= and what is kept for backward."""

from __future__ import annotations

import gc

import pytest
import torch

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import instance_norm
from stylenorm.kernels import explain, use_kernels
from tests import reference as ref
from tests.tolerances import assert_close

KERNELS = ("auto", "torch")


def data(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2 + 1


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("case", ["plain", "mask", "map", "statistics", "prelu", "empty"])
def test_out_and_inplace_write_where_they_were_asked_to(kernel: str, case: str) -> None:
    x = data(0 if case == "empty" else 2, 3, 6, 5)
    options = {
        "mask": {"mask": (data(2, 1, 6, 5) > 0).float()},
        "map": {"weight": data(2, 3, 6, 5, seed=1)},
        "statistics": {"statistics": (data(3), data(3).abs())},
        "prelu": {"act": "prelu", "act_weight": torch.tensor([0.1, 0.2, 0.3])},
    }.get(case, {"act": "relu"})
    with use_kernels(kernel):
        expected = instance_norm(x, **options)
        out = torch.full_like(x, 9.0)
        assert instance_norm(x, **options, out=out) is out
        assert torch.equal(out, expected)
        strided = torch.zeros(*x.shape[:3], 10)[..., ::2]
        assert instance_norm(x, **options, out=strided) is strided
        assert torch.equal(strided, expected)
        last = x.clone(memory_format=torch.channels_last)
        assert instance_norm(last, **options, inplace=True) is last
        assert_close(last, expected)  # a mask's sums are torch's: layouts differ in the last bit
        same = x.clone()
        assert instance_norm(same, **options, out=same) is same
        assert torch.equal(same, expected)


def test_out_is_refused_where_it_cannot_be() -> None:
    x = data(2, 3, 6, 5)
    with pytest.raises(ShapeError, match=r"out: expected shape \(2, 3, 6, 5\), got \(2, 3, 6, 4\)"):
        instance_norm(x, out=torch.empty(2, 3, 6, 4))
    with pytest.raises(ShapeError, match=r"out: expected dtype torch\.float32"):
        instance_norm(x, out=torch.empty(2, 3, 6, 5).double())
    with pytest.raises(InputError, match="out: expected None with inplace=True"):
        instance_norm(x, out=torch.empty_like(x), inplace=True)
    with pytest.raises(RuntimeError, match=r"out=.*no gradient is asked for"):
        instance_norm(x.requires_grad_(), out=torch.empty_like(x))
    long = data(3, 3, 6, 5)
    with pytest.raises(InputError, match="out: expected the input itself or other memory"):
        instance_norm(long[:2], out=long[1:])
    with pytest.raises(InputError, match="out: expected the residual itself or other memory"):
        instance_norm(data(2, 3, 6, 5), residual=long[:2], out=long[1:])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("act", [None, "relu", "leaky_relu", "silu", "prelu"])
@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_gradients_of_inplace(
    kernel: str, layout: torch.memory_format, act: str | None, scale: float
) -> None:
    """From the output where it can be inverted, and from a copy where not (scale 1e-9, relu, silu, torch)."""
    x, g = data(2, 3, 16, 15), data(2, 3, 16, 15, seed=1)
    found = []
    for inplace in (False, True):
        leaf = x.clone(memory_format=layout).requires_grad_()
        w = (data(3, seed=2) * scale).requires_grad_()
        b = data(3, seed=3).requires_grad_()
        slopes = torch.tensor([0.1, 0.2, 0.3], requires_grad=True) if act == "prelu" else None
        with use_kernels(kernel):
            y = instance_norm(
                leaf * 1, weight=w, bias=b, act=act, act_weight=slopes, inplace=inplace, negative_slope=0.1
            )
            leaves = [v for v in (leaf, w, b, slopes) if v is not None]
            found.append((y.detach(), *torch.autograd.grad(y, leaves, g.contiguous(memory_format=layout))))
    for out_of_place, in_place in zip(*found, strict=True):
        size = float(out_of_place.abs().max())
        # The shift is up to 16 times the scale: 4 bits, of 24. Measured: 5e-7 of the largest.
        assert_close(in_place, out_of_place, rtol=0, atol=3e-6 * size)


def test_a_shift_that_swallows_digits_keeps_the_input() -> None:
    """Beside a shift of 10,000 times its scale float32 has 10 bits left of what was normalized."""
    x, g = data(2, 3, 16, 15).double().requires_grad_(), data(2, 3, 16, 15, seed=1)
    w, b = torch.full((3,), 1e-4), torch.ones(3)
    expected = torch.autograd.grad(instance_norm(x, weight=w.double(), bias=b.double()), x, g.double())[0]
    leaf = x.detach().float().requires_grad_()
    found = torch.autograd.grad(instance_norm(leaf * 1, weight=w, bias=b, inplace=True), leaf, g)[0]
    assert_close(found, expected, rtol=0, atol=3e-6 * float(expected.abs().max()))


def test_inplace_is_refused_as_torch_refuses() -> None:
    leaf = data(2, 3, 6, 5).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        instance_norm(leaf, inplace=True)
    saved = (leaf * 1).exp()  # keeps its result
    y = instance_norm(saved, inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    y = instance_norm(leaf * 1, act="leaky_relu", inplace=True)
    y += 1  # the output is what was kept
    if explain(leaf).kernel == "c":
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_inplace_has_a_first_derivative_only() -> None:
    leaf = data(2, 3, 6, 5).requires_grad_()
    y = instance_norm(leaf * 1, act="leaky_relu", inplace=True)
    if explain(leaf).kernel != "c":
        pytest.skip("a copy was kept: it has them all")
    with pytest.raises(RuntimeError, match=r"inplace=True.*first derivative only.*use inplace=False"):
        torch.autograd.grad(y.sum(), leaf, create_graph=True)


def test_inplace_under_vmap() -> None:
    x = data(4, 2, 3, 5, 6)
    expected = torch.stack([instance_norm(v, act="leaky_relu") for v in x])
    got = torch.func.vmap(lambda v: instance_norm(v * 1, act="leaky_relu", inplace=True))(x)
    assert_close(got, expected)


def kept_bytes(x: torch.Tensor, w: torch.Tensor, **options) -> int:
    """Bytes that autograd keeps of norm and activation, and of what the next layer keeps: the output."""
    storages = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    before = x * 1
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = instance_norm(before, weight=w, **options)
        z = y * w[0]  # the next layer keeps what it got
    gc.collect()
    del z
    return sum(size for at, size in storages.items() if size >= x.numel() * x.element_size())


def test_one_full_tensor_is_kept_not_two() -> None:
    x, w = data(2, 8, 64, 64).requires_grad_(), torch.rand(8) + 0.5
    w.requires_grad_()
    full = x.numel() * x.element_size()
    assert kept_bytes(x, w, act="leaky_relu") == 2 * full
    if explain(x).kernel == "c":
        assert kept_bytes(x, w, act="leaky_relu", inplace=True) == full
        assert kept_bytes(x, w, inplace=True) == full
    assert kept_bytes(x, w, act="relu", inplace=True) == 2 * full  # relu cannot be inverted


def test_one_axis_channels_last_is_kept() -> None:
    x = data(2, 7, 3).transpose(1, 2).requires_grad_()
    for kernel in KERNELS:
        with use_kernels(kernel):
            y = instance_norm(x, act="relu")
            assert y.stride() == x.stride()
            assert_close(y, ref.instance_norm(x, act="relu"))
            (g,) = torch.autograd.grad(y, x, torch.ones_like(y))
            assert g.stride() == x.stride()
