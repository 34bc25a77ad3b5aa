"""Means over seeds, their spread, whether a difference is more than chance, and how far to trust a rule.

A rule is a list of parts, each one number a seed: how far the seed lies on the claim's side. A part holds
where the gains are surely above 0, fails where they are surely below its margin, and is open in between; a
claim came out if all its parts hold, did not if one fails, and is undecided else.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError

__all__ = [
    "FalsePositives",
    "Outcome",
    "Part",
    "Spread",
    "false_positives",
    "judged",
    "spread",
    "surely_below",
]

_SIMULATED = 4000

# Student's t, one-sided, 5 %, for 1, 2, ... degrees of freedom; the last serves for more, on the safe side.
_CRITICAL = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833)


@dataclass(frozen=True)
class Spread:
    """A mean, the standard deviation (n - 1) and how many there were; printed as ``0.31 ± 0.02``."""

    mean: float
    deviation: float
    count: int

    def __str__(self) -> str:
        digits = 3 if abs(self.mean) < 0.1 else 2
        return f"{self.mean:.{digits}f} ± {self.deviation:.{digits}f}"


def spread(values: Sequence[float]) -> Spread:
    """Summarise one value a seed.

    Example:
        >>> str(spread([0.2, 0.3, 0.4]))
        '0.30 ± 0.10'
    """
    if not values:
        raise InputError("spread: expected at least one value, got none")
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return Spread(statistics.fmean(values), deviation, len(values))


def surely_below(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether ``a`` is below ``b``: a paired t-test over seeds, one-sided, 5 %.

    Pairs share the seed, so the same photos in the same order. One pair alone proves nothing.

    Example:
        >>> surely_below([1.0, 1.1, 0.9], [2.0, 2.2, 1.9]), surely_below([1.0, 3.0, 1.0], [2.0, 2.2, 1.9])
        (True, False)
    """
    if len(a) != len(b):
        raise InputError(f"surely_below: expected as many values on both sides, got {len(a)} and {len(b)}")
    if len(a) < 2:
        return False
    differences = [y - x for x, y in zip(a, b, strict=True)]
    return bool(_surely_positive(np.array([differences]))[0])


class Outcome(StrEnum):
    """What became of a claim, in words."""

    CAME_OUT = "came out"
    UNDECIDED = "undecided"
    DID_NOT = "did not come out"


@dataclass(frozen=True)
class Part:
    """A part of a claim.

    Attributes:
        text: what is claimed, in a few words.
        gains: one a seed (or another unit that is drawn anew): how far it lies on the claim's side.
        margin: gains that are surely below it are too small to count; 0 where the claim has a limit itself.
        is_algebra: it follows from the formula of the layer, whatever was learned. It must hold, and is no
            evidence.
    """

    text: str
    gains: Sequence[float]
    margin: float = 0.0
    is_algebra: bool = False

    @property
    def outcome(self) -> Outcome:
        """Whether it holds, fails or is open."""
        gains = np.array([self.gains], float)
        if self.is_algebra:
            return Outcome.CAME_OUT if gains.min() >= 0 else Outcome.DID_NOT
        if _surely_positive(gains)[0]:
            return Outcome.CAME_OUT
        return Outcome.DID_NOT if _surely_positive(self.margin - gains)[0] else Outcome.UNDECIDED


def judged(parts: Sequence[Part]) -> Outcome:
    """Return what becomes of a claim with these parts.

    Example:
        >>> held, open_ = Part("a", [1.0, 1.1, 0.9]), Part("b", [1.0, -2.0, 1.5], margin=0.1)
        >>> judged([held]).value, judged([held, open_]).value
        ('came out', 'undecided')
    """
    outcomes = [part.outcome for part in parts]
    if Outcome.DID_NOT in outcomes:
        return Outcome.DID_NOT
    return Outcome.UNDECIDED if Outcome.UNDECIDED in outcomes else Outcome.CAME_OUT


@dataclass(frozen=True)
class FalsePositives:
    """How often a rule says "came out" of a claim that is false, by simulation.

    Attributes:
        nothing: where no part is true: all gains lie at 0 in the mean.
        one: where one part is false and the others are as they were measured; the worst of them.
    """

    nothing: float
    one: float

    def __str__(self) -> str:
        return (
            f"by chance it says 'came out' in {_percent(self.nothing)} of cases in which no part of the "
            f"claim is true, and in at most {_percent(self.one)} of those in which one part is not"
        )


def false_positives(parts: Sequence[Part], seed: int = 0) -> FalsePositives:
    """Simulate a rule on claims that are false.

    Gains are drawn from normal distributions with the deviations that were measured, as many a part as there
    were seeds; of a false part the mean is 0, the boundary of the claim.
    """
    rng = np.random.default_rng(seed)
    measured = [np.array(part.gains, float) for part in parts if not part.is_algebra]
    passes = []  # of each part: where it is false, and where it is as measured
    for gains in measured:
        deviation = gains.std(ddof=1) if len(gains) > 1 else 0.0
        noise = rng.normal(0, deviation or 1e-12, (2, _SIMULATED, len(gains)))
        passes.append((_surely_positive(noise[0]), _surely_positive(noise[1] + gains.mean())))
    if not passes:
        return FalsePositives(0.0, 0.0)
    nothing = np.logical_and.reduce([false for false, _ in passes]).mean()
    one = max(
        np.logical_and.reduce([false, *(true for j, (_, true) in enumerate(passes) if j != i)]).mean()
        for i, (false, _) in enumerate(passes)
    )
    return FalsePositives(float(nothing), float(one))


def _surely_positive(gains: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of each row: whether its mean is above 0; a t-test, one-sided, 5 %. One value alone proves nothing."""
    count = gains.shape[1]
    if count < 2:
        return np.zeros(len(gains), bool)
    error = gains.std(axis=1, ddof=1) / math.sqrt(count)
    above: NDArray[np.bool_] = gains.mean(axis=1) > error * _CRITICAL[min(count - 2, len(_CRITICAL) - 1)]
    return above


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
