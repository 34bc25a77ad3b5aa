"""What an engine is: something that runs a stylizer network's exported graph."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.engines.memory import check_memory
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.graphs import frozen_graph, measuring_graph, parse_statistics
from stylenorm.style import Statistics
from stylenorm.timing import timed

__all__ = [
    "PRECISIONS",
    "Engine",
    "FloatArray",
    "Pixels",
    "Program",
    "check_options",
    "checked_photo",
    "checked_style",
    "num_cores",
]

PRECISIONS = ("auto", "f32", "bf16")

FloatArray = NDArray[np.float32]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Program = Callable[..., list[NDArray[Any]]]
"""A graph made ready: called with its inputs in turn, it returns its outputs in turn."""


class Engine(Closing, ABC):
    """Runs one network. Use it as a context manager, or call `close`.

    A subclass defines `_paint`, `program` and `_opened`; one whose backend can convert integers itself also
    overrides `_paint_image`.

    Attributes:
        name: the engine's name in the registry.
        precision: ``"f32"`` or ``"bf16"``: what convolutions compute in; ``"auto"`` has been resolved. The
            statistics of the norms are float32 sums either way.
        threads: how many threads it computes with.
        device: where it computes, for people to read.
        runs_graphs: whether `program` works, which tiles need.
    """

    name: ClassVar[str]
    precision: str
    threads: int
    device: str = "CPU"
    runs_graphs: ClassVar[bool] = True
    _graph: Path | bytes | None = None
    _frozen: Engine | None = None

    def paint(self, photo: FloatArray, style: FloatArray, *, exact: bool = False) -> FloatArray:
        """Paint photos.

        Args:
            photo: (N, 3, H, W) float32, RGB, 0..1; any H and W from 1.
            style: (L,) float32, see `stylenorm.Style.vector`.
            exact: compute in float32 even where ``auto`` chose bfloat16.

        Returns:
            (N, 3, H, W) float32, RGB, 0..1; the caller's own.

        Raises:
            ShapeError: the photo or the style has another shape or type.
            MemoryError: the photo does not fit into memory.
        """
        photo, style = checked_photo(photo), checked_style(style)
        with timed("paint"):
            return self._paint(photo, style, exact)

    def paint_image(self, image: Pixels, style: FloatArray) -> Pixels:
        """Paint one image of integers: the same as `paint`, without a detour for engines that need none.

        Args:
            image: (H, W, 3) uint8 or uint16, RGB, full range. Under ``auto``, uint16 is computed in float32:
                bfloat16 holds 8 bits.
            style: (L,) float32.

        Returns:
            (H, W, 3) of the same type; rounded to the nearest, ties to even.

        Raises:
            ShapeError: the image or the style has another shape or type.
            MemoryError: the image does not fit into memory.
        """
        if (
            not isinstance(image, np.ndarray)
            or image.ndim != 3
            or image.shape[2] != 3
            or 0 in image.shape
            or image.dtype not in (np.uint8, np.uint16)
        ):
            raise ShapeError(f"image: expected uint8 or uint16 (H, W, 3), got {_described(image)}")
        check_memory(image.size // 3)
        pixels: Pixels = np.ascontiguousarray(image)  # type: ignore[assignment]  # checked above
        style = checked_style(style)
        with timed("paint"):
            return self._paint_image(pixels, style)

    def frozen(self) -> Engine:
        """Return the engine whose norms measure nothing: same network, backend, precision and threads.

        It paints with vectors that hold scale and shift in place of gamma and beta
        (`stylenorm.graphs.frozen_vector`). It is opened once, and closed with this engine.

        Raises:
            InputError: this engine was opened without a graph, or its graph is no stylizer network.
        """
        if self._frozen is None:
            self._frozen = self._opened(frozen_graph(self._content()))
        return self._frozen

    def measure(self, photos: FloatArray, style: FloatArray) -> Statistics:
        """Measure what the norms take out of photos, all of them together, when painted in a style.

        Args:
            photos: (N, 3, H, W) float32, RGB, 0..1; statistics are over the batch, as if the photos were one.
            style: (L,) float32, see `stylenorm.Style.vector`.

        Raises:
            ShapeError: the photos or the style have another shape or type.
            InputError: this engine was opened without a graph, or its graph is no stylizer network.
            MemoryError: the photos do not fit into memory.
        """
        with timed("measure"):
            return self.measurer()(photos, style)

    def measurer(self) -> Callable[[FloatArray, FloatArray], Statistics]:
        """Return `measure` with its graph kept ready, for who measures often; it holds its activations.

        Raises:
            InputError: as `measure` does.
        """
        program = self.program(measuring_graph(self._content()))

        def measured(photos: FloatArray, style: FloatArray) -> Statistics:
            _, *told = program(checked_photo(photos), checked_style(style))
            return parse_statistics(told)

        return measured

    @abstractmethod
    def program(self, graph: bytes) -> Program:
        """Make a graph ready on this engine's backend, in float32 and with its threads.

        Args:
            graph: an ONNX file's content, made from the network's by `stylenorm.graphs`.
        """

    @abstractmethod
    def _opened(self, graph: bytes) -> Engine:
        """Return an engine of the same kind and settings for another graph with photo and style."""

    def _content(self) -> bytes:
        if self._graph is None:
            raise InputError(
                f"engine {self.name!r}: expected one opened with network.onnx (open_engine does), "
                "got one without a graph"
            )
        return self._graph if isinstance(self._graph, bytes) else self._graph.read_bytes()

    @abstractmethod
    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray: ...

    def _paint_image(self, image: Pixels, style: FloatArray) -> Pixels:
        highest = np.float32(np.iinfo(image.dtype).max)
        photo = image.transpose(2, 0, 1)[None].astype(np.float32, order="C")  # (1, 3, H, W)
        photo /= highest
        painting = self._paint(photo, style, image.dtype == np.uint16)[0]
        painting *= highest
        np.rint(painting, out=painting)
        painting.clip(0, highest, out=painting)
        return np.ascontiguousarray(painting.transpose(1, 2, 0).astype(image.dtype))

    def close(self) -> None:
        """Free what the engine holds. It cannot paint afterwards."""
        if self._frozen is not None:
            self._frozen.close()
            self._frozen = None


def check_options(precision: str, threads: int | None) -> None:
    """Refuse what no engine understands.

    Raises:
        UnknownNameError: no such precision.
        InputError: ``threads`` is less than 1.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads: expected a whole number from 1, or None for all cores, got {threads!r}")


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def checked_photo(photo: FloatArray) -> FloatArray:
    """Return photos as engines read them; see `Engine.paint` for the errors."""
    if (
        not isinstance(photo, np.ndarray)
        or photo.ndim != 4
        or photo.shape[1] != 3
        or 0 in photo.shape
        or photo.dtype != np.float32
    ):
        raise ShapeError(f"photo: expected float32 (N, 3, H, W), got {_described(photo)}")
    check_memory(photo.size // 3)
    return np.ascontiguousarray(photo)


def checked_style(style: FloatArray) -> FloatArray:
    """Return a style's vector as engines read it; see `Engine.paint` for the errors."""
    if not isinstance(style, np.ndarray) or style.ndim != 1 or style.dtype != np.float32:
        raise ShapeError(f"style: expected a float32 vector (L,), got {_described(style)}")
    return np.ascontiguousarray(style)


def _described(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
