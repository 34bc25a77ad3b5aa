"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from stylenorm.errors import OutputError

__all__ = ["atomic_write", "check_output", "locked", "write_json"]

_fcntl: Any = None
with suppress(ImportError):  # Windows has none
    _fcntl = importlib.import_module("fcntl")

_PART = re.compile(r"\.stylenorm-[0-9a-f]{16}\.part")
_FRESH_S = 10.0
_cleaned: set[str] = set()

# File systems without hard links say one of these (FAT, some network and FUSE mounts).
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}

# What goes wrong with the place that is written to; other errors of the body are not ours to rename.
_REASONS = {
    errno.ENOSPC: "no space left on the disk; free some, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space, or write elsewhere",
    errno.EFBIG: "the file is larger than the file system allows; write elsewhere",
    errno.EACCES: "no permission to write there; choose a folder of your own",
    errno.EPERM: "no permission to write there; choose a folder of your own",
    errno.EROFS: "the disk is read-only; write elsewhere",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another path",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "the path is a loop of links; choose another path",
    errno.EIO: "the disk reports an error; write elsewhere",
}


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse early what ``atomic_write`` would refuse, before an hour of work is spent.

    Raises:
        OutputError: the path is a folder or no regular file, or exists and ``overwrite`` is False.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise OutputError(f"{target}: is a folder; give the name of a file in it")
        if target.exists():
            if not target.is_file():
                raise OutputError(f"{target}: is no regular file; give a file, or '-' for standard output")
            if not overwrite:
                raise OutputError(f"{target}: exists already; choose another name, or allow to overwrite")
    except (OSError, ValueError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{target}: {_reason(error)}") from None


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """A binary file that takes its name when the block ends well, and vanishes when it does not.

    The bytes go to a hidden file in the same folder, are flushed to the disk, and are renamed. Missing
    folders are made, and taken away again on failure. Without ``overwrite`` the name is taken by a hard
    link, which fails if another process was faster; where links do not exist, by a check and a rename.
    A link at ``path`` stays one: the file it points to is replaced. A replaced file keeps its permissions.

    Args:
        path: where the file is to be.
        overwrite: whether a file that is there already is replaced.

    Yields:
        The open file, which can be written and sought.

    Raises:
        OutputError: the path exists, is a folder, may not be written, or the disk is full. Other errors
            raised in the block, KeyboardInterrupt among them, pass through; nothing stays behind.
    """
    check_output(path, overwrite=overwrite)
    try:
        target = Path(os.path.realpath(path))
    except ValueError as error:  # a zero in the name
        raise OutputError(f"{path}: {_reason(error)}") from None
    made: list[Path] = []
    part = target.parent / f".stylenorm-{secrets.token_hex(8)}.part"
    done = False
    try:
        try:
            _make_folders(target.parent, made)
            _clean_up(target.parent)
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path}: {_reason(error)}") from error
        try:
            with os.fdopen(descriptor, "w+b") as file:
                _lock(descriptor)
                yield file
                file.flush()
                os.fsync(file.fileno())
            _publish(part, target, overwrite)
        except OSError as error:
            if (
                isinstance(error, OutputError)
                or error.errno not in _REASONS
                or not _ours(error, part, target)
            ):
                raise
            raise OutputError(f"{path}: {_reason(error)}") from error
        done = True
    finally:
        if not done:
            with suppress(OSError):
                part.unlink()
            for folder in reversed(made):
                with suppress(OSError):  # another process put something in it
                    folder.rmdir()


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed, or its process ends, however; whether that could be done."""
    if _fcntl is None:
        return False
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except OSError:  # another one has it, or the file system knows no locks
        return False
    return True


@contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Hold an open file's lock in the block, once who has it gives it back; nothing where there are none."""
    if _fcntl is None:
        yield
        return
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX)
    except OSError:  # the file system knows no locks
        yield
        return
    try:
        yield
    finally:
        _fcntl.flock(descriptor, _fcntl.LOCK_UN)


def _clean_up(folder: Path) -> None:
    """Delete what processes left in a folder that were killed while they wrote; once a process and folder.

    Who writes holds a lock, which ends with the process. (Windows deletes no file that is open: there the
    attempt is the lock.)
    """
    real = os.path.realpath(folder)
    if real in _cleaned:
        return
    _cleaned.add(real)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not _PART.fullmatch(entry.name):
                continue
            with suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime < _FRESH_S:
                    continue  # perhaps made and not yet locked
                if _fcntl is None:
                    Path(entry.path).unlink()
                    continue
                descriptor = os.open(entry.path, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    if _lock(descriptor):
                        Path(entry.path).unlink()
                finally:
                    os.close(descriptor)


def _publish(part: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        with suppress(OSError):  # no old file, or a file system without permissions
            part.chmod(target.stat().st_mode & 0o7777)
        part.replace(target)
        return
    try:
        os.link(part, target)
    except OSError as error:
        if isinstance(error, FileExistsError) or target.exists():
            raise OutputError(f"{target}: appeared while it was being written; choose another name") from None
        if error.errno not in _NO_LINKS:
            raise
        part.rename(target)
        return
    part.unlink()


def _make_folders(folder: Path, made: list[Path]) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        try:
            each.mkdir()
        except FileExistsError:  # another process made it meanwhile
            if not each.is_dir():
                raise
        else:
            made.append(each)


def _ours(error: OSError, part: Path, target: Path) -> bool:
    """Whether an error is about the file that is written: writing names no file, opening another one does."""
    return error.filename is None or str(error.filename) in (str(part), str(target))


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno in _REASONS:
        return _REASONS[error.errno]
    return f"cannot be written ({error.strerror or error if isinstance(error, OSError) else error})"


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write an object as indented JSON, whole or not at all; what is there is replaced.

    Raises:
        OutputError: the place cannot be written to.
    """
    with atomic_write(path, overwrite=True) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())
