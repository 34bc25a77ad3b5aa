"""The engines by name. Nothing of a backend is imported before its engine is opened."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylenorm.engines.engine import Engine, check_options
from stylenorm.engines.fake_engine import FakeEngine
from stylenorm.errors import InputError, MissingExtraError, UnknownNameError
from stylenorm.graphs import Graph, check_graph

__all__ = ["AUTO", "DEFAULT_ENGINE", "ENGINES", "EngineKind", "open_engine"]

AUTO = "auto"
"""The engine that is fastest here: winograd for a quarter network where it was measured so, or where
OpenVINO is not installed; else openvino."""

DEFAULT_ENGINE = AUTO
"""The engine unless another one is asked for."""


@dataclass(frozen=True)
class EngineKind:
    """What is known of an engine before its backend is imported.

    Attributes:
        package: the backend's package; empty if it needs none.
        extra: the extra of stylenorm that installs it; empty if the base install has it.
        summary: one line for people.
    """

    package: str
    extra: str
    summary: str

    def is_installed(self) -> bool:
        """Say whether the backend's package can be found; imports nothing."""
        return not self.package or importlib.util.find_spec(self.package) is not None


ENGINES: Mapping[str, EngineKind] = {
    "openvino": EngineKind("openvino", "openvino", "any network; bfloat16 where the CPU has it"),
    "winograd": EngineKind("", "", "our own, for quarter networks: fastest on CPUs with AVX2, float32"),
    "onnxruntime": EngineKind("onnxruntime", "onnxruntime", "CPU, float32"),
    "torch": EngineKind("torch", "torch", "CPU, CUDA or MPS, whichever there is"),
    "fake": EngineKind("", "", "paints the negative; for tests"),
}


def open_engine(
    name: str,
    graph: Path,
    *,
    precision: str = "auto",
    threads: int | None = None,
    load_module: Callable[[], Any] | None = None,
) -> Engine:
    """Open an engine.

    Args:
        name: one of `ENGINES`, or ``"auto"``, the fastest here.
        graph: ``network.onnx`` of a network folder.
        precision: ``"f32"``; ``"bf16"``, refused by engines and machines that have none; or ``"auto"``,
            bfloat16 where it is fast.
        threads: how many; None for all cores.
        load_module: gives the same network as a ``torch.nn.Module``; only the torch engine asks for it, since
            the networks themselves live above this area.

    Raises:
        UnknownNameError: no such engine or precision.
        MissingExtraError: its backend is not installed.
        InputError: the graph cannot be read, or the machine has no such precision.
    """
    if name != AUTO and name not in ENGINES:
        raise UnknownNameError("engine", name, [AUTO, *ENGINES])
    check_options(precision, threads)
    if name == AUTO:
        _check_file(graph)
        engine = _own(graph, precision, threads)
        if engine is not None:
            return engine
        name = "openvino"
    if name == "fake":
        return FakeEngine(graph)
    kind = ENGINES[name]
    if not kind.is_installed():
        raise MissingExtraError(kind.package, kind.extra, f"engine {name!r}")
    if name == "torch":
        from stylenorm.engines.torch_engine import TorchEngine

        if load_module is None:
            raise InputError(
                "engine 'torch': expected load_module, a function that gives the network as a torch module; "
                "stylenorm.Stylizer passes one"
            )
        return TorchEngine(load_module(), precision=precision, threads=threads, graph=graph)
    _check_file(graph)
    if name == "onnxruntime":
        from stylenorm.engines.onnxruntime_engine import OnnxRuntimeEngine

        _check_small(graph)
        return OnnxRuntimeEngine(graph, precision=precision, threads=threads)
    if name == "winograd":
        from stylenorm.engines.winograd_engine import WinogradEngine

        return WinogradEngine(graph, precision=precision, threads=threads)
    from stylenorm.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(graph, precision=precision, threads=threads)


def _check_file(graph: Path) -> None:
    if not graph.is_file():
        raise InputError(f"{graph}: expected an exported network, found no such file; name a network folder")


def _own(graph: Path, precision: str, threads: int | None) -> Engine | None:
    """Our own engine, or None where OpenVINO is to be taken.

    Raises:
        MissingExtraError: only OpenVINO could run this, and it is not installed.
    """
    from stylenorm.engines.winograd_engine import WinogradEngine, reason_against, reason_missing

    has_other = ENGINES["openvino"].is_installed()
    reason = reason_against() if has_other else reason_missing()
    purpose = "precision 'bf16'" if precision == "bf16" else f"painting on this machine ({reason})"
    if precision != "bf16" and reason is None:
        try:
            return WinogradEngine(graph, precision=precision, threads=threads)
        except InputError:  # another network's graph, or none: OpenVINO takes it or says what is wrong
            check_graph(graph.read_bytes(), str(graph))
            purpose = f"{graph.parent}, a network of another family than quarter and quarter-nearest,"
    if not has_other:
        raise MissingExtraError("openvino", "openvino", purpose)
    return None


def _check_small(graph: Path) -> None:
    """Refuse a graph by how large its tensors become; ONNX Runtime cannot be asked before it computes."""
    if ENGINES["openvino"].is_installed():
        from stylenorm.engines.openvino_session import check_small_picture

        check_small_picture(graph)
        return
    from stylenorm.engines.quarter_layers import quarter_layers

    content = graph.read_bytes()
    check_graph(content, str(graph))
    try:
        quarter_layers(Graph.parse(content, str(graph)))  # which knows each of its operations
    except InputError as error:
        raise MissingExtraError(
            "openvino", "openvino", f"checking {graph}, a network of another family,"
        ) from error
