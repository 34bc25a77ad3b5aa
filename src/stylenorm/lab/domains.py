"""Experiment 11: a classifier in a domain that it never saw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from stylenorm.lab.bench import Arm, Bench
from stylenorm.lab.classification import measured_accuracy
from stylenorm.lab.drawing import bar_chart
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.significance import Part, spread
from stylenorm.networks import IBN_NORMS, IbnResNet
from stylenorm.training.data.digit_domains import DOMAINS, draw_digits, read_digits

__all__ = ["Domains", "DomainsSettings"]

_NUM_TEST = 597
_BATCH = 48
_MOST_LOST = 0.01
_NUM_SHOWN, _SHOWN_SCALE = 8, 4


@dataclass(frozen=True)
class DomainsSettings:
    """Sizes.

    Attributes:
        epochs: over the training pictures.
        num_train: training pictures.
        num_seeds: of weights, order and split.
        learning_rate: Adam's at the start; it falls to 0 by a cosine.
        size_px: side of the pictures.
        depth: of the network.
        width: of its first convolution.
    """

    epochs: int = 12
    num_train: int = 1200
    num_seeds: int = 5
    learning_rate: float = 3e-3
    size_px: int = 20
    depth: int = 10
    width: int = 12


class Domains(Experiment):
    """scikit-learn's digits on paper and in the street, residual networks with four choices of norm."""

    name: ClassVar[str] = "domains"
    title: ClassVar[str] = "A domain never seen"
    question: ClassVar[str] = (
        "Does instance norm in part of a classifier help it in a domain that it never saw?"
    )
    claim: ClassVar[str] = (
        "Instance norm takes out what is of a picture's appearance, batch norm keeps what is of its content. "
        "A network with both, mixed in its early stages (IBN-Net), is better than one with batch norm in a "
        "domain that it was not trained on, and no worse in the one that it was."
    )
    paper: ClassVar[str] = (
        "Pan, Luo, Shi, Tang 2018, Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net "
        "(arXiv:1807.09441), tables 1 and 6"
    )
    method: ClassVar[str] = (
        "A residual network of depth 10 with batch norm, with instance norm, and with the paper's mixtures "
        "IBN-a and IBN-b classifies scikit-learn's digits (1797, of which 597 test), drawn in two domains: "
        "on paper (dark ink, light ground) and in the street (any colours, less contrast, rough ground, "
        "light from one side). Each is trained on one domain, as it is, and tested on both. The paper "
        "classifies ImageNet in other light and style, and segments streets, real and rendered. How far "
        "apart the domains are was set with batch norm alone, with a seed that takes no part, so that it is "
        "not quite lost."
    )
    rule: ClassVar[str] = (
        "In the domain never seen IBN-a's accuracy is above batch norm's, whichever of the two was trained "
        "on; in the domain trained on it is less than one point below, in the mean over domains: paired "
        "t-tests over seeds, 5 %. A difference surely below one point is none."
    )
    sizes: ClassVar[Mapping[Size, Any]] = {
        Size.TINY: DomainsSettings(epochs=1, num_train=48, num_seeds=2, size_px=16, width=4),
        Size.CPU: DomainsSettings(),
        Size.GPU: DomainsSettings(epochs=60, num_seeds=10, size_px=32, depth=18, width=64),
    }

    def run(self, bench: Bench, settings: DomainsSettings) -> dict[str, Any]:
        """Train every norm on each domain."""
        ink, digits = read_digits()
        same = {key: value for key, value in asdict(settings).items() if key != "num_seeds"}  # for every seed
        drawn = {domain: draw_digits(ink, domain, settings.size_px) for domain in DOMAINS}
        bench.show("digits", _shown(drawn))
        bench.expect(settings.num_seeds * len(IBN_NORMS) * len(DOMAINS))
        accuracy: dict[str, dict[str, list[float]]] = {}
        for seed in range(settings.num_seeds):
            for norm in IBN_NORMS:
                for source in DOMAINS:
                    about = {"domains": same, "norm": norm, "source": source, "seed": seed}
                    found = bench.arm(
                        f"{source}-{norm}-seed{seed}",
                        about,
                        lambda: _train(bench, settings, norm, source, seed, drawn, digits),  # noqa: B023
                    )
                    for target, value in found.numbers.items():
                        accuracy.setdefault(f"{source} to {target}", {}).setdefault(norm, []).append(value)
        return {"accuracy": accuracy}

    def judge(self, numbers: Numbers) -> Verdict:
        """Compare accuracies."""
        accuracy = numbers["accuracy"]
        unseen = {f"{a} to {b}": accuracy[f"{a} to {b}"] for a in DOMAINS for b in DOMAINS if a != b}
        means = {where: {norm: spread(of[norm]).mean for norm in IBN_NORMS} for where, of in accuracy.items()}
        trained_on = {
            norm: sum(means[f"{domain} to {domain}"][norm] for domain in DOMAINS) / len(DOMAINS)
            for norm in IBN_NORMS
        }
        parts = [
            Part(
                f"better from {where}",
                [a - b for a, b in zip(of["ibn-a"], of["batch"], strict=True)],
                _MOST_LOST,
            )
            for where, of in unseen.items()
        ]
        kept = [accuracy[f"{domain} to {domain}"] for domain in DOMAINS]
        lost = [[b - a for a, b in zip(of["ibn-a"], of["batch"], strict=True)] for of in kept]
        parts.append(
            Part(
                "at most one point lost in the domain trained on",
                [_MOST_LOST - fmean(seed) for seed in zip(*lost, strict=True)],
                _MOST_LOST,
            )
        )
        texts = [
            f"{where}: " + ", ".join(f"{norm} {_percent(of[norm])}" for norm in IBN_NORMS)
            for where, of in unseen.items()
        ]
        same = ", ".join(f"{norm} {100 * trained_on[norm]:.1f} %" for norm in IBN_NORMS)
        text = f"accuracy from {'; from '.join(texts)}. In the domain trained on: {same}."
        return Verdict(tuple(parts), text)

    def figures(self, numbers: Numbers) -> list[Figure]:
        """Accuracy of each norm in each domain."""
        groups = {}
        for source in DOMAINS:
            for target in DOMAINS:
                of = numbers["accuracy"][f"{source} to {target}"]
                summaries = [spread(of[norm]) for norm in IBN_NORMS]
                name = f"{source}, trained on" if source == target else f"{target}, from {source}"
                groups[name] = [(s.mean, s.deviation) for s in summaries]
        svg = bar_chart(groups, list(IBN_NORMS), "accuracy")
        return [Figure("accuracy", svg, "Accuracy on test pictures, mean and deviation over seeds.")]


