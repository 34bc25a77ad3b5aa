"""Conformance material that nobody here wrote: samples, node cases, published vectors, two engines.

Every case counts itself, and the numbers in docs/norms.md are held to what ran.
"""

from __future__ import annotations

import importlib
import re
import sys
import types
import unittest
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stylenorm.errors import InputError
from stylenorm.functional import instance_norm
from tests import reference as ref
from tests.requirements_met import need
from tests.tolerances import assert_close


@cache
def opinfo() -> types.ModuleType:
    """torch's own test samples; they want ``expecttest``, of which only a base class is needed."""
    if "expecttest" not in sys.modules:
        try:
            import expecttest  # noqa: F401
        except ImportError:
            stub = types.ModuleType("expecttest")
            stub.TestCase = unittest.TestCase  # type: ignore[attr-defined]
            sys.modules["expecttest"] = stub
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's test modules warn about torch
        from torch.testing._internal import common_methods_invocations

    return common_methods_invocations


def samples(function: str) -> list:
    torch.manual_seed(0)
    make = getattr(opinfo(), function)
    return list(make(None, "cpu", torch.float64, False))


def through_instance_norm(
    x: torch.Tensor, groups: int, weight=None, bias=None, eps: float = 1e-5
) -> torch.Tensor:
    """Group norm as instance norm of its groups, with the scale behind it."""
    length = x[0].numel() // groups if len(x) else 1
    y = instance_norm(x.reshape(x.shape[0], groups, length), eps=eps).reshape(x.shape)
    shape = (1, -1, *(1,) * (x.dim() - 2))
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def run_opinfo_instance() -> int:
    all_samples = samples("sample_inputs_instance_norm")
    for sample in all_samples:
        mine = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in sample.kwargs.items()}
        theirs = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in sample.kwargs.items()}
        assert_close(instance_norm(sample.input, **mine), F.instance_norm(sample.input, **theirs))
        for name in ("running_mean", "running_var"):
            if name in mine:
                assert_close(mine[name], theirs[name])
    return len(all_samples)


def run_opinfo_group(function: str) -> int:
    all_samples = samples(function)
    for sample in all_samples:
        x, groups, kwargs = sample.input, sample.args[0], sample.kwargs
        if kwargs.get("eps", 1e-5) < 0:  # torch returns NaN for what we refuse
            with pytest.raises(InputError, match="eps: expected a finite number >= 0"):
                through_instance_norm(x, groups, **kwargs)
            continue
        assert_close(through_instance_norm(x, groups, **kwargs), F.group_norm(x, groups, **kwargs), atol=1e-9)
    return len(all_samples)


def run_opinfo_group_errors() -> int:
    errors = list(opinfo().error_inputs_group_norm(None, "cpu"))
    for error in errors:
        x, groups = error.sample_input.input, error.sample_input.args[0]
        # A vector has no channels; seven channels do not make two groups of one channel each.
        with pytest.raises((InputError, RuntimeError)):
            instance_norm(x) if x.dim() < 3 else instance_norm(x, weight=torch.ones(groups))
    return len(errors)


