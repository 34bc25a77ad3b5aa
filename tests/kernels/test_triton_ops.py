"""The operators of ``torch.library``: their rules, and compilers. Here on torch operations, without Triton.

``interpreted.py`` runs the same tests on the kernels.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stylenorm.kernels import triton_ops
from tests.kernels import definition
from tests.kernels.definition import laid_out, relative

OPERATOR = torch.ops.stylenorm.triton_norm.default


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 2, 7), (1, 2, 3, 2, 2)])
def test_opcheck(shape: tuple[int, ...]) -> None:
    """Schema, fake tensors, autograd registration and AOT dispatch, with sizes known and unknown."""
    for channels_last in (False, True):
        x, residual = (laid_out(torch.randn(shape), channels_last).requires_grad_() for _ in range(2))
        w, b = (torch.randn(shape[:2], requires_grad=True) for _ in range(2))
        torch.library.opcheck(OPERATOR, (x, w, b, residual, 1e-5, 1, "relu", 0.0))
        torch.library.opcheck(OPERATOR, (x, None, None, None, 1e-5, 0, None, 0.0))


@pytest.mark.parametrize("backend", [None, "eager", "aot_eager"])
def test_compiles_without_a_graph_break(backend: str | None) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    w, b = torch.randn(3), torch.randn(2, 3)
    for act in (None, "relu", "elu"):

        def block(x: Tensor, w: Tensor, b: Tensor, r: Tensor, act: str | None = act) -> Tensor:
            y, (pivot, mean, _) = triton_ops.norm_act(x, w, b, r, 1e-5, 0, act, 0.3)
            assert pivot.shape == mean.shape == x.shape[:2]
            return y * 2

        call = torch.compile(block, backend=backend, fullgraph=True) if backend else block
        for channels_last in (False, True):
            x, r = (laid_out(torch.randn(2, 3, 5, 7), channels_last) for _ in range(2))
            leaves = [v.clone().requires_grad_() for v in (x, w, b, r)]
            y = call(*leaves)
            assert y.stride() == x.stride()
            grad = torch.randn_like(y)
            got = torch.autograd.grad(y, leaves, grad)
            exact = [v.double().requires_grad_() for v in (x, w, b, r)]
            wide = (exact[0], exact[1].expand(2, 3).contiguous(), *exact[2:])
            expected = definition.norm(*wide, 1e-5, 0, act, 0.3) * 2
            wanted = torch.autograd.grad(expected, exact, grad.double())
            for a, e in zip((y, *got), (expected, *wanted), strict=True):
                assert relative(a, e) < 3e-6


def test_gradients_only_where_asked() -> None:
    x, w = torch.randn(2, 3, 4, 5), torch.randn(3, requires_grad=True)
    y, stats = triton_ops.norm_act(x, w, None, None, 1e-5, 0, "relu", 0.0)
    assert not any(s.requires_grad for s in stats)
    assert torch.autograd.grad(y.sum(), w)[0].shape == (3,)
    assert not triton_ops.norm_act(x, w.detach(), None, None, 1e-5, 0, "relu", 0.0)[0].requires_grad


def test_autocast_changes_no_type() -> None:
    x, w = torch.randn(2, 3, 4, 5, requires_grad=True), torch.rand(3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert triton_ops.norm_act(x, w, None, None, 1e-5, 0, "relu", 0.0)[0].dtype == torch.float32
        half = torch.nn.functional.conv2d(x, torch.eye(3).view(3, 3, 1, 1))
        y = triton_ops.norm_act(half, w, None, x, 1e-5, 0, "relu", 0.0)[0]
    assert half.dtype == y.dtype == torch.bfloat16
    gx, gw = torch.autograd.grad(y.float().sum(), (x, w))
    assert gx.dtype == gw.dtype == torch.float32
