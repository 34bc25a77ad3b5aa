"""Graphs run by NumPy and our convolutions: against ONNX Runtime and sums in float64, and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from stylenorm.engines import convolution, memory
from stylenorm.engines.convolution import Convolution
from stylenorm.engines.numpy_graph import NumpyGraph
from stylenorm.errors import EngineError, InputError
from stylenorm.graphs import Graph, Node
from stylenorm.graphs.onnx_file import constant, tensor_info
from stylenorm.zoo import shipped_network
from tests.engines.tiny_network import needs_winograd
from tests.requirements_met import need

RNG = np.random.default_rng(0)


def graph_of(nodes: list[Node], constants: dict[str, np.ndarray], output: str = "y") -> bytes:
    encoded = {name: constant(name, values) for name, values in constants.items()}
    described = {"x": tensor_info("x", 4)}, {output: tensor_info(output, 4)}
    return Graph(tuple(nodes), encoded, *described, ((8, 2, b"\x10\x12"),)).to_bytes()


def direct(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """The convolution's definition, position by position, in float64."""
    k, _, rows, columns = weight.shape
    height, width = ((s - f) // stride + 1 for s, f in zip(x.shape[2:], (rows, columns), strict=True))
    y = np.zeros((len(x), k, height, width))
    for i, j in itertools.product(range(height), range(width)):
        part = x[:, :, i * stride : i * stride + rows, j * stride : j * stride + columns].astype(np.float64)
        y[:, :, i, j] = np.tensordot(part, weight.astype(np.float64), ((1, 2, 3), (1, 2, 3)))
    return y


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("c", "k", "size", "stride", "sides"),
    [(8, 12, 3, 1, (13, 10)), (16, 8, 3, 1, (6, 31)), (3, 5, 12, 4, (32, 28)), (8, 8, 3, 1, (3, 3))],
)
def test_a_convolution(
    compiled: bool,
    c: int,
    k: int,
    size: int,
    stride: int,
    sides: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if compiled:
        needs_winograd()
    else:
        monkeypatch.setattr(convolution, "library", lambda: "not here")
        monkeypatch.setattr(convolution, "_BAND_NUMBERS", 4000)  # several bands
    weight = RNG.standard_normal((k, c, size, size)).astype(np.float32)
    bias = RNG.standard_normal(k).astype(np.float32)
    x = RNG.standard_normal((2, c, *sides)).astype(np.float32)
    expected = direct(x, weight, stride) + bias[:, None, None]
    for threads in (1, 3):
        layer = Convolution(weight, bias, stride=stride, threads=threads)
        y = layer(x)
        assert y.shape == layer.output_shape(x.shape) == expected.shape
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    padded = direct(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), weight, stride)
    y = Convolution(weight, None, stride=stride, padding=1)(x)
    np.testing.assert_allclose(y, padded, rtol=0, atol=1e-5 * np.abs(padded).max())


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("sides", [(200, 203), (57, 40)])
def test_the_predictor_as_onnx_runtime_runs_it(
    compiled: bool, sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = need("onnxruntime")
    if not compiled:
        monkeypatch.setattr(convolution, "library", lambda: "not here")
    content = shipped_network().predictor.read_bytes()
    photo = RNG.random((1, 3, *sides), np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"painting": photo})
    (found,) = NumpyGraph(content, threads=2)(photo)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_what_it_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="operations that are known here, got Resize"):
        NumpyGraph(graph_of([Node("Resize", ("x",), ("y",))], {}))
    with pytest.raises(InputError, match="expected an exported network"):
        NumpyGraph(b"rubbish")
    settings = {"group": 2, "strides": (1, 1)}
    weight = np.zeros((2, 1, 3, 3), np.float32)
    with pytest.raises(InputError, match="a plain convolution, got y"):
        NumpyGraph(graph_of([Node("Conv", ("x", "w"), ("y",), settings)], {"w": weight}))
    pooled = Node("AveragePool", ("x",), ("y",), {"kernel_shape": (2, 2), "strides": (1, 1)})
    with pytest.raises(EngineError, match="windows overlap"):
        NumpyGraph(graph_of([pooled], {}))(np.zeros((1, 1, 4, 4), np.float32))
    added = graph_of([Node("Add", ("x", "a"), ("y",))], {"a": np.zeros((1, 7, 1, 1), np.float32)})
    with pytest.raises(EngineError, match=r"does not fit its inputs \(1, 3, 4, 4\)"):
        NumpyGraph(added)(np.zeros((1, 3, 4, 4), np.float32))


@pytest.mark.parametrize("kind", ["Concat", "Mul", "Gather", "Conv"])
def test_a_graph_that_explodes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_LARGEST_NUMBERS", 2**20)  # so that none of them takes much memory before
    constants: dict[str, np.ndarray] = {}
    if kind == "Concat":
        names = ["x", *(f"x{i}" for i in range(40)), "y"]
        nodes = [Node("Concat", (a, a), (b,), {"axis": 1}) for a, b in itertools.pairwise(names)]
    elif kind == "Mul":
        nodes = [Node("Reshape", ("x", "to"), ("z",)), Node("Mul", ("z", "wide"), ("y",))]
        constants = {"to": np.array([-1, 1], np.int64), "wide": np.zeros((1, 10**6), np.float32)}
    elif kind == "Gather":
        constants = {"first": np.zeros(10**5, np.int64)}
        nodes = [Node("Gather", ("x", "first"), ("y",), {"axis": 0})]
    else:
        constants = {"w": np.zeros((10**5, 1, 1, 1), np.float32)}
        nodes = [Node("Conv", ("x", "w"), ("y",), {"strides": (1, 1)})]
    x = np.zeros((1, 1, 64, 64), np.float32)
    with pytest.raises(InputError, match="million numbers"):
        NumpyGraph(graph_of(nodes, constants))(x)
