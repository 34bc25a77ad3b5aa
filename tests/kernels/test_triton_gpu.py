"""The Triton kernels on a GPU, against the formula in float64; skipped where there is no GPU."""

from __future__ import annotations

import dataclasses
import warnings

import pytest
import torch

pytest.importorskip("triton")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from stylenorm.kernels import triton_norm, triton_ops
from tests.kernels import definition
from tests.kernels.definition import ACTS, LIMITS, laid_out, relative

SHAPES = [
    (2, 3, 5, 7),
    (3, 4, 1, 1),
    (5, 37, 2, 2),
    (2, 6, 101),
    (2, 5, 30, 40),
    (1, 33, 16, 16, 16),
    (2, 320, 8, 8, 8),
    (2, 3, 127, 129),  # 16383
    (1, 2, 128, 128),  # 16384
    (2, 3, 90, 91),  # 8190, and 8193 below: about the largest whole plane of backward
    (1, 3, 3, 2731),
    (1, 16, 5, 1001),
    (2, 20, 111, 173),
    (1, 7, 37, 41, 43),
    (1, 3, 1024, 1025),
]


def inputs(shape, dtype, channels_last, seed=0):
    torch.manual_seed(seed)
    x, grad, residual = (torch.randn(shape, device="cuda", dtype=torch.float64) for _ in range(3))
    x = (x * 2 + 3).to(dtype)
    made = (laid_out(v, channels_last) for v in (x, grad.to(dtype), residual.to(dtype)))
    weight, bias = (torch.randn(shape[:2], device="cuda", dtype=torch.float32) for _ in range(2))
    return (*made, weight, bias)


@pytest.mark.parametrize("dtype", list(LIMITS), ids=lambda d: str(d).removeprefix("torch."))
@pytest.mark.parametrize("channels_last", [False, True], ids=["contiguous", "channels_last"])
def test_forward_and_backward(channels_last: bool, dtype: torch.dtype) -> None:
    wrong = []
    for number, shape in enumerate(SHAPES):
        act = [None, *ACTS][number % 6]
        with_residual, correction = bool(number % 2), int(number % 3 == 0)
        x, grad, residual, weight, bias = inputs(shape, dtype, channels_last)
        res = residual if with_residual else None
        options = (1e-5, correction, act, 0.2)
        y, stats = triton_norm.norm_forward(x, weight, bias, res, *options)
        assert y.stride() == x.stride()
        assert y.dtype == dtype
        got = triton_norm.norm_backward(grad, x, weight, bias, res, stats, *options)
        leaves = [v.double().detach().requires_grad_() for v in (x, weight, bias, residual)]
        expected = definition.norm(*leaves[:3], leaves[3] if with_residual else None, *options)
        wanted = torch.autograd.grad(expected, leaves[: 3 + with_residual], grad.double())
        errors = [relative(y, expected), *(relative(a, b) for a, b in zip(got, wanted, strict=False))]
        if x[0, 0].numel() == 1:
            errors[1:3] = [float(got[0].abs().max()), float(got[1].abs().max())]  # both are zero
        if not all(e <= LIMITS[dtype] for e in errors):
            wrong.append((shape, act, with_residual, correction, errors))
    assert not wrong


def test_bits_do_not_depend_on_the_batch_or_the_run() -> None:
    for shape in [(5, 8, 33, 65), (6, 16, 20, 20, 20), (4, 3, 400, 401), (40, 24, 150, 150)]:
        for channels_last in (False, True):
            for dtype in (torch.float32, torch.bfloat16):
                x, grad, _, w, b = inputs(shape, dtype, channels_last)

                def run(x, grad, w, b):
                    y, stats = triton_norm.norm_forward(x, w, b, None, 1e-5, 0, "silu", 0.0)
                    return (y, *stats, *triton_norm.norm_backward(
                        grad, x, w, b, None, stats, 1e-5, 0, "silu", 0.0
                    )[:3])  # fmt: skip

                many, again = run(x, grad, w, b), run(x, grad, w, b)
                for a, c in zip(many, again, strict=True):
                    assert torch.equal(a, c)
                alone = run(x[1:2], grad[1:2], w[1:2], b[1:2])
                n = shape[0]
                for a, c in zip(many, alone, strict=True):
                    mine = a[1] if a.dim() > 2 else a.view(n, -1)[1]
                    assert torch.equal(mine, c[0] if a.dim() > 2 else c.view(-1))


def test_groups_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, grad, _, w, b = inputs((6, 16, 200, 200), torch.float32, False)
    results = []
    for size in (1, 3 << 20, 1 << 40):
        tuning = dataclasses.replace(triton_norm.TUNING, group_bytes=size)
        monkeypatch.setattr(triton_norm, "TUNING", tuning)
        for layout in (torch.contiguous_format, torch.channels_last):
            xs, gs = x.contiguous(memory_format=layout), grad.contiguous(memory_format=layout)
            y, stats = triton_norm.norm_forward(xs, w, b, None, 1e-5, 0, "relu", 0.0)
            results.append((y, triton_norm.norm_backward(gs, xs, w, b, None, stats, 1e-5, 0, "relu", 0.0)[0]))
    for number, (y, dx) in enumerate(results):
        assert torch.equal(y, results[number % 2][0])
        assert torch.equal(dx, results[number % 2][1])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("size", [20, 300])
