"""What is said of a run of ``stylenorm stylize``: progress, failures, notes, and how it went."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from stylenorm.batches import Listener, Outcome, Summary, Task
from stylenorm.cli.big import Megapixels, duration_text
from stylenorm.cli.progress import Progress
from stylenorm.cli.timing import stages_line, timing_lines
from stylenorm.errors import OutputError, PictureError, one_line, printable

if TYPE_CHECKING:
    from stylenorm.cli.stylize import StylizeOptions
    from stylenorm.timing import Timing

__all__ = ["Shown", "Told"]

_SHOWN_NAMES = 5


class Shown(Listener):
    """Shows on the progress bar what goes on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def show(self, text: str) -> None:
        """Say what is being worked on."""
        self._progress.show(text)

    def megapixels(self, name: str, num_pixels: int) -> Callable[[float], None]:
        """Return what is told the pixels that are done, of so many."""
        return Megapixels(self._progress, name, num_pixels)

    def add_steps(self, count: int) -> None:
        """There turned out to be more to do."""
        self._progress.add_steps(count)

    def step(self) -> None:
        """One of these is done."""
        self._progress.step()

    def say(self, text: str) -> None:
        """Say something that a user must know now."""
        self._progress.print(f"stylenorm: {text}")


class Told:
    """What is said of a run: failures, notes, and how it went."""

    def __init__(
        self, options: StylizeOptions, progress: Progress, num_planned: int, timing: Timing | None = None
    ) -> None:
        self._options, self._progress, self._planned, self._timing = options, progress, num_planned, timing
        self.summary = Summary()
        self._existing: list[str] = []
        self._noted: set[str] = set()

    def all_of(self, outcomes: Iterator[Outcome]) -> int:
        """Tell every outcome, and how it went; return the exit code.

        Raises:
            KeyboardInterrupt: says how many were done. It is how a folder ceases to be watched.
        """
        try:
            for outcome in outcomes:
                self._tell_outcome(outcome)
        except KeyboardInterrupt:
            getattr(outcomes, "close", lambda: None)()  # what is being painted is finished, and counted
            if not self._options.watch:
                done = self.summary.painted + self.summary.skipped
                text = f"{done} of {self._planned} are done" if self._planned > 1 else ""
                raise KeyboardInterrupt(text) from None
        self._tell_summary()
        return 1 if self.summary.failed else 0

    def _tell_outcome(self, outcome: Outcome) -> None:
        self._progress.step()
        if outcome.error is not None:
            self._report(outcome.task, outcome.error)
            return
        for note in outcome.notes:
            self.note(note)
        if self._timing is not None and outcome.stages:
            self._progress.print(f"stylenorm: {outcome.task.target_name}: {stages_line(outcome.stages)}")
        if outcome.status == "painted" and outcome.task.target is not None:
            self._tell(outcome.task.target_name)

    def _report(self, task: Task, error: Exception) -> None:
        reason = one_line(error)
        if isinstance(error, OutputError) and "exists already" in reason:
            if self._planned > 1 and task.target is not None:
                self._existing.append(task.target_name)  # one line for all of them
                return
            reason += " (--overwrite)"
        if "raise the limit if you trust" in reason:
            reason += " (--max-megapixels N)"
        if isinstance(error, PictureError) and "got a truncated one" in reason:
            reason += " (--allow-truncated paints what there is)"
        if isinstance(error, MemoryError):
            reason += "; or let it be painted in smaller parts (--memory 1GB, or --tile 256)"
        name = "standard input" if task.source is None else printable(task.source_name)
        says_where = isinstance(error, OutputError) or name in reason
        self._progress.print(f"stylenorm: {reason if says_where else f'{name}: {reason}'}")

    def _tell_summary(self) -> None:
        summary = self.summary
        count = summary.painted + summary.skipped + summary.failed
        if self._existing:
            shown = ", ".join(self._existing[:_SHOWN_NAMES])
            more = ", ..." if len(self._existing) > _SHOWN_NAMES else ""
            self._progress.print(
                f"stylenorm: {len(self._existing)} of {count} exist already and were left as they are "
                f"(--overwrite replaces them, --skip-existing takes them as done): {shown}{more}"
            )
        failed = summary.failed - len(self._existing)
        if failed and count > 1:
            self._progress.print(f"stylenorm: {failed} of {count} failed")
        options = self._options
        is_batch = options.manifest is not None or options.cluster or options.watch
        if (is_batch or summary.skipped) and not self._options.quiet:
            self._progress.print(f"stylenorm: {self._counts()}")
        elif summary.painted > 1:
            self._tell(f"{summary.painted} of {count} painted in {duration_text(summary.seconds)}")
        for line in timing_lines(self._timing, self._timing.passed_s) if self._timing else ():
            self._progress.print(f"stylenorm: {line}")

    def _counts(self) -> str:
        summary = self.summary
        text = f"{summary.painted} painted, {summary.skipped} skipped (done before), {summary.failed} failed"
        text += f", in {duration_text(summary.seconds)}"
        if summary.painted > 1:
            text += f" ({summary.painted / summary.seconds:.3g} pictures a second)"
        return text + (f"; {self._options.manifest} lists them" if self._options.manifest else "")

    def note(self, text: str) -> None:
        """Say what a user should know, once, unless asked to be quiet."""
        if not self._options.quiet and text not in self._noted:
            self._noted.add(text)
            self._progress.print(f"stylenorm: note: {text}")

    def _tell(self, text: str) -> None:
        """Say what was done, to who sits before a terminal."""
        if not self._options.quiet and sys.stderr.isatty():
            self._progress.print(f"stylenorm: {text}")
