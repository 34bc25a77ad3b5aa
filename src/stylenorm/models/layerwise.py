"""A volume through the network as a whole, layer after layer, in slabs: exact, in bounded memory.

What `stylenorm.tiles` does with pictures: between two layers the statistics of all slabs are merged, exactly.
The result is the network's on the whole volume at once: one scan, one set of statistics, and no seam. What a
layer makes is kept until it was read; where that does not fit into memory, it lies in files.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.engines.engine import Program
from stylenorm.graphs import Graph, Layer, VolumeNorm, volume_layers, volume_norms
from stylenorm.style import Statistics
from stylenorm.tiles import DiskWorkspace, MemoryWorkspace, Workspace

__all__ = ["LayeredRun"]

FloatArray = NDArray[np.float32]
Shape = tuple[int, ...]

_SLAB_BYTES = 32 << 20


class LayeredRun:
    """Runs a network's layers one after the other over a volume.

    Args:
        graph: of a `stylenorm.networks.UNet3d` with instance norm.
        program: makes a graph ready.
        num_channels: of a volume.
        memory_bytes: what maps may take before they are kept in files; None for any.
        slab_bytes: what is read and made for a slab, about; computing takes a few times that.

    Raises:
        InputError: the graph has no instance norms, or other layers.
    """

    def __init__(
        self,
        graph: Graph,
        program: Callable[[bytes], Program],
        *,
        num_channels: int = 1,
        memory_bytes: float | None = None,
        slab_bytes: int = _SLAB_BYTES,
    ) -> None:
        self._num_channels = num_channels
        self.norms: tuple[VolumeNorm, ...] = volume_norms(graph)
        self.layers: tuple[Layer, ...] = volume_layers(graph)
        self._program, self._memory_bytes, self._slab_bytes = program, memory_bytes, slab_bytes
        self._volume = next(iter(graph.inputs))

    def num_steps(self, side: Shape, *, measuring: bool = False) -> int:
        """Return how many slabs there are of a volume of sides (X, Y, Z); see `logits` and `measure`."""
        shapes = self._shapes(side)
        layers = self.layers[:-1] if measuring else self.layers
        return sum(len(list(self._slabs(layer, shapes))) for layer in layers)

    def measure(
        self, volume: FloatArray, tell: Callable[[], None] = lambda: None
    ) -> tuple[Statistics, list[FloatArray]]:
        """Return the statistics of every norm over the whole volume, and what norms are frozen to.

        Args:
            volume: (X, Y, Z) or (C, X, Y, Z), sides multiples of what the network halves.
            tell: called after each slab.

        Returns:
            The statistics, and scale and shift of each norm in turn, (1, C, 1, 1, 1).
        """
        with _Kept(self, volume) as kept:
            for layer in self.layers[:-1]:
                for _ in self._run(layer, kept, tell):
                    pass
            return kept.statistics, kept.frozen

    def logits(self, volume: FloatArray, tell: Callable[[], None] = lambda: None) -> Iterator[FloatArray]:
        """Yield the logits of the volume, some rows after the others: (num_classes, rows, Y, Z).

        Args:
            volume: (X, Y, Z) or (C, X, Y, Z), sides multiples of what the network halves.
            tell: called after each slab.
        """
        with _Kept(self, volume) as kept:
            for layer in self.layers[:-1]:
                for _ in self._run(layer, kept, tell):
                    pass
            for made in self._run(self.layers[-1], kept, tell):
                yield made[0]

    def _run(self, layer: Layer, kept: _Kept, tell: Callable[[], None]) -> Iterator[FloatArray]:
        program = self._program(layer.graph)  # dropped with its buffers when the layer is done
        frozen = [kept.frozen[2 * i + which] for i in layer.norms for which in (0, 1)]
        number = self.layers.index(layer)
        is_last = number == len(self.layers) - 1
        measured: Statistics | None = None
        for first, last in self._slabs(layer, kept.shapes):
            inputs, inside = [], []
            for i, (name, (n, d), margin) in enumerate(layer.reads):
                begin, end = first * n // d - margin, last * n // d + margin
                rows, is_there = _rows(kept.array(name), begin, end)
                inputs.append(rows)
                if i == layer.inside:
                    inside.append(is_there)
            (made,) = program(*inputs, *frozen, *inside)
            made = made[:, :, layer.crop[0] : made.shape[2] - layer.crop[1]]
            if not is_last:
                kept.array(layer.makes)[:, first:last] = made[0]
                part = Statistics.measure([made[0]])
                measured = part if measured is None else measured.merge(part)
            kept.release_pages()
            tell()
            yield made
        if measured is not None:
            kept.learn(self.norms[number], measured)
        kept.done(number)

    def _slabs(self, layer: Layer, shapes: dict[str, Shape]) -> Iterator[tuple[int, int]]:
        height = _made_rows(layer, shapes)
        names = [*(name for name, *_ in layer.reads), layer.makes]
        all_bytes = sum(4 * math.prod(shapes[name]) for name in names if name in shapes)
        # Even, as what is lifted has half of the rows; the margins are read beside them.
        rows = max(2, min(height, int(self._slab_bytes / all_bytes * height)) // 2 * 2)
        for first in range(0, height, rows):
            yield first, min(first + rows, height)

    def _shapes(self, side: Shape) -> dict[str, Shape]:
        """The shape (C, X, Y, Z) of each map."""
        shapes: dict[str, Shape] = {self._volume: (self._num_channels, *side)}
        for layer, norm in zip(self.layers, self.norms, strict=False):
            _, *sides = shapes[layer.reads[layer.like][0]]
            made = (side // stride for side, stride in zip(sides, layer.strides, strict=True))
            shapes[layer.makes] = (len(norm.gamma), *made)
        return shapes

    def _last_readers(self) -> dict[str, int]:
        return {name: i for i, layer in enumerate(self.layers) for name, *_ in layer.reads}

    def _most_bytes(self, shapes: dict[str, Shape]) -> int:
        readers, held, most = self._last_readers(), {self._volume}, 0
        for i, layer in enumerate(self.layers[:-1]):
            held.add(layer.makes)
            most = max(most, sum(4 * math.prod(shapes[name]) for name in held))
            held = {name for name in held if readers[name] > i}
        return most

    def workspace(self, shapes: dict[str, Shape], folder: Path) -> Workspace:
        """Return where the maps are kept."""
        if self._memory_bytes is None or self._most_bytes(shapes) <= self._memory_bytes:
            return MemoryWorkspace()
        return DiskWorkspace(folder / "maps", {})


class _Kept(Closing):
    """What is known of one volume so far: maps, statistics, frozen norms."""

    def __init__(self, run: LayeredRun, volume: FloatArray) -> None:
        self.shapes = run._shapes(volume.shape[-3:])
        self._readers = run._last_readers()
        self._volume = {run._volume: volume.reshape(-1, *volume.shape[-3:])}
        self._folder = tempfile.TemporaryDirectory(prefix="stylenorm-", ignore_cleanup_errors=True)
        self._workspace = run.workspace(self.shapes, Path(self._folder.name))
        self.statistics = Statistics((), (), ())
        self.frozen: list[FloatArray] = []

    def close(self) -> None:
        self._folder.cleanup()

    def array(self, name: str) -> FloatArray:
        """The map of that name, (C, X, Y, Z)."""
        if name in self._volume:
            return self._volume[name]
        return self._workspace.array(name, self.shapes[name])

    def learn(self, norm: VolumeNorm, measured: Statistics) -> None:
        """Freeze a norm to its statistics."""
        old = self.statistics
        self.statistics = Statistics(
            old.counts + measured.counts, old.means + measured.means, old.m2s + measured.m2s
        )
        scale = norm.gamma / np.sqrt(measured.variances()[0] + norm.eps)
        shift = norm.beta - measured.means[0] * scale
        self.frozen += [each.astype(np.float32).reshape(1, -1, 1, 1, 1) for each in (scale, shift)]

    def done(self, number: int) -> None:
        """A layer is done: drop what no later one reads."""
        for name, reader in self._readers.items():
            if reader == number and name not in self._volume:
                self._workspace.free(name)

    def release_pages(self) -> None:
        """Let go of what lies in files: pages that are mapped count as this process's memory."""
        self._workspace.release_pages()


def _made_rows(layer: Layer, shapes: dict[str, Shape]) -> int:
    return shapes[layer.reads[layer.like][0]][1] // layer.strides[0]


def _rows(array: FloatArray, first: int, last: int) -> tuple[FloatArray, FloatArray]:
    """Rows of a map, (1, C, rows, Y, Z), 0 beyond its ends; and which are not, (1, 1, rows, 1, 1)."""
    height = array.shape[1]
    inside = np.zeros((1, 1, last - first, 1, 1), np.float32)
    inside[:, :, max(0, -first) : height - first] = 1
    if first >= 0 and last <= height:
        return np.ascontiguousarray(array[None, :, first:last]), inside
    rows = np.zeros((1, len(array), last - first, *array.shape[2:]), np.float32)
    rows[:, :, max(0, -first) : height - first] = array[None, :, max(0, first) : last]
    return rows, inside
