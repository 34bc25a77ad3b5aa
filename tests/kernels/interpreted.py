"""What runs under Triton's interpreter: the kernels, line by line, on CPU tensors.

Triton wants ``TRITON_INTERPRET=1`` when the kernels are imported, so ``test_triton.py`` runs this file in a
process of its own. A program costs milliseconds here, however large its tile: hence few planes, not small
ones. By hand: ``TRITON_INTERPRET=1 pytest tests/kernels/interpreted.py``.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from stylenorm.functional import instance_norm
from stylenorm.kernels import explain, triton_norm, use_kernels
from tests import reference as ref
from tests.kernels import definition
from tests.kernels import test_triton_ops as operators
from tests.kernels.definition import ACTS, LIMITS, laid_out, relative
from tests.tolerances import assert_close

OPTIONS = (1e-5, 0, "silu", 0.0)
# Tiles so small that a few hundred elements are split into several chunks, in several groups.
SPLIT = {
    "whole_forward": 256, "whole_backward": 256, "whole_least": 64, "tile": 128, "programs": 4,
    "line_bytes": 16, "sector_bytes": 8, "group_bytes": 4000, "group_programs": 3,
}  # fmt: skip
SHAPES = {
    "whole": [(2, 3, 5, 7), (2, 3, 13, 11), (1, 3, 173), (1, 5, 3, 7, 9), (3, 5, 1, 1), (1, 6, 19, 8)],
    "split": [(2, 1, 17, 19), (1, 3, 7, 5, 11), (1, 2, 401)],
}


@pytest.fixture(params=["whole", "split"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "split":
        tuning = dataclasses.replace(triton_norm.TUNING, **SPLIT)
        monkeypatch.setattr(triton_norm, "TUNING", tuning)
    return request.param


@pytest.fixture(params=[False, True], ids=["contiguous", "channels_last"])
def channels_last(request: pytest.FixtureRequest) -> bool:
    return request.param


def tensors(shape: tuple[int, ...], dtype: torch.dtype, channels_last: bool) -> tuple[Tensor, ...]:
    """Features, gradient, residual; scale and shift of every sample and channel."""
    torch.manual_seed(sum(shape))
    x, grad, residual = (torch.randn(shape, dtype=torch.float64) for _ in range(3))
    made = [laid_out(v.to(dtype), channels_last) for v in (x * 2 + 3, grad, residual)]
    return (*made, *(torch.randn(shape[:2]) for _ in range(2)))


@pytest.mark.parametrize("dtype", list(LIMITS), ids=lambda d: str(d).removeprefix("torch."))
def test_forward_and_backward(dtype: torch.dtype, channels_last: bool, form: str) -> None:
    """Sizes that are no power of two, every activation, with and without residual, scale and shift.

    Each type runs each shape in one of the layouts, and each layout each shape in two of the types.
    """
    wrong = []
    kind = list(LIMITS).index(dtype)
    first = kind + 2 * channels_last
    for number, shape in enumerate(SHAPES[form]):
        if (number + kind + channels_last) % 2:
            continue
        act = [None, *ACTS][(number + first) % 6]
        correction = int(number % 3 == 1)
        x, grad, residual, weight, bias = tensors(shape, dtype, channels_last)
        given = [x, weight, bias, residual]
        if number % 2:
            given[1 + number % 3] = None
        elif number % 4 == 0:
            given[1], given[2] = weight[:1].expand(shape[:2]), bias[:1].to(dtype).expand(shape[:2])
        options = (1e-5, correction, act, 0.2)
        y, stats = triton_norm.norm_forward(*given, *options)
        assert y.stride() == x.stride()
        assert y.dtype == dtype
        got = triton_norm.norm_backward(grad, *given, stats, *options)
        assert got[0].stride() == x.stride()
        leaves = [None if v is None else v.detach().double().requires_grad_() for v in given]
        expected = definition.norm(*leaves, *options)
        present = [i for i, v in enumerate(leaves) if v is not None]
        wanted = torch.autograd.grad(expected, [leaves[i] for i in present], grad.double())
        errors = [relative(y, expected)]
        for i, gradient in zip(present, wanted, strict=True):
            if x[0, 0].numel() == 1 and i < 2:
                assert not gradient.any()
                errors.append(float(got[i].abs().max()))
            else:
                errors.append(relative(got[i], gradient))
        if not all(e <= LIMITS[dtype] for e in errors):
            wrong.append((shape, act, errors))
        length, size = x[0, 0].numel(), x.element_size()
        cut = triton_norm.plan(*shape[:2], length, size, channels_last, 1, triton_norm.TUNING)
        assert cut.whole == (form == "whole")
    assert not wrong


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=["f32", "f64", "bf16"])
# Squares of the largest numbers overflow, and numpy, which computes here, says so; a GPU does not.
@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")
def test_planes_that_lose_digits_or_overflow(dtype: torch.dtype, channels_last: bool, form: str) -> None:
    x, bias = definition.hard_planes(21, dtype, "cpu", channels_last)
    for eps in (1e-5, 0.0) if form == "whole" else (0.0,):
        y, stats = triton_norm.norm_forward(x, None, bias, None, eps, 0, None, 0.0)
        assert bool(y.isfinite().all())
        assert bool((y[0, 0] == 0).all())
        assert bool((y[0, 1] == 1).all())
        expected = definition.scaled(x, bias, eps)
        for c in (2, 3, 4, 5, 6, 7):
            if c == 3 and dtype == torch.bfloat16:
                continue  # rounded, it is constant
            # The oracle itself divides by the largest element: 1e-16 of 1e4, in units of 1e-3.
            limit = max(LIMITS[dtype], 1e-9 if c == 3 else 0)
            assert relative(y[0, c], expected[c]) < limit, (c, eps)
        got = triton_norm.norm_backward(torch.randn_like(x), x, None, bias, None, stats, eps, 0, None, 0.0)
        assert not any(bool(g.isnan().any()) for g in got)


@pytest.mark.filterwarnings(
    "ignore:All-NaN slice:RuntimeWarning", "ignore:(overflow|invalid value) encountered:RuntimeWarning"
)
def test_what_is_not_finite_stays_in_its_plane(channels_last: bool, form: str) -> None:
    x = laid_out(torch.randn(2, 2, 17, 19), channels_last)
    x[0, 0, 3, 3], x[1, 1, 2, 2] = float("inf"), float("nan")
    y, _ = triton_norm.norm_forward(x, None, None, None, 1e-5, 0, "relu", 0.0)
    assert bool(y[0, 0].isnan().all())
    assert bool(y[1, 1].isnan().all())
    assert bool(y[0, 1].isfinite().all())
    assert bool(y[1, 0].isfinite().all())


def test_bits_do_not_depend_on_the_batch(channels_last: bool, form: str) -> None:
    dtype = torch.bfloat16 if channels_last else torch.float32
    x, grad, _, w, b = tensors((2, 2, 17, 19), dtype, channels_last)

    def run(*parts: Tensor) -> tuple[Tensor, ...]:
        x, grad, w, b = parts
        y, stats = triton_norm.norm_forward(x, w, b, None, *OPTIONS)
        dx, dw, db, _ = triton_norm.norm_backward(grad, x, w, b, None, stats, *OPTIONS)
        return (y, dx, dw, db, *(s.view(x.shape[:2]) for s in stats))

    for many, alone in zip(run(x, grad, w, b), run(x[1:2], grad[1:2], w[1:2], b[1:2]), strict=True):
        assert torch.equal(many[1], alone[0])


def test_groups_change_no_bit(channels_last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, grad, _, w, b = tensors((2, 2, 17, 19), torch.float32, channels_last)
    results = []
    for size in (1, 1 << 40):
        tuning = dataclasses.replace(
            triton_norm.TUNING, **(SPLIT | {"group_bytes": size, "group_programs": 1})
        )
        monkeypatch.setattr(triton_norm, "TUNING", tuning)
        y, stats = triton_norm.norm_forward(x, w, b, None, *OPTIONS)
        results.append((y, *triton_norm.norm_backward(grad, x, w, b, None, stats, *OPTIONS)[:3]))
    assert all(torch.equal(a, c) for a, c in zip(*results, strict=True))


def test_in_place_and_into_a_buffer(channels_last: bool, form: str) -> None:
    x, _, residual, w, b = tensors((1, 3, 17, 19), torch.float32, channels_last)

    def run(x: Tensor, residual: Tensor, out: Tensor | None = None) -> Tensor:
        return triton_norm.norm_forward(x, w, b, residual, 1e-5, 0, "relu", 0.0, out)[0]

    expected = run(x, residual)
    assert (
        relative(expected, definition.norm(*(v.double() for v in (x, w, b, residual)), 1e-5, 0, "relu", 0.0))
        < 1e-6
    )
    buffer, strided = torch.empty_like(x), torch.empty(1, 3, 19, 17).transpose(2, 3)
    mine, other = x.clone(), residual.clone()
    for out, given in (
        (buffer, (x, residual)), (strided, (x, residual)), (mine, (mine, residual)), (other, (x, other)),
    ):  # fmt: skip
        assert run(*given, out) is out
        assert torch.equal(out, expected)


def test_layouts_and_types_that_are_brought_into_line() -> None:
    """Slices and transposed axes are copied; so are a residual and a gradient of another layout."""
    wide, _, residual, w, b = tensors((2, 2, 12, 9), torch.float32, False)
    for x, kind in ((wide[:, :, ::2], torch.float32), (wide.transpose(2, 3), torch.bfloat16)):
        r = laid_out(residual.flatten()[: x.numel()].view(x.shape), True).to(kind)
        args = (x, w, b.to(kind), r)
        y, stats = triton_norm.norm_forward(*args, *OPTIONS)
        got = triton_norm.norm_backward(r, *args, stats, *OPTIONS)
        leaves = [v.double().requires_grad_() for v in args]
        expected = definition.norm(*leaves, *OPTIONS)
        wanted = torch.autograd.grad(expected, leaves, r.double())
        assert y.dtype == got[0].dtype == x.dtype
        assert got[3].dtype == kind
        for a, e in zip((y, *got), (expected, *wanted), strict=True):
            assert relative(a, e) < LIMITS[a.dtype]


def test_the_operators_run_the_kernels() -> None:
    """The tests of their own file, where they compute by torch operations, again."""
    operators.test_opcheck((1, 2, 3, 5))
    operators.test_compiles_without_a_graph_break("aot_eager")
    operators.test_gradients_only_where_asked()


def test_nothing_to_do() -> None:
    for shape in ((0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4)):
        x = torch.empty(shape)
        y, stats = triton_norm.norm_forward(x, None, None, None, *OPTIONS)
        dx, dw, db, _ = triton_norm.norm_backward(y, x, None, None, None, stats, *OPTIONS)
        assert y.shape == dx.shape == shape
        assert dw.shape == db.shape == shape[:2]
        assert not dw.any()
        assert not db.any()


def test_the_public_norm_runs_them_when_asked() -> None:
    x, grad, residual, w, b = tensors((2, 3, 6, 5), torch.float32, True)
    assert explain(x).kernel != "triton", "the interpreter is never chosen unasked"
    with use_kernels("triton"):
        assert explain(x, weight=w[0], act="gelu").kernel == "triton"
        for weight, bias in ((None, None), (w[0], b[0]), (w, b)):
            y = instance_norm(
                x, weight=weight, bias=bias, residual=residual, act="leaky_relu", negative_slope=0.2
            )
            assert_close(
                y, ref.instance_norm(x, weight, bias, residual=residual, act="leaky_relu", slope=0.2)
            )
            assert y.stride() == x.stride()
        leaves = [v.clone().requires_grad_() for v in (x, w[0], b[0], residual)]
        y = instance_norm(
            leaves[0], weight=leaves[1], bias=leaves[2], residual=leaves[3], act="elu", alpha=0.7
        )
        got = torch.autograd.grad(y, leaves, grad)
        assert_close(
            instance_norm(x, act="prelu", act_weight=torch.tensor([0.3])),
            ref.instance_norm(x, act="prelu", act_weight=torch.tensor([0.3])),
        )
        mine = x.clone()
        assert instance_norm(mine, act="relu", inplace=True) is mine
        assert_close(mine, ref.instance_norm(x, act="relu"))
        frozen = (torch.zeros(3), torch.full((3,), 4.0))
        assert_close(instance_norm(x, statistics=frozen), ref.instance_norm(x, statistics=frozen))
    exact = [v.detach().double().requires_grad_() for v in leaves]
    wide = [exact[0], *(v.expand(2, 3).contiguous() for v in exact[1:3]), exact[3]]
    wanted = torch.autograd.grad(definition.norm(*wide, 1e-5, 0, "elu", 0.7), exact, grad.double())
    for a, e in zip(got, wanted, strict=True):
        assert relative(a, e) < LIMITS[torch.float32]
