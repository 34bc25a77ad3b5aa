"""The command itself: help, versions, usage errors, exit codes, errors in one line."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stylenorm
from stylenorm.cli import COMMANDS, styles, stylize
from stylenorm.cli.usage import one_line
from stylenorm.colors import COLOR_METHODS
from stylenorm.engines import AUTO, DEFAULT_ENGINE, ENGINES, PRECISIONS
from tests.cli.conftest import Run


def test_version(run: Run) -> None:
    done = run("--version")
    assert (done.code, done.out.decode()) == (0, f"stylenorm {stylenorm.__version__}\n")


def test_python_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stylenorm", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"stylenorm {stylenorm.__version__}\n"


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("train", "multistyle")])
def test_help(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.code == 0
    assert b"usage: stylenorm" in done.out


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("paint",),
        ("stylize",),
        ("stylize", "a.jpg"),
        ("stylize", "a.jpg", "--style", "scream", "--strength", "1.5"),
        ("stylize", "a.jpg", "--style", "scream", "--strength", "nan"),
        ("stylize", "a.jpg", "--style", "scream", "--quality", "0"),
        ("stylize", "a.jpg", "--style", "scream", "--threads", "0"),
        ("stylize", "a.jpg", "--style", "scream", "--engine", "tensorrt"),
        ("stylize", "a.jpg", "--style", "scream", "--max-megapixels", "0"),
        ("stylize", "a.jpg", "--style", "scream", "--color-method", "sepia"),
        ("stylize", "a.jpg", "--styl", "scream"),
        ("styles", "--network", "nowhere"),
        ("train",),
        ("train", "multistyle"),
    ],
    ids=" ".join,
)
def test_usage_errors_exit_2(run: Run, argv: tuple[str, ...]) -> None:
    done = run(*argv)
    assert done.code == 2
    assert done.out == b""
    assert "stylenorm" in done.err
    assert "Traceback" not in done.err


def test_help_loads_neither_numpy_nor_an_engine() -> None:
    code = (
        "import sys, stylenorm.cli\n"
        "stylenorm.cli.build_parser()\n"
        "print(*({'numpy', 'PIL', 'tqdm', 'torch', 'openvino'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_choices_are_those_of_engines_and_colors() -> None:
    parser = argparse.ArgumentParser()
    stylize.add_arguments(parser)
    choices = {action.dest: action.choices for action in parser._actions}
    assert parser.get_default("engine") == DEFAULT_ENGINE
    assert set(choices["engine"]) == {*ENGINES, AUTO}
    assert tuple(choices["precision"]) == PRECISIONS
    assert tuple(choices["keep_colors"]) == tuple(COLOR_METHODS)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "out of memory: paint a smaller picture, or close other programs"),
        (MemoryError("no memory left\nfor it"), "out of memory (no memory left for it): paint a smaller"),
        (PermissionError(errno.EACCES, "Permission denied", "a.jpg"), "a.jpg: Permission denied"),
        (OSError("odd"), "odd"),
        (stylenorm.StylenormError("two\n  lines"), "two lines"),
    ],
)
def test_errors_are_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, line: str
) -> None:
    def fail(options: object) -> int:
        raise error

    monkeypatch.setattr(styles, "run", fail)
    done = run("styles")
    assert done.code == 1
    assert done.err.startswith(f"stylenorm: {line}")
    assert done.err.count("\n") == 1
    assert one_line(error).startswith(line)
    with pytest.raises(type(error)):
        run("styles", "--debug")


def test_ctrl_c_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(styles, "run", interrupt)
    done = run("styles")
    assert (done.code, done.err) == (130, "stylenorm: interrupted\n")


def test_a_reader_that_has_had_enough(network: object) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "stylenorm", "styles", "--network", str(network.path)]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_behind_standard_output(network: object) -> None:
    command = [sys.executable, "-m", "stylenorm", "styles", "--network", str(network.path)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "stylenorm: No space left on device\n")
