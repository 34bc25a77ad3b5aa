"""Ctrl-C that waits for the end of a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self

__all__ = ["HeldInterrupt"]


class HeldInterrupt:
    """Holds the first Ctrl-C back until the step is done: half a step in a checkpoint could not be resumed.

    A second one is not held back.

    Attributes:
        came: whether there was one.
    """

    def __init__(self) -> None:
        self.came = False

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        # Signals reach the main thread alone; and who ignores Ctrl-C (nohup) shall go on ignoring it.
        self._holds = (
            threading.current_thread() is threading.main_thread()
            and self._before is signal.default_int_handler
        )
        if self._holds:
            signal.signal(signal.SIGINT, self._hold)
        return self

    def __exit__(self, *_: object) -> None:
        if self._holds:
            signal.signal(signal.SIGINT, self._before)

    def _hold(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (a signal handler's arguments)
        self.came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
