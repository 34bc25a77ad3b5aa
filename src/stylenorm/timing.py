"""Where the time of a run goes: stages that say when they are busy, and one place that adds them up.

Nothing is measured unless somebody collects, and then a stage costs about a microsecond. A stage within
another one is counted for itself and not for the other. Stages of several threads overlap, so their sum may
be more than the time that has passed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Stage", "Timing", "collected", "noted", "timed", "timed_items"]

T = TypeVar("T")


@dataclass
class Stage:
    """What is known of one stage.

    Attributes:
        seconds: that it was busy, over all threads.
        count: how often it was entered.
        first_s: seconds of the first time.
    """

    seconds: float = 0.0
    count: int = 0
    first_s: float = 0.0


class Timing:
    """Busy times by stage, in the order in which the stages were first entered.

    Attributes:
        stages: by name.
    """

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}
        self._lock, self._began = threading.Lock(), time.perf_counter()

    @property
    def passed_s(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._began

    def enter(self, name: str) -> None:
        """Make sure that a stage is listed."""
        with self._lock:
            self.stages.setdefault(name, Stage())

    def add(self, name: str, seconds: float, *, is_done: bool) -> None:
        """Add to a stage, which may go on afterwards."""
        with self._lock:
            stage = self.stages.setdefault(name, Stage())
            stage.seconds += seconds
            if not stage.count:
                stage.first_s += seconds
            stage.count += is_done


class _Thread(threading.local):
    """What a thread is doing: the stages that it is in, since when, and who wants to know."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.since = 0.0
        self.notes: dict[str, float] | None = None


_thread = _Thread()
_collecting: Timing | None = None


@contextmanager
def collected() -> Iterator[Timing]:
    """Collect the times of all threads of this process, until the context ends.

    Raises:
        RuntimeError: somebody is collecting already.
    """
    global _collecting
    if _collecting is not None:
        raise RuntimeError("collected: expected one at a time, got another within")
    _collecting = timing = Timing()
    try:
        yield timing
    finally:
        _collecting = None


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Count the time until the context ends for a stage, if somebody collects.

    Example:
        >>> with collected() as timing:
        ...     with timed("write"), timed("paint"):
        ...         pass
        >>> list(timing.stages)
        ['write', 'paint']
    """
    timing = _collecting
    if timing is None:
        yield
        return
    timing.enter(name)
    _switch(timing)
    _thread.names.append(name)
    try:
        yield
    finally:
        _switch(timing, is_done=True)
        _thread.names.pop()


def timed_items(name: str, items: Iterable[T]) -> Iterator[T]:
    """Give the items, and count the time that each takes to come for a stage."""
    iterator = iter(items)
    while True:
        with timed(name):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


@contextmanager
def noted() -> Iterator[dict[str, float]]:
    """Give the seconds of each stage that this thread goes through meanwhile; empty if nobody collects."""
    before, _thread.notes = _thread.notes, {}
    try:
        yield _thread.notes
    finally:
        _thread.notes = before


def _switch(timing: Timing, *, is_done: bool = False) -> None:
    """Count the time since the last change for the stage that this thread was in."""
    now = time.perf_counter()
    if _thread.names:
        name, seconds = _thread.names[-1], now - _thread.since
        timing.add(name, seconds, is_done=is_done)
        if _thread.notes is not None:
            _thread.notes[name] = _thread.notes.get(name, 0.0) + seconds
    _thread.since = now
