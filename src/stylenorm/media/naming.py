"""Names of files: which are one file, and what a style is called in one."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

from stylenorm.media.pictures.plugins import is_picture_name

__all__ = ["RealPaths", "name_key", "split_suffix", "style_slug"]

_LISTED_AFTER = 8  # names of a folder: few ones are looked up one by one


class RealPaths:
    """``os.path.realpath`` of many files: each folder is looked up once, and listed for its links once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self._links: dict[str, frozenset[str]] = {}

    def __call__(self, text: str) -> str:
        """Return the path without links; the file need not exist."""
        head, name = os.path.split(text)
        if name in ("", os.curdir, os.pardir) or self._is_link(head, name, text):
            return os.path.realpath(text)
        folder = self._folders.get(head)
        if folder is None:
            folder = self._folders[head] = os.path.realpath(head)
        return f"{folder}{os.sep}{name}" if folder != os.sep else folder + name

    def _is_link(self, head: str, name: str, text: str) -> bool:
        links = self._links.get(head)
        if links is not None:
            return name in links
        self._asked[head] += 1
        if self._asked[head] == _LISTED_AFTER:
            try:
                with os.scandir(head or os.curdir) as entries:
                    self._links[head] = frozenset(entry.name for entry in entries if entry.is_symlink())
            except (OSError, ValueError):  # not there yet, or not to be listed
                if not os.path.lexists(head):
                    self._links[head] = frozenset()
        return os.path.islink(text)  # noqa: PTH114 (a Path takes ten times as long)


def split_suffix(name: str) -> tuple[str, str]:
    """Stem and suffix, as pathlib has them."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def name_key(real: str) -> str:
    """Two paths with one key are one file, also where case or the spelling of accents makes no difference.

    Args:
        real: the path without links.
    """
    if real.isascii():
        return real.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", real).casefold())


def style_slug(style: str) -> str:
    """A style's name in a file name: ``scream:0.6,great-wave:0.4`` is ``scream-0.6+great-wave-0.4``."""
    parts = [style] if Path(style).is_file() else style.split(",")
    name = "+".join(_short(part.strip()) for part in parts)
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "style"


def _short(part: str) -> str:
    """One style of a mixture: of a file's path the name alone, as it is without its suffix."""
    path, colon, weight = part.rpartition(":")
    if not colon or not re.fullmatch(r"[\d.]+", weight):
        path, colon, weight = part, "", ""
    name = re.split(r"[\\/]", path)[-1]
    if name.endswith(".safetensors") or is_picture_name(name):
        name = name[: name.rindex(".")] or name
    return f"{name}{colon}{weight}"
