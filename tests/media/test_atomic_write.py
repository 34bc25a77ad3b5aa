"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from stylenorm.errors import OutputError
from stylenorm.media import Picture, atomic_write, check_output, write_picture
from tests.media.odd_pictures import photo


def interrupted(file: BinaryIO, error: type[BaseException]) -> None:
    file.write(b"half")
    raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_appears_when_done(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.bin"
    with atomic_write(target) as file:
        file.write(b"half ")
        assert not target.exists()
        file.write(b"whole")
    assert target.read_bytes() == b"half whole"
    assert names(tmp_path) == ["a.bin", "folder", "new"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError, MemoryError])
def test_nothing_stays_behind(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "old.bin").write_bytes(b"old")
    for name in ("new/folder/a.bin", "old.bin"):
        with pytest.raises(error), atomic_write(tmp_path / name, overwrite=True) as file:
            interrupted(file, error)
    assert names(tmp_path) == ["old.bin"]
    assert (tmp_path / "old.bin").read_bytes() == b"old"


def test_nothing_stays_behind_on_ctrl_c(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom stylenorm.media import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n    file.write(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    import time; time.sleep(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.bin")], capture_output=True, check=False
    )
    assert b"KeyboardInterrupt" in done.stderr
    assert names(tmp_path) == []


def test_overwrites_only_when_told(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"), atomic_write(target):
        pytest.fail("the block must not run")
    with pytest.raises(OutputError, match="exists already"):
        check_output(target)
    check_output(target, overwrite=True)
    with atomic_write(target, overwrite=True) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with pytest.raises(OutputError, match="appeared"), atomic_write(target):
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.bin"]


def test_of_many_writers_one_wins(tmp_path: Path) -> None:
    target, barrier, outcomes = tmp_path / "a.bin", threading.Barrier(6), []

    def write(number: int) -> None:
        try:
            with atomic_write(target) as file:
                file.write(bytes([number]) * 1000)
                barrier.wait(timeout=20)
            outcomes.append(number)
        except OutputError:
            pass

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert target.read_bytes() == bytes(outcomes) * 1000
    assert names(tmp_path) == ["a.bin"]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"x")
    assert names(tmp_path) == ["a.bin"]
    with pytest.raises(OutputError, match="appeared"), atomic_write(tmp_path / "b.bin") as file:
        (tmp_path / "b.bin").write_bytes(b"theirs")
    assert (tmp_path / "b.bin").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "reports an error"),
        (errno.EFBIG, "larger"),
    ],
)
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match=words) as caught:
        write_picture(Picture(photo(9, 9)), tmp_path / "out" / "a.png")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_really_full_disk(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\nfrom stylenorm.errors import OutputError\n"
        "from stylenorm.media import atomic_write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    with atomic_write(sys.argv[1]) as file:\n        file.write(bytes(5000))\n"
        "except OutputError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.bin")], capture_output=True, check=True
    )
    assert b"larger than the file system allows" in done.stdout
    assert done.stderr == b""
    assert names(tmp_path) == []


def test_errors_of_the_block_about_other_files_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.bin"):
        (tmp_path / "other").read_bytes()
    assert names(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    cases = {
        tmp_path: "is a folder",
        tmp_path / "file" / "a.bin": "is a file, not a folder",
        tmp_path / ("a" * 300): "too long",
        Path(os.devnull): "no regular file",
        tmp_path / "a\0b": "cannot be written",
    }
    for place, words in cases.items():
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=words) as caught, atomic_write(place, overwrite=overwrite):
                pytest.fail("the block must not run")
            assert "\n" not in str(caught.value)

    def refuse(*_args: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # by hand: root may write everywhere
    with pytest.raises(OutputError, match="no permission"), atomic_write(tmp_path / "a.bin"):
        pass
    assert names(tmp_path) == ["file"]


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.bin", tmp_path / "link.bin"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    with atomic_write(link, overwrite=True) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "fresh.bin"):
            pass
    finally:
        os.umask(old)
    assert (tmp_path / "fresh.bin").stat().st_mode & 0o777 == 0o640


def test_the_file_can_be_sought_and_read(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.npy") as file:
        np.save(file, np.arange(5))
        file.seek(0)
        assert file.read(6) == b"\x93NUMPY"
        file.seek(0, os.SEEK_END)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.arange(5))


def left_over(folder: Path, name: str, age_s: float = 60.0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_what_a_killed_process_left_is_deleted(tmp_path: Path) -> None:
    dead = left_over(tmp_path / "a", f".stylenorm-{'0' * 16}.part")
    fresh = left_over(tmp_path / "a", f".stylenorm-{'1' * 16}.part", age_s=0)
    others = [left_over(tmp_path / "a", name) for name in (".stylenorm-x.part", "b.part", ".out.part")]
    with atomic_write(tmp_path / "a" / "out.bin") as file:
        file.write(b"whole")
    assert not dead.exists()
    assert fresh.exists()  # perhaps one that another process has just begun
    assert all(other.exists() for other in others)


@pytest.mark.skipif(sys.platform == "win32", reason="there an open file is not deleted anyway")
def test_what_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from stylenorm.media import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1]) / 'theirs.bin') as file:\n"
        "    file.write(b'theirs'); file.flush(); print('ready', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == b"ready\n"
        (part,) = tmp_path.glob(".stylenorm-*.part")
        os.utime(part, (time.time() - 60,) * 2)
        with atomic_write(tmp_path / "ours.bin") as file:
            file.write(b"ours")
        assert part.exists()
        other.stdin.close()
        assert other.wait(timeout=30) == 0
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    assert (tmp_path / "theirs.bin").read_bytes() == b"theirs"
