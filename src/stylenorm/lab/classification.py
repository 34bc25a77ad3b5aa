"""Experiment 9: where instance norm removes what a classifier needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.lab.bench import Arm, Bench
from stylenorm.lab.drawing import bar_chart
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.significance import Part, spread
from stylenorm.nn import BatchInstanceNorm2d, FilterResponseNorm2d, InstanceNorm2d, ThresholdedLinearUnit
from stylenorm.training.data.digit_domains import read_digits

__all__ = ["Classification", "ClassificationSettings"]

_INK = (0.3, 0.6, 1.0)  # how strongly a digit is drawn: three classes
_OTHER_LIGHT = (0.5, 0.3)  # gain and offset of the test pictures of "other light"
_LEAST_GAP, _GIVEN_BACK = 0.2, 0.5
_GATE_RATE = 10  # learning rate of batch-instance norm's gate, in units of the others', as in its paper
_BATCH = 64
_WIDTH = 16

_NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda c: nn.Identity(),  # noqa: ARG005
    "batch": nn.BatchNorm2d,
    "group": lambda c: nn.GroupNorm(c // 8, c),
    "instance": lambda c: InstanceNorm2d(c, affine=True),
    "filter response": FilterResponseNorm2d,
    "batch-instance": BatchInstanceNorm2d,
}
_TASKS = ("digit", "ink")


@dataclass(frozen=True)
class ClassificationSettings:
    """Sizes.

    Attributes:
        epochs: over the training pictures.
        num_train: training pictures; the others are the test.
        num_seeds: of weights, order and split.
        learning_rate: of Adam.
    """

    epochs: int = 15
    num_train: int = 1200
    num_seeds: int = 5
    learning_rate: float = 5e-3


class Classification(Experiment):
    """scikit-learn's digits: which digit it is, and how strongly it was drawn."""

    name: ClassVar[str] = "classification"
    title: ClassVar[str] = "What a classifier needs"
    question: ClassVar[str] = (
        "Where does instance norm remove what a classifier needs, and what gives it back?"
    )
    claim: ClassVar[str] = (
        "Instance norm discards the strength of features, which is style for a painter and can be the "
        "label for a classifier. Batch-instance norm learns how much of it to keep; filter response norm "
        "keeps the mean."
    )
    paper: ClassVar[str] = (
        "Nam, Kim 2018, Batch-Instance Normalization (arXiv:1805.07925); Singh, "
        "Krishnan 2019, Filter Response Normalization Layer (arXiv:1911.09737)"
    )
    method: ClassVar[str] = (
        "Three convolutions with each norm classify scikit-learn's 8 x 8 digits (1797, of which 597 "
        "test): by digit, where shape is enough, and by ink, where each digit is drawn at 0.3, 0.6 or 1 "
        "of its strength and that is the class. Classifiers of digits are also tested in other light, "
        "which they never saw. The gate of batch-instance norm starts at instance norm, so that what it "
        "gives back was learned. The papers classify photos."
    )
    rule: ClassVar[str] = (
        "By ink, instance norm's accuracy is more than 20 points below batch norm's, and filter response and "
        "batch-instance norm each give back more than half of that gap: paired t-tests over seeds, 5 %."
    )
    sizes: ClassVar[Mapping[Size, Any]] = {
        Size.TINY: ClassificationSettings(epochs=1, num_train=64, num_seeds=2),
        Size.CPU: ClassificationSettings(),
        Size.GPU: ClassificationSettings(epochs=60, num_seeds=20),
    }

    def run(self, bench: Bench, settings: ClassificationSettings) -> dict[str, Any]:
        """Train every norm on both tasks."""
        ink, known = read_digits()
        pictures, digits = torch.from_numpy(ink)[:, None], torch.from_numpy(known)  # (1797, 1, 8, 8), 0..1
        bench.expect(settings.num_seeds * len(_NORMS) * len(_TASKS))
        accuracy: dict[str, dict[str, list[float]]] = {}
        gates: dict[str, list[float]] = {task: [] for task in _TASKS}
        for seed in range(settings.num_seeds):
            for norm in _NORMS:
                for task in _TASKS:
                    about = {"classification": asdict(settings), "norm": norm, "task": task, "seed": seed}
                    label = f"{task}-{norm.replace(' ', '-')}-seed{seed}"
                    found = bench.arm(
                        label,
                        about,
                        lambda: _train(bench, settings, norm, task, seed, pictures, digits),  # noqa: B023
                    )
                    for where, value in found.numbers["accuracy"].items():
                        accuracy.setdefault(where, {}).setdefault(norm, []).append(value)
                    if norm == "batch-instance":
                        gates[task].append(found.numbers["gate"])
        return {"accuracy": accuracy, "gates": gates}

    def judge(self, numbers: Numbers) -> Verdict:
        """Compare accuracies by ink."""
        ink = numbers["accuracy"]["ink"]
        mean = {norm: spread(values).mean for norm, values in ink.items()}
        gap = mean["batch"] - mean["instance"]
        back = {
            norm: (mean[norm] - mean["instance"]) / gap if gap > 0 else 0.0
            for norm in ("filter response", "batch-instance")
        }
        gaps = [a - b for a, b in zip(ink["batch"], ink["instance"], strict=True)]
        parts = [Part("instance norm loses 20 points", [each - _LEAST_GAP for each in gaps])]
        parts += [
            Part(
                f"{norm} norm gives half of it back",
                [
                    value - lost - _GIVEN_BACK * each
                    for value, lost, each in zip(ink[norm], ink["instance"], gaps, strict=True)
                ],
            )
            for norm in back
        ]
        digit, light = (numbers["accuracy"][task] for task in ("digit", "other light"))
        text = (
            f"by ink: batch norm {mean['batch']:.0%}, instance norm {mean['instance']:.0%} (chance "
            f"{1 / len(_INK):.0%}); filter response norm gives back {back['filter response']:.0%} of the "
            f"gap, batch-instance norm {back['batch-instance']:.0%} (its gates end at "
            f"{spread(numbers['gates']['ink'])}, by digit at {spread(numbers['gates']['digit'])}). By "
            f"digit: instance {spread(digit['instance']).mean:.0%}, batch "
            f"{spread(digit['batch']).mean:.0%}; in other light instance "
            f"{spread(light['instance']).mean:.0%}, batch {spread(light['batch']).mean:.0%}."
        ).replace("%", " %")
        return Verdict(tuple(parts), text)

    def figures(self, numbers: Numbers) -> list[Figure]:
        """Accuracy of each norm on each task."""
        names = {"digit": "by digit", "other light": "by digit, in other light", "ink": "by ink"}
        groups = {}
        for task, name in names.items():
            summaries = [spread(numbers["accuracy"][task][norm]) for norm in _NORMS]
            groups[name] = [(s.mean, s.deviation) for s in summaries]
        svg = bar_chart(groups, list(_NORMS), "accuracy")
        caption = "Accuracy on test pictures, mean and deviation over seeds."
        return [Figure("accuracy", svg, caption)]


