"""Means over seeds, their spread, and whether a difference is more than chance."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from stylenorm.errors import InputError

__all__ = ["Spread", "spread", "surely_below"]

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
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(a))
    return mean > error * _CRITICAL[min(len(a) - 2, len(_CRITICAL) - 1)]
