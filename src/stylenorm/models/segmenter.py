"""Volumes segmented by a trained network, on OpenVINO; no torch is needed.

The folder is what ``stylenorm train volumes`` writes:

.. code-block:: text

    segmenter.onnx     volume (1, channels, X, Y, Z), normalized -> logits (1, classes, X, Y, Z); sides by
    `multiple` segmenter.json     format, classes, channels and their intensities, window, multiple, norm,
                       the spacing that scans are brought to, record
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
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
from stylenorm.models.intensities import Intensities, normalized
from stylenorm.models.layerwise import LayeredRun
from stylenorm.models.resampling import coarse_axis, labels_of_logits, resampled_image, sides_at
from stylenorm.models.windows import blended, window_starts

__all__ = ["METHODS", "Segmenter"]

METHODS = ("patch", "volume", "whole")
"""How a volume is segmented; see `Segmenter`."""

FloatArray = NDArray[np.float32]

_MEMORY_SHARE = 0.5  # of what is free, before feature maps are kept in files


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
        num_channels: images of each scan.
        channels: their names, where they have some.
        window: sides of the windows, in voxels.
        spacing_mm: spacing of the volumes that it learned from, or their median.
        resamples: whether scans are brought to that spacing.

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
            self.num_channels = int(described.get("num_channels", 1))
            self.channels = tuple(str(each) for each in described.get("channels", ()))
            self.window: tuple[int, int, int] = tuple(int(side) for side in described["window"])  # type: ignore[assignment]
            self.spacing_mm: tuple[float, ...] = tuple(float(each) for each in described["spacing_mm"])
            multiple = described["multiple"]  # one for all axes in the first format
            self._multiples = tuple(multiple) if isinstance(multiple, list) else (int(multiple),) * 3
            ways = described.get("intensities", [{}] * self.num_channels)
            self._intensities = [Intensities.from_dict(way) for way in ways]
            self._interpolation = described.get("interpolation")
            norm = str(described["norm"])
        self.resamples = self._interpolation is not None
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
        self._layered = LayeredRun(graph, session, num_channels=self.num_channels, memory_bytes=memory_bytes)
        if method == "volume":
            self._session = session(frozen_volume_graph(graph))

    def __call__(
        self,
        voxels: NDArray[Any],
        tell: Callable[[], None] = lambda: None,
        *,
        spacing_mm: Sequence[float] | None = None,
    ) -> NDArray[np.uint8]:
        """Segment one volume.

        Args:
            voxels: (X, Y, Z) or (C, X, Y, Z), finite; running to the right, front and top as `read_scan`
                gives them.
            tell: called after each of `num_steps` steps.
            spacing_mm: size of a voxel. A network that was trained on scans of one spacing gets the volume
                brought to it, and what it finds is brought back; None for a volume that has it.

        Returns:
            (X, Y, Z): the class of each voxel.

        Raises:
            ShapeError: the volume has another number of dimensions or channels.
            MissingExtraError: it is to be resampled, and SciPy is not installed.
            MemoryError: it does not fit into memory.
        """
        volume = self._channels(voxels)
        sides: tuple[int, int, int] = volume.shape[1:]
        inner = self._sides(sides, spacing_mm)
        if inner == sides:
            return np.concatenate(
                [rows.argmax(axis=0).astype(np.uint8) for rows in self.logits(volume, tell)]
            )
        spacing = spacing_mm or self.spacing_mm
        coarse = coarse_axis(spacing)
        coarse = coarse_axis(self.spacing_mm) if coarse is None else coarse
        interpolation = str(self._interpolation)
        brought = np.stack([resampled_image(each, inner, interpolation, coarse) for each in volume])
        logits = np.concatenate(list(self.logits(brought, tell)), axis=1)
        return labels_of_logits(logits, sides)

    def num_steps(self, shape: tuple[int, ...], spacing_mm: Sequence[float] | None = None) -> int:
        """Return how often `__call__` tells, for a volume of this shape."""
        sides = self._sides((shape[-3], shape[-2], shape[-1]), spacing_mm)
        steps = 0
        if self.method != "patch":
            multiples = zip(sides, self._multiples, strict=True)
            extended = tuple(side + -side % multiple for side, multiple in multiples)
            steps = self._layered.num_steps(extended, measuring=self.method == "volume")
        if self.method != "whole":
            padded = (max(side, window) for side, window in zip(sides, self.window, strict=True))
            starts = (
                window_starts(side, window, self._overlap)
                for side, window in zip(padded, self.window, strict=True)
            )
            steps += int(np.prod([len(each) for each in starts]))
        return steps

    def logits(self, voxels: NDArray[Any], tell: Callable[[], None] = lambda: None) -> Iterator[FloatArray]:
        """Yield the logits of a volume as it is, some rows after the others: (num_classes, rows, Y, Z)."""
        volume = normalized(self._channels(voxels), self._intensities)
        _, x, y, z = volume.shape
        frozen: list[FloatArray] = []
        if self.method != "patch":
            pairs = zip(volume.shape[1:], self._multiples, strict=True)
            missing = [(0, 0), *((0, -side % multiple) for side, multiple in pairs)]
            extended = np.pad(volume, missing, mode="edge")
            if self.method == "whole":
                yield from _cropped(self._layered.logits(extended, tell), x, y, z)
                return
            _, frozen = self._layered.measure(extended, tell)
        # Behind what is smaller than a window there are zeros, the mean: as in training.
        lacking = [(0, 0), *((0, max(0, w - s)) for s, w in zip(volume.shape[1:], self.window, strict=True))]
        run = lambda seen: self._session(seen, *frozen)[0]  # noqa: E731
        made = blended(run, np.pad(volume, lacking), self.window, self.num_classes, self._overlap, tell)
        yield from _cropped(made, x, y, z)

    def _channels(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """The volume as (C, X, Y, Z)."""
        volume = voxels[None] if voxels.ndim == 3 and self.num_channels == 1 else voxels
        if volume.ndim != 4 or len(volume) != self.num_channels or 0 in volume.shape:
            wanted = "(X, Y, Z)" if self.num_channels == 1 else f"({self.num_channels}, X, Y, Z)"
            raise ShapeError(f"voxels: expected {wanted}, got {tuple(voxels.shape)}")
        return volume

    def _sides(self, sides: tuple[int, int, int], spacing_mm: Sequence[float] | None) -> tuple[int, int, int]:
        """How many voxels the network sees of a volume."""
        if spacing_mm is None or not self.resamples:
            return sides
        return sides_at(sides, spacing_mm, self.spacing_mm)

    def close(self) -> None:
        """Free the compiled graphs."""
        self._session.close()


def _cropped(parts: Iterator[FloatArray], x: int, y: int, z: int) -> Iterator[FloatArray]:
    for rows in parts:
        if x > 0:
            yield rows[:, :x, :y, :z]
        x -= rows.shape[1]
