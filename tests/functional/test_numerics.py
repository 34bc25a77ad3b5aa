"""The numerics contract: exact, finite, and the same whatever the layout, the batch and the threads."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stylenorm.functional import adaptive_instance_norm, instance_norm
from stylenorm.kernels import use_kernels
from tests import reference as ref
from tests.tolerances import assert_close


@pytest.fixture(autouse=True, params=["auto", "torch"])
def kernels(request: pytest.FixtureRequest):
    """All of it twice: with what this machine runs, and with what is always there."""
    with use_kernels(request.param):
        yield


MEANS = (0.0, 10.0, 100.0, 1e3, 1e4)


def planes(mean: float, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 8, 64, 64, generator=torch.Generator().manual_seed(seed)) + mean


def worst(y: torch.Tensor, x: torch.Tensor) -> float:
    return float(np.abs(ref.f64(y) - ref.instance_norm(x)).max())


@pytest.mark.parametrize("mean", MEANS)
def test_error_is_flat_in_mean_over_deviation(mean: float) -> None:
    x = planes(mean)
    # Measured: 3.4e-7 to 5.0e-7 for every mean; an output of 4 has a spacing of 4.8e-7.
    assert worst(instance_norm(x), x) < 8e-7
    assert worst(instance_norm(x.contiguous(memory_format=torch.channels_last)), x) < 8e-7


def test_torch_is_not_flat() -> None:
    """The table in docs/norms.md is true: what we compare with loses digits."""
    x = planes(1e4)
    last = x.contiguous(memory_format=torch.channels_last)
    assert worst(F.instance_norm(x), x) > 1e-4
    assert worst(F.group_norm(last, 8), x) > 1.0


@pytest.mark.parametrize("mean", MEANS)
def test_gradient_error_is_flat(mean: float) -> None:
    x = planes(mean)
    g = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    grads = []
    for dtype in (torch.float32, torch.float64):
        leaf = x.to(dtype).requires_grad_()
        y = instance_norm(leaf, act="silu")
        grads.append(torch.autograd.grad(y, leaf, g.to(dtype))[0].double())
    assert float((grads[0] - grads[1]).abs().max()) < 3e-6  # measured: 1.1e-6


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("eps", [1e-5, 0.0])
@pytest.mark.parametrize("value", [0.0, 1234.567, -3e-5, 6e4])
def test_constant_plane_gives_exactly_bias(dtype: torch.dtype, eps: float, value: float) -> None:
    x = torch.full((2, 3, 17, 9), value, dtype=dtype)
    bias = torch.tensor([0.3, -7.0, 0.0])
    for kwargs in ({}, {"eps_mode": "outside"}, {"correction": 1}, {"mask": (torch.rand(2, 1, 17, 9) > 0.5)}):
        y = instance_norm(x, weight=torch.tensor([2.0, 3.0, 4.0]), bias=bias, eps=eps, **kwargs)
        assert torch.equal(y, bias.to(dtype)[None, :, None, None].expand(y.shape)), kwargs


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradient_of_a_constant_plane_is_torchs(masked: bool) -> None:
    x = torch.full((1, 2, 5, 7), 0.25, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.ones(1, 1, 5, 7, dtype=torch.bool) if masked else None  # the same norm by another way
    (ours,) = torch.autograd.grad(instance_norm(x, mask=mask), x, grad)
    (torchs,) = torch.autograd.grad(F.instance_norm(x), x, grad)
    assert_close(ours, torchs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-10, 1e10, 1e19, 1e25, 1e38])
@pytest.mark.parametrize("eps", [1e-5, 0.0])
def test_nothing_finite_becomes_nan(scale: float, eps: float) -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-3, 3) * scale
    x.requires_grad_()
    weight, bias = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    y = instance_norm(x, weight=weight, bias=bias, eps=eps, act="leaky_relu")
    expected = ref.instance_norm(x, eps=eps, act="leaky_relu")
    assert_close(y, expected)
    assert bool(torch.stack([g.isfinite().all() for g in torch.autograd.grad(y.sum(), (weight, bias))]).all())


def test_one_bad_plane_stays_one_bad_plane() -> None:
    x = torch.randn(2, 3, 8, 8)
    x[0, 1, 4, 4] = math.nan
    x[1, 2, 0, 0] = math.inf
    bad = instance_norm(x).isnan().all(-1).all(-1)
    assert bad.tolist() == [[False, True, False], [False, False, True]]
    assert bool(instance_norm(x)[0, 0].isfinite().all())


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 3, 0, 4), (0, 3, 7), (1, 1, 1, 0)])
def test_empty_is_empty(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, requires_grad=True)
    weight = torch.ones(shape[1], requires_grad=True)
    mean, var = torch.zeros(shape[1]), torch.ones(shape[1])
    y = instance_norm(x, mean, var, weight, act="relu")
    assert y.shape == shape
    gx, gw = torch.autograd.grad(y.sum(), (x, weight))
    assert gx.shape == shape
    assert torch.equal(gw, torch.zeros(shape[1]))
    assert torch.equal(mean, torch.zeros(shape[1]))  # torch makes these NaN
    assert torch.equal(var, torch.ones(shape[1]))


def test_one_element_planes_give_bias() -> None:
    x = torch.randn(2, 3, 1, 1, requires_grad=True)
    bias = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = instance_norm(x, weight=torch.rand(3), bias=bias)
    assert torch.equal(y, bias[None, :, None, None].expand(2, 3, 1, 1))
    gx, gb = torch.autograd.grad(y.sum(), (x, bias))
    assert torch.equal(gx, torch.zeros_like(x))
    assert torch.equal(gb, torch.full((3,), 2.0))
    # As torch's group norm has it, but for what cancels there: 316 x - 316 x.
    assert_close(F.group_norm(x, 3, None, bias), y.detach(), atol=1e-3)


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float16, 11), (torch.bfloat16, 8)])
@pytest.mark.parametrize("parameters", [None, torch.float32, "same"])
def test_half_precision_is_correctly_rounded(dtype: torch.dtype, digits: int, parameters: object) -> None:
    x = (torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) + 50).to(dtype)
    kind = dtype if parameters == "same" else torch.float32
    w, b = torch.tensor([0.5, 1.25, 2.0], dtype=kind), torch.tensor([0.25, 0.0, -1.0], dtype=kind)
    affine = () if parameters is None else (w, b)
    y = ref.f64(instance_norm(x, weight=affine[0] if affine else None, bias=affine[1] if affine else None))
    exact = ref.instance_norm(x, *affine)
    spacing = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(exact), 2.0**-14))) + 1 - digits)
    # Half a unit in the last place, and what float32 arithmetic adds to it before the rounding.
    assert (np.abs(y - exact) <= 0.5 * spacing + 1e-6).all()


def test_float16_subnormals_with_eps_zero() -> None:
    x = torch.tensor([1.0, -1.0, 2.0, -2.0]).mul(2.0**-24).half().reshape(1, 2, 2)
    assert instance_norm(x, eps=0.0).flatten().tolist() == [1.0, -1.0, 1.0, -1.0]


def _everything(x, g, weight, bias, act):
    y = instance_norm(x, weight=weight, bias=bias, act=act)
    return (y.detach(), *torch.autograd.grad(y, (x, weight, bias), g))


@pytest.mark.parametrize("seed", range(40))
def test_bitwise_the_same_for_layout_companions_and_threads(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - shapes, not secrets
    rank = rng.choice([1, 2, 2, 3])
    top = {1: (90, 4000), 2: (40, 300), 3: (14, 50)}[rank][seed % 8 == 0]
    spatial = [rng.randint(1, top) for _ in range(rank)]
    n, c = rng.randint(1, 3), rng.randint(1, 19)
    torch.manual_seed(seed)
    x = (torch.randn(n, c, *spatial) * rng.choice([1, 100, 1e-3]) + rng.choice([0, 5, 1000])).requires_grad_()
    weight, bias = (torch.randn(c, requires_grad=True) for _ in range(2))
    g, act = torch.randn(x.shape), rng.choice([None, "relu", "leaky_relu"])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        base = _everything(x, g, weight, bias, act)
        for count in (2, 3):
            torch.set_num_threads(count)
            for a, b in zip(base, _everything(x, g, weight, bias, act), strict=True):
                assert torch.equal(a, b)
    finally:
        torch.set_num_threads(threads)
    if rank > 1:
        layout = {2: torch.channels_last, 3: torch.channels_last_3d}[rank]
        last = x.detach().contiguous(memory_format=layout).requires_grad_()
        for a, b in zip(
            base, _everything(last, g.contiguous(memory_format=layout), weight, bias, act), strict=True
        ):
            assert torch.equal(a, b)
    i, j = rng.randrange(n), rng.randrange(c)
    alone = _everything(x[i : i + 1], g[i : i + 1], weight, bias, act)
    assert torch.equal(alone[0][0], base[0][i])
    assert torch.equal(alone[1][0], base[1][i])
    pick = slice(j, j + 1)
    alone = _everything(x[:, pick], g[:, pick], weight[pick], bias[pick], act)
    assert torch.equal(alone[0][:, 0], base[0][:, j])
    assert torch.equal(alone[1][:, 0], base[1][:, j])


@pytest.mark.parametrize("length", [1, 2, 63, 64, 4095, 4096, 4160, 4161, 70000])
def test_lengths_around_the_edges_of_the_blocks(length: int) -> None:
    x = torch.randn(3, 2, length, generator=torch.Generator().manual_seed(0)) * 3 + 1000
    assert_close(instance_norm(x), ref.instance_norm(x))


def test_outliers_in_the_pivot_sample() -> None:
    """The sample that the pivot is taken from may lie: all of its elements far from the rest."""
    x = torch.randn(1, 1, 64 * 200, generator=torch.Generator().manual_seed(0))
    x.view(64, 200)[:, :64] += 300.0
    assert_close(instance_norm(x), ref.instance_norm(x), atol=2e-6, rtol=2e-6)


def test_adain_of_itself_is_itself() -> None:
    x = planes(50.0)
    assert_close(adaptive_instance_norm(x, x), x, atol=2e-5)  # measured 1.2e-5: x is near 50, spacing 3.8e-6