def test_numerics_contract(size: int, channels_last: bool) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x, bias = definition.hard_planes(size, dtype, "cuda", channels_last)
        for eps in (1e-5, 0.0):
            y, stats = triton_norm.norm_forward(x, None, bias, None, eps, 0, None, 0.0)
            assert y.isfinite().all()
            assert (y[0, 0] == 0).all()
            assert (y[0, 1] == 1).all()
            expected = definition.scaled(x, bias, eps)
            for c in (2, 3, 4, 5, 6, 7):
                if c == 3 and dtype == torch.bfloat16:
                    continue  # rounded, it is constant
                # The oracle itself divides by the largest element: 1e-16 of 1e4, in units of 1e-3.
                limit = max(LIMITS[dtype], 1e-9 if c == 3 else 0)
                assert relative(y[0, c], expected[c]) < limit, (c, dtype, eps)
            grad = torch.randn_like(x)
            got = triton_norm.norm_backward(grad, x, None, bias, None, stats, eps, 0, None, 0.0)
            assert not any(g.isnan().any() for g in got)


def test_in_place_and_into_a_buffer() -> None:
    for shape in [(2, 3, 20, 20), (2, 3, 300, 300)]:
        for channels_last in (False, True):
            x, _, residual, w, b = inputs(shape, torch.float32, channels_last)
            expected, _ = triton_norm.norm_forward(x, w, b, residual, 1e-5, 0, "relu", 0.0)
            out = torch.empty_like(x)
            y, _ = triton_norm.norm_forward(x, w, b, residual, 1e-5, 0, "relu", 0.0, out)
            assert y is out
            assert torch.equal(y, expected)
            other = torch.empty(shape, device="cuda").transpose(2, 3)
            triton_norm.norm_forward(x, w, b, residual, 1e-5, 0, "relu", 0.0, other.transpose(2, 3))
            mine = x.clone(memory_format=torch.preserve_format)
            y, _ = triton_norm.norm_forward(mine, w, b, residual, 1e-5, 0, "relu", 0.0, mine)
            assert y is mine
            assert torch.equal(mine, expected)


@pytest.mark.parametrize("channels_last", [False, True])
def test_more_than_two_to_the_31_elements(channels_last: bool) -> None:
    shape = (2, 9, 360, 360, 1000)  # 2.3e9
    if torch.cuda.get_device_properties(0).total_memory < 40e9:
        pytest.skip("needs 40 GB of GPU memory")
    torch.cuda.empty_cache()
    layout = torch.channels_last_3d if channels_last else torch.contiguous_format
    x = torch.empty(shape, device="cuda", dtype=torch.bfloat16, memory_format=layout)
    x.normal_()
    x[1, 8] += 3  # the last plane begins behind 2^31
    y, stats = triton_norm.norm_forward(x, None, None, None, 1e-5, 0, "relu", 0.0)
    n, c = shape[:2]
    for plane in ((0, 0), (1, 8), (1, 0)):
        rows = x[plane].float()
        mean, var = rows.double().mean(), rows.double().var(correction=0)
        expected = ((rows - mean.float()) * (var + 1e-5).rsqrt().float()).relu()
        assert relative(stats[0].view(n, c)[plane] + stats[1].view(n, c)[plane], mean) < 1e-5
        assert relative(stats[2].view(n, c)[plane], (var + 1e-5).rsqrt()) < 1e-5
        assert float((y[plane].float() - expected).abs().max()) < 4e-2
        del rows, expected
    dx, *_ = triton_norm.norm_backward(y, x, None, None, None, stats, 1e-5, 0, "relu", 0.0)
    for plane in ((0, 0), (1, 8)):
        xh = (x[plane].float() - stats[0].view(n, c)[plane]) * stats[2].view(n, c)[plane]
        d = torch.where(y[plane] > 0, y[plane], 0).float()
        expected = d - d.double().mean().float() - xh * (d.double() * xh).mean().float()
        expected *= stats[2].view(n, c)[plane]
        assert float((dx[plane].float() - expected).abs().max()) < 4e-2
        del xh, d, expected


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.filterwarnings("ignore")
def test_compiles_without_a_graph_break(backend: str) -> None:
    torch._dynamo.reset()
    conv = torch.nn.Conv2d(3, 8, 3).cuda()
    w, b = (torch.randn(8, device="cuda", requires_grad=True) for _ in range(2))

    def block(x):
        y = conv(x)
        return triton_ops.norm_act(y, w, b, y * 0.5, 1e-5, 0, "leaky_relu", 0.1)[0].sin()

    compiled = torch.compile(block, backend=backend, fullgraph=True)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 3, 34, 35, device="cuda").contiguous(memory_format=layout)
        results = []
        for call in (block, compiled):
            leaf = x.clone().requires_grad_()
            y = call(leaf)
            results.append((y, *torch.autograd.grad(y.square().sum(), (leaf, w, b))))
        for a, c in zip(*results, strict=True):
            assert relative(a, c) < 1e-4


def test_autocast_changes_no_type() -> None:
    x = torch.randn(2, 3, 8, 8, device="cuda", requires_grad=True)
    w = torch.rand(3, device="cuda", requires_grad=True)
    with torch.autocast("cuda", torch.bfloat16):
        assert triton_ops.norm_act(x, w, None, None, 1e-5, 0, "relu", 0.0)[0].dtype == torch.float32
        y = torch.nn.functional.conv2d(x, torch.eye(3, device="cuda").view(3, 3, 1, 1))
        z = triton_ops.norm_act(y, w, None, x, 1e-5, 0, "relu", 0.0)[0]
    assert y.dtype == z.dtype == torch.bfloat16
    gx, gw = torch.autograd.grad(z.float().sum(), (x, w))
    assert gx.dtype == gw.dtype == torch.float32


def test_captured_in_a_graph() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.randn(2, 8, 200, 200, device="cuda")
        expected, _ = triton_norm.norm_forward(x, None, None, None, 1e-5, 0, "relu", 0.0)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y, _ = triton_norm.norm_forward(x, None, None, None, 1e-5, 0, "relu", 0.0)
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(y, expected)
