"""A progress bar that keeps out of the way: none for what takes a second, none outside a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stylenorm.closing import Closing
from stylenorm.errors import OutputError, StylenormError, one_line, printable

__all__ = ["Failures", "Progress"]

_DELAY_S = 1.0
_TICK_S = 0.25


class Progress(Closing):
    """Counts steps on stderr.

    The bar appears after a second, and its clock goes on while a step takes long; tqdm is imported no
    earlier than that.

    Args:
        total: how many steps.
        unit: what a step is.
        enabled: whether to show anything; stderr must be a terminal too.
    """

    def __init__(self, total: int, unit: str, *, enabled: bool = True) -> None:
        self._total, self._unit, self._done, self._text = total, unit, 0, ""
        self._started = time.monotonic()
        self._bar: Any = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._ticker: threading.Thread | None = None
        if enabled and sys.stderr.isatty():
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()

    def show(self, text: str) -> None:
        """Say what is being worked on."""
        with self._lock:
            self._text = printable(text)
            if self._bar is not None:
                self._bar.set_description_str(self._text, refresh=False)

    def add_steps(self, count: int) -> None:
        """There turned out to be more to do: the frames of an animation."""
        with self._lock:
            self._total += count
            if self._bar is not None:
                self._bar.total = self._total

    def step(self) -> None:
        """One step is done."""
        with self._lock:
            self._done += 1
            if self._bar is not None:
                self._bar.update()

    def print(self, line: str) -> None:
        """Print a line on stderr, above the bar."""
        with self._lock:
            if self._bar is not None:
                self._bar.clear()
            print(printable(line), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        self._stopped.set()
        if self._ticker is not None:
            self._ticker.join()
        if self._bar is not None:
            self._bar.close()

    def _tick(self) -> None:
        if self._stopped.wait(_DELAY_S):
            return
        from tqdm import tqdm

        with self._lock:
            self._bar = tqdm(
                total=self._total, initial=self._done, unit=self._unit, desc=self._text, leave=False, delay=0
            )
            self._bar.start_t -= time.monotonic() - self._started
        while not self._stopped.wait(_TICK_S):
            with self._lock:
                self._bar.refresh()


class Failures:
    """Counts files that fail while the others are done.

    Args:
        count: how many files there are; of a single one the error is not held back.
        what: what they are, in the plural.
        progress: where failures are said.
    """

    def __init__(self, count: int, what: str, progress: Progress) -> None:
        self._count, self._what, self._progress = count, what, progress
        self._num_failed = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Do one file in the block; what the system, and not the file, is to blame for ends the command."""
        try:
            yield
        except (StylenormError, MemoryError, OSError) as error:
            if self._count == 1 or (isinstance(error, OSError) and not isinstance(error, OutputError)):
                raise
            self._num_failed += 1
            self._progress.print(f"stylenorm: {one_line(error)}")

    def exit_code(self) -> int:
        """Say how many failed; 1 if one did."""
        if self._num_failed:
            print(f"stylenorm: {self._num_failed} of {self._count} {self._what} failed", file=sys.stderr)
        return 1 if self._num_failed else 0
