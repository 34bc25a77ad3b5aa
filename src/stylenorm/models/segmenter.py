"""Volumes segmented by a trained network, on OpenVINO; no torch is needed.

The folder is what ``stylenorm train volumes`` writes:

.. code-block:: text

    segmenter.onnx     volume (1, 1, X, Y, Z), normalized -> logits (1, classes, X, Y, Z); sides by `multiple`
    segmenter.json     format, classes, window, multiple, norm, spacing of the training's scans, record
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.engines import available_bytes
from stylenorm.engines.openvino_session import GraphSession
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.graphs import Graph, frozen_volume_graph
from stylenorm.model_folder import SEGMENTER
from stylenorm.models.layerwise import LayeredRun
from stylenorm.models.windows import blended, window_starts

__all__ = ["METHODS", "Segmenter", "standardized"]

METHODS = ("patch", "volume", "whole")
"""How a volume is segmented; see `Segmenter`."""

FloatArray = NDArray[np.float32]

_MEMORY_SHARE = 0.5  # of what is free, before feature maps are kept in files


def standardized(voxels: NDArray[Any]) -> FloatArray:
    """Return intensities with mean 0 and (biased) deviation 1 over the whole volume; of one value, 0.

    Args:
        voxels: (X, Y, Z).
    """
    mean = voxels.mean(dtype=np.float64)
    centred = (voxels - mean).astype(np.float32)
    deviation = float(np.sqrt(np.square(centred).mean(dtype=np.float64)))
    # Float32 leaves so much of a constant: not to be blown up into a picture.
    return centred / np.float32(deviation) if deviation > 1e-6 * abs(mean) else np.zeros_like(centred)


class Segmenter(Closing):
    """Segments volumes.

    Args:
        folder: what a training wrote.
        method: whose statistics instance norm uses.

            - ``"patch"``: windows, each normalized by its own statistics, as in training and in nnU-Net.
            - ``"volume"``: windows, all normalized by the statistics of the whole volume, which are measured
              beforehand, exactly.
            - ``"whole"``: no windows. The network sees the volume at once, layer after layer (see
              `stylenorm.models.LayeredRun`); it is what measures the statistics of ``"volume"``.
        overlap: share of a window that the next one covers, 0 to below 1.
        threads: how many; None for all cores.
        memory_bytes: what feature maps of the whole volume may take before they are kept in files; None for
            half of what is free.

    Attributes:
        num_classes: background included.
        window: sides of the windows, in voxels.
        spacing_mm: median spacing of the volumes that it learned from.

    Raises:
        InputError: it is no segmenter's folder, the graph cannot be read, the overlap is none, or the network
            has batch norm, which has no statistics of a volume.
        UnknownNameError: no such method.
    """

    def __init__(
        self,
        folder: str | Path,
        method: str = "patch",
        *,
        overlap: float = 0.5,
        threads: int | None = None,
        memory_bytes: float | None = None,
    ) -> None:
        folder = Path(folder)
        if method not in METHODS:
            raise UnknownNameError("method", method, METHODS)
        window_starts(2, 1, overlap)  # refuses an overlap that is none
        self.method, self._overlap = method, overlap
        with SEGMENTER.reading(folder, ("segmenter",)) as described:
            self.num_classes = int(described["num_classes"])
            self.window: tuple[int, int, int] = tuple(int(side) for side in described["window"])  # type: ignore[assignment]
            self.spacing_mm: tuple[float, ...] = tuple(float(each) for each in described["spacing_mm"])
            self._multiple = int(described["multiple"])
            norm = str(described["norm"])
        if method != "patch" and norm != "instance":
            raise InputError(
                f"method {method!r}: expected a network with instance norm, got {norm} norm, whose "
                "statistics are not those of instances; use 'patch'"
            )
        content = (folder / "segmenter.onnx").read_bytes()
        session = functools.partial(GraphSession, threads=threads)
        self._session = session(content)
        if method == "patch":
            return
        graph = Graph.parse(content, str(folder / "segmenter.onnx"))
        if memory_bytes is None:
            free = available_bytes()
            memory_bytes = None if free is None else free * _MEMORY_SHARE
        self._layered = LayeredRun(graph, session, memory_bytes=memory_bytes)
        if method == "volume":
            self._session = session(frozen_volume_graph(graph))

    def __call__(self, voxels: NDArray[Any], tell: Callable[[], None] = lambda: None) -> NDArray[np.uint8]:
        """Segment one volume.

        Args:
            voxels: (X, Y, Z), finite; running to the right, front and top as `read_volume` gives them.
            tell: called after each of `num_steps` steps.

        Returns:
            (X, Y, Z): the class of each voxel.

        Raises:
            ShapeError: the volume has another number of dimensions.
            MemoryError: it does not fit into memory.
        """
        labels = [rows.argmax(axis=0).astype(np.uint8) for rows in self.logits(voxels, tell)]
        return np.concatenate(labels)

    def num_steps(self, shape: tuple[int, ...]) -> int:
        """Return how often `__call__` tells, for a volume of this shape."""
        steps = 0
        if self.method != "patch":
            sides = tuple(side + -side % self._multiple for side in shape)
            steps = self._layered.num_steps(sides, measuring=self.method == "volume")
        if self.method != "whole":
            padded = (max(side, window) for side, window in zip(shape, self.window, strict=True))
            starts = (
                window_starts(side, window, self._overlap)
                for side, window in zip(padded, self.window, strict=True)
            )
            steps += int(np.prod([len(each) for each in starts]))
        return steps

    def logits(self, voxels: NDArray[Any], tell: Callable[[], None] = lambda: None) -> Iterator[FloatArray]:
        """Yield the logits, some rows after the others: (num_classes, rows, Y, Z); see `__call__`."""
        if voxels.ndim != 3 or 0 in voxels.shape:
            raise ShapeError(f"voxels: expected (X, Y, Z), got {tuple(voxels.shape)}")
        x, y, z = voxels.shape
        volume = standardized(voxels)
        frozen: list[FloatArray] = []
        if self.method != "patch":
            missing = [(0, -side % self._multiple) for side in volume.shape]
            extended = np.pad(volume, missing, mode="edge")
            if self.method == "whole":
                yield from _cropped(self._layered.logits(extended, tell), x, y, z)
                return
            _, frozen = self._layered.measure(extended, tell)
        # Behind what is smaller than a window there are zeros, the mean: as in training.
        lacking = [(0, max(0, w - side)) for side, w in zip(volume.shape, self.window, strict=True)]
        run = lambda seen: self._session(seen, *frozen)[0]  # noqa: E731
        made = blended(run, np.pad(volume, lacking), self.window, self.num_classes, self._overlap, tell)
        yield from _cropped(made, x, y, z)

    def close(self) -> None:
        """Free the compiled graphs."""
        self._session.close()


def _cropped(parts: Iterator[FloatArray], x: int, y: int, z: int) -> Iterator[FloatArray]:
    for rows in parts:
        if x > 0:
            yield rows[:, :x, :y, :z]
        x -= rows.shape[1]
