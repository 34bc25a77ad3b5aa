"""A graph that browsers can run on WebGPU: no operation reads and writes more tensors than it may bind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stylenorm.graphs.onnx_file import Graph, Node, constant

__all__ = ["WEBGPU_TENSORS", "web_graph"]

WEBGPU_TENSORS = 8
"""Tensors that one operation may bind everywhere (WebGPU's ``maxStorageBuffersPerShaderStage``)."""

_AXIS = "stylenorm.web.axis"


def web_graph(content: bytes) -> bytes:
    """Return the same network with each wide Split as one Slice for each of its parts.

    The style vector is taken apart by a Split of two outputs for each norm, 25 in all for the network that
    ships; WebGPU binds 8 tensors everywhere, and 10 on most devices. The results are the same to the bit.

    Raises:
        InputError: ``content`` is no exported network.
    """
    graph = Graph.parse(content)
    nodes: list[Node] = []
    constants = dict(graph.constants)
    for node in graph.nodes:
        if node.kind != "Split" or len(node.inputs) + len(node.outputs) <= WEBGPU_TENSORS:
            nodes.append(node)
            continue
        constants[_AXIS] = constant(_AXIS, np.array([node.attributes.get("axis", 0)], np.int64))
        ends = np.cumsum(graph.array(node.inputs[1]))
        for start, end, part in zip([0, *ends[:-1]], ends, node.outputs, strict=True):
            names = [f"stylenorm.web.{place}" for place in (int(start), int(end))]
            for name, place in zip(names, (start, end), strict=True):
                constants[name] = constant(name, np.array([place], np.int64))
            nodes.append(Node("Slice", (node.inputs[0], *names, _AXIS), (part,)))
    return replace(graph, nodes=tuple(nodes), constants=constants).to_bytes()
