"""Ctrl-C that waits for the end of a step, and signals that cannot get lost."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from types import FrameType
from typing import Any, Self

from stylenorm._moved import old_names

__all__ = ["DeferredInterrupt", "repeat_lost_signals"]

__getattr__ = old_names(__name__)

_AGAIN_S = 0.01


class DeferredInterrupt:
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


def repeat_lost_signals() -> None:
    """Let a signal come once more that came in a finalizer.

    Python drops what is raised in ``__del__`` or in a weak reference's callback, and the exception of Ctrl-C
    or of a handler with it: the run would go on as if nobody had asked it to stop.
    """
    before = sys.unraisablehook

    def hook(lost: Any) -> None:
        number = _signal_of(lost.exc_value)
        if number is None:
            before(lost)
            return
        again = threading.Timer(_AGAIN_S, _thread.interrupt_main, (number,))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook


def _signal_of(error: BaseException | None) -> int | None:
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
        return error.code - 128
    return None
