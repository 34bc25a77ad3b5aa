"""An engine for tests: no backend, no weights, and a result that anyone can check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stylenorm.engines.engine import Engine, FloatArray, Program
from stylenorm.errors import InputError
from stylenorm.graphs import Graph, norm_sizes
from stylenorm.style import Statistics

__all__ = ["FakeEngine"]


class FakeEngine(Engine):
    """Paints the negative of the photo; as with a real network, the style's last number is the photo gate.

    ``painting = gate * photo + (1 - gate) * (1 - photo)``, in float32. It has no norms: frozen it is itself.

    Args:
        graph: of the network that it stands for; only `measure` asks for it.

    Attributes:
        num_paintings: how often it has painted.
    """

    name = "fake"
    precision = "f32"
    runs_graphs = False
    threads = 1

    def __init__(self, graph: Path | bytes | None = None) -> None:
        self._graph = graph
        self.num_paintings = 0

    def frozen(self) -> Engine:
        """Return this engine."""
        return self

    def measurer(self) -> Callable[[FloatArray, FloatArray], Statistics]:
        """Return what finds the network's norms with mean 0 and variance 1 each.

        Raises:
            InputError: this engine was opened without a graph.
        """
        sizes = norm_sizes(Graph.parse(self._content()))

        def measured(photos: FloatArray, style: FloatArray) -> Statistics:  # noqa: ARG001
            counts = tuple(photos.size // 3 for _ in sizes)
            m2s = tuple(np.full(size, n, np.float64) for size, n in zip(sizes, counts, strict=True))
            return Statistics(counts, tuple(np.zeros(size) for size in sizes), m2s)

        return measured

    def program(self, graph: bytes) -> Program:  # noqa: ARG002
        """Refuse: it has no backend.

        Raises:
            InputError: always.
        """
        raise InputError("engine 'fake': expected an engine that runs graphs; use 'openvino'")

    def _opened(self, graph: bytes) -> Engine:  # noqa: ARG002
        return self

    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray:  # noqa: ARG002
        self.num_paintings += 1
        gate = style[-1]
        return np.asarray((1 - gate) + (2 * gate - 1) * photo, dtype=np.float32)
