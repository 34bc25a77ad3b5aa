"""What an experiment is: a question, a claim, a run at three sizes, figures, a rule that judges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from stylenorm.lab.bench import Bench

__all__ = ["Experiment", "Figure", "Numbers", "Size", "Verdict"]

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
        came_out: what the rule says.
        text: one or two sentences with the figures that it says so from.
    """

    came_out: bool
    text: str

    @property
    def words(self) -> str:
        """``"came out"`` or ``"did not come out"``."""
        return "came out" if self.came_out else "did not come out"


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
        rule: how the numbers are judged; written before they were looked at.
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
