"""Signals that come where Python drops exceptions."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

SCRIPT = """
import os, signal, sys, time
from stylenorm.interrupts import repeat_lost_signals

def stop(number, frame):
    raise SystemExit(128 + number)

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0.2)  # the handler runs in here, and what it raises is dropped

if sys.argv[2] == "repeated":
    repeat_lost_signals()
signal.signal(signal.SIGTERM, stop)
try:
    Finalized()
    time.sleep(0.5)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["repeated", "dropped"])
def test_a_signal_in_a_finalizer(number: int, how: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(int(number)), how], capture_output=True, text=True, timeout=60
    )
    if how == "dropped":  # what Python does by itself, without which there would be nothing to mend
        assert run.returncode == 0
        assert "Exception ignored" in run.stderr
    else:
        assert (run.returncode, run.stderr) == (128 + number, "")


def test_other_lost_errors_are_said_as_before() -> None:
    script = """
from stylenorm.interrupts import repeat_lost_signals
class Finalized:
    def __del__(self):
        raise ValueError("lost")
repeat_lost_signals()
Finalized()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0
    assert "ValueError: lost" in run.stderr
