"""Our own engine, for quarter networks on CPUs with AVX2: Winograd convolutions in C with the norms inside.

Three things make it fast. F(4 x 4, 3 x 3) needs a fourth of the multiplications. What leaves a convolution is
measured on its way to memory, and the next convolution scales, shifts, adds and rectifies on the way from it,
so a norm is no pass of its own. And all steps of a picture are done by the same threads, which take pieces of
work until there are none. Sums are taken in an order that does not depend on the threads: same bits.

Several pictures can be measured as if they were one, by the same steps. Tiles' stages (`Engine.program`) run
operation by operation, see `stylenorm.engines.numpy_graph`.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.c_library import library
from stylenorm.engines.engine import (
    Engine,
    FloatArray,
    Pixels,
    Program,
    check_options,
    checked_photo,
    checked_style,
    num_cores,
)
from stylenorm.engines.numpy_graph import NumpyGraph
from stylenorm.engines.quarter_layers import LAST, QuarterLayers, quarter_layers
from stylenorm.errors import InputError, ShapeError
from stylenorm.graphs import Graph
from stylenorm.style import Statistics

__all__ = ["WinogradEngine", "reason_against", "reason_missing"]

_PLAIN, _STYLED, _SUMMED = 0, 2, 3  # as in winograd.h
_DTYPES = {"uint8": 0, "uint16": 1, "float32": 2}
_KEPT_BYTES = 512 << 20  # of a picture's features, kept for the next one of its size or smaller
_POLL_S = 0.1  # how long Ctrl-C may have to wait
_LINE = 64  # bytes of a cache line
_layer = struct.Struct("=13q8q").pack  # struct layer of kernels/_c/paint.h
_painting = struct.Struct("=6q6qd").pack  # struct painting


def reason_missing() -> str | None:
    """Return why this engine cannot run here; None where it can."""
    lib = library()
    return lib if isinstance(lib, str) else None


def reason_against() -> str | None:
    """Return why this engine is not the fastest here, or cannot run at all; None where it is.

    It was measured against OpenVINO on AVX2. With AVX-512 OpenVINO has twice the arithmetic, and bfloat16 on
    some processors; there it stays the default.
    """
    lib = library()
    if isinstance(lib, str):
        return lib
    if lib.sn_can_paint() > 1:
        return "this processor has AVX-512, for which OpenVINO was made"
    return None


class WinogradEngine(Engine):
    """Runs a quarter network's ``network.onnx``; see the module's docstring. Several threads may call it.

    Args:
        graph: ``network.onnx``: its path, or its content.
        precision: ``"auto"`` or ``"f32"``.
        threads: how many; None for all cores.

    Raises:
        InputError: the graph cannot be read or is another network's, the library is not there, the processor
            has no AVX2, or bfloat16 was asked for.
    """

    name = "winograd"
    precision = "f32"

    def __init__(self, graph: Path | bytes, *, precision: str = "auto", threads: int | None = None) -> None:
        check_options(precision, threads)
        if precision == "bf16":
            raise InputError(
                "precision 'bf16': expected 'auto' or 'f32' with engine 'winograd', which computes in "
                "float32; use engine 'openvino' for bfloat16"
            )
        lib = library()
        if isinstance(lib, str):
            raise InputError(f"engine 'winograd' cannot run: {lib}; use engine 'openvino'")
        self._lib, self._graph, self._num_threads = lib, graph, threads
        self.threads = threads or num_cores()
        name = "graph" if isinstance(graph, bytes) else str(graph)
        self._layers = quarter_layers(Graph.parse(self._content(), name))
        self._memory = np.empty(0, np.float32)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Free the features' memory."""
        super().close()
        with self._lock:
            self._memory = np.empty(0, np.float32)

    def program(self, graph: bytes) -> Program:
        """Make a graph ready, in NumPy and C; see `Engine.program`."""
        return NumpyGraph(graph, threads=self.threads)

    def measurer(self) -> Callable[[FloatArray, FloatArray], Statistics]:
        """Return `measure`; see `Engine.measurer`."""
        if not self._layers.measures:
            raise InputError("graph: expected a stylizer network with instance norms, found none")
        return self._measured

    def _measured(self, photos: FloatArray, style: FloatArray) -> Statistics:
        photos, style = checked_photo(photos), checked_style(style)
        num_photos, _, height, width = photos.shape
        told = self._run(photos, None, height, width, style)
        counts = [num_photos * -(-height // 4) * -(-width // 4)] * len(told)
        counts[-1] *= 4  # the last norm works on a grid of twice the size
        m2s = tuple(variance * count for (_, variance), count in zip(told, counts, strict=True))
        return Statistics(tuple(counts), tuple(mean for mean, _ in told), m2s)

    def _opened(self, graph: bytes) -> Engine:
        return WinogradEngine(graph, precision=self.precision, threads=self._num_threads)

    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray:  # noqa: ARG002
        out = np.empty_like(photo)
        for one, painted in zip(photo[:, None], out, strict=True):
            self._run(one, painted, photo.shape[2], photo.shape[3], style)
        return out

    def _paint_image(self, image: Pixels, style: FloatArray) -> Pixels:
        out = np.empty_like(image)
        self._run(image[None], out, image.shape[0], image.shape[1], style)
        return out

    def _run(
        self, photos: NDArray[Any], out: NDArray[Any] | None, height: int, width: int, style: FloatArray
    ) -> list[NDArray[np.float64]]:
        """Paint a photo, or without ``out`` measure some; returns mean and variance of each norm, (2, C)."""
        layers = self._layers
        if style.shape != (layers.style_length,):
            raise ShapeError(f"style: expected ({layers.style_length},) for this network, got {style.shape}")
        with self._lock:
            plan = _Plan(layers, style, len(photos), -(-height // 4), -(-width // 4))
            if len(self._memory) < plan.size:
                self._memory = np.empty(0, np.float32)  # first the old memory goes
                self._memory = np.empty(plan.size, np.float32)
            packed, blocks, last = plan.placed(_aligned(self._memory))
            stop = np.zeros(1, np.int64)
            num_layers = len(layers.weights) - (out is None)  # no norm follows the last one
            arguments = _painting(
                photos.ctypes.data, 0 if out is None else out.ctypes.data, blocks, last, packed.ctypes.data,
                stop.ctypes.data, _DTYPES[photos.dtype.name], len(photos), height, width, num_layers,
                self.threads, float(style[-1]),
            )  # fmt: skip
            try:
                failed = self._call(arguments, stop)
            finally:
                if self._memory.nbytes > _KEPT_BYTES:
                    self._memory = np.empty(0, np.float32)
        if failed:
            raise MemoryError(f"the winograd engine has no memory left for {height} x {width} pixels")
        return [each[:, :size] for each, size in zip(plan.measured, layers.sizes, strict=True)]

    def _call(self, arguments: bytes, stop: NDArray[np.int64]) -> int:
        """Run in another thread, so that Ctrl-C is heard."""
        result = [-1]
        thread = threading.Thread(target=lambda: result.append(self._lib.sn_paint(arguments)), daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(_POLL_S)
        except BaseException:
            stop[0] = 1
            thread.join()
            raise
        return int(result[-1])


class _Plan:
    """Where each layer finds its input and puts its output, for one size.

    Two halves of memory take turns: a layer reads from one and writes to the other, or to the other part of
    its own. The trunk's features, to which the blocks add, alternate, and end in the first half.
    """

    def __init__(
        self, layers: QuarterLayers, style: FloatArray, num_photos: int, height: int, width: int
    ) -> None:
        self.layers, self.num_photos, self.height, self.width = layers, num_photos, height, width
        area = num_photos * height * width
        self.trunk = layers.width * area
        block_row = (width + 2) * 48
        self.first_block = block_row + 48  # past the border
        half = max(2 * self.trunk, 4 * LAST * area)
        other = max(2 * self.trunk, 4 * layers.head * area, num_photos * block_row * (height + 2))
        self.second = half + -half % (_LINE // 4)
        self.size = self.second + other + _LINE // 4
        widths = [layers.width] * (len(layers.sizes) - 1) + [layers.head]
        self.pairs = np.zeros((len(widths), 2, 4 * max(widths)), np.float32)  # gamma, beta; or scale, shift
        at = 0
        for norm, size in enumerate(layers.sizes):
            self.pairs[norm, :, :size] = style[at : at + 2 * size].reshape(2, size)
            at += 2 * size
        self.pairs[-1, :, : 4 * layers.head] = np.tile(self.pairs[-1, :, : layers.head], 4)
        self.told = np.empty_like(self.pairs) if layers.measures else self.pairs
        self.measured = [np.zeros((2, channels)) for channels in widths]

    def placed(self, start: int) -> tuple[NDArray[np.uint8], int, int]:
        """Return the layers as the library reads them, and the addresses of the blocks and of the result."""
        layers, trunk = self.layers, 4 * self.trunk
        first, second = start, start + 4 * self.second
        change, inner = first + trunk, second + trunk  # what ends a block, and what is within
        n, c = layers.num_blocks, layers.width
        packed = [
            self._layer(0, second + 4 * self.first_block, y=change, c=48, k=c, mode=_PLAIN, border=1),
        ]
        before, mode = 0, _STYLED  # the trunk's features so far; the stem's are rectified
        for block in range(n):
            keep = first if (n - 1 - block) % 2 == 0 else second
            i = 1 + 2 * block
            packed.append(self._layer(i, change, other=before, keep=keep, y=inner, c=c, k=c, mode=mode))
            packed.append(self._layer(i + 1, inner, y=change, c=c, k=c, mode=_STYLED))
            before, mode = keep, _SUMMED
        i = 1 + 2 * n
        head = layers.head
        packed.append(
            self._layer(i, change, other=before, y=second, c=c, k=4 * head, mode=mode, channels=head)
        )
        packed.append(self._layer(i + 1, second, y=first, c=head, k=LAST, mode=_STYLED, grid=2))
        return np.frombuffer(b"".join(packed), np.uint8), second, first

    def _layer(
        self, number: int, x: int, *, y: int, c: int, k: int, mode: int, other: int = 0, keep: int = 0,
        border: int = 0, channels: int = 0, grid: int = 1,
    ) -> bytes:  # fmt: skip
        layers = self.layers
        scale = shift = gamma = beta = scale_out = shift_out = told = 0
        if mode != _PLAIN:
            scale, shift = (part.ctypes.data for part in self.told[number - 1])
        is_last = number == len(self.pairs)
        if layers.measures and not is_last:
            gamma, beta = (part.ctypes.data for part in self.pairs[number])
            scale_out, shift_out = (part.ctypes.data for part in self.told[number])
            told = self.measured[number].ctypes.data
        return _layer(
            x, other, scale, shift, keep, y, layers.weights[number].ctypes.data,
            layers.bias.ctypes.data if is_last else 0, gamma, beta, scale_out, shift_out,
            told, mode, self.num_photos, c, k, grid * self.height, grid * self.width, border, channels or k,
        )  # fmt: skip


def _aligned(memory: FloatArray) -> int:
    """The address of the first whole cache line."""
    return memory.ctypes.data + -memory.ctypes.data % _LINE
