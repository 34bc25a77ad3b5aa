"""Experiment 6: is it contrast that instance norm normalizes, or style?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from stylenorm.lab.bench import Bench
from stylenorm.lab.drawing import line_chart
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.preparing import PREPARATIONS
from stylenorm.lab.runs import ends, mean_line, train_over_seeds
from stylenorm.lab.significance import Part, spread, surely_below
from stylenorm.lab.training import TRAINING_SIZES, GeneratorArm, TrainingSize

__all__ = ["StyleNormalized"]

_NORMS = ("instance", "batch")
_LEFT = 0.5  # of the gap


class StyleNormalized(Experiment):
    """Both norms on photos as they are, of one contrast, and of one style."""

    name: ClassVar[str] = "style-normalized"
    title: ClassVar[str] = "Contrast or style"
    question: ClassVar[str] = (
        "Does instance norm win because it normalizes contrast, or because it normalizes style?"
    )
    claim: ClassVar[str] = (
        "The gap between the norms stays when all photos have the same contrast, and nearly closes when "
        "all have the painting's style already: instance norm normalizes style."
    )
    paper: ClassVar[str] = (
        "Huang, Belongie 2017, Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization, "
        "figure 1 (arXiv:1703.06868)"
    )
    method: ClassVar[str] = (
        "Johnson's generator with either norm is trained on original photos, on photos whose luminance "
        "histogram was equalized, and on photos painted in the target style by another network (trained "
        "here, with another seed and twice the steps; the paper took a published one). The generator is "
        "small and the training short."
    )
    rule: ClassVar[str] = (
        "The gap is batch norm's style loss minus instance norm's at the end of training, on held-out "
        "photos that were prepared likewise, in evaluation mode. On original photos it is above 0; on "
        "contrast-normalized photos more than half of it is left, on style-normalized photos less than half: "
        "paired t-tests over seeds, 5 %."
    )
    sizes: ClassVar[Mapping[Size, Any]] = TRAINING_SIZES

    def run(self, bench: Bench, settings: TrainingSize) -> dict[str, Any]:
        """Train on the three kinds of photos."""
        arms = {
            f"{photos}, {norm}": GeneratorArm(settings, norm=norm, photos=photos)
            for photos in PREPARATIONS
            for norm in _NORMS
        }
        runs, _ = train_over_seeds(bench, arms)
        return {"runs": runs}

    def judge(self, numbers: Numbers) -> Verdict:
        """Compare the gaps."""
        runs = numbers["runs"]
        losses = {
            photos: [ends(runs[f"{photos}, {norm}"], "style") for norm in _NORMS] for photos in PREPARATIONS
        }
        gaps = {photos: [b - a for a, b in zip(*both, strict=True)] for photos, both in losses.items()}
        left = {
            photos: [gap - _LEFT * whole for gap, whole in zip(gaps[photos], gaps["original"], strict=True)]
            for photos in PREPARATIONS
        }
        parts = (
            Part("a gap on original photos", gaps["original"]),
            Part("half of it is left on contrast-normalized photos", left["contrast-normalized"]),
            Part(
                "less than half is left on style-normalized photos",
                [-each for each in left["style-normalized"]],
            ),
        )
        above = {photos: " (above 0)" if surely_below(*both) else "" for photos, both in losses.items()}
        text = ", ".join(f"{spread(gap)}{above[photos]} on {photos} photos" for photos, gap in gaps.items())
        return Verdict(parts, f"gap in style loss: {text}.")

    def figures(self, numbers: Numbers) -> list[Figure]:
        """One panel a kind of photos, as in the paper."""
        figures = []
        for photos in PREPARATIONS:
            lines = [
                mean_line(f"{norm} norm", numbers["runs"][f"{photos}, {norm}"], 2, i)
                for i, norm in enumerate(_NORMS)
            ]
            svg = line_chart(lines, "step", "style loss", log_y=True)
            figures.append(Figure(photos, svg, f"Trained on {photos} photos: style loss in training."))
        return figures
