"""A PyTorch module -> one ONNX graph, without what the exporter notes about the machine it ran on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stylenorm.errors import ExportError

__all__ = ["module_to_onnx", "round_weights"]

_MOST_FOLDED = 1 << 26  # numbers
_OPSET = 18  # the first with Pad "edge" on chosen axes, and old enough for every engine in use


def module_to_onnx(
    module: nn.Module,
    example: tuple[Tensor, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Mapping[str, Any],
    half_weights_from: int | None = None,
) -> bytes:
    """Export a module in evaluation mode.

    Args:
        module: what to export.
        example: its inputs.
        inputs: their names.
        outputs: the names of its outputs.
        dynamic: ``torch.export`` dimensions by input and axis; None for an input of one shape.
        half_weights_from: store weights of so many numbers or more in float16, widened where they are used;
            None stores all in float32.

    Raises:
        ExportError: the exporter gave no graph.
    """
    exporter_log = logging.getLogger("torch.onnx._internal.exporter")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)  # it reports that torchvision, which is not needed, is not there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside torch's own exporter
            program = torch.onnx.export(
                module,
                example,
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=dict(dynamic),
                opset_version=_OPSET,
                verbose=False,
            )
    finally:
        exporter_log.setLevel(level)
    if program is None:
        raise ExportError("torch.onnx.export gave no graph: check the versions of torch, onnx and onnxscript")
    model = _folded(program.model_proto)
    _drop_notes(model)
    if half_weights_from is not None:
        _halve_weights(model.graph, half_weights_from)
    graph: bytes = model.SerializeToString()
    return graph


def round_weights(module: nn.Module, smallest: int) -> None:
    """Round, in place, parameters of so many numbers or more as ``half_weights_from`` stores them.

    A graph is compared with a module whose weights are those that the graph has.
    """
    for parameter in module.parameters():
        if parameter.numel() >= smallest:
            parameter.data = parameter.data.half().float()


def _folded(model: Any) -> Any:
    """Compute what hangs on weights alone, which the exporter leaves to the engine where weights are many."""
    from onnxscript import optimizer

    return optimizer.optimize(model, input_size_limit=_MOST_FOLDED, output_size_limit=_MOST_FOLDED)


def _drop_notes(model: Any) -> None:
    """Drop the exporter's notes on where in whose file system each node came from."""
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        del part.metadata_props[:]
        part.doc_string = ""


def _halve_weights(graph: Any, smallest: int) -> None:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < smallest:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
