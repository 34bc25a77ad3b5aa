"""The manifest of a batch: one JSON line for each painting, and what a later run goes on from."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from stylenorm.closing import Closing
from stylenorm.errors import InputError, OutputError
from stylenorm.media import locked

__all__ = ["Manifest", "Row", "Status", "read_manifest"]

Status = Literal["painted", "skipped", "failed"]
_DONE = ("painted", "skipped")


@dataclass(frozen=True)
class Row:
    """One line of a manifest.

    Attributes:
        source: the picture, as it was named; of one in a tar or Parquet file ``FILE::NAME``. ``-`` is
            standard input.
        target: where the painting is, named alike; ``-`` is standard output.
        style: its style, as it was named or drawn.
        strength: its strength, as it was given or drawn.
        seconds: from reading to writing; None where nothing was painted.
        status: ``painted``; ``skipped``, since the target was there already; or ``failed``.
        error: what went wrong, in one line; empty if nothing did.
    """

    source: str
    target: str
    style: str
    strength: float
    seconds: float | None
    status: Status
    error: str = ""


class Manifest(Closing):
    """Appends rows to a file, each at once and whole, so that a kill costs no row that was written.

    Several processes on one machine may append to one file. Across a network's file system, give each
    process a file of its own.

    Args:
        path: the file; made with its folders if it is not there, and appended to if it is.

    Attributes:
        done: rows of earlier runs that painted or found their target, by target. The last row of a target
            counts.

    Raises:
        InputError: the file is no manifest.
        OutputError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise OutputError(f"{self.path}: the manifest cannot be written ({error.strerror})") from None
        try:
            with locked(self._file):
                self._end_last_line()
            last: dict[str, Row] = {row.target: row for row in read_manifest(self.path)}
        except BaseException:
            os.close(self._file)
            raise
        self.done: Mapping[str, Row] = {target: row for target, row in last.items() if row.status in _DONE}

    def append(self, rows: Iterable[Row]) -> None:
        """Append rows, all of them by one write.

        Raises:
            OutputError: the disk is full, or the file cannot be written.
        """
        text = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
        content = text.encode("utf-8", "surrogateescape")
        try:
            with self._lock, locked(self._file):
                while content:
                    content = content[os.write(self._file, content) :]
        except OSError as error:
            raise OutputError(f"{self.path}: the manifest cannot be written ({error.strerror})") from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _end_last_line(self) -> None:
        """A line that was cut off by a power failure stays alone, and is not read."""
        size = os.fstat(self._file).st_size
        if size:
            os.lseek(self._file, size - 1, os.SEEK_SET)
            if os.read(self._file, 1) != b"\n":
                os.write(self._file, b"\n")


def read_manifest(path: str | os.PathLike[str]) -> list[Row]:
    """Return the rows of a manifest; lines that were cut off are left out.

    Raises:
        InputError: it cannot be read, or none of its lines is a row.
    """
    rows: list[Row] = []
    broken = 0
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                if not line.strip():
                    continue
                try:
                    rows.append(_row(json.loads(line)))
                except (ValueError, TypeError, KeyError):
                    broken += 1
    except OSError as error:
        raise InputError(f"{path}: expected a manifest, cannot read it ({error.strerror})") from None
    if broken > 1 and not rows:
        raise InputError(f"{path}: expected a manifest, a JSON object in each line, got another file")
    return rows


def _row(given: Mapping[str, object]) -> Row:
    row = Row(**{name: given[name] for name in Row.__dataclass_fields__})  # type: ignore[arg-type]  # checked below
    if not isinstance(row.target, str) or row.status not in (*_DONE, "failed"):
        raise ValueError("no row")
    return row
