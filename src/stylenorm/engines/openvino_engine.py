"""The default engine: OpenVINO on the CPU.

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

import functools
import io
import math
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.engines.engine import Engine, FloatArray, Pixels, Program, check_options, num_cores
from stylenorm.engines.memory import available_bytes, is_out_of_memory
from stylenorm.errors import EngineError, InputError, ShapeError, StylenormError
from stylenorm.graphs import check_graph

__all__ = [
    "OpenVinoEngine",
    "check_sizes",
    "check_small_picture",
    "import_openvino",
    "openvino_core",
    "run_graph",
]

# Compiled graphs keep their activations: of how many pixels together they are kept, and of how many graphs.
_KEPT_PIXELS = 6_000_000
_KEPT_GRAPHS = 4
# A tensor may be so many times as large as the inputs (64 channels of full size are 21), and so much more.
_LARGEST_SHARE = 1000
_LARGEST_NUMBERS = 2**28
_SMALL_PX = 64
_CHECKED_NUMBERS = 2**26  # smaller tensors fit anywhere
_POLL_MS = 100  # how long Ctrl-C may have to wait

_Key = tuple[str, tuple[int, ...], str]  # type of the pixels, shape of the input, precision


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    Importing ``openvino`` reports the import to a statistics service over the network, unless the user has
    opted out, and writes files to the home folder. With ``openvino_telemetry`` out of reach, as if it were
    not installed, OpenVINO uses its own stub of it. Once imported without, it stays so in this process.

    Raises:
        ImportError: OpenVINO is not installed, or cannot be loaded.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    blocked = "openvino_telemetry"
    before = sys.modules.get(blocked)
    sys.modules[blocked] = None  # type: ignore[assignment]  # documented: makes the import fail
    try:
        import openvino
    finally:
        if before is None:
            sys.modules.pop(blocked, None)
        else:
            sys.modules[blocked] = before
    return openvino


@functools.cache
def openvino_core() -> Any:
    """Return the one ``openvino.Core`` of this process; nothing here makes another.

    OpenVINO's CPU plugin gives the thread that loads it a signal stack of its own, and puts the one before
    back when it is unloaded. With two cores that end in the order in which they began, the second puts back
    the first one's, which is gone by then: the next Ctrl-C ends the process with a segmentation fault.
    """
    return import_openvino().Core()


def run_graph(graph: bytes, *inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Run a small graph once, in float32: inputs in turn, outputs in turn.

    Raises:
        EngineError: the graph is broken, or the inputs do not fit it.
        MemoryError: it does not fit into memory.
    """
    check_graph(graph)
    with _clear_errors():
        core = openvino_core()
        model = core.read_model(io.BytesIO(graph))
        model.reshape({i: array.shape for i, array in enumerate(inputs)})
        check_sizes(model)
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        outputs = compiled(inputs)
    return [np.array(outputs[i]) for i in range(len(compiled.outputs))]


def check_sizes(model: Any) -> None:
    """Refuse a model whose tensors are out of proportion to what it is given.

    Operators that repeat or enlarge cost a file nothing; what they make is known once the sizes of the
    inputs are, and before anything is computed.

    Args:
        model: an OpenVINO model, reshaped to its inputs.

    Raises:
        InputError: a tensor is larger than any network of pictures has.
        MemoryError: it is larger than the memory that is free.
    """
    given = sum(_numbers(output) for output in model.inputs)
    largest = max((_numbers(output) for op in model.get_ops() for output in op.outputs()), default=0)
    if largest > given * _LARGEST_SHARE + _LARGEST_NUMBERS:
        raise InputError(
            f"graph: expected an exported network, got one that makes a tensor of {largest / 1e6:.0f} "
            f"million numbers of {given / 1e6:.2g} million; do not use it"
        )
    free = available_bytes() if largest > _CHECKED_NUMBERS else None
    if free is not None and largest > free:  # in 8 bits; most tensors take four times as much
        raise MemoryError(f"a tensor of {largest / 1e9:.1f} GB does not fit, {free / 1e9:.1f} GB are free")


def check_small_picture(graph: Path) -> None:
    """Refuse a graph by its bytes, and by how large its tensors become for a small picture.

    Raises:
        InputError: as `stylenorm.graphs.check_graph` and `check_sizes` do.
    """
    _check_content(graph)
    with _clear_errors():
        model = openvino_core().read_model(graph)
        sizes = {
            i: [
                side.get_length() if side.is_static else (1 if axis == 0 else _SMALL_PX)
                for axis, side in enumerate(given.partial_shape)
            ]
            for i, given in enumerate(model.inputs)
        }
        model.reshape(sizes)
        check_sizes(model)


def _check_content(graph: Path | bytes) -> None:
    if isinstance(graph, bytes):
        check_graph(graph)
        return
    try:
        content = graph.read_bytes()
    except OSError as error:
        raise InputError(
            f"{graph}: expected an exported network (ONNX), cannot read it ({error.strerror})"
        ) from error
    check_graph(content, str(graph))


