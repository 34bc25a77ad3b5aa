"""The fast mode: statistics from some full-resolution tiles, then one pass in which nothing is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.engines import Engine
from stylenorm.graphs import Plan
from stylenorm.style import Statistics, Style
from stylenorm.tiles.boxes import Box, TileGrid
from stylenorm.tiles.pictures import Sink, photo_tile

__all__ = ["paint_frozen", "sample_statistics", "sampled_boxes"]

# 1 megapixel together. Measured (benchmarks/tiling.py): more tiles help more than larger ones.
SAMPLED_TILES = 16
SAMPLED_PX = 256


def sampled_boxes(
    height: int, width: int, *, num_tiles: int = SAMPLED_TILES, side: int = SAMPLED_PX
) -> list[Box]:
    """Return tiles spread evenly over a picture, one at a fixed random place in each cell of a grid.

    Returns:
        ``num_tiles`` boxes of one size, or the whole picture if it is no larger than these together.
    """
    if height * width <= num_tiles * side * side:
        return [Box(0, 0, height, width)]
    side_y, side_x = min(side, height), min(side, width)
    # so many rows of cells that the cells are as square as may be
    rows = int(np.clip(round((num_tiles * height / width) ** 0.5), 1, num_tiles))
    columns = -(-num_tiles // rows)
    rng = np.random.default_rng(0)
    boxes = []
    for number in range(num_tiles):
        row, column = divmod(number, columns)
        jitter_y, jitter_x = rng.random(2)
        top = int((row + jitter_y) * height / rows - side_y / 2)
        left = int((column + jitter_x) * width / columns - side_x / 2)
        top, left = min(max(top, 0), height - side_y), min(max(left, 0), width - side_x)
        boxes.append(Box(top, left, top + side_y, left + side_x))
    return boxes


def sample_statistics(engine: Engine, photo: NDArray[Any], style: Style, *, noise: float = 0.0) -> Statistics:
    """Measure some full-resolution tiles of a photo (H, W, 3 or more) together, as one picture.

    Unlike a thumbnail (URST, Chen et al., AAAI 2022, arXiv:2103.11784) they have the picture's own scale:
    edges and grain are as sharp as where the statistics are used.
    """
    tiles = [photo_tile(photo, box, noise)[0] for box in sampled_boxes(*photo.shape[:2])]
    return engine.measure(np.stack(tiles), style.vector())


def paint_frozen(
    engine: Engine,
    plan: Plan,
    photo: NDArray[Any],
    vector: NDArray[np.float32],
    sink: Sink,
    *,
    tile: int,
    noise: float = 0.0,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Paint a photo in one pass, each tile with as much around it as its painting depends on.

    Args:
        engine: paints with its frozen graph.
        plan: of the engine's network.
        photo: (H, W, 3) of any type that `stylenorm.Stylizer` takes.
        vector: `stylenorm.graphs.frozen_vector`.
        sink: takes the tiles of the painting.
        tile: side of a tile in pixels, without what is around it.
        noise: how much noise the photo gets (`stylenorm.noise`).
        progress: is told the pixels of each tile.
    """
    height, width = photo.shape[:2]
    grid, frozen = TileGrid(height, width, tile, plan.multiple), engine.frozen()
    for box in grid.boxes():
        around = box.padded(plan.radius, plan.radius).clipped(*grid.padded)
        painting = frozen.paint(photo_tile(photo, around, noise), vector, exact=photo.dtype != np.uint8)[0]
        core = painting[
            :,
            box.top - around.top : box.bottom - around.top,
            box.left - around.left : box.right - around.left,
        ]
        sink.write(box, core.transpose(1, 2, 0))
        progress(box.clipped(height, width).num_pixels)
