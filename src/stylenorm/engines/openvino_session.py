"""OpenVINO, as everything here uses it: one core, and graphs made ready to run."""

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

from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.engines.engine import check_options
from stylenorm.engines.memory import check_tensor, is_out_of_memory
from stylenorm.errors import EngineError, InputError, MissingExtraError, StylenormError
from stylenorm.graphs import check_graph

__all__ = [
    "KEPT_GRAPHS",
    "GraphSession",
    "check_sizes",
    "check_small_picture",
    "clear_errors",
    "import_openvino",
    "infer",
    "openvino_core",
    "openvino_settings",
    "read_graph",
    "run_graph",
]

KEPT_GRAPHS = 4
"""How many compiled graphs a session or an engine keeps, each for inputs of other shapes."""

_SMALL_PX = 64
_POLL_MS = 100  # how long Ctrl-C may have to wait


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    Importing ``openvino`` reports the import to a statistics service over the network, unless the user has
    opted out, and writes files to the home folder. With ``openvino_telemetry`` out of reach, as if it were
    not installed, OpenVINO uses its own stub of it. Once imported without, it stays so in this process.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ImportError: it cannot be loaded.
    """
    if sys.modules.get("openvino") is not None:
        return sys.modules["openvino"]
    blocked = "openvino_telemetry"
    before = sys.modules.get(blocked)
    sys.modules[blocked] = None  # type: ignore[assignment]  # documented: makes the import fail
    try:
        import openvino
    except ModuleNotFoundError as error:
        if error.name != "openvino":
            raise
        raise MissingExtraError("openvino", "openvino", "running this model's graph") from None
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


def openvino_settings(threads: int | None, precision: str = "f32") -> dict[str, str]:
    """Return what a graph is compiled with: for one input at a time, by so many threads (None: all cores).

    Threads whose number is given are not pinned. OpenVINO pins them for each graph anew from the first core
    on, so that two graphs of one thread each would share one core and leave the others idle.
    """
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if threads is not None:
        settings |= {"INFERENCE_NUM_THREADS": str(threads), "ENABLE_CPU_PINNING": "NO"}
    return settings


class GraphSession(Closing):
    """A graph made ready to run on the CPU, in float32. Safe to call from several threads.

    It is compiled for each shape that comes, which makes it faster than one for any shape, and the last few
    are kept.

    Args:
        graph: an ONNX file: its path, or its content.
        threads: how many; None for all cores.

    Raises:
        InputError: the graph cannot be read, or the number of threads is none.
    """

    def __init__(self, graph: Path | bytes, *, threads: int | None = None) -> None:
        check_options("f32", threads)
        self._model = read_graph(graph)
        self._settings = openvino_settings(threads)
        self._requests: OrderedDict[tuple[tuple[int, ...], ...], Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Run it: inputs in turn, outputs in turn, which are the caller's own.

        Raises:
            MemoryError: there is no memory left for it.
            InputError: as `check_sizes` does.
            EngineError: OpenVINO fails, or the inputs do not fit the graph.
        """
        shapes = tuple(array.shape for array in inputs)
        with self._lock, clear_errors(shapes[0]):
            if shapes not in self._requests:
                if len(self._requests) >= KEPT_GRAPHS:
                    self._requests.popitem(last=False)
                self._model.reshape(dict(enumerate(shapes)))
                check_sizes(self._model)
                compiled = openvino_core().compile_model(self._model, "CPU", self._settings)
                self._requests[shapes] = compiled.create_infer_request()
            self._requests.move_to_end(shapes)
            request = self._requests[shapes]
            infer(request, inputs)
            return [request.get_output_tensor(i).data.copy() for i in range(len(self._model.outputs))]

    def close(self) -> None:
        """Free the compiled graphs; the next call compiles anew."""
        with self._lock:
            self._requests.clear()


def run_graph(graph: Path | bytes, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """Run a graph once; see `GraphSession`."""
    return GraphSession(graph)(*inputs)


def read_graph(graph: Path | bytes) -> Any:
    """Return the model of an ONNX file, given by its path or its content.

    Raises:
        InputError: it cannot be read, or `stylenorm.graphs.check_graph` refuses it.
        MemoryError: there is no memory for it.
    """
    _check_content(graph)
    try:
        return openvino_core().read_model(io.BytesIO(graph) if isinstance(graph, bytes) else graph)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise MemoryError("OpenVINO has no memory left to read a graph") from error
        name = "graph" if isinstance(graph, bytes) else graph
        raise InputError(f"{name}: expected an exported network (ONNX), cannot read it") from error


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
    check_tensor(largest, given)


def check_small_picture(graph: Path) -> None:
    """Refuse a graph by its bytes, and by how large its tensors become for a small picture.

    Raises:
        InputError: as `read_graph` and `check_sizes` do.
        MemoryError: there is no memory for it.
    """
    model = read_graph(graph)
    with clear_errors():
        sizes = {
            i: [
                side.get_length() if side.is_static else (1 if axis == 0 else _SMALL_PX)
                for axis, side in enumerate(given.partial_shape)
            ]
            for i, given in enumerate(model.inputs)
        }
        model.reshape(sizes)
        check_sizes(model)


def infer(request: Any, inputs: Sequence[NDArray[Any]]) -> None:
    """Run a request on inputs, in turn; Ctrl-C is heard meanwhile."""
    # OpenVINO shares only arrays that it could write to, though it does not write to inputs. They have to
    # live until the request is done.
    tensors = [
        import_openvino().Tensor(array if array.flags.writeable else array.copy(), shared_memory=True)
        for array in inputs
    ]
    for index, tensor in enumerate(tensors):
        request.set_input_tensor(index, tensor)
    request.start_async()
    try:
        while not request.wait_for(_POLL_MS):
            pass
    except BaseException:
        request.cancel()
        with suppress(RuntimeError):
            request.wait()
        raise


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


@contextmanager
def clear_errors(shape: tuple[int, ...] | None = None) -> Iterator[None]:
    """Make what OpenVINO raises an error of ours: a MemoryError where that is the reason."""
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
