"""Experiment 3: what lies beyond the border: zeros, the edge, the mirror image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stylenorm.lab.bench import Bench
from stylenorm.lab.drawing import Line, grid, line_chart, to_pixels
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.runs import train_over_seeds
from stylenorm.lab.significance import Part, spread
from stylenorm.lab.training import TRAINING_SIZES, GeneratorArm, TrainingSize, paint

__all__ = ["Padding", "border_errors"]

_PADDINGS = ("zeros", "replicate", "reflect")
_NORMS = ("instance", "batch")
_MARGIN = 0.05  # of the excess error with zeros
_BAND_PX = 4  # the border, for the verdict
_DEPTH_PX = 16  # the figure shows errors up to here


class Padding(Experiment):
    """Photos are painted with what surrounds them, and without."""

    name: ClassVar[str] = "padding"
    title: ClassVar[str] = "Padding and the border"
    question: ClassVar[str] = (
        "How wrong is a painting near its border, for each padding, with and without instance norm?"
    )
    claim: ClassVar[str] = (
        "Zeros beyond the border leave visible artefacts there; better padding leaves fewer, and does not "
        "remove them where the norm is at fault."
    )
    paper: ClassVar[str] = (
        "Ulyanov, Vedaldi, Lempitsky 2016, Instance Normalization, figure 3 (arXiv:1607.08022)"
    )
    method: ClassVar[str] = (
        "Johnson's generator is trained with each padding and norm. Held-out photos are painted whole, "
        "and their middles are painted alone. The error is the root mean square difference in the middle, "
        "by the distance from its border, divided by the deviation of the painting. Instance norm also "
        "sees other statistics, everywhere in the middle; so what counts is the excess near the border "
        "over the inside. The paper shows pictures; the measure is ours."
    )
    rule: ClassVar[str] = (
        "With instance norm, the excess error in the outer 4 pixels is lower with replicated and with "
        "reflected borders than with zeros: paired t-test over seeds, 5 %. A difference surely below 5 % is "
        "none."
    )
    sizes: ClassVar[Mapping[Size, Any]] = TRAINING_SIZES

    def run(self, bench: Bench, settings: TrainingSize) -> dict[str, Any]:
        """Train with each padding, and measure by distance."""
        arms = {
            f"{norm}, {padding}": GeneratorArm(settings, norm=norm, padding=padding)
            for norm in _NORMS
            for padding in _PADDINGS
        }
        _, networks = train_over_seeds(bench, arms)
        middle_px = 2 * settings.crop_px
        whole = bench.material.held_out(2 * middle_px, settings.num_held_out).to(bench.device)
        errors = {
            name: [border_errors(network, whole) for network in trained] for name, trained in networks.items()
        }
        _show(bench, {name: trained[0] for name, trained in networks.items()})
        return {"errors": errors}

    def judge(self, numbers: Numbers) -> Verdict:
        """Compare the excess near the border."""
        excess = {name: [_excess(run) for run in runs] for name, runs in numbers["errors"].items()}
        zeros = excess["instance, zeros"]
        parts = tuple(
            Part(
                f"lower with {p}",
                [b - a for a, b in zip(excess[f"instance, {p}"], zeros, strict=True)],
                _MARGIN * fmean(zeros),
            )
            for p in _PADDINGS
            if p != "zeros"
        )
        texts = [
            f"{norm} norm: " + ", ".join(f"{p} {spread(excess[f'{norm}, {p}'])}" for p in _PADDINGS)
            for norm in _NORMS
        ]
        return Verdict(parts, f"excess error in the outer {_BAND_PX} pixels: {'; '.join(texts)}.")

    def figures(self, numbers: Numbers) -> list[Figure]:
        """The error over the distance."""
        lines = []
        for i, (name, runs) in enumerate(numbers["errors"].items()):
            columns = [spread(column) for column in zip(*runs, strict=True)]
            shown = columns[:_DEPTH_PX]
            points = [(d + 0.5, c.mean) for d, c in enumerate(shown)]
            lines.append(
                Line(name, points, [c.deviation for c in shown], i % len(_PADDINGS), dashed="batch" in name)
            )
        svg = line_chart(lines, "distance from the border in pixels", "error, in deviations of the painting")
        caption = (
            "How far the middle of a photo, painted alone, is from the same place painted with its "
            "surroundings. Dashed: batch norm."
        )
        return [Figure("errors", svg, caption)]


@torch.no_grad()
def border_errors(network: nn.Module, whole: Tensor) -> list[float]:
    """Errors of the middles, painted alone, at 0, 1, 2, ... pixels from their border.

    Args:
        network: a generator, in evaluation mode.
        whole: photos (N, 3, S, S), S a multiple of 16, RGB, 0..1; the middle is half as high and wide.

    Returns:
        S / 4 numbers, in deviations of the painted middle.
    """
    size = whole.shape[-1] // 2
    start = size // 2 // 4 * 4  # the same phase of the grid of 4
    middle = slice(start, start + size)
    noise = torch.Generator().manual_seed(0)
    expected = paint(network, whole, noise)[..., middle, middle]
    got = paint(network, whole[..., middle, middle].contiguous(), noise)
    spread_of = expected.std(dim=(2, 3), correction=0).square().mean(dim=1).sqrt().clamp_min(1e-6)
    square = ((got - expected) / spread_of[:, None, None, None]).square().mean(dim=(0, 1))  # (S/2, S/2)
    index = torch.arange(size, device=whole.device)
    depth = torch.minimum(index, size - 1 - index)
    distance = torch.minimum(depth[:, None], depth[None, :])
    return [round(float(square[distance == d].mean().sqrt()), 5) for d in range(size // 2)]


def _excess(errors: Sequence[float]) -> float:
    """Root of the excess of the square error in the band over the inner half."""
    band = sum(e * e for e in errors[:_BAND_PX]) / _BAND_PX
    inside = errors[len(errors) // 2 :]
    return float(max(0.0, band - sum(e * e for e in inside) / len(inside)) ** 0.5)


@torch.no_grad()
def _show(bench: Bench, networks: Mapping[str, nn.Module]) -> None:
    photo = bench.material.shown(192, count=1)[0]
    corner = photo[..., :96, :128]
    rows = []
    for norm in _NORMS:
        row = [(to_pixels(corner), "photo")]
        for padding in _PADDINGS:
            painted = paint(networks[f"{norm}, {padding}"], corner.to(bench.device), torch.Generator())
            row.append((to_pixels(painted), f"{norm}, {padding}"))
        rows.append(row)
    bench.show("borders", grid(rows, 150))
