"""A module -> an ONNX graph that computes the same: exported, compared, and only then given.

Every exporter goes through here, so none can write a graph that was not compared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from stylenorm.engines.openvino_session import run_graph
from stylenorm.errors import ExportError
from stylenorm.export.onnx_writing import module_to_onnx, round_weights

__all__ = ["checked_graph", "rounded"]

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_SMALL = 256  # tensors below so many numbers stay float32 where the others are rounded


def rounded(network: ModuleT) -> ModuleT:
    """Return a copy for evaluation whose weights are as float16 holds them; see `checked_graph`."""
    copied = copy.deepcopy(network).eval()
    round_weights(copied, _SMALL)
    return copied


def checked_graph(
    module: nn.Module,
    example: tuple[Tensor, ...],
    cases: Iterable[tuple[Tensor, ...]],
    *,
    name: str,
    inputs: Sequence[str],
    output: str,
    dynamic: Mapping[str, Any],
    allowed: float,
    half: bool = False,
    finish: Callable[[bytes], bytes] = lambda graph: graph,
    reference: Callable[..., Tensor] | None = None,
) -> bytes:
    """Export a module and run the graph beside it, on OpenVINO and compiled for each case's sizes.

    Args:
        module: in evaluation mode, on the CPU.
        example: inputs to export with.
        cases: inputs to compare with; at least one.
        name: of what is exported, for the error.
        inputs: names of the inputs.
        output: name of the output.
        dynamic: ``torch.export`` dimensions by input and axis.
        allowed: the largest difference, of the largest number expected; of 1 where all are smaller.
        half: store weights in float16, widened where they are used, which halves the file; the module's must
            be `rounded`. Arithmetic is in float32 either way.
        finish: what is still done to the graph before it is compared.
        reference: what it is compared with; the module itself if it is not given.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's.
    """
    graph = finish(
        module_to_onnx(
            module,
            example,
            inputs=inputs,
            outputs=(output,),
            dynamic=dynamic,
            half_weights_from=_SMALL if half else None,
        )
    )
    differences = [_difference(graph, reference or module, case) for case in cases]
    if not differences:
        raise ValueError(f"{name}: expected a case to compare with, got none")
    if not max(differences) <= allowed or not np.isfinite(differences).all():
        raise ExportError(
            f"the exported {name} differs from PyTorch by {max(differences):g} "
            f"(allowed: {allowed:g} of the largest number): nothing was written"
        )
    return graph


def _difference(graph: bytes, reference: Callable[..., Tensor], case: tuple[Tensor, ...]) -> float:
    with torch.no_grad():
        expected = reference(*case).numpy()
    (found,) = run_graph(graph, *(np.ascontiguousarray(each.numpy()) for each in case))
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
