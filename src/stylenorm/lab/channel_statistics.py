"""Experiment 7: the statistics of channels are the style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, ClassVar

import torch
from torch import Tensor

from stylenorm.functional import adaptive_instance_norm, instance_norm
from stylenorm.lab.bench import Arm, Bench
from stylenorm.lab.drawing import bar_chart, grid, to_pixels
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.significance import Part, spread
from stylenorm.nn import CHANGES, compare_norms, remaining_change
from stylenorm.perceptual import gram_matrix, style_loss

__all__ = ["ChannelStatistics", "StatisticsSettings", "share_of_style"]

_SHAPE = (4, 64, 256, 256)
_TOLD = ("bright", "dark", "low contrast")
_LEFT_BY_INSTANCE, _LEFT_BY_BATCH, _SHARE = 0.05, 0.5, 0.5


@dataclass(frozen=True)
class StatisticsSettings:
    """What is measured.

    Attributes:
        photo_px: side of the photos.
        num_photos: so many.
        painting_px: shorter side of the painting.
    """

    photo_px: int = 160
    num_photos: int = 24
    painting_px: int = 256


class ChannelStatistics(Experiment):
    """Photos in other light through every norm; features of photos with the statistics of a painting."""

    name: ClassVar[str] = "statistics"
    title: ClassVar[str] = "Channel statistics are style"
    question: ClassVar[str] = "What of a photo's look lies in the mean and deviation of its channels?"
    claim: ClassVar[str] = (
        "The mean and variance of each channel carry style: instance norm takes brightness and contrast "
        "out of each photo, batch norm does not, and giving features the statistics of a painting gives "
        "them its style."
    )
    paper: ClassVar[str] = (
        "Huang, Belongie 2017, Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization "
        "(arXiv:1703.06868); Ulyanov, Vedaldi, Lempitsky 2016, Instance Normalization (arXiv:1607.08022)"
    )
    method: ClassVar[str] = (
        "Each photo is made bright, dark, weak in contrast and warm in light; the five versions are one "
        "batch. What is left of a change behind a norm is the distance from the photo's own version, in "
        "deviations of the photo. Then the features of photos in a frozen network are given the "
        "painting's channel means alone, or means and deviations, and the style loss (Gram) that is left "
        "is compared with what it was."
    )
    rule: ClassVar[str] = (
        "Matching means and deviations removes more than half of the style loss, in the mean over taps: "
        "t-test over photos, 5 %. Behind instance norm at most 0.05 is left of bright, dark and low "
        "contrast, behind batch norm at least half of what there was: that must hold, but is no evidence, "
        "since it follows from the formulas."
    )
    sizes: ClassVar[Mapping[Size, Any]] = {
        Size.TINY: StatisticsSettings(32, 2, 32),
        Size.CPU: StatisticsSettings(),
        Size.GPU: StatisticsSettings(256, 200, 512),
    }

    def run(self, bench: Bench, settings: StatisticsSettings) -> dict[str, Any]:
        """Count, normalize, match."""
        bench.expect(1)
        about = {"statistics": asdict(settings), "material": bench.material.identity()}
        found = bench.arm("statistics", about, lambda: _measure(bench, settings))
        _show(bench)
        return found.numbers

    def judge(self, numbers: Numbers) -> Verdict:
        """Apply the three limits."""
        left = {
            norm: {change: spread(row[change]).mean for change in _TOLD}
            for norm, row in numbers["remaining"].items()
        }
        worst = max(left["instance"].values())
        least = min(left["batch"][change] / left["none"][change] for change in _TOLD)
        share = spread([value for tap in numbers["matched"]["mean and deviation"].values() for value in tap])
        means = spread([value for tap in numbers["matched"]["mean"].values() for value in tap])
        by_photo = zip(*numbers["matched"]["mean and deviation"].values(), strict=True)
        parts = (
            Part(
                "matching means and deviations removes half of the style loss",
                [fmean(taps) - _SHARE for taps in by_photo],
            ),
            Part("instance norm takes out gain and offset", [_LEFT_BY_INSTANCE - worst], is_algebra=True),
            Part("batch norm does not", [least - _LEFT_BY_BATCH], is_algebra=True),
        )
        counts = numbers["counts"]
        text = (
            f"behind instance norm at most {worst:.3f} is left of bright, dark and low contrast, behind "
            f"batch norm {least:.0%} or more of what there was; matching means and deviations removes "
            f"{share.mean:.0%} of the style loss, means alone {means.mean:.0%}. For features "
            f"{' x '.join(map(str, _SHAPE))} instance norm keeps {counts['instance']} pairs of statistics, "
            f"batch norm {counts['batch']}, layer norm {counts['layer']}."
        ).replace("%", " %")
        return Verdict(parts, text)

    def figures(self, numbers: Numbers) -> list[Figure]:
        """What is left behind each norm; what matching removes at each tap."""
        groups = {}
        for norm, row in numbers["remaining"].items():
            summaries = [spread(row[change]) for change in CHANGES]
            groups[norm] = [(s.mean, s.deviation) for s in summaries]
        left = bar_chart(groups, list(CHANGES), "left of the change, in deviations")
        matched = {}
        for tap in numbers["matched"]["mean"]:
            summaries = [spread(numbers["matched"][what][tap]) for what in numbers["matched"]]
            matched[tap.rpartition(" ")[2]] = [(s.mean, s.deviation) for s in summaries]
        first = next(iter(numbers["matched"]["mean"])).partition(" ")[0]
        share = bar_chart(matched, list(numbers["matched"]), "share of the style loss removed")
        return [
            Figure("left", left, "What is left of a change of light behind each norm; none is no norm."),
            Figure(
                "matched", share, f"Style loss removed by matching channel statistics, layers of {first}."
            ),
        ]


@torch.no_grad()
def share_of_style(features: Tensor, painting: Tensor, *, deviation: bool) -> list[float]:
    """How much of the style loss goes when the painting's channel statistics are given to features.

    Args:
        features: of photos, (N, C, H, W).
        painting: features of one painting, (1, C, H', W').
        deviation: match means and deviations; else means alone.

    Returns:
        1 - loss left / loss there was, one a photo; below 0 where matching adds to it.
    """
    if deviation:
        matched = adaptive_instance_norm(features, painting)
    else:
        mean = painting.mean(dim=(2, 3), keepdim=True)
        matched = features - features.mean(dim=(2, 3), keepdim=True) + mean
    target = gram_matrix(painting)
    before, after = (style_loss(gram_matrix(x), target) for x in (features, matched))
    return [round(1 - float(a / b), 5) for a, b in zip(after, before, strict=True)]


def _measure(bench: Bench, settings: StatisticsSettings) -> Arm:
    photos = bench.material.held_out(settings.photo_px, settings.num_photos)
    remaining: dict[str, dict[str, list[float]]] = {}
    for photo in photos:
        for norm, row in remaining_change(photo).items():
            for change in CHANGES:
                remaining.setdefault(norm, {}).setdefault(change, []).append(round(row[change], 5))
    painting = bench.material.painting(settings.painting_px).to(bench.device)
    matched: dict[str, dict[str, list[float]]] = {"mean": {}, "mean and deviation": {}}
    network = bench.material.networks()[0].to(bench.device)
    with torch.no_grad():
        of_photos = network(photos.to(bench.device), network.style_taps)
        of_painting = network(painting, network.style_taps)
    for tap in network.style_taps:
        for what, taps in matched.items():
            taps[f"{network.name} {tap}"] = share_of_style(
                of_photos[tap], of_painting[tap], deviation=what != "mean"
            )
    counts = {fact.name: fact.statistics for fact in compare_norms(_SHAPE)}
    return Arm({"counts": counts, "remaining": remaining, "matched": matched})


def _show(bench: Bench) -> None:
    """A photo in every light, and the same behind instance norm (drawn around grey)."""
    photo = bench.material.shown(160, count=1)[0]
    versions = {"photo": photo}
    for name, (gain, offset) in CHANGES.items():
        scale, shift = (photo.new_tensor(v).reshape(1, -1, 1, 1) for v in (gain, offset))
        versions[name] = photo * scale + shift
    before = [(to_pixels(version), name) for name, version in versions.items()]
    after = [(to_pixels(0.5 + 0.2 * instance_norm(v)), "behind instance norm") for v in versions.values()]
    bench.show("light", grid([before, after], 130))
