"""Experiment 2: the contrast of the result is set by the painting, not by the photo."""

from __future__ import annotations

import math
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
from stylenorm.lab.training import TRAINING_SIZES, GeneratorArm, TrainingSize, contrast_changed, paint

__all__ = ["ContrastOfTheResult", "elasticity"]

_NORMS = ("instance", "batch")
_PHOTO_CONTRASTS = (0.125, 0.25, 0.5, 0.75, 1.0)
_PAINTING_CONTRASTS = (0.4, 1.0)
_PHOTO_LIMIT, _PAINTING_LIMIT = 0.1, 0.5


class ContrastOfTheResult(Experiment):
    """Photos and painting are both made weaker, and the contrast of the result is measured."""

    name: ClassVar[str] = "contrast"
    title: ClassVar[str] = "The contrast of the result"
    question: ClassVar[str] = "What sets the contrast of a painted photo: the photo or the painting?"
    claim: ClassVar[str] = (
        "The result should have the contrast of the painting, whatever that of the photo. A generator "
        "with batch norm does not discard the photo's contrast; instance norm does."
    )
    paper: ClassVar[str] = (
        "Ulyanov, Vedaldi, Lempitsky 2016, Instance Normalization, figure 2 (arXiv:1607.08022)"
    )
    method: ClassVar[str] = (
        "Johnson's generator, trained with either norm on the painting as it is and on the painting at "
        "0.4 of its contrast, paints held-out photos at 1/8 to 1 of theirs. Contrast is the deviation of "
        "luminance; its elasticity is the slope of log result over log cause: 0 means that it does not "
        "matter, 1 that the result follows it. The paper shows pictures; the measure is ours."
    )
    rule: ClassVar[str] = (
        "With instance norm the elasticity to the painting's contrast is above 0.5, and with batch norm that "
        "to the photo's is above 0.1: t-tests over seeds, 5 %. That it is at most 0.1 to the photo's with "
        "instance norm must hold, too, but is no evidence: behind the first convolution the norm divides any "
        "contrast out, whatever the network has learned."
    )
    sizes: ClassVar[Mapping[Size, Any]] = TRAINING_SIZES

    def run(self, bench: Bench, settings: TrainingSize) -> dict[str, Any]:
        """Train on both paintings, paint photos of every contrast."""
        photos = bench.material.pool(settings.crop_px, settings.num_photos, settings.num_held_out)
        held_out = photos.held_out(settings.crop_px).to(bench.device)
        contrasts: dict[str, list[list[float]]] = {}
        arms = {
            f"{norm}, painting {strength:g}": GeneratorArm(settings, norm=norm, painting_contrast=strength)
            for norm in _NORMS
            for strength in _PAINTING_CONTRASTS
        }
        _, trained = train_over_seeds(bench, arms)
        for name, networks in trained.items():
            contrasts[name] = [
                [_contrast(_painted(network, contrast_changed(held_out, c))) for c in _PHOTO_CONTRASTS]
                for network in networks
            ]
        _show(bench, {norm: trained[f"{norm}, painting 1"][0] for norm in _NORMS})
        painting = bench.material.painting(settings.painting_px)
        return {
            "result": contrasts,
            "photo": [_contrast(contrast_changed(held_out, c)) for c in _PHOTO_CONTRASTS],
            "painting": {f"{s:g}": _contrast(contrast_changed(painting, s)) for s in _PAINTING_CONTRASTS},
        }

    def judge(self, numbers: Numbers) -> Verdict:
        """Compare elasticities."""
        to_photo = {norm: _to_photo(numbers, norm) for norm in _NORMS}
        to_painting = {norm: _to_painting(numbers, norm) for norm in _NORMS}
        parts = (
            Part(
                "with instance norm the painting's contrast sets the result's",
                [each - _PAINTING_LIMIT for each in to_painting["instance"]],
            ),
            Part(
                "with batch norm the photo's contrast comes through",
                [each - _PHOTO_LIMIT for each in to_photo["batch"]],
            ),
            Part(
                "with instance norm the photo's does not",
                [_PHOTO_LIMIT - fmean(to_photo["instance"])],
                is_algebra=True,
            ),
        )
        text = (
            f"elasticity to the photo's contrast {spread(to_photo['instance'])} with instance norm, "
            f"{spread(to_photo['batch'])} with batch norm; to the painting's "
            f"{spread(to_painting['instance'])} and {spread(to_painting['batch'])}."
        )
        return Verdict(parts, text)

    def figures(self, numbers: Numbers) -> list[Figure]:
        """Contrast of the result over that of the photo."""
        lines = []
        for i, (name, rows) in enumerate(numbers["result"].items()):
            columns = [spread(column) for column in zip(*rows, strict=True)]
            points = [(x, c.mean) for x, c in zip(numbers["photo"], columns, strict=True)]
            lines.append(Line(name, points, [c.deviation for c in columns], i, dashed="batch" in name))
        svg = line_chart(lines, "contrast of the photos", "contrast of the results")
        caption = (
            "Flat lines: the photo's contrast does not matter. The distance between the two lines of a "
            "norm is what the painting's contrast does."
        )
        return [Figure("contrast", svg, caption)]


def elasticity(causes: Sequence[float], results: Sequence[float]) -> float:
    """Slope of log result over log cause, by least squares.

    Example:
        >>> round(elasticity([1, 2, 4], [3, 6, 12]), 6), round(elasticity([1, 2, 4], [5, 5, 5]), 6)
        (1.0, 0.0)
    """
    x, y = [math.log(max(c, 1e-9)) for c in causes], [math.log(max(r, 1e-9)) for r in results]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    product = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return product / sum((a - mean_x) ** 2 for a in x)


def _to_photo(numbers: Numbers, norm: str) -> list[float]:
    return [elasticity(numbers["photo"], row) for row in numbers["result"][f"{norm}, painting 1"]]


def _to_painting(numbers: Numbers, norm: str) -> list[float]:
    """Of photos as they are: the last column."""
    causes = list(numbers["painting"].values())
    rows = [numbers["result"][f"{norm}, painting {strength}"] for strength in numbers["painting"]]
    return [elasticity(causes, [row[-1] for row in seed]) for seed in zip(*rows, strict=True)]


@torch.no_grad()
def _painted(network: nn.Module, photos: Tensor) -> Tensor:
    return paint(network, photos, torch.Generator().manual_seed(0))


def _contrast(pictures: Tensor) -> float:
    """Deviation of luminance (BT.601), mean over pictures; (N, 3, H, W)."""
    luma = (pictures * pictures.new_tensor((0.299, 0.587, 0.114)).reshape(1, 3, 1, 1)).sum(dim=1)
    return round(float(luma.std(dim=(1, 2), correction=0).mean()), 5)


def _show(bench: Bench, networks: Mapping[str, nn.Module]) -> None:
    photo = bench.material.shown(256, count=1)[0]
    rows = []
    for contrast in (1.0, 0.5, 0.25):
        weak = contrast_changed(photo, contrast)
        row = [(to_pixels(weak), f"photo, contrast {contrast:g}")]
        for norm, network in networks.items():
            row.append((to_pixels(_painted(network, weak.to(bench.device))), f"{norm} norm"))
        rows.append(row)
    bench.show("contrasts", grid(rows, 150))
