"""The exact mode: a picture painted in tiles, by the statistics of the whole picture.

Each stage of the network (`stylenorm.graphs.Plan`) runs over all tiles before the next begins. Each norm's
statistics are gathered over the tiles, which cover the picture once and without overlap: float32 within a
row of a tile, float64 from there on, merged exactly. So each layer is computed once, as in the whole
picture; what is more is the margin of one convolution a stage, and the way of the maps through memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.engines import Engine
from stylenorm.graphs import PHOTO, Plan, Stage
from stylenorm.style import Statistics, Style
from stylenorm.tiles.boxes import Box, TileGrid, window
from stylenorm.tiles.pictures import Sink, array_checksum, photo_tile
from stylenorm.tiles.workspace import Workspace
from stylenorm.timing import timed

__all__ = ["paint_exact"]

_NOTED_S = 2.0  # between two notes of how far the work has come
_SETTLED_TILES = 8
_PAINTING = "the painting"  # among the maps' names

Progress = Callable[[float], None]
"""Called with the pixels of work that were done: all of them together are the picture's."""


def paint_exact(
    engine: Engine,
    plan: Plan,
    photo: NDArray[Any],
    style: Style,
    sink: Sink,
    *,
    tile: int,
    workspace: Workspace,
    noise: float = 0.0,
    progress: Progress = lambda _: None,
) -> Statistics:
    """Paint a photo in tiles.

    Args:
        engine: runs the stages, in float32.
        plan: of the engine's network.
        photo: (H, W, 3) of any type that `stylenorm.Stylizer` takes; also mapped from a file.
        style: what it is painted in.
        sink: takes the tiles of the painting.
        tile: side of a tile in pixels.
        workspace: keeps the maps; goes on where a process that was killed stopped.
        noise: how much noise the photo gets (`stylenorm.noise`).
        progress: is told of each tile.

    Returns:
        The picture's statistics in this style.

    Raises:
        MemoryError: a tile does not fit into memory.
        OutputError: the workspace's disk is full.
    """
    grid = TileGrid(photo.shape[0], photo.shape[1], tile, plan.multiple)
    run = _Run(engine, plan, photo, style, sink, grid, workspace, noise)
    return run.paint(progress)


