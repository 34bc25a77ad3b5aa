"""Which paintings become styles, and what is known of them: a folder, and a list if there is one.

A list is a TOML or JSON file; each table is a style, named in kebab-case:

.. code-block:: toml

    [starry-night]
    painting = "vincent-van-gogh--starry-night.jpg"   # in the folder of --paintings
    artist = "Vincent van Gogh"
    title = "The Starry Night"
    year = "1889"
    licence = "public domain"
    crop = [0.25, 0.0, 1.0, 0.75]   # left, top, right, bottom: the part that is learned
    size_px = 360                   # shorter side of that part when it is measured: the size of the strokes
    style_weight = 2.0              # times the weight of the other styles: more motif, less of the photo

Without a list every picture in the folder becomes a style, and its name says the rest: ``artist--title.jpg``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from stylenorm.errors import InputError, UnknownNameError
from stylenorm.media import find_pictures

__all__ = ["Painting", "check_name", "kebab", "named_painting", "read_paintings"]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RESERVED = ("all", "identity")
_TEXTS = ("artist", "title", "year", "licence")
_KEYS = ("painting", *_TEXTS, "crop", "size_px", "style_weight")


@dataclass(frozen=True)
class Painting:
    """A painting and what is known of it.

    Attributes:
        path: picture file.
        name: kebab-case name of the style.
        artist, title, year, licence: for the style file.
        crop: the part that is learned: left, top, right, bottom, as shares of width and height.
        size_px: shorter side of that part when it is measured; 0 for the training's own.
        style_weight: how much its style loss counts, times what the training gives every style.
    """

    path: Path
    name: str
    artist: str = ""
    title: str = ""
    year: str = ""
    licence: str = ""
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    size_px: int = 0
    style_weight: float = 1.0


def read_paintings(folder: Path, listed: Path | None) -> list[Painting]:
    """Return the paintings to learn.

    Args:
        folder: where the pictures are.
        listed: TOML or JSON list; None takes every picture in the folder.

    Raises:
        PictureError: there is no such folder.
        InputError: the folder is empty, the list cannot be read, names a missing file, or two styles would
            have one name.
        UnknownNameError: a table has a key that means nothing.
    """
    pictures = find_pictures(folder)
    if listed is not None:
        return [_listed(name, table, folder, listed) for name, table in _read(listed).items()]
    if not pictures:
        raise InputError(f"{folder}: expected paintings (artist--title.jpg), found no pictures")
    paintings: dict[str, Painting] = {}
    for path in pictures:
        painting = named_painting(path)
        name = painting.name
        if name in paintings:
            raise InputError(
                f"{path}: the style {name!r} exists already, from {paintings[name].path.name}; "
                "rename one, or name the styles in a list (--styles FILE.toml)"
            )
        check_name(name, str(path))
        paintings[name] = painting
    return list(paintings.values())


def named_painting(path: Path) -> Painting:
    """Return a painting with what its file's name says: ``artist--title.jpg``, or a title alone."""
    artist, dashes, title = path.stem.partition("--")
    if dashes:
        return Painting(path, kebab(title), artist=_words(artist), title=_words(title))
    return Painting(path, kebab(path.stem), title=_words(path.stem))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected TOML or JSON, got a mistake: {error}") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected a table for each style, such as [starry-night], got none")
    return content


def _listed(name: str, table: Any, folder: Path, listed: Path) -> Painting:
    check_name(name, str(listed))
    if not isinstance(table, dict) or "painting" not in table:
        raise InputError(f'{listed}: style {name!r}: expected a table with painting = "FILE", got {table!r}')
    for key in table:
        if key not in _KEYS:
            raise UnknownNameError(f"key in {listed}, style {name!r},", key, _KEYS)
    path = folder / str(table["painting"])
    if not path.is_file():
        raise InputError(f"{listed}: style {name!r}: expected the painting {path}, found no such file")
    crop, size_px = table.get("crop", [0.0, 0.0, 1.0, 1.0]), table.get("size_px", 0)
    style_weight = table.get("style_weight", 1.0)
    if not _is_crop(crop):
        raise InputError(
            f"{listed}: style {name!r}: crop: expected [left, top, right, bottom] from 0 to 1, left below "
            f"right and top below bottom, got {crop!r}"
        )
    if not isinstance(size_px, int) or size_px < 0:
        raise InputError(
            f"{listed}: style {name!r}: size_px: expected a whole number of pixels, got {size_px!r}"
        )
    if not isinstance(style_weight, int | float) or not 0 < style_weight < inf:
        raise InputError(
            f"{listed}: style {name!r}: style_weight: expected a number above 0, got {style_weight!r}"
        )
    texts = {key: str(table[key]) for key in _TEXTS if key in table}
    return Painting(path, name, **texts, crop=tuple(crop), size_px=size_px, style_weight=float(style_weight))


def _is_crop(crop: Any) -> bool:
    if not isinstance(crop, list) or len(crop) != 4 or not all(isinstance(x, int | float) for x in crop):
        return False
    left, top, right, bottom = crop
    return bool(0 <= left < right <= 1 and 0 <= top < bottom <= 1)


def check_name(name: str, where: str) -> None:
    """Refuse what is no name of a style.

    Raises:
        InputError: the name is not in kebab-case, or means something else.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise InputError(
            f"{where}: expected a name for the style in kebab-case (starry-night), neither 'all' nor "
            f"'identity', got {name!r}"
        )


def kebab(text: str) -> str:
    """Return a text as a name: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _words(text: str) -> str:
    return " ".join(word.capitalize() for word in re.split(r"[-_\s]+", text) if word)
