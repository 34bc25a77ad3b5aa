"""Which picture goes where: the plan of a run, made before anything is read or written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from stylenorm.errors import InputError, OutputError, PictureError
from stylenorm.media.finding import LeftOut, find_pictures
from stylenorm.media.formats import FORMATS, PictureFormat, format_named, format_of
from stylenorm.media.naming import RealPaths, name_key, split_suffix, style_slug
from stylenorm.media.video.formats import (
    FILM_FORMATS,
    FILM_SUFFIXES,
    FilmFormat,
    film_format_of,
    is_film,
)

__all__ = ["STANDARD", "Job", "SameStyles", "StyleDraw", "plan_outputs"]

STANDARD = "-"
"""Standard input or output, on the command line."""

_Format = PictureFormat | FilmFormat
_SUFFIX_FORMATS: dict[str, _Format] = {
    **{suffix: entry for entry in FORMATS.values() for suffix in entry.suffixes},
    **{suffix: entry for entry in FILM_FORMATS.values() for suffix in entry.suffixes},
}
# Of photos that cameras make, and that are not written in their own format.
_PHOTO_SUFFIXES = {".mpo", ".jps", ".jif", ".heic", ".heif", ".hif"}


@dataclass(frozen=True)
class Job:
    """One picture, or film, in one style.

    Args:
        source: the picture; None is standard input.
        target: where the painting goes; None is standard output.
        style: the name of the style, as it was given.
        format: Pillow's name of the format that is written, or a film's name in `FILM_FORMATS`.
        key: the picture's name in its folder, with ``/`` between the parts: what is the same on every
            machine, whatever the folder is called there.
    """

    source: Path | None
    target: Path | None
    style: str
    format: str
    key: str = field(default="", compare=False)


class StyleDraw(Protocol):
    """Chooses the styles of each picture."""

    @property
    def per_picture(self) -> int:
        """How many styles each picture gets."""

    def styles(self, key: str) -> Sequence[str]:
        """Return the styles of the picture of that key (see `Job`)."""


@dataclass(frozen=True)
class SameStyles:
    """Every picture in the same styles; a `StyleDraw`."""

    names: Sequence[str]

    @property
    def per_picture(self) -> int:
        """How many styles each picture gets."""
        return len(self.names)

    def styles(self, key: str) -> Sequence[str]:  # noqa: ARG002 (the protocol's)
        """Return the styles: all of them."""
        return self.names


class _Found(NamedTuple):
    source: Path | None
    relative: str  # the place in an output folder
    real: str = ""  # of the source: its path without links

    @property
    def key(self) -> str:
        return self.relative if os.sep == "/" else self.relative.replace(os.sep, "/")


class _Wish(NamedTuple):
    """Where one painting would go, if no other one wanted to go there."""

    found: _Found
    folder: str
    stem: str
    suffix: str  # of the source, which tells twins apart
    tail: str  # the style and the new suffix
    style: str
    format: str

    def target(self, apart: str = "") -> str:
        return f"{self.folder}{self.stem}{apart}{self.tail}"

    def job(self, target: str) -> Job:
        return Job(self.found.source, Path(target), self.style, self.format, self.found.key)


def plan_outputs(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    styles: Sequence[str] | StyleDraw,
    format: str | None = None,  # noqa: A002 (Pillow's and everyone's word for it)
    left_out: LeftOut | None = None,
) -> list[Job]:
    """Plan a run. Looks at the disk, and changes nothing on it.

    - One picture, one style: ``output`` is the file, or a folder if it is one or ends with a slash.
    - Several pictures or styles, or a folder: ``output`` is a folder. Names and sub-folders are kept; with
      several styles each name says its style (``holiday/a.scream.jpg``); with several folders each keeps its
      own name too.
    - No ``output``: beside the photo, ``photo.scream.jpg``. Not for folders, where a second run would
      paint the paintings, and not for standard input.
    - A suffix is kept if it can be written, or becomes ``.png`` (``.jpg`` for a camera's, such as
      ``.heic``); ``format`` overrules. Two pictures that
      would meet (``a.jpg`` and ``a.png`` as PNG) say where they came from: ``a-jpg.png`` and ``a-png.png``.
      Others get a number: ``IMG.jpg`` and ``img.jpg``, which are one name on many file systems, become
      ``IMG.jpg`` and ``img-2.jpg``.
    - Films are planned alike, if they are named: of a folder, its pictures are taken. One of a kind that
      is not written becomes ``.mkv``.

    Args:
        inputs: files and folders; ``"-"`` is standard input.
        output: file or folder; ``"-"`` is standard output; None is beside the photos.
        styles: names of styles, at least one; what a file name cannot hold is replaced. Or what chooses
            each picture's.
        format: the format to write; None takes the output's suffix, or the photo's; PNG to standard output.
        left_out: takes what the folders hold and is not painted. Without it, a folder that cannot be listed
            and one without pictures are errors; with it, they are only where nothing else is to be painted.

    Returns:
        One job for each picture and style: pictures in the order given, folders sorted.

    Raises:
        InputError: no inputs or no styles, or an empty name among them.
        PictureError: a folder without pictures, or one that cannot be listed.
        OutputError: a target is one of the sources, the output does not fit the inputs (a file for many),
            or its suffix is unknown.
        UnknownNameError: the format is unknown.

    Example:
        >>> [job.target.name for job in plan_outputs(["photo.jpg"], styles=["scream", "great-wave"])]
        ['photo.scream.jpg', 'photo.great-wave.jpg']
    """
    draw = SameStyles(styles) if isinstance(styles, Sequence) else styles
    if not inputs or not draw.per_picture:
        raise InputError(f"expected at least one {'picture' if not inputs else 'style'}, got none; name one")
    for what, given in (("picture", inputs), ("style", draw.names if isinstance(draw, SameStyles) else ())):
        if not all(os.fspath(each) for each in given):
            raise InputError(f"expected the name of a {what}, got an empty one; is a variable not set?")
    kind = _named(format) if format else None
    text = None if output is None else os.fspath(output)
    if text == "":
        raise OutputError("expected the name of a file or a folder to write, got an empty one")
    folders = [each for each in inputs if os.fspath(each) != STANDARD and Path(each).is_dir()]
    many = bool(folders) or len(inputs) > 1 or draw.per_picture > 1
    into_folder = text is not None and text != STANDARD and _is_folder(text, many)
    real = RealPaths()
    found = _gather(
        inputs,
        exclude=text if into_folder else None,
        several_folders=len(folders) > 1,
        left_out=left_out,
        real=real,
    )
    if text == STANDARD:
        if len(found) > 1 or draw.per_picture > 1:
            raise OutputError(
                f"standard output takes one picture, got {len(found) * draw.per_picture}; give a folder"
            )
        return _checked([_single(found[0], None, draw, (kind or FORMATS["PNG"]).name)])
    if text is None:
        return _checked(_beside(found, folders, draw, kind, real))
    if into_folder:
        return _checked(_into(found, Path(text), draw, kind, real))
    named = _SUFFIX_FORMATS.get(Path(text).suffix.lower())
    if kind is not None and named not in (None, kind):
        raise OutputError(
            f"{text}: its suffix says {named.name}, the format asked for is {kind.name}; choose one"
        )
    _check_target(text, {found[0].real}, real)
    return _checked([_single(found[0], Path(text), draw, (kind or _of(text)).name)])


def _single(found: _Found, target: Path | None, draw: StyleDraw, written: str) -> Job:
    return Job(found.source, target, draw.styles(found.key)[0], written, found.key)


def _is_folder(text: str, many: bool) -> bool:
    path = Path(text)
    if path.is_dir() or text.endswith(("/", os.sep)):
        return True
    if not many:
        return False
    if path.exists():
        raise OutputError(f"{text}: is a file, but several paintings are to be written; give a folder")
    if path.suffix.lower() in _SUFFIX_FORMATS:
        raise OutputError(f"{text}: names one file, but several paintings are to be written; give a folder")
    return True


def _gather(
    inputs: Sequence[str | os.PathLike[str]],
    *,
    exclude: str | None,
    several_folders: bool,
    left_out: LeftOut | None,
    real: RealPaths,
) -> list[_Found]:
    found: dict[str, _Found] = {}
    aside = LeftOut() if left_out is None else left_out
    for each in inputs:
        path = Path(each)
        if os.fspath(each) == STANDARD:
            found.setdefault(STANDARD, _Found(None, "stdin.png"))
        elif path.is_dir():
            top = f"{path.resolve().name}{os.sep}" if several_folders else ""
            # the output may be the folder itself: then nothing is excluded, and names must differ
            apart = exclude is not None and os.path.realpath(exclude) != os.path.realpath(path)
            try:
                pictures = find_pictures(path, exclude=exclude if apart else None, left_out=aside)
            except PictureError:
                if path.is_dir() and left_out is not None and len(inputs) > 1:
                    aside.unreadable.append((path, "no permission"))
                    continue
                raise
            elsewhere = (*(unread for unread, _ in aside.unreadable), *aside.shards)
            if not pictures and not any(each.is_relative_to(path) for each in elsewhere):
                aside.empty.append(path)
            start = len(os.path.join(path, "")) if path != Path() else 0  # noqa: PTH118 (of the text)
            for picture in pictures:
                text = str(picture)
                place = real(text)
                if place not in found:
                    found[place] = _Found(picture, top + text[start:], place)
        else:
            place = real(str(path))
            found.setdefault(place, _Found(path, path.name, place))
    problems = aside.problems()
    if problems and (left_out is None or not found):
        skipped = aside.skipped()
        raise PictureError(f"{problems[0]} (.jpg, .png, ...)" + (f"; {skipped}" if skipped else ""))
    return list(found.values())


def _beside(
    found: list[_Found], folders: Sequence[object], draw: StyleDraw, kind: _Format | None, real: RealPaths
) -> list[Job]:
    if folders:
        raise OutputError(
            f"{folders[0]}: a folder needs an output folder, lest a second run paints the paintings"
        )
    wishes = []
    for each in found:
        if each.source is None:
            raise OutputError("standard input has no name: give an output, a file or '-' for standard output")
        stem, own = split_suffix(each.source.name)
        suffix, written = _suffix(own, kind)
        folder = os.path.join(each.source.parent, "") if each.source.parent != Path() else ""  # noqa: PTH118
        wishes += [
            _Wish(each, folder, stem, own, f".{style_slug(style)}{suffix}", style, written)
            for style in draw.styles(each.key)
        ]
    return _apart(wishes, real)


def _into(
    found: list[_Found], folder: Path, draw: StyleDraw, kind: _Format | None, real: RealPaths
) -> list[Job]:
    wishes = []
    several = draw.per_picture > 1
    top = os.path.join(folder, "") if folder != Path() else ""  # noqa: PTH118 (a Path takes ten times as long)
    for each in found:
        head, _, name = each.relative.rpartition(os.sep)
        stem, own = split_suffix(name)
        suffix, written = _suffix(own, kind)
        place = f"{top}{head}{os.sep}" if head else top
        for style in draw.styles(each.key):
            tail = f".{style_slug(style)}{suffix}" if several else suffix
            wishes.append(_Wish(each, place, stem, own, tail, style, written))
    return _apart(wishes, real)


def _apart(wishes: list[_Wish], real: RealPaths) -> list[Job]:
    """Give each painting a name of its own: the one wished for, with the old suffix, or with a number.

    Raises:
        OutputError: a painting would replace a photo.
    """
    keys = [name_key(real(wish.target())) for wish in wishes]
    first: dict[str, str] = {}
    twins: set[str] = set()
    for key, wish in zip(keys, wishes, strict=True):
        suffix = wish.suffix.casefold()
        if first.setdefault(key, suffix) != suffix:
            twins.add(key)
    told = [""] * len(wishes)
    for i, (key, wish) in enumerate(zip(keys, wishes, strict=True)):
        if key in twins and wish.suffix:
            told[i] = f"-{wish.suffix[1:]}"
            keys[i] = name_key(real(wish.target(told[i])))
    photos = {wish.found.real for wish in wishes if wish.found.real}
    photo_keys = {name_key(photo) for photo in photos}
    wished = {*keys, *photo_keys}
    taken: set[str] = set()
    jobs = []
    for key, wish, apart in zip(keys, wishes, told, strict=True):
        free, target, number = key, wish.target(apart), 1
        while free in taken or (number > 1 and free in wished):
            number += 1
            target = wish.target(f"{apart}-{number}")
            free = name_key(real(target))
        taken.add(free)
        if free in photo_keys:
            _check_target(target, photos, real)
        jobs.append(wish.job(target))
    return jobs


def _check_target(target: str, photos: set[str], real: RealPaths) -> None:
    """Refuse a target that is one of the photos.

    Raises:
        OutputError: it is.
    """
    if real(target) in photos:
        raise OutputError(f"{target}: is one of the photos; choose another output")


def _checked(jobs: list[Job]) -> list[Job]:
    for job in jobs:
        _check_kind(job)
    return jobs


def _suffix(suffix: str, kind: _Format | None) -> tuple[str, str]:
    """The suffix and format of the painting: the photo's, if it can be written and is of the format."""
    lower = suffix.lower()
    own = _SUFFIX_FORMATS.get(lower)
    if own is not None and kind in (None, own):
        return suffix, own.name
    if kind is None and lower in FILM_SUFFIXES:
        kind = FILM_FORMATS["MKV"]  # holds whatever sound and subtitles there are
    if kind is None:
        kind = FORMATS["JPEG" if lower in _PHOTO_SUFFIXES else "PNG"]
    return kind.suffixes[0], kind.name


def _named(name: str) -> _Format:
    film = FILM_FORMATS.get(name.strip().upper().removeprefix("."))
    return film if film is not None else format_named(name)


def _of(path: str) -> _Format:
    return film_format_of(path) if is_film(path) else format_of(path)


def _check_kind(job: Job) -> None:
    """Refuse a film that is to become a picture, and a picture that is to become a film.

    Raises:
        OutputError: as said.
    """
    film = job.source is not None and job.source.suffix.lower() in FILM_SUFFIXES
    if film and job.format not in FILM_FORMATS:
        known = ", ".join(suffix for entry in FILM_FORMATS.values() for suffix in entry.suffixes)
        raise OutputError(f"{job.source}: is a film, which is written to a file of the kinds {known}")
    if not film and job.format in FILM_FORMATS:
        raise OutputError(f"{job.source or 'standard input'}: is a picture, which does not become a film")
