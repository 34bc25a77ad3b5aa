"""Each rule on numbers that must come out, and on numbers that must not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stylenorm.errors import InputError
from stylenorm.lab import (
    PUBLISHED,
    Outcome,
    Part,
    false_positives,
    find_experiment,
    read_results,
    spread,
    surely_below,
)
from stylenorm.lab.contrast import elasticity


def runs(low: float, noise: float = 0.01, **others: float) -> list[dict[str, Any]]:
    """Three seeds whose losses lie around ``low``; the same noise in every arm, as pairs have."""
    made = []
    for i in (-1, 0, 1):
        losses = {"objective": low + noise * i, "style": low + noise * i, "content": low}
        made.append({"held_out": losses, "held_out_batch": {**losses, "objective": others.get("own", low)}})
    return made


def generators() -> dict[str, Any]:
    levels = {
        "johnson, instance": 1.0,
        "johnson, batch": 1.2,
        "ulyanov, instance": 0.5,
        "ulyanov, batch": 0.6,
    }
    return {"runs": {name: runs(level, 0.01 + 0.001 * i) for i, (name, level) in enumerate(levels.items())}}


def contrast() -> dict[str, Any]:
    photo = [0.05, 0.1, 0.2]
    flat, follows = [0.2, 0.2, 0.2], [0.06, 0.1, 0.19]
    return {
        "photo": photo,
        "painting": {"0.4": 0.08, "1": 0.2},
        "result": {
            "instance, painting 0.4": [[0.09, 0.09, 0.09]] * 3,
            "instance, painting 1": [flat, [0.21] * 3, [0.19] * 3],
            "batch, painting 0.4": [[0.05, 0.06, 0.1]] * 3,
            "batch, painting 1": [follows, [0.05, 0.1, 0.2], [0.07, 0.1, 0.2]],
        },
    }


def padding() -> dict[str, Any]:
    inside = [0.1] * 12
    levels = {"zeros": 0.8, "replicate": 0.4, "reflect": 0.3}
    return {
        "errors": {
            f"{norm}, {p}": [[level + 0.01 * i] * 4 + inside for i in range(3)]
            for norm in ("instance", "batch")
            for p, level in levels.items()
        }
    }


def photos() -> dict[str, Any]:
    levels = {"instance, few": 1.0, "instance, all": 0.9, "batch, few": 1.0, "batch, all": 1.1}
    return {
        "runs": {name: runs(level, 0.01 * (i + 1)) for i, (name, level) in enumerate(levels.items())},
        "few": 16,
        "all": 900,
    }


def sizes() -> dict[str, Any]:
    rows = [
        {"own": 0.1 + 0.01 * i, "other": 0.5, "enlarged": 0.4 + 0.02 * i, "photo": 0.9} for i in range(10)
    ]
    return {"cases": {"256": rows, "1080": rows}, "styles": ["a"]}


def style_normalized() -> dict[str, Any]:
    gaps = {"original": 0.2, "contrast-normalized": 0.15, "style-normalized": 0.05}
    return {
        "runs": {
            f"{kind}, {norm}": runs(0.3 + (gap if norm == "batch" else 0), 0.01 + 0.002 * (norm == "batch"))
            for kind, gap in gaps.items()
            for norm in ("instance", "batch")
        }
    }


def statistics() -> dict[str, Any]:
    changes = ("bright", "dark", "low contrast", "warm light")
    levels = {"none": 1.0, "batch": 0.9, "instance": 0.01}
    return {
        "counts": {"instance": 256, "batch": 64, "layer": 4},
        "remaining": {norm: {c: [level] * 3 for c in changes} for norm, level in levels.items()},
        "matched": {"mean": {"net conv1": [0.3, 0.4]}, "mean and deviation": {"net conv1": [0.8, 0.9]}},
    }


def batch_size() -> dict[str, Any]:
    levels = {
        "batch, 1": 2.0,
        "group, 1": 1.1,
        "instance, 1": 1.2,
        "batch, 16": 1.0,
        "group, 16": 1.0,
        "instance, 16": 1.0,
    }
    return {
        "batch_sizes": [1, 16],
        "runs": {
            name: runs(level, 0.01 * (i + 1), own=1.0) for i, (name, level) in enumerate(levels.items())
        },
    }


def classification() -> dict[str, Any]:
    ink = {
        "batch": 0.99,
        "instance": 0.5,
        "filter response": 0.9,
        "batch-instance": 0.95,
        "none": 1.0,
        "group": 0.6,
    }
    ink_seeds = {
        norm: [level - 0.01 * i, level, level + 0.005 * i] for i, (norm, level) in enumerate(ink.items())
    }
    same = {norm: [0.9, 0.9, 0.9] for norm in ink}
    return {
        "accuracy": {"ink": ink_seeds, "digit": same, "other light": same},
        "gates": {"ink": [0.8, 0.9], "digit": [0.3, 0.4]},
    }


def domains() -> dict[str, Any]:
    levels = {"batch": 0.3, "instance": 0.8, "ibn-a": 0.6, "ibn-b": 0.7}

    def seeds(scale: float) -> dict[str, list[float]]:
        return {norm: [level * scale + 0.01 * i for i in (-1, 0, 1)] for norm, level in levels.items()}

    same = {norm: [0.94, 0.95, 0.96] for norm in levels} | {"ibn-a": [0.935, 0.945, 0.955]}
    return {
        "accuracy": {
            "paper to paper": same,
            "paper to street": seeds(1.0),
            "street to street": same,
            "street to paper": seeds(0.9),
        }
    }


def deeper() -> dict[str, Any]:
    styles = {
        "instance everywhere": 0.2,
        "group in the blocks": 0.3,
        "instance first": 0.4,
        "group everywhere": 0.5,
    }
    return {
        "runs": {name: runs(level, 0.01 + 0.002 * i) for i, (name, level) in enumerate(styles.items())},
        "detail": {name: [0.9 - s, 0.91 - s, 0.93 - 1.1 * s] for name, s in styles.items()},
    }


Change = Callable[[dict[str, Any]], object]
# What must not come out: one thing changed in numbers that do.
CASES: dict[str, tuple[Callable[[], dict[str, Any]], list[Change]]] = {
    "generators": (
        generators,
        [
            lambda n: n["runs"].update({"ulyanov, instance": runs(0.7)}),
            lambda n: n["runs"].update({"johnson, instance": [*runs(1.0)[:2], *runs(1.9)[:1]]}),
        ],
    ),
    "contrast": (
        contrast,
        [
            lambda n: n["result"].update({"instance, painting 1": [[0.1, 0.15, 0.2]] * 3}),
            lambda n: n["result"].update({"instance, painting 0.4": [[0.19, 0.19, 0.19]] * 3}),
            lambda n: n["result"].update({"batch, painting 1": n["result"]["instance, painting 1"]}),
        ],
    ),
    "padding": (
        padding,
        [
            lambda n: n["errors"].update({"instance, replicate": n["errors"]["instance, zeros"]}),
            lambda n: n["errors"].update({"instance, reflect": [[0.95] * 4 + [0.1] * 12] * 3}),
        ],
    ),
    "photos": (
        photos,
        [
            lambda n: n["runs"].update({"instance, all": runs(1.2, 0.02)}),
            lambda n: n["runs"].update({"batch, all": runs(0.8)}),
        ],
    ),
    "sizes": (
        sizes,
        [
            lambda n: [row.update(other=0.05) for row in n["cases"]["1080"][:2]],
            lambda n: [row.update(enlarged=0.09) for row in n["cases"]["1080"]],
        ],
    ),
    "style-normalized": (
        style_normalized,
        [
            lambda n: n["runs"].update({"contrast-normalized, batch": runs(0.35)}),
            lambda n: n["runs"].update({"style-normalized, batch": runs(0.45)}),
            lambda n: n["runs"].update({"original, batch": runs(0.2)}),
        ],
    ),
    "statistics": (
        statistics,
        [
            lambda n: n["remaining"]["instance"].update(dark=[0.1, 0.1, 0.1]),
            lambda n: n["remaining"]["batch"].update(bright=[0.4, 0.4, 0.4]),
            lambda n: n["matched"].update({"mean and deviation": {"net conv1": [0.3, 0.4]}}),
        ],
    ),
    "batch-size": (
        batch_size,
        [
            lambda n: n["runs"].update({"group, 1": runs(2.5, 0.03)}),
            lambda n: n["runs"].update({"batch, 1": runs(1.05)}),
        ],
    ),
    "classification": (
        classification,
        [
            lambda n: n["accuracy"]["ink"].update(instance=[0.9, 0.91, 0.92]),
            lambda n: n["accuracy"]["ink"].update({"filter response": [0.5, 0.5, 0.5]}),
            lambda n: n["accuracy"]["ink"].update({"batch-instance": [0.6, 0.6, 0.6]}),
        ],
    ),
    "domains": (
        domains,
        [
            lambda n: n["accuracy"]["street to paper"].update({"ibn-a": [0.2, 0.9, 0.3]}),
            lambda n: n["accuracy"]["paper to street"].update({"ibn-a": [0.3, 0.31, 0.29]}),
            lambda n: n["accuracy"].update(
                {"paper to paper": {**n["accuracy"]["paper to paper"], "ibn-a": [0.9] * 3}}
            ),
        ],
    ),
    "deeper": (
        deeper,
        [
            lambda n: n["runs"].update({"group in the blocks": runs(0.2)}),
            lambda n: n["detail"].update({"group everywhere": [0.8, 0.81, 0.82]}),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rule(name: str) -> None:
    make, changes = CASES[name]
    experiment = find_experiment(name)
    good = make()
    verdict = experiment.judge(good)
    assert verdict.came_out, verdict.text
    assert verdict.words == "came out"
    for change in changes:
        bad = copy.deepcopy(good)
        change(bad)
        verdict = experiment.judge(bad)
        assert not verdict.came_out, verdict.text
        assert verdict.words in ("did not come out", "undecided")
        assert verdict.words != "did not come out" or "not so" in verdict.reasons


def test_figures_of_a_verdict() -> None:
    text = find_experiment("photos").judge(photos()).text
    assert "instance norm: 1.00 ± 0.01 with 16 photos, 0.90 ± 0.02 with 900 (10 % below)" in text
    assert "batch norm: 1.00 ± 0.03 with 16 photos, 1.10 ± 0.04 with 900 (10 % above)" in text
    text = find_experiment("padding").judge(padding()).text
    band = np.array([0.8, 0.81, 0.82])
    expected = np.sqrt(band**2 - 0.1**2)
    assert f"instance norm: zeros {expected.mean():.2f} ± {expected.std(ddof=1):.2f}" in text


def test_surely_below_is_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    critical = {2: 6.314, 3: 2.920, 5: 2.132, 10: 1.833}
    seen = set()
    for n, limit in critical.items():
        for shift in (0.0, 0.3, 0.6, 1.0, 3.0):
            a, b = rng.normal(size=n), rng.normal(size=n) + shift
            d = b - a
            expected = d.mean() / (d.std(ddof=1) / np.sqrt(n)) > limit
            assert surely_below(a.tolist(), b.tolist()) == expected
            seen.add(bool(expected))
    assert seen == {True, False}
    assert not surely_below([1.0], [2.0]), "one pair proves nothing"
    with pytest.raises(InputError, match="got 1 and 2"):
        surely_below([1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="at least one value"):
        spread([])


def test_elasticity_is_the_slope_of_logarithms() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0.1, 1, 6), rng.uniform(0.1, 1, 6)
    expected = np.polyfit(np.log(x), np.log(y), 1)[0]
    assert elasticity(x.tolist(), y.tolist()) == pytest.approx(expected)


def test_a_part_holds_fails_or_is_open() -> None:
    assert Part("", [1.0, 1.2, 0.9]).outcome is Outcome.CAME_OUT
    assert Part("", [-1.0, -1.2, -0.9]).outcome is Outcome.DID_NOT
    assert Part("", [1.0, -1.2, 0.9]).outcome is Outcome.UNDECIDED
    assert Part("", [0.01, 0.011, 0.012], margin=0.1).outcome is Outcome.CAME_OUT
    assert Part("", [0.01, -0.02, 0.012], margin=0.1).outcome is Outcome.DID_NOT, "surely too little"
    assert Part("", [0.01, -0.02, 0.012], margin=0.0).outcome is Outcome.UNDECIDED
    assert Part("", [5.0]).outcome is Outcome.UNDECIDED, "one seed proves nothing"
    assert Part("", [0.1, -0.1], is_algebra=True).outcome is Outcome.DID_NOT
    assert Part("", [0.1], is_algebra=True).outcome is Outcome.CAME_OUT


def test_no_rule_comes_out_by_chance() -> None:
    """An independent simulation: numbers without any effect, through the rule itself."""
    rng = np.random.default_rng(0)
    photos_rule, count = find_experiment("photos"), 0
    for _ in range(400):
        made = {name: runs(0) for name in ("instance, few", "instance, all", "batch, few", "batch, all")}
        for of in made.values():
            for run in of:
                run["held_out"]["objective"] = 1 + 0.02 * rng.normal()
        count += photos_rule.judge({"runs": made, "few": 16, "all": 900}).came_out
    assert count <= 20, "5 % of 400"  # the rule before said so in nine of ten
    for result in read_results(PUBLISHED).values():
        found = false_positives(result.verdict().parts)
        assert found.nothing <= found.one <= 0.06, result.name


def test_false_positives_are_those_of_a_t_test() -> None:
    lone = false_positives([Part("", [1.0, 1.5, 0.7, 1.1])])
    assert abs(lone.nothing - 0.05) < 0.012  # 4000 draws
    assert lone.one == lone.nothing
    two = false_positives([Part("", [1.0, 1.5, 0.7, 1.1]), Part("", [9.0, 9.1, 9.2, 8.9])])
    assert two.nothing < 0.008
    assert abs(two.one - 0.05) < 0.012
    assert false_positives([Part("", [1.0], is_algebra=True)]).one == 0
