"""Experiment 8: batches of 1, 2, 4 and 16."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from stylenorm.lab.bench import Bench
from stylenorm.lab.drawing import Line, line_chart
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.runs import ends, train_over_seeds
from stylenorm.lab.significance import Part, spread
from stylenorm.lab.training import GeneratorArm, TrainingSize

__all__ = ["BatchSettings", "BatchSizes"]

_NORMS = ("batch", "group", "instance")
_MARGIN = 0.02


@dataclass(frozen=True)
class BatchSettings:
    """Sizes.

    Attributes:
        training: of each arm; its batch size is replaced.
        batch_sizes: from small to large.
    """

    training: TrainingSize = field(default_factory=TrainingSize)
    batch_sizes: tuple[int, ...] = (1, 2, 4, 16)


class BatchSizes(Experiment):
    """Three norms, four sizes of the batch, the same number of steps."""

    name: ClassVar[str] = "batch-size"
    title: ClassVar[str] = "The size of the batch"
    question: ClassVar[str] = "What do batch norm, group norm and instance norm lose when batches are small?"
    claim: ClassVar[str] = (
        "Batch norm's error grows quickly as the batch shrinks, since its statistics are estimated from "
        "fewer samples and differ from those it is judged with; group norm and instance norm do not look "
        "at the batch."
    )
    paper: ClassVar[str] = "Wu, He 2018, Group Normalization, figure 1 (arXiv:1803.08494)"
    method: ClassVar[str] = (
        "Johnson's generator with each norm, trained with batches of 1, 2, 4 and 16 photos for the same "
        "number of steps, judged in evaluation mode. All norms see fewer photos in smaller batches, so "
        "only the differences between norms count. The paper classifies ImageNet; here photos are painted."
    )
    rule: ClassVar[str] = (
        "The loss of a norm is its objective with the smallest batch over that with the largest. Batch "
        "norm's is larger than group norm's and than instance norm's: paired t-test over seeds, 5 %. A "
        "difference surely below 0.02 is none."
    )
    sizes: ClassVar[Mapping[Size, Any]] = {
        Size.TINY: BatchSettings(TrainingSize.tiny(), (1, 2)),
        Size.CPU: BatchSettings(TrainingSize(crop_px=32, painting_px=64, steps=80)),
        Size.GPU: BatchSettings(replace(TrainingSize.gpu(), steps=4000)),
    }

    def run(self, bench: Bench, settings: BatchSettings) -> dict[str, Any]:
        """Train with every size."""
        arms = {
            f"{norm}, {count}": GeneratorArm(replace(settings.training, batch_size=count), norm=norm)
            for count in settings.batch_sizes
            for norm in _NORMS
        }
        runs, _ = train_over_seeds(bench, arms)
        kept = ("held_out", "held_out_batch")
        return {
            "batch_sizes": list(settings.batch_sizes),
            "runs": {name: [{k: run[k] for k in kept} for run in all_of] for name, all_of in runs.items()},
        }

    def judge(self, numbers: Numbers) -> Verdict:
        """Compare what the norms lose."""
        small, large = numbers["batch_sizes"][0], numbers["batch_sizes"][-1]
        runs = numbers["runs"]
        lost = {
            norm: [
                a / b
                for a, b in zip(ends(runs[f"{norm}, {small}"]), ends(runs[f"{norm}, {large}"]), strict=True)
            ]
            for norm in _NORMS
        }
        parts = tuple(
            Part(
                f"batch norm loses more than {norm} norm",
                [b - a for a, b in zip(lost[norm], lost["batch"], strict=True)],
                _MARGIN,
            )
            for norm in ("group", "instance")
        )
        own = ends(runs[f"batch, {small}"], mode="held_out_batch")
        text = (
            f"objective with batches of {small} over that with {large}: "
            + ", ".join(f"{norm} norm {spread(values)}" for norm, values in lost.items())
            + f". With batches of {small} batch norm reaches {statistics.fmean(own):.2f} with their "
            f"own statistics and {statistics.fmean(ends(runs[f'batch, {small}'])):.2f} with the running ones."
        )
        return Verdict(parts, text)

    def figures(self, numbers: Numbers) -> list[Figure]:
        """The objective over the size of the batch."""
        lines = []
        for i, norm in enumerate(_NORMS):
            summaries = [spread(ends(numbers["runs"][f"{norm}, {b}"])) for b in numbers["batch_sizes"]]
            points = [(float(b), s.mean) for b, s in zip(numbers["batch_sizes"], summaries, strict=True)]
            lines.append(Line(f"{norm} norm", points, [s.deviation for s in summaries], i))
        own = [
            spread(ends(numbers["runs"][f"batch, {b}"], mode="held_out_batch"))
            for b in numbers["batch_sizes"]
        ]
        points = [(float(b), s.mean) for b, s in zip(numbers["batch_sizes"], own, strict=True)]
        lines.append(Line("batch norm, own statistics", points, color=0, dashed=True))
        svg = line_chart(lines, "photos in a batch", "objective on held-out photos", log_x=True)
        return [Figure("objective", svg, "Lower is better; bands are deviations over seeds.")]
