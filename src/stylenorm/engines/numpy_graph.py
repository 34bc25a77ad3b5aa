"""A graph run operation by operation, in NumPy and by the C convolutions: no backend is needed.

It runs what the base install needs besides whole pictures: the predictor of styles, and the stages that
pictures are painted by in tiles. Features lie channels last in memory, as the convolutions take and give
them, and are seen as (N, C, H, W).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.engines.convolution import Convolution
from stylenorm.engines.memory import check_tensor
from stylenorm.errors import EngineError, InputError
from stylenorm.graphs import Graph, Node, check_graph

__all__ = ["NumpyGraph"]

Array = NDArray[Any]
_Operation = Callable[..., Any]


class NumpyGraph:
    """Computes a graph's outputs; called with its inputs in turn, it returns a list of its outputs.

    Args:
        content: an ONNX file made of the operations that stages and predictors use.
        threads: how many convolve.

    Raises:
        InputError: the graph cannot be read, or has other operations.
    """

    def __init__(self, content: bytes, *, threads: int = 1) -> None:
        check_graph(content)
        graph = Graph.parse(content)
        self._inputs, self._outputs = tuple(graph.inputs), tuple(graph.outputs)
        self._constants: dict[str, Array] = {}
        self._nodes: list[tuple[Node, _Operation]] = []
        readers: dict[str, int] = {}
        try:
            for name in graph.constants:
                self._constants[name] = graph.array(name)
            for node in graph.nodes:
                operation = self._operation(node, threads)
                if all(name in self._constants for name in node.inputs):
                    self._compute(node, operation, self._constants, 0)
                    continue
                self._nodes.append((node, operation))
                readers |= dict.fromkeys(node.inputs, len(self._nodes) - 1)
        except InputError:
            raise
        except _WRONG as error:
            raise InputError(f"graph: expected a network of this package, got another: {error}") from error
        # a tensor is dropped after its last reader, or the memory would hold every activation at once
        self._dropped: list[list[str]] = [[] for _ in self._nodes]
        for name, last in readers.items():
            if name not in self._outputs and name not in self._constants:
                self._dropped[last].append(name)

    def __call__(self, *inputs: Array) -> list[Array]:
        """Run it; the outputs are the caller's own.

        Raises:
            InputError: a tensor becomes larger than any network of pictures has.
            EngineError: the inputs do not fit the graph.
            MemoryError: there is no memory left for it.
        """
        values = {**self._constants, **dict(zip(self._inputs, inputs, strict=True))}
        given = sum(array.size for array in inputs)
        try:
            for (node, operation), dropped in zip(self._nodes, self._dropped, strict=True):
                self._compute(node, operation, values, given)
                for name in dropped:
                    values.pop(name, None)
            return [np.array(values[name], order="C") for name in self._outputs]
        except InputError:
            raise
        except _WRONG as error:
            shapes = ", ".join(str(array.shape) for array in inputs)
            raise EngineError(f"a graph does not fit its inputs {shapes}: {error}") from error

    @staticmethod
    def _compute(node: Node, operation: _Operation, values: dict[str, Array], given: int) -> None:
        inputs = [values[name] for name in node.inputs]
        if node.kind in _BROADCAST:
            check_tensor(math.prod(np.broadcast_shapes(*(x.shape for x in inputs))), given)
        elif node.kind == "Concat":
            check_tensor(sum(x.size for x in inputs), given)
        elif node.kind == "Gather":
            check_tensor(inputs[0].size * inputs[1].size, given)  # at most
        elif node.kind == "Conv":
            check_tensor(math.prod(operation.output_shape(inputs[0].shape)), given)  # type: ignore[attr-defined]
            inputs = inputs[:1]
        with np.errstate(all="ignore"):  # infinite values and NaN go through as in other engines
            results = operation(*inputs)
        if len(node.outputs) == 1:
            values[node.outputs[0]] = results
        else:
            values.update(zip(node.outputs, results, strict=True))

    def _operation(self, node: Node, threads: int) -> _Operation:
        if node.kind == "Conv":
            return self._convolution(node, threads)
        if node.kind in _PLAIN:
            return _PLAIN[node.kind]
        if node.kind in _WITH_SETTINGS:
            return functools.partial(_WITH_SETTINGS[node.kind], node.attributes)
        raise InputError(f"graph: expected operations that are known here, got {node.kind}")

    def _convolution(self, node: Node, threads: int) -> Convolution:
        settings = node.attributes
        weight, *more = (self._constants[name] for name in node.inputs[1:])
        stride, padding = _one(settings.get("strides", (1,))), _one(settings.get("pads", (0,)))
        same = settings.get("group", 1) == 1 and _one(settings.get("dilations", (1,))) == 1
        if not same or weight.ndim != 4 or settings.get("auto_pad", "NOTSET") != "NOTSET":
            raise InputError(
                f"graph: expected a plain convolution, got {node.outputs[0]} with other settings"
            )
        bias = more[0] if more else None
        return Convolution(weight, bias, stride=stride, padding=padding, threads=threads)


_WRONG = (ValueError, TypeError, KeyError, IndexError)
_BROADCAST = {"Add", "Sub", "Mul", "Div", "Pow"}
Settings = Mapping[str, Any]


def _one(numbers: Any) -> int:
    """What all of some numbers are."""
    if len(set(numbers)) != 1:
        raise ValueError(f"sides that differ: {numbers}")
    return int(numbers[0])


def _axes(axes: Array) -> tuple[int, ...]:
    return tuple(int(axis) for axis in axes)


def _reduce(how: _Operation, settings: Settings, x: Array, axes: Array) -> Array:
    # a plane, channels last: NumPy would add one position after the other, and lose digits
    double = x.ndim == 4 and _axes(axes) == (2, 3)
    total = how(
        x, axis=_axes(axes), keepdims=bool(settings.get("keepdims", 1)), dtype=np.float64 if double else None
    )
    return np.asarray(total, x.dtype)


def _unsqueeze(_: Settings, x: Array, axes: Array) -> Array:
    return np.expand_dims(x, _axes(axes))


def _cast(settings: Settings, x: Array) -> Array:
    if settings["to"] != 1:
        raise ValueError(f"a cast to type {settings['to']}")
    return x.astype(np.float32)


def _split(settings: Settings, x: Array, sizes: Array) -> Sequence[Array]:
    return np.split(x, np.cumsum(sizes)[:-1], axis=settings.get("axis", 0))


def _depth_to_space(settings: Settings, x: Array) -> Array:
    block, (n, c, height, width) = settings["blocksize"], x.shape
    if settings.get("mode") != "CRD":
        raise ValueError("blocks in another order")
    last = x.transpose(0, 2, 3, 1).reshape(n, height, width, c // block**2, block, block)
    wide = np.ascontiguousarray(last.transpose(0, 1, 4, 2, 5, 3))
    return wide.reshape(n, height * block, width * block, -1).transpose(0, 3, 1, 2)


def _average_pool(settings: Settings, x: Array) -> Array:
    size = _one(settings["kernel_shape"])
    if (
        _one(settings.get("strides", (1,))) != size
        or any(settings.get("pads", ()))
        or settings.get("ceil_mode")
    ):
        raise ValueError("a pooling whose windows overlap, or are padded")
    height, width = x.shape[2] // size, x.shape[3] // size
    parts = [
        x[:, :, i : height * size : size, j : width * size : size] for i in range(size) for j in range(size)
    ]
    return sum(parts[1:], parts[0]) / np.float32(size**2)


def _gemm(settings: Settings, a: Array, b: Array, c: Array) -> Array:
    a, b = (m.T if settings.get(f"trans{n}") else m for m, n in ((a, "A"), (b, "B")))
    return np.asarray(settings.get("alpha", 1.0) * (a @ b) + settings.get("beta", 1.0) * c, np.float32)


_PLAIN: dict[str, _Operation] = {
    "Abs": np.abs,
    "Add": np.add,
    "Clip": np.clip,
    "Div": np.divide,
    "Mul": np.multiply,
    "Pow": np.power,
    "Relu": lambda x: np.maximum(x, x.dtype.type(0)),
    "Reshape": lambda x, shape: x.reshape(shape),
    "Sigmoid": lambda x: np.tanh(x / np.float32(2)) / np.float32(2) + np.float32(0.5),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
}
_WITH_SETTINGS: dict[str, _Operation] = {
    "AveragePool": _average_pool,
    "Cast": _cast,
    "Concat": lambda settings, *parts: np.concatenate(parts, settings["axis"]),
    "DepthToSpace": _depth_to_space,
    "Gather": lambda settings, x, indices: np.take(x, indices, settings.get("axis", 0)),
    "Gemm": _gemm,
    "ReduceMean": functools.partial(_reduce, np.mean),
    "ReduceSum": functools.partial(_reduce, np.sum),
    "Split": _split,
    "Transpose": lambda settings, x: x.transpose(settings["perm"]),
    "Unsqueeze": _unsqueeze,
}
