"""Threads ahead and behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from stylenorm.films.overlapping import AsyncWriter, Prefetcher


def test_ahead_keeps_the_order_and_runs_beside() -> None:
    threads = set()

    def source() -> Iterator[int]:
        for i in range(50):
            threads.add(threading.current_thread())
            yield i

    with Prefetcher(source(), size=3) as items:
        assert list(items) == list(range(50))
    assert threading.current_thread() not in threads


def test_ahead_is_not_far_ahead() -> None:
    taken = []

    def source() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    with Prefetcher(source(), size=3) as items:
        iterator = iter(items)
        next(iterator)
        time.sleep(0.1)
        assert len(taken) <= 6


def test_errors_come_where_the_item_would() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    seen = []

    def read() -> None:
        with Prefetcher(source()) as items:
            seen.extend(items)

    with pytest.raises(ValueError, match="broken"):
        read()
    assert not threading.enumerate()[1:] or all(t.name != "ahead" for t in threading.enumerate())


def test_behind_keeps_the_order() -> None:
    done: list[int] = []
    with AsyncWriter(done.append, size=2) as behind:
        for i in range(50):
            behind.put(i)
        behind.finish()
    assert done == list(range(50))


def test_errors_behind_are_raised_in_front() -> None:
    def work(item: int) -> None:
        if item == 3:
            raise ValueError("cannot write")

    def write() -> None:
        with AsyncWriter(work, size=1) as behind:
            for i in range(100):
                behind.put(i)
            behind.finish()

    with pytest.raises(ValueError, match="cannot write"):
        write()


def test_leaving_by_an_error_drops_what_waits() -> None:
    started, go = threading.Event(), threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        started.set()
        go.wait(5)
        done.append(item)

    def write() -> None:
        with AsyncWriter(work, size=3) as behind:
            for i in range(3):
                behind.put(i)
            started.wait(5)
            threading.Timer(0.05, go.set).start()
            raise KeyError("stop")

    with pytest.raises(KeyError):
        write()
    assert done == [0]
