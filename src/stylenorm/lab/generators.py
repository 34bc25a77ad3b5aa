"""Experiment 1: instance norm against batch norm in the two generators of 2016."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any, ClassVar

from stylenorm.lab.bench import Bench
from stylenorm.lab.drawing import line_chart
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.runs import ends, mean_line, percent, show_networks, train_over_seeds
from stylenorm.lab.significance import Part, spread
from stylenorm.lab.training import TRAINING_SIZES, GeneratorArm, TrainingSize

__all__ = ["NormsInGenerators"]

_GENERATORS = {"johnson": "reflect", "ulyanov": "circular"}  # and their borders
_NORMS = ("instance", "batch")
_MARGIN = 0.01  # of the objective


class NormsInGenerators(Experiment):
    """Both generators, both norms, the same photos in the same order."""

    name: ClassVar[str] = "generators"
    title: ClassVar[str] = "Instance norm against batch norm in two generators"
    question: ClassVar[str] = (
        "Does a generator learn a painting better with instance norm than with batch norm?"
    )
    claim: ClassVar[str] = (
        "With instance norm in place of batch norm the learning objective falls faster and lower, in "
        "Ulyanov's generator and in Johnson's, and the pictures are better."
    )
    paper: ClassVar[str] = (
        "Ulyanov, Vedaldi, Lempitsky 2016, Instance Normalization: The Missing Ingredient for Fast "
        "Stylization, figure 5 (arXiv:1607.08022)"
    )
    method: ClassVar[str] = (
        "Both generators are trained with either norm on one painting, from the same seeds. Unlike the "
        "paper's, they are small, trained for minutes, and the losses look through this package's feature "
        "networks."
    )
    rule: ClassVar[str] = (
        "On held-out photos, in evaluation mode, the objective (content plus weighted style) at the end "
        "is lower with instance norm in both generators: paired t-test over seeds, 5 %. A difference surely "
        "below 1 % is none."
    )
    sizes: ClassVar[Mapping[Size, Any]] = TRAINING_SIZES

    def run(self, bench: Bench, settings: TrainingSize) -> dict[str, Any]:
        """Train, and paint the pictures to show."""
        arms = {
            f"{generator}, {norm}": GeneratorArm(settings, generator, norm, padding=padding)
            for generator, padding in _GENERATORS.items()
            for norm in _NORMS
        }
        runs, networks = train_over_seeds(bench, arms)
        show_networks(bench, "grid", networks, settings.painting_px)
        return {"runs": runs, "style_weight": settings.style_weight}

    def judge(self, numbers: Numbers) -> Verdict:
        """Compare the objectives at the end."""
        runs = numbers["runs"]
        texts, parts = [], []
        for generator in _GENERATORS:
            instance, batch = (ends(runs[f"{generator}, {norm}"]) for norm in _NORMS)
            gains = [b - a for a, b in zip(instance, batch, strict=True)]
            parts.append(Part(f"lower in {generator.title()}'s", gains, _MARGIN * fmean(batch)))
            style = percent(*(ends(runs[f"{generator}, {norm}"], "style") for norm in _NORMS))
            texts.append(
                f"{generator.title()}: objective {spread(instance)} with instance norm, {spread(batch)} with "
                f"batch norm ({percent(instance, batch)}; style alone {style})"
            )
        return Verdict(tuple(parts), "; ".join(texts) + ".")

    def figures(self, numbers: Numbers) -> list[Figure]:
        """Style and content over the steps, in training."""
        runs = numbers["runs"]
        figures = []
        for column, loss in ((2, "style"), (1, "content")):
            lines = [
                mean_line(f"{g.title()}, {norm}", runs[f"{g}, {norm}"], column, 2 * i + j, dashed=j == 1)
                for i, g in enumerate(_GENERATORS)
                for j, norm in enumerate(_NORMS)
            ]
            svg = line_chart(lines, "step", f"{loss} loss", log_y=True)
            figures.append(
                Figure(loss, svg, f"The {loss} loss of the training photos, mean and deviation over seeds.")
            )
        return figures
