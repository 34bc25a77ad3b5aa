"""The progress bar: only in a terminal, only after a second."""

from __future__ import annotations

import io
import sys
import time

import pytest

from stylenorm.cli import progress
from stylenorm.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def as_terminal(monkeypatch: pytest.MonkeyPatch, delay_s: float) -> Terminal:
    """Call it in the test itself: after a fixture's set-up pytest puts its own stderr back."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_TICK_S", 0.01)
    monkeypatch.setattr(progress, "_DELAY_S", delay_s)
    return terminal


def test_a_bar_appears_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = as_terminal(monkeypatch, delay_s=0)
    with Progress(2, "picture") as bar:
        bar.show("first.jpg")
        deadline = time.monotonic() + 30
        while "first.jpg" not in terminal.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        bar.step()
        bar.add_steps(3)
        bar.print("stylenorm: note: something")
        bar.show("second.jpg")
        while "second.jpg:  20%" not in terminal.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    shown = terminal.getvalue()
    assert "stylenorm: note: something\n" in shown
    assert shown.split("\r")[-1].strip() == "", "the bar stays behind"


def test_what_ends_before_the_delay_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = as_terminal(monkeypatch, delay_s=600)
    with Progress(2, "picture") as bar:
        bar.step()
        bar.show("second.jpg")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("enabled", "stream"), [(False, Terminal()), (True, io.StringIO())], ids=["quiet", "pipe"]
)
def test_quiet_and_pipes_show_nothing_but_lines(
    monkeypatch: pytest.MonkeyPatch, enabled: bool, stream: io.StringIO
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "_DELAY_S", 0.0)
    with Progress(1, "picture", enabled=enabled) as bar:
        time.sleep(0.05)
        bar.step()
        bar.print("a line")
    assert stream.getvalue() == "a line\n"
