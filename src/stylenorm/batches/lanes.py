"""Threads that paint side by side, each with a lane of its own, and give their results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from stylenorm.batches.painter import BatchPainter, Lane
from stylenorm.closing import Closing

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Lanes"]

GivenT = TypeVar("GivenT")
MadeT = TypeVar("MadeT")

_AHEAD = 2  # for each lane, how many results may wait for those before them


class Lanes(Closing):
    """Several lanes of a painter.

    Args:
        painter: whose lanes they are.
        count: how many; 0 works in the caller's thread, in the painter's main lane.

    Attributes:
        stopped: is set once they are closed; who works in a lane for long may look at it.
    """

    def __init__(self, painter: BatchPainter, count: int) -> None:
        self._painter, self._count = painter, count
        self._own = threading.local()
        self._taken: list[Lane] = []
        self.stopped = threading.Event()
        from concurrent.futures import ThreadPoolExecutor  # here: a single photo does not wait for its import

        self._pool = ThreadPoolExecutor(count, thread_name_prefix="stylenorm-lane") if count else None

    def map(self, work: Callable[[Lane, GivenT], MadeT], given: Iterable[GivenT]) -> Iterator[MadeT]:
        """Work on what is given, and give the results in order; little is taken ahead of them.

        Raises:
            Exception: what ``work`` raises, when its turn comes.
        """
        if self._pool is None:
            for each in given:
                yield work(self._painter.main, each)
            return
        ahead: deque[Future[MadeT]] = deque()
        for each in given:
            ahead.append(self._pool.submit(self._in_lane, work, each))
            if len(ahead) > self._count * _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _in_lane(self, work: Callable[[Lane, GivenT], MadeT], given: GivenT) -> MadeT:
        if not hasattr(self._own, "lane"):
            self._own.lane = self._painter.lane()
            self._taken.append(self._own.lane)
        return work(self._own.lane, given)

    def close(self) -> None:
        """Finish what is being worked on, and drop what waits."""
        self.stopped.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        while self._taken:
            self._painter.give_back(self._taken.pop())
