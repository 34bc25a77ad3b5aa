"""What an experiment is: a question, a claim, a run at three sizes, figures, a rule that judges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from stylenorm.lab.significance import Outcome, Part, false_positives, judged

if TYPE_CHECKING:
    from stylenorm.lab.bench import Bench

__all__ = ["Experiment", "Figure", "Numbers", "Size", "Verdict"]

_OPEN = {Outcome.UNDECIDED: "open", Outcome.DID_NOT: "not so"}

Numbers = Mapping[str, Any]
"""What an experiment measured: nested mappings and lists of plain numbers and text, as JSON has them."""


class Size(StrEnum):
    """How much is run.

    ``tiny`` only shows that the experiment runs; ``cpu`` takes minutes on two cores; ``gpu`` has the papers'
    widths, sizes and lengths, or near them.
    """

    TINY = "tiny"
    CPU = "cpu"
    GPU = "gpu"


@dataclass(frozen=True)
class Verdict:
    """Whether the claim came out, by the experiment's rule.

    Attributes:
        parts: those of the claim, as they were measured.
        text: one or two sentences with the figures that it says so from.
    """

    parts: tuple[Part, ...]
    text: str

    @property
    def outcome(self) -> Outcome:
        """What the rule says."""
        return judged(self.parts)

    @property
    def came_out(self) -> bool:
        """Whether all parts hold."""
        return self.outcome is Outcome.CAME_OUT

    @property
    def words(self) -> str:
        """``"came out"``, ``"did not come out"`` or ``"undecided"``."""
        return str(self.outcome)

    @property
    def reasons(self) -> str:
        """Which parts did not hold, and how often the rule would be wrong, in a sentence or two."""
        broken = [f"{part.text}: {_OPEN[part.outcome]}" for part in self.parts if part.outcome in _OPEN]
        start = f"{'; '.join(broken)}. " if broken else ""
        algebra = [part.text for part in self.parts if part.is_algebra]
        rest = (
            f" No evidence, since the formula says so of any network: {'; '.join(algebra)}."
            if algebra
            else ""
        )
        chance = str(false_positives(self.parts))
        return f"{start}How far the rule is to be trusted: {chance}.{rest}"


@dataclass(frozen=True)
class Figure:
    """A drawing of the numbers.

    Attributes:
        name: file name without suffix.
        svg: an ``<svg>`` element; its colours are classes of the page's style sheet.
        caption: what is seen, in a sentence or two.
    """

    name: str
    svg: str
    caption: str


class Experiment(ABC):
    """One finding of one paper. A subclass is one file of the laboratory.

    Attributes:
        name: registry name, kebab-case.
        title: a few words.
        question: what is asked.
        claim: what the paper says.
        paper: authors, year, title, where in it.
        method: what is run, and where that differs from the paper.
        rule: how the numbers are judged.
        sizes: the settings of each size, a frozen dataclass each.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    claim: ClassVar[str]
    paper: ClassVar[str]
    method: ClassVar[str]
    rule: ClassVar[str]
    sizes: ClassVar[Mapping[Size, Any]]

    @abstractmethod
    def run(self, bench: Bench, settings: Any) -> dict[str, Any]:
        """Measure, and return the numbers; whatever takes long goes through ``bench.arm``."""

    @abstractmethod
    def judge(self, numbers: Numbers) -> Verdict:
        """Apply the rule. A pure function of the numbers."""

    @abstractmethod
    def figures(self, numbers: Numbers) -> list[Figure]:
        """Draw the numbers. A pure function of them."""
