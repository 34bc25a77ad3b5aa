"""Standard streams that are closed, and a terminal at the other end: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stylenorm.zoo import NetworkFolder
from tests.cli.conftest import write_photo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX file descriptors")


def command(network: NetworkFolder, *words: str | Path) -> list[str]:
    line = [sys.executable, "-m", "stylenorm", "stylize", *map(str, words), "--style", "scream"]
    return [*line, "--network", str(network.path), "--engine", "fake"]


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200"}


def with_closed(*closed: int) -> list[str]:
    """A prefix of a command that closes streams."""
    return ["sh", "-c", " ".join(['exec "$@"', *(f"{number}>&-" for number in closed)]), "sh"]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_as_nothing(
    network: NetworkFolder, tmp_path: Path, closed: tuple[int, ...]
) -> None:
    photo, out = write_photo(tmp_path / "photo.jpg"), tmp_path / "out.png"
    done = subprocess.run(
        [*with_closed(*closed), *command(network, photo, "-o", out)],
        capture_output=True,
        env=environment(),
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    with Image.open(out) as image:
        image.load()


def test_a_photo_from_a_closed_stream_is_one_line(network: NetworkFolder, tmp_path: Path) -> None:
    done = subprocess.run(
        [*with_closed(0), *command(network, "-", "-o", tmp_path / "out.png")],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "got an empty file" in line


def in_terminal(words: list[str]) -> tuple[int, str]:
    """Run with standard error on a terminal; return the exit code and what was shown."""
    import pty

    ours, theirs = pty.openpty()
    try:
        running = subprocess.Popen(words, stderr=theirs, env=environment())
    finally:
        os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return running.wait(timeout=60), shown.decode()


def test_a_terminal_is_told_what_was_written(network: NetworkFolder, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("a.png", "b.png"):
        write_photo(folder / name)
    one = tmp_path / "one.png"
    assert in_terminal(command(network, folder / "a.png", "-o", one)) == (0, f"stylenorm: {one}\r\n")
    code, shown = in_terminal(command(network, folder, "-o", f"{tmp_path}/out/"))
    lines = shown.splitlines()
    assert code == 0
    assert lines[:2] == [f"stylenorm: {tmp_path}/out/{name}" for name in ("a.png", "b.png")]
    assert lines[2].startswith("stylenorm: 2 of 2 painted in ")
    assert in_terminal([*command(network, folder, "-o", f"{tmp_path}/quiet/"), "-q"]) == (0, "")
