"""Which picture goes where: the plan of a run, made before anything is read or written."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylenorm.errors import InputError, OutputError, PictureError
from stylenorm.media.finding import find_pictures
from stylenorm.media.formats import FORMATS, PictureFormat, format_named, format_of
from stylenorm.media.video.formats import FILM_FORMATS, FilmFormat, film_format_of, is_film

__all__ = ["STANDARD", "Job", "plan_outputs"]

STANDARD = "-"
"""Standard input or output, on the command line."""

_Format = PictureFormat | FilmFormat
_SUFFIX_FORMATS: dict[str, _Format] = {
    **{suffix: entry for entry in FORMATS.values() for suffix in entry.suffixes},
    **{suffix: entry for entry in FILM_FORMATS.values() for suffix in entry.suffixes},
}


@dataclass(frozen=True)
class Job:
    """One picture, or film, in one style.

    Args:
        source: the picture; None is standard input.
        target: where the painting goes; None is standard output.
        style: the name of the style, as it was given.
        format: Pillow's name of the format that is written, or a film's name in `FILM_FORMATS`.
    """

    source: Path | None
    target: Path | None
    style: str
    format: str


@dataclass(frozen=True)
class _Found:
    source: Path | None
    relative: Path  # the place in an output folder


def plan_outputs(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    styles: Sequence[str],
    format: str | None = None,  # noqa: A002 (Pillow's and everyone's word for it)
) -> list[Job]:
    """Plan a run. Looks at the disk, and changes nothing on it.

    - One picture, one style: ``output`` is the file, or a folder if it is one or ends with a slash.
    - Several pictures or styles, or a folder: ``output`` is a folder. Names and sub-folders are kept; with
      several styles each name says its style (``holiday/a.scream.jpg``); with several folders each keeps its
      own name too.
    - No ``output``: beside the photo, ``photo.scream.jpg``. Not for folders, where a second run would
      paint the paintings, and not for standard input.
    - A suffix is kept if it can be written, or becomes ``.png``; ``format`` overrules. Two pictures that
      would meet (``a.jpg`` and ``a.png`` as PNG) say where they came from: ``a-jpg.png`` and ``a-png.png``.
    - Films are planned alike, if they are named: of a folder, its pictures are taken. One of a kind that
      is not written becomes ``.mkv``.

    Args:
        inputs: files and folders; ``"-"`` is standard input.
        output: file or folder; ``"-"`` is standard output; None is beside the photos.
        styles: names of styles, at least one; what a file name cannot hold is replaced.
        format: the format to write; None takes the output's suffix, or the photo's; PNG to standard output.

    Returns:
        One job for each picture and style: pictures in the order given, folders sorted.

    Raises:
        InputError: no inputs or no styles.
        PictureError: a folder without pictures.
        OutputError: a target is one of the sources, two targets are the same, the output does not fit the
            inputs (a file for many), or its suffix is unknown.
        UnknownNameError: the format is unknown.

    Example:
        >>> [job.target.name for job in plan_outputs(["photo.jpg"], styles=["scream", "great-wave"])]
        ['photo.scream.jpg', 'photo.great-wave.jpg']
    """
    if not inputs or not styles:
        raise InputError(f"expected at least one {'picture' if not inputs else 'style'}, got none; name one")
    kind = _named(format) if format else None
    text = None if output is None else os.fspath(output)
    folders = [each for each in inputs if os.fspath(each) != STANDARD and Path(each).is_dir()]
    many = bool(folders) or len(inputs) > 1 or len(styles) > 1
    into_folder = text is not None and text != STANDARD and _is_folder(text, many)
    found = _gather(inputs, exclude=text if into_folder else None, several_folders=len(folders) > 1)
    if text == STANDARD:
        if len(found) > 1 or len(styles) > 1:
            raise OutputError(
                f"standard output takes one picture, got {len(found) * len(styles)}; give a folder"
            )
        return _checked([Job(found[0].source, None, styles[0], (kind or FORMATS["PNG"]).name)])
    if text is None:
        return _checked(_beside(found, folders, styles, kind))
    if into_folder:
        return _checked(_into(found, Path(text), styles, kind))
    return _checked([Job(found[0].source, Path(text), styles[0], (kind or _of(text)).name)])


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
    inputs: Sequence[str | os.PathLike[str]], *, exclude: str | None, several_folders: bool
) -> list[_Found]:
    found: dict[str, _Found] = {}
    for each in inputs:
        path = Path(each)
        if os.fspath(each) == STANDARD:
            found.setdefault(STANDARD, _Found(None, Path("stdin.png")))
        elif path.is_dir():
            top = Path(path.resolve().name) if several_folders else Path()
            # the output may be the folder itself: then nothing is excluded, and names must differ
            apart = exclude is not None and os.path.realpath(exclude) != os.path.realpath(path)
            pictures = find_pictures(path, exclude=exclude if apart else None)
            if not pictures:
                raise PictureError(
                    f"{path}: expected pictures in the folder, found none by suffix (.jpg, .png, ...)"
                )
            for picture in pictures:
                found.setdefault(os.path.realpath(picture), _Found(picture, top / picture.relative_to(path)))
        else:
            found.setdefault(os.path.realpath(path), _Found(path, Path(path.name)))
    return list(found.values())


def _beside(
    found: list[_Found], folders: Sequence[object], styles: Sequence[str], kind: _Format | None
) -> list[Job]:
    if folders:
        raise OutputError(
            f"{folders[0]}: a folder needs an output folder, lest a second run paints the paintings"
        )
    jobs = []
    for each in found:
        if each.source is None:
            raise OutputError("standard input has no name: give an output, a file or '-' for standard output")
        for style in styles:
            suffix, written = _suffix(each.source, kind)
            jobs.append(
                Job(
                    each.source,
                    each.source.with_name(f"{each.source.stem}.{_slug(style)}{suffix}"),
                    style,
                    written,
                )
            )
    return jobs


def _into(found: list[_Found], folder: Path, styles: Sequence[str], kind: _Format | None) -> list[Job]:
    planned = []
    for each in found:
        suffix, written = _suffix(each.relative, kind)
        for style in styles:
            tail = f".{_slug(style)}{suffix}" if len(styles) > 1 else suffix
            planned.append((each, style, tail, written))
    taken = Counter(
        _key(folder / each.relative.with_name(each.relative.stem + tail)) for each, _, tail, _ in planned
    )
    jobs = []
    for each, style, tail, written in planned:
        target = folder / each.relative.with_name(each.relative.stem + tail)
        if taken[_key(target)] > 1 and each.relative.suffix:
            target = folder / each.relative.with_name(
                f"{each.relative.stem}-{each.relative.suffix[1:]}{tail}"
            )
        jobs.append(Job(each.source, target, style, written))
    return jobs


def _checked(jobs: list[Job]) -> list[Job]:
    sources = {os.path.realpath(job.source) for job in jobs if job.source is not None}
    targets: dict[str, Job] = {}
    for job in jobs:
        _check_kind(job)
        if job.target is None:
            continue
        if os.path.realpath(job.target) in sources:
            raise OutputError(f"{job.target}: is one of the photos; choose another output")
        other = targets.setdefault(_key(job.target), job)
        if other is not job:
            raise OutputError(
                f"{job.target}: {other.source} ({other.style}) and {job.source} ({job.style}) would both be "
                "written there; rename one, or run them apart"
            )
    return jobs


def _suffix(path: Path, kind: _Format | None) -> tuple[str, str]:
    """The suffix and format of the painting: the photo's, if it can be written and is of the format."""
    own = _SUFFIX_FORMATS.get(path.suffix.lower())
    if own is not None and kind in (None, own):
        return path.suffix, own.name
    if kind is None and is_film(path):
        kind = FILM_FORMATS["MKV"]  # holds whatever sound and subtitles there are
    if kind is None:
        kind = FORMATS["JPEG"] if path.suffix.lower() == ".mpo" else FORMATS["PNG"]
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
    film = job.source is not None and is_film(job.source)
    if film and job.format not in FILM_FORMATS:
        known = ", ".join(suffix for entry in FILM_FORMATS.values() for suffix in entry.suffixes)
        raise OutputError(f"{job.source}: is a film, which is written to a file of the kinds {known}")
    if not film and job.format in FILM_FORMATS:
        raise OutputError(f"{job.source or 'standard input'}: is a picture, which does not become a film")


def _key(path: Path) -> str:
    """Two paths with one key are one file, also where case makes no difference."""
    return os.path.realpath(path).casefold()


def _slug(style: str) -> str:
    """A style's name in a file name: ``scream:0.6,great-wave:0.4`` is ``scream-0.6+great-wave-0.4``."""
    name = re.split(r"[\\/]", style)[-1].removesuffix(".safetensors")
    name = re.sub(r"\s*,\s*", "+", name.strip())
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "style"
