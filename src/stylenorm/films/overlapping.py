"""Work ahead and work behind: decoding and encoding in threads beside the one that paints.

FFmpeg and the engines let go of Python's lock while they compute, so threads are enough. Both queues are
short: memory holds a few frames however long the film is. The painting stays in the main thread, where
Ctrl-C arrives.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from stylenorm._moved import old_names
from stylenorm.closing import Closing

__all__ = ["AsyncWriter", "Prefetcher"]

__getattr__ = old_names(__name__)

T = TypeVar("T")

_SIZE = 4
_POLL_S = 0.1  # how long Ctrl-C may have to wait


class _End:
    """What follows the last item: nothing, or the error that ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Prefetcher(Closing, Generic[T]):
    """Iterates over ``source`` in a thread, a few items ahead; a context manager and an iterator.

    An error of the source is raised where its item would have come.
    """

    def __init__(self, source: Iterable[T], size: int = _SIZE) -> None:
        self._queue: queue.Queue[T | _End] = queue.Queue(size)
        self._stopped = threading.Event()
        self._source = source
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def close(self) -> None:
        """Stop, and wait for the thread to let go of the source."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        end = _End()
        try:
            for item in self._source:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that iterates)
            end = _End(error)
        self._put(end)

    def _put(self, item: T | _End) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False


class AsyncWriter(Closing, Generic[T]):
    """Hands items to ``work`` in a thread, in their order.

    `finish` waits until all is done. Leaving the context by an error drops what is still waiting.
    """

    def __init__(self, work: Callable[[T], None], size: int = _SIZE) -> None:
        self._queue: queue.Queue[T | _End] = queue.Queue(size)
        self._work, self._error = work, None  # type: tuple[Callable[[T], None], BaseException | None]
        self._dropped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="behind", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over an item; waits while too many are waiting.

        Raises:
            Exception: what ``work`` raised about an earlier one.
        """
        self._put(item)

    def finish(self) -> None:
        """Wait until all items are done.

        Raises:
            Exception: what ``work`` raised.
        """
        self._put(_End())
        while self._thread.is_alive():
            self._thread.join(_POLL_S)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Drop what is still waiting; after `finish` nothing is."""
        if self._thread.is_alive():
            self._dropped.set()
            self._thread.join()

    def _put(self, item: T | _End) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def _run(self) -> None:
        while not self._dropped.is_set():
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                return
            try:
                self._work(item)
            except BaseException as error:  # noqa: BLE001 (raised again in the thread that hands over)
                self._error = error
                return