def _classifier(norm: str, num_classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after, stride in ((1, _WIDTH, 1), (_WIDTH, 2 * _WIDTH, 2), (2 * _WIDTH, 2 * _WIDTH, 1)):
        layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), _NORMS[norm](after)]
        layers.append(ThresholdedLinearUnit(after) if norm == "filter response" else nn.ReLU())
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * _WIDTH, num_classes)]
    return nn.Sequential(*layers)


def _train(
    bench: Bench,
    settings: ClassificationSettings,
    norm: str,
    task: str,
    seed: int,
    pictures: Tensor,
    digits: Tensor,
) -> Arm:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pictures), generator=generator)
    x, y = pictures[order], digits[order]
    if task == "ink":
        y = torch.randint(len(_INK), (len(x),), generator=generator)
        x = x * torch.tensor(_INK)[y][:, None, None, None]
    x, y = x.to(bench.device), y.to(bench.device)
    train, test = slice(0, settings.num_train), slice(1200, None)  # the same test, however much is trained on
    torch.manual_seed(seed)
    network = _classifier(norm, len(_INK) if task == "ink" else 10).to(bench.device)
    mixed = [m for m in network if isinstance(m, BatchInstanceNorm2d)]
    for module in mixed:
        nn.init.zeros_(module.gate)
    gates = [m.gate for m in mixed]
    others = [p for p in network.parameters() if all(p is not gate for gate in gates)]
    rate = settings.learning_rate
    groups = [{"params": others, "lr": rate}, {"params": gates, "lr": _GATE_RATE * rate}]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]])
    for epoch in range(settings.epochs):
        for batch in torch.split(torch.randperm(settings.num_train, generator=generator), _BATCH):
            if len(batch) < 2:  # one sample has no batch statistics worth the name
                continue
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(network(x[train][batch]), y[train][batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for module in mixed:
                module.clip_gate()
        bench.tell(f"epoch {epoch + 1}/{settings.epochs}")
    network.eval()
    accuracy = {task: measured_accuracy(network, x[test], y[test])}
    if task == "digit":
        gain, offset = _OTHER_LIGHT
        accuracy["other light"] = measured_accuracy(network, offset + gain * x[test], y[test])
    numbers: dict[str, Any] = {"accuracy": accuracy}
    if gates:
        numbers["gate"] = round(float(torch.cat([g.detach().flatten() for g in gates]).mean()), 4)
    return Arm(numbers)


@torch.no_grad()
def measured_accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the share of samples ``x`` (N, ...) whose likeliest class is ``y`` (N,)."""
    return round(float((network(x).argmax(dim=1) == y).float().mean()), 4)
