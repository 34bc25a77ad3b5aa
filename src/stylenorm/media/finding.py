"""Find the pictures of a folder, and say what else is there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stylenorm.errors import PictureError
from stylenorm.media.pictures.kinds import PICTURE_KINDS, advice_on_kind, looks_like_picture
from stylenorm.media.pictures.plugins import is_picture_name
from stylenorm.media.video.formats import is_film

__all__ = ["SHARD_SUFFIXES", "LeftOut", "find_pictures"]

SHARD_SUFFIXES = frozenset({".tar", ".parquet"})
"""Of files that hold many pictures."""

_UNNAMED = "without a picture's suffix"


@dataclass
class LeftOut:
    """What was found in folders, and is not among the pictures.

    Attributes:
        kinds: how many files of which kind that is not read, by suffix; of what is no picture, none.
        films: how many films.
        unreadable: folders that may not be listed, each with the reason.
        empty: folders that were named, and hold no picture.
        shards: tar and Parquet files: data sets, whose pictures are inside.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    films: int = 0
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    shards: list[Path] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.kinds or self.films or self.unreadable or self.empty)

    def skipped(self) -> str:
        """One line on the files that were skipped, and what would help; empty if there were none.

        >>> LeftOut(Counter({".psd": 2}), films=1).skipped()
        'skipped 3 files: 2 .psd (export them as PNG or TIFF), 1 film (name it itself)'
        """
        total = self.kinds.total() + self.films
        parts = [f"{count} {kind} ({advice_on_kind(kind)})" for kind, count in self.kinds.most_common()]
        if self.films:
            parts.append("1 film (name it itself)" if self.films == 1 else f"{self.films} films (name them)")
        return f"skipped {total} {'file' if total == 1 else 'files'}: {', '.join(parts)}" if parts else ""

    def problems(self) -> list[str]:
        """One line for each folder that could not be listed or held no picture."""
        lines = [f"{path}: the folder cannot be listed ({reason})" for path, reason in self.unreadable]
        return lines + [
            f"{path}: expected pictures in the folder, found none by suffix" for path in self.empty
        ]


def find_pictures(
    folder: str | os.PathLike[str],
    *,
    exclude: str | os.PathLike[str] | None = None,
    left_out: LeftOut | None = None,
) -> list[Path]:
    """All pictures in a folder and its sub-folders, by suffix.

    Hidden files and folders are left out. Links to folders are followed, each real folder once, so that a
    link to a parent ends.

    Args:
        folder: where to look.
        exclude: a folder that is left out: that of the results, lest a second run paints them again.
        left_out: takes what is not among the pictures: files of kinds that are not read, films, pictures
            whose names do not say so, and sub-folders that may not be listed.

    Returns:
        Paths that start with ``folder``, sorted by name, folders in their place.

    Raises:
        PictureError: there is no such folder, or it may not be listed; without ``left_out`` also a folder in
            it that may not be listed, since its pictures would be missed.
    """
    if not os.fspath(folder):
        raise PictureError("expected a folder of pictures, got an empty name")
    root = Path(folder)
    if not root.is_dir():
        raise PictureError(
            f"{root}: expected a folder of pictures, got {'a file' if root.exists() else 'nothing'}"
        )
    seen = {os.path.realpath(exclude)} if exclude is not None else set()
    found = LeftOut() if left_out is None else left_out
    try:
        os.scandir(root).close()
    except OSError as error:
        raise PictureError(f"{root}: the folder cannot be listed ({error.strerror})") from None
    pictures = list(_walk(root, seen, found))
    if left_out is None and found.unreadable:
        path, reason = found.unreadable[0]
        raise PictureError(
            f"{path}: the folder cannot be listed ({reason}); make it readable, or move it elsewhere"
        )
    return pictures


def _walk(folder: Path, seen: set[str], left_out: LeftOut) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: (entry.name.casefold(), entry.name))
    except OSError as error:
        left_out.unreadable.append((folder, error.strerror or str(error)))
        return
    for entry in found:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if _is(entry, folder_wanted=True):
            yield from _walk(path, seen, left_out)
        elif not _is(entry, folder_wanted=False):
            continue
        elif is_picture_name(entry.name):
            yield path
        else:
            _leave_out(path, left_out)


def _leave_out(path: Path, left_out: LeftOut) -> None:
    suffix = path.suffix.lower()
    if suffix in SHARD_SUFFIXES:
        left_out.shards.append(path)
    elif is_film(path):
        left_out.films += 1
    elif suffix in PICTURE_KINDS:
        left_out.kinds[suffix] += 1
    elif looks_like_picture(path):
        left_out.kinds[_UNNAMED] += 1


def _is(entry: os.DirEntry[str], *, folder_wanted: bool) -> bool:
    try:
        return entry.is_dir() if folder_wanted else entry.is_file()
    except OSError:  # a loop of links
        return False
