"""ONNX Runtime on the CPU: an engine to compare with, and for machines that have it already."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stylenorm.engines.engine import Engine, FloatArray, check_options, num_cores
from stylenorm.errors import InputError, ShapeError

__all__ = ["OnnxRuntimeEngine"]

_ERRORS_ONLY = 3


class OnnxRuntimeEngine(Engine):
    """Runs ``network.onnx`` by ONNX Runtime, in float32: its CPU kernels have no bfloat16.

    Args:
        graph: path of ``network.onnx``.
        precision: ``"auto"`` or ``"f32"``.
        threads: how many; None for all cores.

    Raises:
        InputError: the graph cannot be read, or bfloat16 was asked for.
    """

    name = "onnxruntime"
    precision = "f32"

    def __init__(self, graph: Path, *, precision: str = "auto", threads: int | None = None) -> None:
        check_options(precision, threads)
        if precision == "bf16":
            raise InputError(
                "precision 'bf16': expected 'auto' or 'f32' with ONNX Runtime, which computes in float32 "
                "on CPUs; use engine 'openvino' for bfloat16"
            )
        import onnxruntime

        onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if threads is not None:
            options.intra_op_num_threads = threads
        # The arena keeps the activations of the largest picture for ever; plain allocation costs 1 %.
        options.enable_cpu_mem_arena = False
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no other common base
            raise InputError(f"{graph}: expected an exported network (ONNX), cannot read it") from error
        self.threads = threads or num_cores()
        self._style_shape = tuple(self._session.get_inputs()[1].shape)

    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray:  # noqa: ARG002
        if style.shape != self._style_shape:
            raise ShapeError(f"style: expected {self._style_shape} for this network, got {style.shape}")
        try:
            (painting,) = self._session.run(["painting"], {"photo": photo, "style": style})
        except Exception as error:
            if "bad_alloc" in str(error) or "allocat" in str(error).lower():
                raise MemoryError(f"ONNX Runtime has no memory left for shape {photo.shape}") from error
            raise
        return np.asarray(painting, dtype=np.float32)