def _percent(values: list[float]) -> str:
    of = spread(values)
    return f"{100 * of.mean:.0f} ± {100 * of.deviation:.0f} %"


def _shown(drawn: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The same digits in each domain, a row each, enlarged."""
    rows = [np.concatenate(list(pictures[:_NUM_SHOWN]), axis=1) for pictures in drawn.values()]
    return np.kron(np.concatenate(rows), np.ones((_SHOWN_SCALE, _SHOWN_SCALE, 1), np.uint8))


def _train(
    bench: Bench,
    settings: DomainsSettings,
    norm: str,
    source: str,
    seed: int,
    drawn: Mapping[str, NDArray[np.uint8]],
    digits: NDArray[np.int64],
) -> Arm:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(digits), generator=generator)
    test, train = order[:_NUM_TEST], order[_NUM_TEST : _NUM_TEST + settings.num_train]
    # Contiguous: see stylenorm.training.data.class_folders.
    x = {
        domain: torch.from_numpy(pictures).to(bench.device).permute(0, 3, 1, 2).contiguous().float() / 255
        for domain, pictures in drawn.items()
    }
    y = torch.from_numpy(digits).to(bench.device)
    torch.manual_seed(seed)
    network = IbnResNet(10, norm, depth=settings.depth, width=settings.width, stem="small").to(bench.device)
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
    num_batches = math.ceil(len(train) / _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * num_batches)
    for epoch in range(settings.epochs):
        for batch in torch.split(train[torch.randperm(len(train), generator=generator)], _BATCH):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(network(x[source][batch]), y[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        bench.tell(f"epoch {epoch + 1}/{settings.epochs}")
    network.eval()
    return Arm({domain: measured_accuracy(network, of[test], y[test]) for domain, of in x.items()})