def _numbers(output: Any) -> int:
    shape = output.get_partial_shape()
    return math.prod(side.get_length() for side in shape) if shape.is_static else 0


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
        with _clear_errors():
            self._core = openvino_core()
            has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise InputError(
                "precision 'bf16': expected a CPU with bfloat16 instructions (AVX512_BF16 or AMX), "
                "this one has none; use 'f32', or 'auto' for whatever is fast"
            )
        self.precision = "bf16" if has_bf16 and precision != "f32" else "f32"
        self._asked, self._always_bf16 = precision, precision == "bf16"
        self._graph = graph
        self._settings = {"PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        _check_content(graph)
        check_sizes(self._read())  # a broken file fails here, not at the first picture
        self._num_threads = threads
        with _clear_errors():
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
        """Make a graph ready; see `Engine.program`. It is compiled for each shape that comes."""
        check_graph(graph)
        with _clear_errors():
            model = self._core.read_model(io.BytesIO(graph))
        settings = {**self._settings, "INFERENCE_PRECISION_HINT": "f32"}
        requests: OrderedDict[tuple[tuple[int, ...], ...], Any] = OrderedDict()

        def run(*inputs: NDArray[Any]) -> list[NDArray[Any]]:
            key = tuple(array.shape for array in inputs)
            with _clear_errors(key[0]):
                if key not in requests:
                    if len(requests) >= _KEPT_GRAPHS:
                        requests.popitem(last=False)
                    model.reshape(dict(enumerate(key)))
                    check_sizes(model)
                    requests[key] = self._core.compile_model(model, "CPU", settings).create_infer_request()
                requests.move_to_end(key)
                self._infer(requests[key], inputs)
                num_outputs = len(model.outputs)
                return [requests[key].get_output_tensor(i).data.copy() for i in range(num_outputs)]

        return run

    def _opened(self, graph: bytes) -> Engine:
        return OpenVinoEngine(graph, precision=self._asked, threads=self._num_threads)

    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray:
        return self._run(photo, style, exact)

    def _paint_image(self, image: Pixels, style: FloatArray) -> Pixels:
        painting: Pixels = self._run(image[None], style, image.dtype == np.uint16)[0]
        return painting

    def _run(self, photo: NDArray[Any], style: FloatArray, exact: bool) -> NDArray[Any]:
        precision = "f32" if exact and not self._always_bf16 else self.precision
        with self._lock, _clear_errors(photo.shape):
            request = self._request((photo.dtype.name, photo.shape, precision))
            if style.shape != tuple(request.get_input_tensor(1).shape):
                raise ShapeError(
                    f"style: expected {tuple(request.get_input_tensor(1).shape)} for this network, "
                    f"got {style.shape}"
                )
            self._infer(request, (photo, style))
            painting: NDArray[Any] = request.get_output_tensor(0).data.copy()  # the tensor is the request's
            return painting

    def _infer(self, request: Any, inputs: Sequence[NDArray[Any]]) -> None:
        tensors = [self._tensor(array) for array in inputs]  # alive until the request is done
        for index, tensor in enumerate(tensors):
            request.set_input_tensor(index, tensor)
        request.start_async()
        try:
            while not request.wait_for(_POLL_MS):
                pass  # so that Ctrl-C is heard
        except BaseException:
            request.cancel()
            with suppress(RuntimeError):
                request.wait()
            raise

    def _tensor(self, array: NDArray[Any]) -> Any:
        # OpenVINO shares only arrays that it could write to, though it does not write to inputs
        return self._ov.Tensor(array if array.flags.writeable else array.copy(), shared_memory=True)

    def _request(self, key: _Key) -> Any:
        if key in self._requests:
            self._requests.move_to_end(key)
            return self._requests[key]
        room = max(0, _KEPT_PIXELS - _pixels(key))
        while self._requests and (
            len(self._requests) >= _KEPT_GRAPHS or sum(map(_pixels, self._requests)) > room
        ):
            self._requests.popitem(last=False)
        self._requests[key] = self._compile(key)
        return self._requests[key]

    def _compile(self, key: _Key) -> Any:
        dtype, shape, precision = key
        model = self._read()
        if dtype != "float32":
            model = self._with_integers(model, dtype)
        model.reshape({"photo": list(shape)})
        check_sizes(model)
        settings = {**self._settings, "INFERENCE_PRECISION_HINT": precision}
        return self._core.compile_model(model, "CPU", settings).create_infer_request()

    def _read(self) -> Any:
        try:
            return self._core.read_model(
                io.BytesIO(self._graph) if isinstance(self._graph, bytes) else self._graph
            )
        except RuntimeError as error:
            name = "graph" if isinstance(self._graph, bytes) else self._graph
            raise InputError(f"{name}: expected an exported network (ONNX), cannot read it") from error

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


@contextmanager
def _clear_errors(shape: tuple[int, ...] | None = None) -> Iterator[None]:
    what = "" if shape is None else f" for a picture of shape {shape}"
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, StylenormError):
            raise
        if is_out_of_memory(error):
            raise MemoryError(f"OpenVINO has no memory left{what}") from error
        reason = " ".join(str(error).split())[-200:]
        raise EngineError(f"OpenVINO failed{what} ({reason}); try another engine") from error
