"""Any network on OpenVINO, as a module: convolutions, norms and activations fused by the engine."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from stylenorm.engines.openvino_session import import_openvino, openvino_core, openvino_settings
from stylenorm.errors import ExportError, InputError

__all__ = ["EngineModule", "openvino_module"]

SHAPES = 4  # compiled graphs that are kept, one for each combination of input shapes


class EngineModule(nn.Module):
    """A network on OpenVINO: float32 tensors of the CPU in and out, and nothing is differentiated.

    Each new combination of input shapes is compiled, which takes seconds; the last four are kept.
    """

    def __init__(self, graph: Any, threads: int | None) -> None:
        super().__init__()
        self._graph = graph
        self._settings = openvino_settings(threads)
        self._requests: OrderedDict[tuple[tuple[int, ...], ...], Any] = OrderedDict()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Run the network.

        Raises:
            InputError: an input is no float32 tensor of the CPU, or a gradient is asked for.
        """
        for x in inputs:
            if not isinstance(x, Tensor) or x.dtype != torch.float32 or x.device.type != "cpu":
                came = f"{x.dtype} on {x.device}" if isinstance(x, Tensor) else type(x).__name__
                raise InputError(f"input: expected float32 tensors on the CPU, got {came}")
            if x.requires_grad and torch.is_grad_enabled():
                raise InputError(
                    "input: expected that no gradient is asked for, got a tensor that requires one; train "
                    "the network itself, and call openvino_module again"
                )
        request = self._request(tuple(tuple(x.shape) for x in inputs))
        found = request.infer([x.detach().contiguous().numpy() for x in inputs])
        outputs = tuple(torch.from_numpy(found[i].copy()) for i in range(len(found)))
        return outputs[0] if len(outputs) == 1 else outputs

    def _request(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        if shapes not in self._requests:
            graph = self._graph.clone()
            graph.reshape({graph.inputs[i]: list(shape) for i, shape in enumerate(shapes)})
            compiled = openvino_core().compile_model(graph, "CPU", self._settings)
            self._requests[shapes] = compiled.create_infer_request()
            if len(self._requests) > SHAPES:
                self._requests.popitem(last=False)
        self._requests.move_to_end(shapes)
        return self._requests[shapes]


def openvino_module(
    model: nn.Module, *example: Tensor, tolerance: float = 1e-3, threads: int | None = None
) -> EngineModule:
    """Make a trained network run on OpenVINO, where eager mode is not fast enough.

    The network is traced in evaluation mode, as ``torch.jit.trace`` does, so branches that depend on values
    are fixed as the example takes them. Converted networks and those of torch's own norms are served alike.
    ``model`` itself stays as it is.

    Args:
        model: any network whose inputs and outputs are tensors.
        example: inputs, float32; other sizes may come later where the network takes them.
        tolerance: largest difference from ``model`` on the example, relative to the largest output.
        threads: of the engine; None for all cores.

    Returns:
        A module to call in the place of ``model`` where nothing is differentiated.

    Raises:
        ExportError: the result differs from the network's by more than ``tolerance``.
    """
    openvino = import_openvino()
    twin = copy.deepcopy(model).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's tracer about itself
        expected = twin(*(x.clone() for x in example))
        graph = openvino.convert_model(twin, example_input=tuple(x.clone() for x in example))
    module = EngineModule(graph, threads)
    with torch.no_grad():
        found = module(*example)
    pairs = zip(_outputs(found), _outputs(expected), strict=True)
    worst = max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-12)) for a, b in pairs)
    if not worst <= tolerance:
        raise ExportError(
            f"OpenVINO's result differs by {worst:.2g} of the network's largest output, expected at most "
            f"{tolerance:g}; run the network in eager mode"
        )
    return module


def _outputs(value: Any) -> tuple[Tensor, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)
