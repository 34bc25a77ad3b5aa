"""A network's graph with its norms changed: statistics given instead of measured, or measured and told.

The graph that is exported measures: ``InstanceNormalization(x, gamma, beta)``. Two others follow from it:

- *frozen*: ``x * scale + shift``. It has the same two inputs; scale and shift of each norm stand where gamma
  and beta do in the style vector (`frozen_vector`). Nothing in it depends on the whole picture.
- *measuring*: the same norms, over all pictures of a batch together, and each norm's mean and variance as
  two more outputs. So the statistics of several frames or tiles are those of one picture made of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm._moved import old_names
from stylenorm.errors import InputError
from stylenorm.graphs.onnx_file import Graph, Node, constant, tensor_info
from stylenorm.style import Statistics, Style

__all__ = ["frozen_graph", "frozen_vector", "measuring_graph", "norm_sizes", "norms_of", "parse_statistics"]

__getattr__ = old_names(__name__)

_PER_CHANNEL, _PLANE, _FLAT = "stylenorm.per_channel", "stylenorm.plane", "stylenorm.flat"
_EPS = 1e-5  # what the networks' norms add to the variance


def norms_of(graph: Graph) -> tuple[Node, ...]:
    """Return the graph's instance norms, in the order of the style vector.

    Raises:
        InputError: it has none: another kind of graph, or one that is frozen already.
    """
    norms = tuple(node for node in graph.nodes if node.kind == "InstanceNormalization")
    if not norms:
        raise InputError("graph: expected a stylizer network with instance norms, found none")
    for norm in norms:
        eps = norm.attributes.get("epsilon", _EPS)
        if not isinstance(eps, float) or abs(eps / _EPS - 1) > 1e-6:
            raise InputError(f"graph: expected norms that add {_EPS:g} to the variance, got {eps}")
    return norms


def norm_sizes(graph: Graph) -> tuple[int, ...]:
    """Return the channels of each norm, as the style vector's split has them.

    Raises:
        InputError: the graph is no stylizer network's.
    """
    producers, sizes = graph.producers(), []
    for norm in norms_of(graph):
        name = norm.inputs[1]
        while name in producers and producers[name].kind == "Reshape":
            name = producers[name].inputs[0]
        split = producers.get(name)
        if split is None or split.kind != "Split" or split.inputs[0] not in graph.inputs:
            raise InputError(f"graph: expected the norms' gammas to be parts of the style, got {name!r}")
        sizes.append(int(graph.array(split.inputs[1])[split.outputs.index(name)]))
    return tuple(sizes)


def frozen_graph(content: bytes) -> bytes:
    """Return the frozen graph of a network's graph: photo, frozen vector -> painting; any size.

    Raises:
        InputError: ``content`` is no stylizer network.
    """
    return frozen(Graph.parse(content)).to_bytes()


def frozen(graph: Graph) -> Graph:
    """What `frozen_graph` does, from a graph that is read already."""
    norms = set(map(id, norms_of(graph)))
    nodes: list[Node] = []
    for node in graph.nodes:
        if id(node) not in norms:
            nodes.append(node)
            continue
        x, scale, shift = node.inputs
        (y,) = node.outputs
        nodes += [
            Node("Reshape", (scale, _PER_CHANNEL), (f"{y}.scale",)),
            Node("Reshape", (shift, _PER_CHANNEL), (f"{y}.shift",)),
            Node("Mul", (x, f"{y}.scale"), (f"{y}.scaled",)),
            Node("Add", (f"{y}.scaled", f"{y}.shift"), (y,)),
        ]
    return replace(graph, nodes=tuple(nodes), constants=_with_shapes(graph))


def measuring_graph(content: bytes) -> bytes:
    """Return the measuring graph: photos (N, 3, H, W), style -> painting, and of each norm three more.

    These are, in turn, mean (C,), biased variance (C,), both over the whole batch, and the shape of what was
    measured (4,), int64.

    Raises:
        InputError: ``content`` is no stylizer network.
    """
    graph = Graph.parse(content)
    norms = {id(node): i for i, node in enumerate(norms_of(graph))}
    constants, outputs = _with_shapes(graph), dict(graph.outputs)
    nodes: list[Node] = []
    for node in graph.nodes:
        if id(node) not in norms:
            nodes.append(node)
            continue
        x, gamma, beta = node.inputs
        (y,), number = node.outputs, norms[id(node)]
        constants[f"{y}.eps"] = constant(f"{y}.eps", np.array(_EPS, np.float32))
        nodes += [
            Node("ReduceMean", (x, _PLANE), (f"{y}.mean",), {"keepdims": 1}),
            Node("Sub", (x, f"{y}.mean"), (f"{y}.centred",)),
            Node("Mul", (f"{y}.centred", f"{y}.centred"), (f"{y}.squared",)),
            Node("ReduceMean", (f"{y}.squared", _PLANE), (f"{y}.variance",), {"keepdims": 1}),
            Node("Add", (f"{y}.variance", f"{y}.eps"), (f"{y}.positive",)),
            Node("Sqrt", (f"{y}.positive",), (f"{y}.root",)),
            Node("Reshape", (gamma, _PER_CHANNEL), (f"{y}.gamma",)),
            Node("Reshape", (beta, _PER_CHANNEL), (f"{y}.beta",)),
            Node("Div", (f"{y}.gamma", f"{y}.root"), (f"{y}.scale",)),
            Node("Mul", (f"{y}.centred", f"{y}.scale"), (f"{y}.scaled",)),
            Node("Add", (f"{y}.scaled", f"{y}.beta"), (y,)),
        ]
        for what in ("mean", "variance"):
            told = f"{what}_{number:02d}"
            nodes.append(Node("Reshape", (f"{y}.{what}", _FLAT), (told,)))
            outputs[told] = tensor_info(told, 1)
        nodes.append(Node("Shape", (x,), (f"shape_{number:02d}",)))
        outputs[f"shape_{number:02d}"] = tensor_info(f"shape_{number:02d}", 1, "int64")
    return replace(graph, nodes=tuple(nodes), constants=constants, outputs=outputs).to_bytes()


def parse_statistics(outputs: Sequence[NDArray[Any]]) -> Statistics:
    """Return what the measuring graph told: its outputs after the painting."""
    means, variances, shapes = outputs[0::3], outputs[1::3], outputs[2::3]
    counts = [int(np.prod(shape)) // int(shape[1]) for shape in shapes]
    m2s = [variance.astype(np.float64) * n for variance, n in zip(variances, counts, strict=True)]
    return Statistics(tuple(counts), tuple(mean.astype(np.float64) for mean in means), tuple(m2s))


def frozen_vector(statistics: Statistics, style: Style) -> NDArray[np.float32]:
    """Return the frozen graph's style input (L,): scale and shift of each norm in turn, then the photo gate.

    Raises:
        ShapeError: statistics and style are of different networks.
        InputError: the weights of a mixture do not add up to 1.
    """
    gate = style.vector()[-1:]  # also checks the weights
    pairs = statistics.freeze(style, eps=_EPS)
    return np.concatenate([*(part for pair in pairs for part in pair), gate])


def _with_shapes(graph: Graph) -> dict[str, bytes]:
    return {
        **graph.constants,
        _PER_CHANNEL: constant(_PER_CHANNEL, np.array([1, -1, 1, 1], np.int64)),
        _PLANE: constant(_PLANE, np.array([0, 2, 3], np.int64)),
        _FLAT: constant(_FLAT, np.array([-1], np.int64)),
    }
