"""Experiment 10: one instance norm everywhere, or group norm deeper."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stylenorm.lab.bench import Bench
from stylenorm.lab.drawing import bar_chart
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.runs import ends, show_networks, train_over_seeds
from stylenorm.lab.significance import Part, spread
from stylenorm.lab.training import TRAINING_SIZES, GeneratorArm, TrainingSize, paint

__all__ = ["GroupNormDeeper", "detail"]

_NORMS = {
    "instance everywhere": "instance",
    "group in the blocks": "group deeper",
    "instance first": "instance first",
    "group everywhere": "group",
}
_BASELINE = "instance everywhere"
_MARGIN = 0.02


class GroupNormDeeper(Experiment):
    """Instance norm throughout, and three networks with less and less of it."""

    name: ClassVar[str] = "deeper"
    title: ClassVar[str] = "Instance norm everywhere, or group norm deeper"
    question: ClassVar[str] = "Is texture kept or washed out when deeper layers have group norm?"
    claim: ClassVar[str] = (
        "Instance norm throughout the generator gives better texture than instance norm in its first "
        "layer alone; group norm in the deeper layers washes it out."
    )
    paper: ClassVar[str] = (
        "Ulyanov, Vedaldi, Lempitsky 2017, Improved Texture Networks (arXiv:1701.02096), which "
        "compares instance norm in the first layer with instance norm throughout"
    )
    method: ClassVar[str] = (
        "Johnson's generator with instance norm everywhere, with group norm (8 channels a group) in its "
        "residual blocks, with group norm everywhere but behind the first convolution, and with group "
        "norm everywhere. Texture is measured twice: by the style loss, and by the detail of the result "
        "(the deviation of its difference from its neighbourhood of 3 x 3) over that of the painting."
    )
    rule: ClassVar[str] = (
        "Instance norm everywhere has a lower style loss on held-out photos than each of the three "
        "others, and more detail than each, wherever detail is below the painting's: paired t-tests over "
        "seeds, 5 %. Differences surely below 2 % are none."
    )
    sizes: ClassVar[Mapping[Size, Any]] = TRAINING_SIZES

    def run(self, bench: Bench, settings: TrainingSize) -> dict[str, Any]:
        """Train the four networks, measure their texture."""
        arms = {name: GeneratorArm(settings, norm=norm) for name, norm in _NORMS.items()}
        runs, networks = train_over_seeds(bench, arms)
        photos = bench.material.pool(settings.crop_px, settings.num_photos, settings.num_held_out)
        held_out = photos.held_out(settings.crop_px).to(bench.device)
        painting = detail(bench.material.painting(settings.painting_px))
        kept = {
            name: [round(_painted_detail(network, held_out) / painting, 5) for network in trained]
            for name, trained in networks.items()
        }
        show_networks(bench, "grid", networks, settings.painting_px)
        return {
            "runs": {
                name: [{"held_out": run["held_out"]} for run in all_of] for name, all_of in runs.items()
            },
            "detail": kept,
            "photo_detail": round(detail(held_out) / painting, 5),
        }

    def judge(self, numbers: Numbers) -> Verdict:
        """Compare style loss and detail."""
        style = {name: ends(numbers["runs"][name], "style") for name in _NORMS}
        others = [name for name in _NORMS if name != _BASELINE]
        detail = numbers["detail"]
        parts = [
            Part(
                f"less style loss than {name}",
                [b - a for a, b in zip(style[_BASELINE], style[name], strict=True)],
                _MARGIN * fmean(style[_BASELINE]),
            )
            for name in others
        ]
        parts += [
            Part(
                f"more detail than {name}",
                [a - b for a, b in zip(detail[_BASELINE], detail[name], strict=True)],
                _MARGIN,
            )
            for name in others
            if fmean(detail[name]) < 1
        ]
        texts = [
            f"{name}: style loss {spread(style[name])}, detail {spread(numbers['detail'][name])}"
            for name in _NORMS
        ]
        return Verdict(tuple(parts), "; ".join(texts) + " (the painting's detail is 1).")

    def figures(self, numbers: Numbers) -> list[Figure]:
        """Style loss and detail of the four."""
        style = {name: spread(ends(numbers["runs"][name], "style")) for name in _NORMS}
        details = {name: spread(numbers["detail"][name]) for name in _NORMS}
        return [
            Figure(
                measure,
                bar_chart({label: [(s.mean, s.deviation) for s in values.values()]}, list(values), label),
                caption,
            )
            for measure, label, values, caption in (
                ("style", "style loss", style, "Style loss on held-out photos; lower is better."),
                ("detail", "detail", details, "Detail of the results; the painting has 1."),
            )
        ]


def detail(pictures: Tensor) -> float:
    """Deviation of pictures (N, 3, H, W) from their means over 3 x 3 neighbours.

    Example:
        >>> detail(torch.full((1, 3, 8, 8), 0.3)) < 1e-6
        True
    """
    smooth = torch.nn.functional.avg_pool2d(pictures, 3, stride=1)
    return float((pictures[..., 1:-1, 1:-1] - smooth).square().mean().sqrt())


@torch.no_grad()
def _painted_detail(network: nn.Module, photos: Tensor) -> float:
    return detail(paint(network, photos, torch.Generator().manual_seed(0)))
