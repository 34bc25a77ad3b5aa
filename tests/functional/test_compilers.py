"""torch.func, torch.compile, torch.export, ONNX and autocast."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import stylenorm.nn as sn
from stylenorm.functional import conditional_instance_norm, instance_norm
from tests import reference as ref
from tests.requirements_met import need
from tests.tolerances import assert_close


def data(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2 + 1


@pytest.mark.parametrize("act", [None, "relu", "silu"])
def test_vmap_over_everything_and_over_parts(act: str | None) -> None:
    x, w, b = data(4, 2, 3, 5, 6), data(4, 3, seed=1), data(4, 3, seed=2)

    def one(x, w, b):
        return instance_norm(x, weight=w, bias=b, act=act)

    expected = torch.stack([one(*v) for v in zip(x, w, b, strict=True)])
    assert_close(torch.func.vmap(one)(x, w, b), expected)
    assert_close(torch.func.vmap(one, (0, None, 0))(x, w[0], b)[0], expected[0])
    assert_close(torch.func.vmap(one, (None, 0, 0))(x[0], w, b)[0], expected[0])
    assert_close(
        torch.func.vmap(one, (1, None, None))(x.transpose(0, 1).contiguous(), w[0], b[0])[0], expected[0]
    )


def test_per_sample_gradients() -> None:
    x, w = data(4, 3, 5, 6), data(3, seed=1)

    def loss(w, x):
        return instance_norm(x[None], weight=w, act="gelu").square().sum()

    got = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)), (None, 0))(w, x)
    for i in range(4):
        leaf, features = w.clone().requires_grad_(), x[i].clone().requires_grad_()
        expected = torch.autograd.grad(loss(leaf, features), (leaf, features))
        assert_close(got[0][i], expected[0], rtol=1e-4)
        assert_close(got[1][i], expected[1], atol=1e-4)


# torch 2.13 builds its own forward-mode rules with its own deprecated torch.jit.script.
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_forward_mode_hessian_and_jacobians() -> None:
    x, v = data(2, 2, 6).double(), data(2, 2, 6, seed=1).double()

    def f(x):
        return instance_norm(x, act="silu")

    _, tangent = torch.func.jvp(f, (x,), (v,))
    jacobian = torch.func.jacrev(f)(x)
    assert_close(tangent, torch.einsum("abcdef,def->abc", jacobian, v))
    assert_close(torch.func.jacfwd(f)(x), jacobian)
    hessian = torch.func.hessian(lambda x: f(x).square().sum())(x)
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(f(leaf).square().sum(), leaf, create_graph=True)
    (hv,) = torch.autograd.grad(g, leaf, v)
    assert_close(torch.einsum("abcdef,def->abc", hessian, v), hv, atol=1e-8)
    assert_close(torch.autograd.functional.jacobian(f, x, vectorize=True), jacobian)


def gradient_penalty(norm) -> torch.Tensor:
    x = data(2, 3, 6, 6).requires_grad_()
    (g,) = torch.autograd.grad(norm(x, act="leaky_relu").square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(g.square().sum(), x)
    return second


def test_gradient_penalty() -> None:
    def theirs(x, act):
        return F.leaky_relu(F.instance_norm(x))

    # Measured 4e-4 of a largest value of 370.
    assert_close(gradient_penalty(instance_norm), gradient_penalty(theirs), rtol=1e-3, atol=5e-3)


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.norm = sn.InstanceNormAct2d(4, affine=True, act="leaky_relu")
        self.styled = sn.ConditionalInstanceNorm2d(4, 5)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        return self.styled(self.norm(self.conv(x)), style)


def test_compile_without_a_graph_break() -> None:
    torch._dynamo.reset()
    block, x, style = Block(), data(2, 3, 12, 12), torch.rand(2, 5)
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    x1, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
    y1, y2 = compiled(x1, style), block(x2, style)
    assert_close(y1, y2.detach())
    g = data(*y1.shape, seed=3)
    assert_close(torch.autograd.grad(y1, x1, g)[0], torch.autograd.grad(y2, x2, g)[0], atol=2e-5)


def test_inductor_keeps_the_digits() -> None:
    torch._dynamo.reset()
    x = data(1, 2, 40, 40) + 1e4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler about this machine
        y = torch.compile(lambda x: instance_norm(x, act="relu"), fullgraph=True)(x)
    assert_close(y, ref.instance_norm(x, act="relu"), atol=3e-6)
    constant = torch.full((1, 2, 9, 9), 1234.567)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not torch.compile(instance_norm, fullgraph=True)(constant).any()


def test_export_is_the_operator_that_exporters_know() -> None:
    block, inputs = Block().eval(), (data(1, 3, 12, 12), torch.rand(1, 5))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        program = torch.export.export(block, inputs)
        names = [str(n.target) for n in program.graph.nodes]
        assert names.count("aten.instance_norm.default") == 2
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        buffer.seek(0)
        loaded = torch.export.load(buffer).module()
    assert_close(loaded(*inputs), block(*inputs).detach())


def test_scale_and_shift_go_into_the_exported_operator() -> None:
    norm = sn.InstanceNorm2d(3, affine=True)
    program = torch.export.export(norm, (data(2, 3, 8, 8),))
    names = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert "aten.instance_norm.default" in names
    assert not {"aten.mul.Tensor", "aten.add.Tensor"} & set(names)


def onnx_model(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], dynamic=None):
    need("onnx")
    need("onnxscript")
    with warnings.catch_warnings():
        # torch 2.13's exporter warns about torch's own deprecations.
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        program = torch.onnx.export(module.eval(), inputs, dynamo=True, dynamic_shapes=dynamic, verbose=False)
    return program.model_proto


def run_onnx(proto, inputs: tuple[torch.Tensor, ...]) -> np.ndarray:
    ort = need("onnxruntime")
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: v.numpy() for i, v in zip(session.get_inputs(), inputs, strict=True)})[
        0
    ]


class Styled(torch.nn.Module):
    """The stylizer's case: scale and shift of one sample are inputs of the graph."""

    def forward(self, x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        return instance_norm(x, weight=gamma, bias=beta, act="relu")


def test_onnx_has_instance_normalization() -> None:
    dim = torch.export.Dim
    size = {2: dim("height", min=4), 3: dim("width", min=4)}
    inputs = (data(1, 4, 12, 13), data(1, 4, seed=1), data(1, 4, seed=2))
    proto = onnx_model(Styled(), inputs, (size, None, None))
    kinds = [n.op_type for n in proto.graph.node]
    assert kinds.count("InstanceNormalization") == 1
    assert not {"Mul", "Add", "ReduceMean"} & set(kinds)
    other = (data(1, 4, 20, 9, seed=5), *inputs[1:])
    assert_close(run_onnx(proto, other), Styled()(*other), atol=1e-5)

    batch = (data(2, 4, 12, 12), data(2, 4, seed=1), data(2, 4, seed=2))
    proto = onnx_model(Styled(), batch)
    assert "InstanceNormalization" in [n.op_type for n in proto.graph.node]
    assert_close(run_onnx(proto, batch), Styled()(*batch), atol=1e-5)


def test_onnx_of_frozen_statistics_has_no_statistics() -> None:
    norm = sn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    norm(data(3, 4, 8, 8))
    x = data(1, 4, 8, 8, seed=9)
    proto = onnx_model(norm, (x,))
    kinds = {n.op_type for n in proto.graph.node}
    assert not kinds & {"InstanceNormalization", "ReduceMean"}
    assert_close(run_onnx(proto, (x,)), norm.eval()(x).detach(), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_keeps_the_type_and_the_digits(dtype: torch.dtype) -> None:
    norm = sn.InstanceNormAct2d(4, affine=True)
    conv = torch.nn.Conv2d(3, 4, 3)
    x = data(2, 3, 9, 9)
    with torch.autocast("cpu", dtype=dtype):
        hidden = conv(x)
        y = norm(hidden)
    assert hidden.dtype == y.dtype == dtype
    assert_close(y, ref.instance_norm(hidden, act="relu"))
    y.float().sum().backward()
    assert norm.weight.grad is not None
    assert norm.weight.grad.dtype == torch.float32
    table = torch.ones(5, 3)
    with torch.autocast("cpu", dtype=dtype):
        z = conditional_instance_norm(x, torch.full((2, 5), 0.2), table, table)
    assert z.dtype == torch.float32
    assert_close(z, ref.instance_norm(x) + 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_on_cuda(layout: torch.memory_format) -> None:
    x = (data(2, 4, 33, 31) + 1e3).contiguous(memory_format=layout)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        half = x.to(dtype)
        leaf = half.cuda().requires_grad_()
        with torch.autocast("cuda", dtype=torch.float16):
            y = instance_norm(leaf, act="leaky_relu")
        assert y.dtype == dtype
        assert y.is_contiguous(memory_format=layout)
        assert_close(y, ref.instance_norm(half, act="leaky_relu"))
        (g,) = torch.autograd.grad(y.float().square().sum(), leaf)
        assert g.is_contiguous(memory_format=layout)
    assert not instance_norm(torch.full((1, 2, 65, 65), 1234.567, device="cuda")).any()
    assert bool(instance_norm(torch.randn(1, 2, 8, 8, device="cuda") * 1e25).isfinite().all())
