"""torch as an engine: CPU, CUDA or MPS; the network's module is handed in, ready with its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.engines.engine import Engine, FloatArray, Program, check_options
from stylenorm.engines.torch_graph import TorchGraph
from stylenorm.errors import ShapeError

__all__ = ["TorchEngine"]


class TorchEngine(Engine):
    """Runs a stylizer network's module by eager PyTorch.

    The networks live above this area, so the module is made elsewhere (`stylenorm.networks.loading`) and
    handed in; anything callable as ``module(photo, style)`` will do.

    Args:
        module: the network, (N, 3, H, W) and (L,) to (N, 3, H, W).
        precision: ``"auto"`` is bfloat16 on CUDA devices that have it, else float32. bfloat16 is autocast:
            convolutions only; norms compute in float32.
        threads: how many on the CPU; None for torch's own setting. It is torch's, so one for the process.
        device: ``"cuda"``, ``"mps"``, ``"cpu"``, or None for the first of these that there is.
        graph: ``network.onnx`` of the same network, for `frozen` and `measure`: its path, or its content.
    """

    name = "torch"

    def __init__(
        self,
        module: Any,
        *,
        precision: str = "auto",
        threads: int | None = None,
        device: str | None = None,
        graph: Path | bytes | None = None,
    ) -> None:
        check_options(precision, threads)
        import torch

        self._torch, self._graph = torch, graph
        self.device = device or _best_device(torch)
        if threads is not None:
            torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()
        self._module = module.to(self.device).eval() if hasattr(module, "eval") else module
        self._asked, self._always_bf16 = precision, precision == "bf16"
        cuda_has_bf16 = self.device.startswith("cuda") and torch.cuda.is_bf16_supported()
        self.precision = "bf16" if self._always_bf16 or (precision == "auto" and cuda_has_bf16) else "f32"

    def program(self, graph: bytes) -> Program:
        """Make a graph ready; see `Engine.program`."""
        torch, module = self._torch, TorchGraph(graph, self.device)

        def run(*inputs: NDArray[Any]) -> list[NDArray[Any]]:
            with torch.inference_mode(), self._clear_errors(inputs[0].shape):
                outputs = module(*(torch.tensor(array, device=self.device) for array in inputs))
                outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                return [np.asarray(output.cpu().numpy()) for output in outputs]

        return run

    def _opened(self, graph: bytes) -> Engine:
        module = TorchGraph(graph, self.device)
        return TorchEngine(module, precision=self._asked, device=self.device, graph=graph)

    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray:
        torch = self._torch
        length = getattr(self._module, "style_length", len(style))
        if len(style) != length:
            raise ShapeError(f"style: expected ({length},) for this network, got {style.shape}")
        with_bf16 = self.precision == "bf16" and (self._always_bf16 or not exact)
        kind = self.device.partition(":")[0]
        with (
            self._clear_errors(photo.shape),
            torch.inference_mode(),
            torch.autocast(kind, torch.bfloat16, enabled=with_bf16),
        ):
            # torch has no read-only tensors; it only reads these, but warns unless they are copies
            x = torch.tensor(photo, device=self.device)
            painting = self._module(x, torch.tensor(style, device=self.device))
            return np.asarray(painting.float().cpu().numpy())

    @contextmanager
    def _clear_errors(self, shape: tuple[int, ...]) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, self._torch.OutOfMemoryError) or "allocate" in str(error):
                raise MemoryError(f"torch has no memory left for shape {shape}") from error
            raise


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
