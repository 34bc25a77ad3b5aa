"""A picture in an array, painted in tiles into another array; both may be mapped from files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stylenorm.engines import Engine
from stylenorm.graphs import Plan, frozen_vector
from stylenorm.media import from_float, to_float
from stylenorm.style import Statistics, Style
from stylenorm.tiles.boxes import Box
from stylenorm.tiles.exact import paint_exact
from stylenorm.tiles.fast import paint_frozen, sample_statistics
from stylenorm.tiles.options import DEFAULT_TILE_PX, Layout, Tiling
from stylenorm.tiles.pictures import array_checksum
from stylenorm.tiles.workspace import DiskWorkspace, MemoryWorkspace, Workspace

__all__ = ["ColorMethod", "paint_array"]

FloatArray = NDArray[np.float32]
_ROWS_AT_ONCE = 256


class ColorMethod(Protocol):
    """A way to keep the photo's colours, as `stylenorm.colors` has them."""

    measures: bool

    def measure(self, picture: FloatArray, weights: NDArray[Any] | None = None) -> Any:
        """Measure a part of a picture; measures of parts add up."""

    def recolor(self, painted: Any, photo: Any) -> Callable[[FloatArray, FloatArray], FloatArray]:
        """Return what recolors a part of the painting by the same part of the photo."""


def paint_array(
    engine: Engine,
    plan: Plan,
    image: NDArray[Any],
    out: NDArray[Any],
    style: Style,
    *,
    tiling: Tiling,
    alpha: NDArray[Any] | None = None,
    statistics: Statistics | None = None,
    method: ColorMethod | None = None,
    workspace: Workspace | None = None,
    noise: float = 0.0,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Paint an image in tiles.

    Args:
        engine: the network's.
        plan: of the same network.
        image: (H, W, 3) of a type that `stylenorm.Stylizer` takes; hidden pixels are painted too.
        out: (H, W, 3 or more) of the same type; its first three channels are written.
        style: what it is painted in.
        tiling: how; ``"auto"`` and ``"off"`` take the default tile.
        alpha: (H, W) of the same type: how much each pixel counts for ``method``.
        statistics: paint with these instead of the image's.
        method: keeps the photo's colours.
        workspace: for the maps; None chooses by ``tiling``.
        noise: how much noise the image gets before it is painted (`stylenorm.noise`).
        progress: is told the pixels that were done, the image's in all.

    Raises:
        OutputError: the disk is full.
        MemoryError: a tile does not fit into memory.
    """
    layout = tiling.layout(plan, *image.shape[:2])
    if not layout.tile:
        layout = Layout(DEFAULT_TILE_PX, layout.on_disk)
    with ExitStack() as stack:
        workspace = workspace or _workspace(layout, tiling, stack)
        target = out
        if method is not None and method.measures:  # finer than 8 bits until the colours are known
            target = workspace.array(
                "painting", (*image.shape[:2], 3), np.uint16 if out.itemsize < 2 else out.dtype
            )
        sink = _ArraySink(target, image, method, workspace)
        if statistics is None and tiling.fast:
            statistics = sample_statistics(engine, image, style, noise=noise)
        if statistics is not None:
            vector = frozen_vector(statistics, style)
            paint_frozen(engine, plan, image, vector, sink, tile=layout.tile, noise=noise, progress=progress)
        else:
            paint_exact(
                engine,
                plan,
                image,
                style,
                sink,
                tile=layout.tile,
                workspace=workspace,
                noise=noise,
                progress=progress,
            )
        if target is not out and method is not None:
            _recolor(target, image, alpha, out, method)
            workspace.free("painting")


class _ArraySink:
    """Writes tiles to an array; recolors them where that needs no more than the tile."""

    def __init__(
        self, out: NDArray[Any], image: NDArray[Any], method: ColorMethod | None, workspace: Workspace
    ) -> None:
        self._out, self._image, self._workspace = out, image, workspace
        self._recolor = method.recolor(None, None) if method is not None and not method.measures else None

    def write(self, box: Box, painting: FloatArray) -> None:
        """Write one tile; what lies beyond the picture is cut off."""
        box = box.clipped(*self._out.shape[:2])
        painting = painting[: box.height, : box.width]
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        if self._recolor is not None:
            painting = self._recolor(painting, to_float(self._image[rows, columns, :3]))
        self._out[rows, columns, :3] = from_float(painting, self._out.dtype)

    def checksum(self, box: Box) -> int:
        """Return the checksum of what was written for a box."""
        box = box.clipped(*self._out.shape[:2])
        return array_checksum(self._out[box.top : box.bottom, box.left : box.right, :3])


def _recolor(
    painting: NDArray[Any],
    image: NDArray[Any],
    alpha: NDArray[Any] | None,
    out: NDArray[Any],
    method: ColorMethod,
) -> None:
    """Recolor by strips, once to measure and once to write."""
    measures: list[Any] = [None, None]
    strips = [slice(top, top + _ROWS_AT_ONCE) for top in range(0, len(out), _ROWS_AT_ONCE)]
    for rows in strips:
        weights = None if alpha is None else to_float(alpha[rows])
        for i, picture in enumerate((painting, image)):
            part = method.measure(to_float(picture[rows, :, :3]), weights)
            measures[i] = part if measures[i] is None else measures[i] + part
    recolor = method.recolor(*measures)
    for rows in strips:
        strip = recolor(to_float(painting[rows]), to_float(image[rows, :, :3]))
        out[rows, :, :3] = from_float(strip, out.dtype)


def _workspace(layout: Layout, tiling: Tiling, stack: ExitStack) -> Workspace:
    if not layout.on_disk:
        return MemoryWorkspace()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=tiling.folder, prefix="stylenorm-")))
    workspace = DiskWorkspace(folder / "maps", {})
    stack.callback(workspace.delete)
    return workspace
