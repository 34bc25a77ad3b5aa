"""The graph for browsers: the same numbers, and nothing that WebGPU cannot bind."""

from __future__ import annotations

import numpy as np
import pytest

from stylenorm.films import PRESETS
from stylenorm.graphs import WEBGPU_TENSORS, web_graph
from tests.requirements_met import need


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_graphs_that_ship_run_on_webgpu(preset: str) -> None:
    network = PRESETS[preset].open_network()
    content = network.graph.read_bytes()
    assert widest(content) > WEBGPU_TENSORS  # what the function is for: the Split of the style vector
    assert widest(web_graph(content)) <= WEBGPU_TENSORS


def widest(content: bytes) -> int:
    """Tensors of the widest operation on pictures; shapes, in int64, are computed beside the GPU."""
    onnx = need("onnx")
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
    onnx.checker.check_model(model)
    floats = onnx.TensorProto.FLOAT
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    on_gpu = [node for node in model.graph.node if kinds.get(node.output[0], floats) == floats]
    assert len(on_gpu) > len(model.graph.node) // 2
    return max(len(node.input) + len(node.output) for node in on_gpu)


def test_the_same_to_the_bit() -> None:
    onnxruntime = need("onnxruntime")
    network = PRESETS["live"].open_network()
    content = network.graph.read_bytes()
    inputs = {
        "photo": np.random.default_rng(0).random((1, 3, 33, 46), dtype=np.float32),
        "style": network.style("scream").vector(),
    }
    painted = [
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, inputs)[0]
        for graph in (content, web_graph(content))
    ]
    assert painted[0].std() > 0.05
    np.testing.assert_array_equal(painted[0], painted[1])
