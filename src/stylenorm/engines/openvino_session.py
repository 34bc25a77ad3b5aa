"""OpenVINO, as everything here uses it: one core, and graphs made ready to run."""

from __future__ import annotations

import functools
import io
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
from stylenorm.errors import InputError

__all__ = [
    "KEPT_GRAPHS",
    "GraphSession",
    "clear_errors",
    "import_openvino",
    "infer",
    "openvino_core",
    "read_graph",
    "run_graph",
]

KEPT_GRAPHS = 4
"""How many compiled graphs a session or an engine keeps, each for inputs of other shapes."""

_POLL_MS = 100  # how long Ctrl-C may have to wait


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
        self._settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        self._requests: OrderedDict[tuple[tuple[int, ...], ...], Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Run it: inputs in turn, outputs in turn, which are the caller's own.

        Raises:
            MemoryError: there is no memory left for it.
            RuntimeError: the inputs do not fit the graph.
        """
        shapes = tuple(array.shape for array in inputs)
        with self._lock, clear_errors(shapes[0]):
            if shapes not in self._requests:
                if len(self._requests) >= KEPT_GRAPHS:
                    self._requests.popitem(last=False)
                self._model.reshape(dict(enumerate(shapes)))
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
        InputError: it cannot be read.
    """
    try:
        return openvino_core().read_model(io.BytesIO(graph) if isinstance(graph, bytes) else graph)
    except RuntimeError as error:
        name = "graph" if isinstance(graph, bytes) else graph
        raise InputError(f"{name}: expected an exported network (ONNX), cannot read it") from error


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


@contextmanager
def clear_errors(shape: tuple[int, ...]) -> Iterator[None]:
    """Make OpenVINO's ways of saying that memory is out a `MemoryError`."""
    try:
        yield
    except RuntimeError as error:
        if "bad_alloc" in str(error) or "allocat" in str(error).lower():
            raise MemoryError(f"OpenVINO has no memory left for a picture of shape {shape}") from error
        raise