class _Run:
    """One painting: the vector fills up with each stage."""

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        photo: NDArray[Any],
        style: Style,
        sink: Sink,
        grid: TileGrid,
        workspace: Workspace,
        noise: float,
    ) -> None:
        self.engine, self.plan, self.photo, self.style = engine, plan, photo, style
        self.sink, self.grid, self.workspace, self.noise = sink, grid, workspace, noise
        self.vector = np.zeros_like(style.vector())
        self.vector[-1] = style.vector()[-1]  # the photo gate
        self.known: dict[int, Statistics] = {}  # of each norm, one at a time
        self.sums: dict[str, dict[str, int]] = {}  # of each map, and of the painting: each tile's checksum

    def paint(self, progress: Progress) -> Statistics:
        """Run all stages, from where a killed process stopped; all of them if its files are damaged."""
        state = self.workspace.state()
        if state is None or not self._is_whole(state.get("sums", {})):
            state = {"stage": 0, "tiles": 0, "known": {}, "gathered": {}, "sums": {}}
        self.sums = state["sums"]
        for number, entry in state["known"].items():
            self._learn(int(number), _statistics_of(entry))
        for number in range(state["stage"]):  # told as done, for the sake of the time left
            progress(self._share(number) * self.grid.height * self.grid.width)
        for number in range(state["stage"], len(self.plan.stages)):
            gathered = {int(norm): _statistics_of(entry) for norm, entry in state["gathered"].items()}
            self._run_stage(number, state["tiles"], gathered, progress)
            state = {"tiles": 0, "gathered": {}}
        parts = [self.known[norm] for norm in sorted(self.known)]
        return Statistics(*(tuple(getattr(p, what)[0] for p in parts) for what in ("counts", "means", "m2s")))

    def _run_stage(
        self, number: int, num_done: int, gathered: dict[int, Statistics], progress: Progress
    ) -> None:
        stage = self.plan.stages[number]
        is_last = number == len(self.plan.stages) - 1
        program = self.engine.program(stage.graph)
        reads = [None if each.name == PHOTO else self._map(each.name, each) for each in stage.inputs]
        leaves = [] if is_last else [self._map(each.name, each) for each in stage.outputs]
        boxes = list(self.grid.boxes())
        share, noted = self._share(number), time.monotonic()
        if num_done:
            done = sum(box.clipped(self.grid.height, self.grid.width).num_pixels for box in boxes[:num_done])
            progress(share * done)
        # the next tile is read and the last one written while this one is computed
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            coming: Future[list[NDArray[Any]]] | None = None
            going: Future[None] | None = None
            for i in range(num_done, len(boxes)):
                inputs = coming.result() if coming else self._inputs(stage, reads, boxes[i])
                if i + 1 < len(boxes):
                    coming = reader.submit(self._inputs, stage, reads, boxes[i + 1])
                with timed("paint"):
                    outputs = program(*inputs, *([self.vector] if number else []))
                if going:
                    going.result()
                going = writer.submit(
                    self._write, stage, leaves, boxes[i], outputs[: len(stage.outputs)], str(i)
                )
                for norm, mean, m2 in zip(
                    stage.measures,
                    outputs[len(stage.outputs) :: 2],
                    outputs[len(stage.outputs) + 1 :: 2],
                    strict=True,
                ):
                    part = _of_rows(mean, m2, boxes[i].scaled(self._scale(stage, norm)).width)
                    gathered[norm] = gathered[norm].merge(part) if norm in gathered else part
                progress(share * boxes[i].clipped(self.grid.height, self.grid.width).num_pixels)
                if i % _SETTLED_TILES == 0:
                    self.workspace.release_pages()
                if time.monotonic() - noted > _NOTED_S:
                    going.result()
                    self._note(number, i + 1, gathered)
                    noted = time.monotonic()
            if going:
                going.result()
        for norm in stage.measures:
            self._learn(norm, gathered[norm])
        # noted before the maps go: a kill in between must find what the noted stage reads
        for name in self.plan.frees[number]:
            self.sums.pop(name, None)
        self._note(number + 1, 0, {})
        for name in self.plan.frees[number]:
            self.workspace.free(name)

    def _map(self, name: str, about: Any) -> NDArray[Any]:
        height, width = (int(side * about.scale) for side in self.grid.padded)
        return self.workspace.array(name, (height, width, about.channels))

    def _scale(self, stage: Stage, norm: int) -> Any:
        return stage.outputs[-len(stage.measures) + stage.measures.index(norm)].scale

    def _inputs(self, stage: Stage, reads: Sequence[Any], box: Box) -> list[NDArray[Any]]:
        inputs = []
        for about, array in zip(stage.inputs, reads, strict=True):
            around = box.scaled(about.scale).padded(*about.margin)
            if array is None:
                inputs.append(photo_tile(self.photo, around, self.noise))
            else:
                tile = np.empty((1, around.height, around.width, about.channels), np.float32)
                window(array, around, tile[0])
                inputs.append(tile)
        return inputs

    def _is_whole(self, sums: dict[str, dict[str, int]]) -> bool:
        """Whether the files hold what was written to them, as far as it will be read."""
        leaves = {each.name: each for stage in self.plan.stages[:-1] for each in stage.outputs}
        boxes = list(self.grid.boxes())
        for name, tiles in sums.items():
            array = self._map(name, leaves[name]) if name != _PAINTING else None
            for index, expected in tiles.items():
                box = boxes[int(index)]
                if array is None:
                    found = self.sink.checksum(box)
                else:
                    at = box.scaled(leaves[name].scale)
                    found = array_checksum(array[at.top : at.bottom, at.left : at.right])
                if found != expected:
                    return False
            self.workspace.release_pages()
        return True

    def _write(
        self, stage: Stage, leaves: Sequence[Any], box: Box, outputs: Sequence[NDArray[Any]], index: str
    ) -> None:
        for i, (about, output) in enumerate(zip(stage.outputs, outputs, strict=True)):
            before, after = about.margin
            core = output[0, before : output.shape[1] - after, before : output.shape[2] - after]
            if not leaves:
                self.sink.write(box, core)
                self.sums.setdefault(_PAINTING, {})[index] = self.sink.checksum(box)
                continue
            at = box.scaled(about.scale)
            leaves[i][at.top : at.bottom, at.left : at.right] = core
            self.sums.setdefault(about.name, {})[index] = array_checksum(core)

    def _learn(self, norm: int, statistics: Statistics) -> None:
        self.known[norm] = statistics
        gamma, beta = self.style.gammas[norm], self.style.betas[norm]
        ((scale, shift),) = statistics.freeze(Style((gamma,), (beta,)))
        start = 2 * sum(self.style.sizes[:norm])
        self.vector[start : start + 2 * len(gamma)] = np.concatenate((scale, shift))

    def _share(self, number: int) -> float:
        """How much of the work a stage is: by the numbers that it reads and leaves."""
        weights = [
            sum(float(each.channels * each.scale**2) for each in (*stage.inputs, *stage.outputs))
            for stage in self.plan.stages
        ]
        return weights[number] / sum(weights)

    def _note(self, number: int, num_done: int, gathered: dict[int, Statistics]) -> None:
        self.workspace.save_state(
            {
                "stage": number,
                "tiles": num_done,
                "known": {norm: _entry_of(each) for norm, each in self.known.items()},
                "gathered": {norm: _entry_of(each) for norm, each in gathered.items()},
                "sums": self.sums,
            }
        )


def _of_rows(means: NDArray[Any], m2s: NDArray[Any], width: int) -> Statistics:
    """Statistics of a tile from those of its rows, each (1, C, h, 1), all rows being of one width."""
    mean, m2 = means[0, :, :, 0].astype(np.float64), m2s[0, :, :, 0].astype(np.float64)
    middle = mean.mean(axis=1)
    total = m2.sum(axis=1) + width * ((mean - middle[:, None]) ** 2).sum(axis=1)
    return Statistics((width * mean.shape[1],), (middle,), (total,))


def _entry_of(one: Statistics) -> dict[str, Any]:
    return {"count": one.counts[0], "mean": one.means[0].tolist(), "m2": one.m2s[0].tolist()}


def _statistics_of(entry: dict[str, Any]) -> Statistics:
    return Statistics((entry["count"],), (np.array(entry["mean"]),), (np.array(entry["m2"]),))