def run_opinfo_batch() -> int:
    """Batch norm in training is instance norm of the batch laid out as one sample."""
    count = 0
    for sample in samples("sample_inputs_batch_norm"):
        x, kwargs = sample.input, dict(sample.kwargs)
        count += 1
        if x.dim() < 2:  # no channels: torch's own batch norm takes it only because it is empty
            with pytest.raises(InputError, match="input: expected at least 3 dimensions"):
                instance_norm(x)
            continue
        names = ("running_mean", "running_var", "weight", "bias")
        values = dict(zip(names, sample.args, strict=False)) | kwargs
        training, eps = values.pop("training", False), values.get("eps", 1e-5)
        mine = [None if values.get(n) is None else values[n].clone() for n in names]
        theirs = [None if values.get(n) is None else values[n].clone() for n in names]
        expected = F.batch_norm(x, *theirs, training, values.get("momentum", 0.1), eps)
        shape = (1, -1, *(1,) * (x.dim() - 2))
        if training:
            rows = x.transpose(0, 1).reshape(1, x.shape[1], x.numel() // max(x.shape[1], 1))
            y = instance_norm(rows, mine[0], mine[1], momentum=values.get("momentum", 0.1), eps=eps)
            y = y.reshape(x.transpose(0, 1).shape).transpose(0, 1)
            y = y if mine[2] is None else y * mine[2].reshape(shape)
            y = y if mine[3] is None else y + mine[3].reshape(shape)
            for a, b in zip(mine[:2], theirs[:2], strict=True):
                if a is not None and x.numel():
                    assert_close(a, b)
        else:
            wide = x if x.dim() > 2 else x.unsqueeze(-1)
            y = instance_norm(wide, *mine, use_input_stats=False, eps=eps).reshape(x.shape)
        if x.numel():
            assert_close(y, expected, atol=1e-9)
    return count


def run_onnx_nodes() -> int:
    need("onnx")
    count = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node

        # collect_testcases() would compute those of all operators.
        importlib.import_module(f"{node.__name__}.instance_normalization")
        cases = node._NodeTestCases
    for case in cases:
        if not case.name.startswith("test_instancenorm"):
            continue
        eps = {a.name: a.f for n in case.model.graph.node for a in n.attribute}.get("epsilon", 1e-5)
        for (x, scale, bias), (expected,) in case.data_sets:
            y = instance_norm(torch.tensor(x), weight=torch.tensor(scale), bias=torch.tensor(bias), eps=eps)
            assert_close(y, expected)
            count += 1
    return count


def webnn(dtype: torch.dtype) -> list[tuple[dict, list[float]]]:
    """Published vectors of web-platform-tests, webnn/conformance_tests (BSD-3): numbers only."""
    cases = []
    thirds = [-1, -1, -1 / 3, -1 / 3, 1 / 3, 1 / 3, 1, 1]
    for scale, bias in (([3, 6], [0.25, 0.5]), ([3, 6], None), (None, [0.25, 0.5])):
        expected = [
            v * (scale[i % 2] if scale else 1) + (bias[i % 2] if bias else 0) for i, v in enumerate(thirds)
        ]
        cases.append(
            ({"data": [0, 0, 2, 2, 4, 4, 6, 6], "nhwc": True, "eps": 4.0, "w": scale, "b": bias}, expected)
        )
    u = 2.0**-24
    nchw = [u, -u, u, -u, 2 * u, -2 * u, 2 * u, -2 * u]
    nhwc = [u, 2 * u, -u, -2 * u, u, 2 * u, -u, -2 * u]
    zero = {"eps": 0.0, "w": None, "b": None}
    affine = {"eps": 0.0, "w": [0.5, 2], "b": [0.25, -0.5]}
    cases += [
        ({"data": nchw, "nhwc": False, **zero}, [1, -1, 1, -1, 1, -1, 1, -1]),
        ({"data": nchw, "nhwc": False, **affine}, [0.75, -0.25, 0.75, -0.25, 1.5, -2.5, 1.5, -2.5]),
        ({"data": nhwc, "nhwc": True, **zero}, [1, 1, -1, -1, 1, 1, -1, -1]),
        ({"data": nhwc, "nhwc": True, **affine}, [0.75, 1.5, -0.25, -2.5, 0.75, 1.5, -0.25, -2.5]),
    ]
    return cases


def run_webnn() -> int:
    count = 0
    for dtype in (torch.float32, torch.float16):
        for case, expected in webnn(dtype):
            x = torch.tensor(case["data"], dtype=torch.float64).to(dtype).reshape(1, 2, 2, 2)
            x = x.movedim(-1, 1) if case["nhwc"] else x
            w, b = (None if case[k] is None else torch.tensor(case[k], dtype=dtype) for k in "wb")
            y = instance_norm(x, weight=w, bias=b, eps=case["eps"])
            y = y.movedim(1, -1) if case["nhwc"] else y
            exact = torch.tensor(expected, dtype=torch.float64).to(dtype).flatten()
            # Exact where the numbers are; thirds within one unit of the last place.
            assert_close(y.flatten(), exact, rtol=torch.finfo(dtype).eps, atol=0)
            count += 1
    # Scale and bias that come as float16 for a float32 input.
    x = torch.tensor([0.0, 0, 2, 2, 4, 4, 6, 6]).reshape(1, 2, 2, 2).movedim(-1, 1)
    y = instance_norm(x, weight=torch.tensor([3.0, 6]).half(), bias=torch.tensor([0.25, 0.5]).half(), eps=4.0)
    assert_close(
        y.movedim(1, -1).flatten(), np.array([-2.75, -5.5, -0.75, -1.5, 1.25, 2.5, 3.25, 6.5]), rtol=2e-7
    )
    return count + 1


ENGINE_SHAPES = [(1, 3, 7), (2, 4, 6, 5), (1, 2, 3, 4, 5), (3, 8, 32, 32)]


def run_onnxruntime() -> int:
    ort = need("onnxruntime")
    from onnx import TensorProto, helper

    for shape in ENGINE_SHAPES:
        io = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "s", "b", "y")]
        node = helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"], epsilon=1e-3)
        graph = helper.make_graph([node], "g", io[:3], io[3:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        g = np.random.default_rng(0)
        x, s, b = (g.normal(2, 3, n).astype(np.float32) for n in (shape, shape[1], shape[1]))
        (expected,) = session.run(None, {"x": x, "s": s, "b": b})
        y = instance_norm(torch.tensor(x), weight=torch.tensor(s), bias=torch.tensor(b), eps=1e-3)
        assert_close(y, expected, atol=2e-5)
    return len(ENGINE_SHAPES)


def run_openvino_mvn() -> int:
    ov = need("openvino")
    from openvino import opset13 as ops

    from stylenorm.engines.openvino_session import openvino_core  # a second core is not safe, see there

    count = 0
    for shape in ENGINE_SHAPES:
        for mode, name in (("inside", "inside_sqrt"), ("outside", "outside_sqrt")):
            x = np.random.default_rng(0).normal(2, 3, shape).astype(np.float32)
            node = ops.parameter(list(shape), np.float32)
            axes = ops.constant(np.arange(2, len(shape)))
            mvn = ops.mvn(node, axes, True, 1e-2, name)
            hint = {"INFERENCE_PRECISION_HINT": "f32"}  # its default on some processors is bfloat16
            compiled = openvino_core().compile_model(ov.Model([mvn], [node], "mvn"), "CPU", hint)
            y = instance_norm(torch.tensor(x), eps=1e-2, eps_mode=mode)
            assert_close(y, compiled(x)[0], atol=2e-5)
            count += 1
    return count


RUNS = {
    "torch OpInfo, instance norm": run_opinfo_instance,
    "torch OpInfo, group norm": lambda: run_opinfo_group("sample_inputs_group_norm"),
    "torch OpInfo, group norm, reference": lambda: run_opinfo_group("reference_inputs_group_norm"),
    "torch OpInfo, group norm, errors": run_opinfo_group_errors,
    "torch OpInfo, batch norm": run_opinfo_batch,
    "ONNX node cases": run_onnx_nodes,
    "WebNN vectors": run_webnn,
    "ONNX Runtime": run_onnxruntime,
    "OpenVINO MVN": run_openvino_mvn,
}


def documented() -> dict[str, int]:
    page = (Path(__file__).parents[2] / "docs" / "norms.md").read_text()
    return {m[1].strip(): int(m[2]) for m in re.finditer(r"^\| ([^|]+?) \| (\d+) \|", page, re.MULTILINE)}


@pytest.mark.parametrize("name", RUNS)
def test_others_cases(name: str) -> None:
    assert RUNS[name]() == documented()[name], "update the count in docs/norms.md"


def test_reference_agrees_with_torch() -> None:
    """The oracle itself, against torch in float64."""
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    assert_close(F.instance_norm(x), ref.instance_norm(x))
