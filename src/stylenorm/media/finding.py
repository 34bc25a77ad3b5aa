"""Find the pictures of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from stylenorm.errors import PictureError
from stylenorm.media.formats import READABLE_SUFFIXES

__all__ = ["find_pictures"]


def find_pictures(
    folder: str | os.PathLike[str], *, exclude: str | os.PathLike[str] | None = None
) -> list[Path]:
    """All pictures in a folder and its sub-folders, by suffix.

    Hidden files and folders are left out, and so is what cannot be listed. Links to folders are followed,
    each real folder once, so that a link to a parent ends.

    Args:
        folder: where to look.
        exclude: a folder that is left out: that of the results, lest a second run paints them again.

    Returns:
        Paths that start with ``folder``, sorted by name, folders in their place.

    Raises:
        PictureError: there is no such folder, or it may not be listed.
    """
    root = Path(folder)
    if not root.is_dir():
        raise PictureError(
            f"{root}: expected a folder of pictures, got {'a file' if root.exists() else 'nothing'}"
        )
    seen = {os.path.realpath(exclude)} if exclude is not None else set()
    try:
        os.scandir(root).close()
    except OSError as error:
        raise PictureError(f"{root}: the folder cannot be listed ({error.strerror})") from None
    return list(_walk(root, seen))


def _walk(folder: Path, seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: (entry.name.casefold(), entry.name))
    except OSError:
        return
    for entry in found:
        if entry.name.startswith("."):
            continue
        if _is(entry, folder_wanted=True):
            yield from _walk(folder / entry.name, seen)
        elif Path(entry.name).suffix.lower() in READABLE_SUFFIXES and _is(entry, folder_wanted=False):
            yield folder / entry.name


def _is(entry: os.DirEntry[str], *, folder_wanted: bool) -> bool:
    try:
        return entry.is_dir() if folder_wanted else entry.is_file()
    except OSError:  # a loop of links
        return False
