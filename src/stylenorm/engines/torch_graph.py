"""A graph run by PyTorch: those that are made from ``network.onnx`` have no module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stylenorm.errors import InputError
from stylenorm.graphs import Graph, Node

__all__ = ["TorchGraph"]


class TorchGraph:
    """Computes a graph's outputs operation by operation; callable like the network's module.

    Args:
        content: an ONNX file made of the operations that stylizer networks use.
        device: where it computes.
    """

    def __init__(self, content: bytes, device: str) -> None:
        import torch

        self._torch = torch
        graph = Graph.parse(content)
        self._nodes, self._inputs, self._outputs = graph.nodes, tuple(graph.inputs), tuple(graph.outputs)
        self._constants: dict[str, Any] = {}
        self._numbers: dict[str, list[int]] = {}  # int64 constants are shapes and axes: kept off the device
        for name in graph.constants:
            array = graph.array(name)
            if array.dtype.kind == "i":
                self._numbers[name] = array.reshape(-1).tolist()
            else:
                self._constants[name] = torch.tensor(array, device=device)
        # a tensor is dropped after its last reader, or the memory would hold every activation at once
        self._last_reader = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
        for node in graph.nodes:
            if node.kind not in _KNOWN:
                raise InputError(
                    f"engine 'torch': expected operations it knows, got {node.kind} in the graph"
                )

    def __call__(self, *inputs: Any) -> Any:
        """Return the output, or a tuple of them where there are several."""
        values = {**self._constants, **dict(zip(self._inputs, inputs, strict=True))}
        numbers = dict(self._numbers)
        for i, node in enumerate(self._nodes):
            self._compute(node, values, numbers)
            for name in node.inputs:
                if self._last_reader[name] == i and name not in self._outputs:
                    values.pop(name, None)
        results = tuple(
            values[name] if name in values else self._torch.tensor(numbers[name]) for name in self._outputs
        )
        return results[0] if len(results) == 1 else results

    def _compute(self, node: Node, values: dict[str, Any], numbers: dict[str, list[int]]) -> None:
        torch, kind = self._torch, node.kind
        settings: Mapping[str, Any] = node.attributes
        functional = torch.nn.functional
        names = node.inputs
        if names[0] in numbers and kind in _ON_NUMBERS:
            numbers[node.outputs[0]] = _ON_NUMBERS[kind]([numbers[name] for name in names])
            return
        x = values[names[0]]
        if kind == "Shape":
            start, end = settings.get("start", 0), settings.get("end", x.ndim)
            numbers[node.outputs[0]] = list(x.shape)[start:end]
            return
        if kind == "Split":
            parts = torch.split(x, numbers[names[1]], settings.get("axis", 0))
            values.update(zip(node.outputs, parts, strict=True))
            return
        if kind == "Conv":
            bias = values[names[2]] if len(names) > 2 else None
            y = functional.conv2d(x, values[names[1]], bias, stride=settings.get("strides", 1))
        elif kind == "Pad":
            top, left, bottom, right = (numbers[names[1]][i] for i in (2, 3, 6, 7))
            y = functional.pad(x, (left, right, top, bottom), mode="replicate")
        elif kind == "Transpose":
            y = x.permute(settings["perm"])
        elif kind == "Reshape":
            y = x.reshape(numbers[names[1]])
        elif kind == "Slice":
            (start,), (end,), (axis,) = (numbers[name] for name in names[1:4])
            y = x.narrow(axis, start, min(end, x.shape[axis]) - start)
        elif kind == "DepthToSpace":
            y = functional.pixel_shuffle(x, settings["blocksize"])
        elif kind in ("ReduceMean", "ReduceSum"):
            reduce = x.mean if kind == "ReduceMean" else x.sum
            y = reduce(numbers[names[1]], keepdim=bool(settings.get("keepdims", 1)))
        elif kind in ("Add", "Sub", "Mul", "Div"):
            y = getattr(torch, kind.lower())(x, values[names[1]])
        else:
            y = getattr(torch, kind.lower())(x)
        values[node.outputs[0]] = y


_ON_NUMBERS: Mapping[str, Callable[[list[list[int]]], list[int]]] = {
    "Squeeze": lambda parts: parts[0],
    "Reshape": lambda parts: parts[0],
    "Mul": lambda parts: [parts[0][0] * parts[1][0]],
    "Mod": lambda parts: [parts[0][0] % parts[1][0]],
    "Concat": lambda parts: [number for part in parts for number in part],
}
_KNOWN = {
    *("Shape", "Split", "Conv", "Pad", "Reshape", "Slice", "DepthToSpace", "ReduceMean", "ReduceSum"),
    *("Transpose", "Relu", "Sigmoid", "Add", "Sub", "Mul", "Div", "Sqrt", *_ON_NUMBERS),
}
