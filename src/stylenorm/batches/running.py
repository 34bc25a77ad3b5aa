"""A batch, run on one machine: small pictures side by side, large ones one after the other.

A small picture is painted by one thread, as many of them at once as there are cores, so that reading,
painting and writing overlap and no core waits for a file. Batches of eight do not pay: with OpenVINO a
picture of 432 x 288 took 115 ms of processor time in a batch and 112 alone, and a batch makes a painting
depend on its neighbours by a grey level here and there. A large picture is painted by all cores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from stylenorm.batches.lanes import Lanes
from stylenorm.batches.manifest import Manifest, Row, Status
from stylenorm.batches.options import Listener
from stylenorm.batches.painter import BatchPainter, Lane
from stylenorm.batches.small import NotSmallError
from stylenorm.batches.task import Task
from stylenorm.errors import InputError, StylenormError, one_line
from stylenorm.timing import noted

__all__ = ["BatchRun", "Outcome", "Summary", "check_manifest", "painted", "skipped_before"]


@dataclass(frozen=True)
class Outcome:
    """What became of one task.

    Attributes:
        task: the task.
        status: ``painted``; ``skipped``, since it was done before; or ``failed``.
        seconds: from reading to writing; None if it was skipped.
        notes: a line for each thing that was changed, ignored or assumed.
        error: why it failed; None if it did not.
        stages: seconds of each stage in the thread that painted it, where they were collected
            (`stylenorm.timing`).
    """

    task: Task
    status: Status
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    error: Exception | None = None
    stages: Mapping[str, float] = field(default_factory=dict)

    def row(self) -> Row:
        """Return the line of the manifest."""
        task = self.task
        error = "" if self.error is None else one_line(self.error)
        seconds = None if self.seconds is None else round(self.seconds, 4)
        return Row(task.source_name, task.target_name, task.style, task.strength, seconds, self.status, error)


@dataclass
class Summary:
    """How a run went so far."""

    painted: int = 0
    skipped: int = 0
    failed: int = 0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began_s

    def count(self, status: Status) -> None:
        """One more of that status."""
        setattr(self, status, getattr(self, status) + 1)


class BatchRun:
    """Runs tasks; iterate over it for their outcomes, in the order of the tasks.

    A task that fails is an outcome, and the others are done. Each painting's row is in the manifest before
    its outcome is given.

    Args:
        tasks: what is to be painted; those of one picture follow each other, so that it is read once.
        painter: what paints.
        listener: is told what goes on in pictures that take long.
        manifest: gets a row for each outcome. What it says was done, and is there, is not done again.
        skip_existing: take a target that exists as done, instead of failing.
        lanes: how many small pictures are painted side by side; None for as many as the engine has threads
            if there are several pictures; 0 paints all one after the other, with all threads.
        summary: is gone on with, where a batch has several runs.

    Attributes:
        summary: counts what was done.

    Raises:
        InputError: the manifest has a task with another style or strength.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        painter: BatchPainter,
        *,
        listener: Listener | None = None,
        manifest: Manifest | None = None,
        skip_existing: bool = False,
        lanes: int | None = None,
        summary: Summary | None = None,
    ) -> None:
        self.tasks, self.painter, self.manifest = tasks, painter, manifest
        self.summary = summary or Summary()
        self._listener = listener or Listener()
        self._skip_existing = skip_existing
        self._groups = [list(group) for _, group in groupby(tasks, key=lambda task: task.source)]
        if lanes is None:
            lanes = painter.threads if len(self._groups) > 1 else 0
        self._num_lanes = lanes if painter.has_lanes else 0
        self._lock = threading.Lock()
        if manifest is not None:
            check_manifest(tasks, manifest)

    def __iter__(self) -> Iterator[Outcome]:
        if not self._num_lanes:
            for group in self._groups:
                yield from self._in_turn(group)
            return
        with Lanes(self.painter, self._num_lanes) as lanes:
            for group, done in lanes.map(partial(self._small, lanes.stopped), self._groups):
                yield from self._taken(group, done)

    def _in_turn(self, group: Sequence[Task]) -> Iterator[Outcome]:
        for task in group:
            skipped = self._skipped(task)
            yield self._painted(task, self.painter.main, self._listener) if skipped is None else skipped

    def _taken(self, group: Sequence[Task], done: Sequence[Outcome]) -> Iterator[Outcome]:
        """Give a group's outcomes in order, and paint here what turned out not to be small."""
        known = {id(outcome.task): outcome for outcome in done}
        for task in group:
            outcome = known.get(id(task))
            yield self._painted(task, self.painter.main, self._listener) if outcome is None else outcome

    def _small(
        self, stopped: threading.Event, lane: Lane, group: list[Task]
    ) -> tuple[list[Task], list[Outcome]]:
        """Paint a group in a lane, if it is one small picture; the outcomes that are missing, it was not."""
        outcomes: list[Outcome] = []
        try:
            for task in group:
                if stopped.is_set():
                    break
                skipped = self._skipped(task)
                outcomes.append(skipped or self._painted(task, lane, Listener(), small=True))
        except NotSmallError:
            pass
        finally:
            lane.forget()
        return group, outcomes

    def _skipped(self, task: Task) -> Outcome | None:
        overwrite = self.painter.options.overwrite
        outcome, is_new = skipped_before(task, self.manifest, self._skip_existing, overwrite)
        if outcome is not None:
            self._count(outcome, is_new=is_new)
        return outcome

    def _painted(self, task: Task, lane: Lane, listener: Listener, *, small: bool = False) -> Outcome:
        outcome = painted(task, lane, listener, only_small=small)
        self._count(outcome)
        return outcome

    def _count(self, outcome: Outcome, *, is_new: bool = True) -> None:
        if self.manifest is not None and is_new:
            self.manifest.append([outcome.row()])
        with self._lock:
            self.summary.count(outcome.status)


def painted(task: Task, lane: Lane, listener: Listener, *, only_small: bool = False) -> Outcome:
    """Paint one task in a lane, and return what became of it.

    Raises:
        NotSmallError: only small pictures were to be painted, and this is none.
        BrokenPipeError: who reads standard output has gone.
    """
    began = time.monotonic()
    notes: tuple[str, ...] = ()
    problem: Exception | None = None
    if not only_small and task.source is not None:
        listener.show(task.source.name)
    with noted() as stages:
        try:
            notes = lane.paint(task, listener, only_small=only_small)
        except (StylenormError, OSError, MemoryError) as error:
            if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
                raise
            problem = error
    status: Status = "painted" if problem is None else "failed"
    return Outcome(task, status, time.monotonic() - began, notes, problem, stages)


def skipped_before(
    task: Task, manifest: Manifest | None, skip_existing: bool, overwrite: bool
) -> tuple[Outcome | None, bool]:
    """Return the outcome of what was done before, or None; and whether the manifest lacks it."""
    if task.target is None or overwrite:
        return None, True
    listed = manifest is not None and task.target_name in manifest.done
    if not (listed or skip_existing) or not task.is_there():
        return None, True
    return Outcome(task, "skipped"), not listed


def check_manifest(tasks: Sequence[Task], manifest: Manifest) -> None:
    """Refuse a manifest that lists a task with another style or strength.

    Raises:
        InputError: it does.
    """
    for task in tasks:
        row = manifest.done.get(task.target_name)
        if row is not None and (row.style, row.strength) != (task.style, task.strength):
            raise InputError(
                f"{manifest.path}: expected {task.style} at strength {task.strength:g} for "
                f"{task.target_name}, as this command would paint it, got {row.style} at {row.strength:g}: "
                "give the same styles and the same seed as before, or another manifest and another folder"
            )
