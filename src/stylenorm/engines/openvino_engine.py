"""OpenVINO on the CPU: runs any network, and is the default where ours does not fit.

What was measured, and therefore done (quarter network of width 48, two AVX2 cores; benchmarks/engines.py):

- A graph that is reshaped to the picture before it is compiled runs 1.2 to 1.9 times as fast as one of any
  size, and each compilation costs 0.1 s. So each size gets a graph of its own, the last few of which are
  kept: a folder of photos has few sizes. (Graphs of both kinds differ in the last bits, so choosing between
  them by what came before would make a painting depend on its neighbours.)
- 8- and 16-bit pictures go in and out as they are; conversion and layout are part of the graph. At
  12 megapixels this saves half a second and 290 MB.
- OpenVINO's cache of compiled models would save 0.06 s when a size comes again in another process, and costs
  1.2 MB on disk for every size that ever comes: not used (benchmarks/startup.py).
- Without bfloat16 instructions OpenVINO takes the bfloat16 hint and computes in float32, silently; here that
  is an error. With them, its MVN (instance norm) reads bfloat16 and sums in float32.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.engines.engine import Engine, FloatArray, Pixels, Program, check_options, num_cores
from stylenorm.engines.openvino_session import (
    KEPT_GRAPHS,
    GraphSession,
    check_sizes,
    clear_errors,
    import_openvino,
    infer,
    openvino_core,
    openvino_settings,
    read_graph,
)
from stylenorm.errors import InputError, ShapeError

__all__ = ["OpenVinoEngine"]

# Compiled graphs keep their activations: of how many pixels together they are kept.
_KEPT_PIXELS = 6_000_000

_Key = tuple[str, tuple[int, ...], str]  # type of the pixels, shape of the input, precision


class OpenVinoEngine(Engine):
    """Runs ``network.onnx`` by OpenVINO; see the module's docstring. Safe to call from several threads.

    Args:
        graph: ``network.onnx``: its path, or its content.
        precision: see `stylenorm.engines.open_engine`.
        threads: how many; None for all cores.

    Raises:
        InputError: the graph cannot be read, or the CPU has no bfloat16 and it was asked for.
    """

    name = "openvino"

    def __init__(self, graph: Path | bytes, *, precision: str = "auto", threads: int | None = None) -> None:
        check_options(precision, threads)
        self._ov = import_openvino()
        with clear_errors():
            self._core = openvino_core()
            has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise InputError(
                "precision 'bf16': expected a CPU with bfloat16 instructions (AVX512_BF16 or AMX), "
                "this one has none; use 'f32', or 'auto' for whatever is fast"
            )
        self.precision = "bf16" if has_bf16 and precision != "f32" else "f32"
        self._asked, self._always_bf16 = precision, precision == "bf16"
        self._graph = self._source = graph
        check_sizes(read_graph(self._source))  # a broken file fails here, not at the first picture
        self._num_threads = threads
        with clear_errors():
            own = int(self._core.get_property("CPU", "INFERENCE_NUM_THREADS"))
        self.threads = threads or own or num_cores()
        self._requests: OrderedDict[_Key, Any] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Free the compiled graphs; the next picture compiles anew."""
        super().close()
        with self._lock:
            self._requests.clear()

    def program(self, graph: bytes) -> Program:
        """Make a graph ready; see `Engine.program`."""
        return GraphSession(graph, threads=self._num_threads)

    def _opened(self, graph: bytes) -> Engine:
        return OpenVinoEngine(graph, precision=self._asked, threads=self._num_threads)

    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray:
        return self._run(photo, style, exact)

    def _paint_image(self, image: Pixels, style: FloatArray) -> Pixels:
        painting: Pixels = self._run(image[None], style, image.dtype == np.uint16)[0]
        return painting

    def _run(self, photo: NDArray[Any], style: FloatArray, exact: bool) -> NDArray[Any]:
        precision = "f32" if exact and not self._always_bf16 else self.precision
        with self._lock, clear_errors(photo.shape):
            request = self._request((photo.dtype.name, photo.shape, precision))
            if style.shape != tuple(request.get_input_tensor(1).shape):
                raise ShapeError(
                    f"style: expected {tuple(request.get_input_tensor(1).shape)} for this network, "
                    f"got {style.shape}"
                )
            infer(request, (photo, style))
            painting: NDArray[Any] = request.get_output_tensor(0).data.copy()  # the tensor is the request's
            return painting

    def _request(self, key: _Key) -> Any:
        if key in self._requests:
            self._requests.move_to_end(key)
            return self._requests[key]
        room = max(0, _KEPT_PIXELS - _pixels(key))
        while self._requests and (
            len(self._requests) >= KEPT_GRAPHS or sum(map(_pixels, self._requests)) > room
        ):
            self._requests.popitem(last=False)
        self._requests[key] = self._compile(key)
        return self._requests[key]

    def _compile(self, key: _Key) -> Any:
        dtype, shape, precision = key
        model = read_graph(self._source)
        if dtype != "float32":
            model = self._with_integers(model, dtype)
        model.reshape({"photo": list(shape)})
        check_sizes(model)
        settings = openvino_settings(self._num_threads, precision)
        return self._core.compile_model(model, "CPU", settings).create_infer_request()

    def _with_integers(self, model: Any, dtype: str) -> Any:
        """Let photo and painting be (N, H, W, 3) integers, converted and laid out inside the graph."""
        ov, highest = self._ov, float(np.iinfo(dtype).max)
        kind = {"uint8": ov.Type.u8, "uint16": ov.Type.u16}[dtype]
        steps = ov.preprocess.PrePostProcessor(model)
        photo, painting = steps.input("photo"), steps.output("painting")
        photo.tensor().set_element_type(kind).set_layout(ov.Layout("NHWC"))
        photo.model().set_layout(ov.Layout("NCHW"))
        photo.preprocess().convert_element_type(ov.Type.f32).scale(highest)
        painting.model().set_layout(ov.Layout("NCHW"))

        @ov.utils.decorators.custom_preprocess_function  # type: ignore[untyped-decorator]
        def quantized(output: Any) -> Any:
            op = ov.opset13
            scaled = op.multiply(output, op.constant(np.float32(highest)))
            return op.round(op.clamp(scaled, 0.0, highest), "half_to_even")

        painting.postprocess().custom(quantized)
        painting.tensor().set_layout(ov.Layout("NHWC")).set_element_type(kind)
        return steps.build()


def _pixels(key: _Key) -> int:
    return int(np.prod(key[1], dtype=np.int64)) // 3
