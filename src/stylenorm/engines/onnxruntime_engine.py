"""ONNX Runtime on the CPU: an engine to compare with, and for machines that have it already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.engines.engine import Engine, FloatArray, Program, check_options, num_cores
from stylenorm.engines.memory import is_out_of_memory
from stylenorm.errors import EngineError, InputError, ShapeError

__all__ = ["OnnxRuntimeEngine"]

_ERRORS_ONLY = 3


class OnnxRuntimeEngine(Engine):
    """Runs ``network.onnx`` by ONNX Runtime, in float32: its CPU kernels have no bfloat16.

    Args:
        graph: ``network.onnx``: its path, or its content.
        precision: ``"auto"`` or ``"f32"``.
        threads: how many; None for all cores.

    Raises:
        InputError: the graph cannot be read, or bfloat16 was asked for.
    """

    name = "onnxruntime"
    precision = "f32"

    def __init__(self, graph: Path | bytes, *, precision: str = "auto", threads: int | None = None) -> None:
        check_options(precision, threads)
        if precision == "bf16":
            raise InputError(
                "precision 'bf16': expected 'auto' or 'f32' with ONNX Runtime, which computes in float32 "
                "on CPUs; use engine 'openvino' for bfloat16"
            )
        self._graph, self._num_threads = graph, threads
        self._session = _session(graph, threads)
        self.threads = threads or num_cores()
        self._style_shape = tuple(self._session.get_inputs()[1].shape)

    def program(self, graph: bytes) -> Program:
        """Make a graph ready; see `Engine.program`."""
        session = _session(graph, self._num_threads)
        names = [described.name for described in session.get_inputs()]

        def run(*inputs: NDArray[Any]) -> list[NDArray[Any]]:
            with _clear_errors(inputs[0].shape):
                return list(session.run(None, dict(zip(names, inputs, strict=True))))

        return run

    def _opened(self, graph: bytes) -> Engine:
        return OnnxRuntimeEngine(graph, precision=self.precision, threads=self._num_threads)

    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray:  # noqa: ARG002
        if style.shape != self._style_shape:
            raise ShapeError(f"style: expected {self._style_shape} for this network, got {style.shape}")
        with _clear_errors(photo.shape):
            (painting,) = self._session.run(["painting"], {"photo": photo, "style": style})
        return np.asarray(painting, dtype=np.float32)


def _session(graph: Path | bytes, threads: int | None) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    # The arena keeps the activations of the largest picture for ever; plain allocation costs 1 %.
    options.enable_cpu_mem_arena = False
    content = graph if isinstance(graph, bytes) else str(graph)
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no other common base
        name = "graph" if isinstance(graph, bytes) else graph
        raise InputError(f"{name}: expected an exported network (ONNX), cannot read it") from error


@contextmanager
def _clear_errors(shape: tuple[int, ...]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise MemoryError(f"ONNX Runtime has no memory left for shape {shape}") from error
        reason = " ".join(str(error).split())[-200:]
        raise EngineError(f"ONNX Runtime failed for shape {shape} ({reason}); try another engine") from error
