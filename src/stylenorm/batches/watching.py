"""Folders that are watched: what is put into them is painted once it is there as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from stylenorm.batches.task import Task

__all__ = ["watch"]

_Seen = tuple[int, int]  # bytes, time of the last change

LOOK_S = 1.0
_SHARE = 0.1  # of the time is spent on looking, at most


def watch(
    plan: Callable[[], Sequence[Task]],
    *,
    sleep: Callable[[float], None] = time.sleep,
    every_s: float = LOOK_S,
) -> Iterator[list[Task]]:
    """Give the tasks that are new, again and again, without an end.

    A file is whole when its size and time of change are what they were at the look before. What failed is
    tried again once its file changes. Folders are looked through, not listened to: that works on network
    drives, too. A look that takes long makes those after it rarer.

    Args:
        plan: gives all tasks, also those that were given already.
        sleep: waits so many seconds.
        every_s: how often to look.

    Yields:
        The new tasks of a look; empty if there are none.
    """
    before: dict[str, _Seen] = {}
    given: dict[str, _Seen] = {}
    while True:
        began = time.monotonic()
        new: list[Task] = []
        now: dict[str, _Seen] = {}
        for task in plan():
            seen = _seen(task)
            if seen is None or given.get(task.target_name) == seen:
                continue
            if before.get(task.target_name) == seen:
                new.append(task)
                given[task.target_name] = seen
            else:
                now[task.target_name] = seen
        before = now
        yield new
        sleep(max(every_s, (time.monotonic() - began) / _SHARE) if not new else 0.0)


def _seen(task: Task) -> _Seen | None:
    if task.source is None:
        return None
    try:
        about = task.source.stat()
    except OSError:  # taken away again
        return None
    return about.st_size, about.st_mtime_ns
