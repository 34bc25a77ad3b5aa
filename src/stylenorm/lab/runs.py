"""Arms over seeds: running them, reading their ends, drawing their curves."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from stylenorm.lab.bench import Bench
from stylenorm.lab.drawing import Line, grid, to_pixels
from stylenorm.lab.significance import spread
from stylenorm.lab.training import GeneratorArm, paint, train_generator

__all__ = ["ends", "mean_line", "percent", "show_networks", "train_over_seeds"]

_SHOWN_PX = 256  # shorter side of the pictures in grids
_ROW_PX = 132
_NOISE_SEED = 5


def train_over_seeds(
    bench: Bench, arms: Mapping[str, GeneratorArm]
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[nn.Module]]]:
    """Train each arm with every seed of its size.

    Returns:
        The numbers and the networks of each arm, one a seed.
    """
    bench.expect(sum(arm.size.num_seeds for arm in arms.values()))
    numbers: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    networks: dict[str, list[nn.Module]] = {name: [] for name in arms}
    for seed in range(max(arm.size.num_seeds for arm in arms.values())):  # seed by seed: a stop leaves pairs
        for name, arm in arms.items():
            run, network = train_generator(bench, replace(arm, seed=seed))
            numbers[name].append(run)
            networks[name].append(network)
    return numbers, networks


def ends(runs: Sequence[Mapping[str, Any]], loss: str = "objective", mode: str = "held_out") -> list[float]:
    """Return a loss (``content``, ``style`` or ``objective``) at the end of each seed's run."""
    return [float(run[mode][loss]) for run in runs]


def mean_line(
    label: str,
    runs: Sequence[Mapping[str, Any]],
    column: int,
    color: int,
    *,
    kind: str = "curve",
    dashed: bool = False,
) -> Line:
    """The mean over seeds of a column (1 content, 2 style) of each run's ``curve`` or ``checks``."""
    points, deviations = [], []
    for rows in zip(*(run[kind] for run in runs), strict=True):
        summary = spread([float(row[column]) for row in rows])
        points.append((float(rows[0][0]), summary.mean))
        deviations.append(summary.deviation)
    return Line(label, points, deviations, color, dashed)


def percent(a: Sequence[float], b: Sequence[float]) -> str:
    """How far the mean of ``a`` lies from that of ``b``: ``"12 % below"``.

    Example:
        >>> percent([0.9], [1.0]), percent([1.5], [1.0])
        ('10 % below', '50 % above')
    """
    change = statistics.fmean(a) / statistics.fmean(b) - 1
    return f"{abs(change):.0%} {'below' if change < 0 else 'above'}".replace("%", " %")


@torch.no_grad()
def show_networks(
    bench: Bench, name: str, networks: Mapping[str, Sequence[nn.Module]], painting_px: int
) -> None:
    """Show what the first seed's networks make of each picture, a row a picture, and the painting."""
    painting = to_pixels(bench.material.painting(painting_px))
    rows: list[list[tuple[NDArray[np.uint8], str]]] = []
    for photo in bench.material.shown(_SHOWN_PX):
        row = [(to_pixels(photo), "photo")]
        for label, (network, *_) in networks.items():
            noise = torch.Generator().manual_seed(_NOISE_SEED)
            row.append((to_pixels(paint(network, photo.to(bench.device), noise)), label))
        rows.append(row)
    rows[0].append((painting, "painting"))
    bench.show(name, grid(rows, _ROW_PX))
