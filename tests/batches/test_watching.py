"""Folders that are watched: whole files are painted once, half ones later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stylenorm.batches import Task, plan_tasks, watch
from tests.cli.conftest import Run, write_photo


def looks(folder: Path, out: Path) -> object:
    return watch(lambda: plan_tasks([folder], out, styles=["scream"]), sleep=lambda _: None)


def names(tasks: list[Task]) -> list[str]:
    return [task.source.name for task in tasks if task.source]


def test_a_file_is_given_once_it_has_stopped_growing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_photo(folder / "a.png")
    coming = looks(folder, tmp_path / "out")
    assert names(next(coming)) == []  # type: ignore[call-overload]
    write_photo(folder / "b.png")
    assert names(next(coming)) == ["a.png"]  # type: ignore[call-overload]
    with (folder / "b.png").open("ab") as file:
        file.write(b"more")
    assert names(next(coming)) == []  # type: ignore[call-overload]
    assert names(next(coming)) == ["b.png"]  # type: ignore[call-overload]
    assert names(next(coming)) == []  # type: ignore[call-overload]
    os.utime(folder / "a.png", ns=(1, 1))  # it changed: what is made of it is the run's to say
    assert [names(next(coming)) for _ in range(2)] == [[], ["a.png"]]  # type: ignore[call-overload]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_until_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    command = [
        sys.executable,
        "-m",
        "stylenorm",
        "stylize",
        str(tmp_path / "in"),
        "--style",
        "scream",
        "--watch",
    ]
    command += ["-o", f"{tmp_path}/out/", "--engine", "fake"]
    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits an ignored one
    try:
        running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, handler)
    try:
        for name in ("a.png", "b.png"):
            write_photo(tmp_path / "in" / name)
            deadline = time.monotonic() + 60
            while not (tmp_path / "out" / name).exists():
                assert running.poll() is None, running.stderr.read() if running.stderr else ""
                assert time.monotonic() < deadline
                time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0
    assert said.startswith("stylenorm: 2 painted, 0 skipped (done before), 0 failed")


@pytest.mark.parametrize("words", [("--overwrite",), ("--cluster", "local")])
def test_what_does_not_go_with_watching(stylize: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = stylize(tmp_path, "--style", "scream", "-o", f"{tmp_path}/out/", "--watch", *words)
    assert (done.code, "expected one of them" in done.err) == (2, True)
    done = stylize(write_photo(tmp_path / "a.png"), "--style", "scream", "--watch")
    assert (done.code, "expected folders" in done.err) == (2, True)
