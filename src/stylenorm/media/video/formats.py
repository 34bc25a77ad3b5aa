"""The film formats: what is read by suffix, and what is written in which codec."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath

from stylenorm.errors import OutputError, UnknownNameError

__all__ = ["FILM_FORMATS", "FILM_SUFFIXES", "FilmFormat", "film_format_named", "film_format_of", "is_film"]

_H264 = ("libx264", "libopenh264", "h264_videotoolbox", "mpeg4")


@dataclass(frozen=True)
class FilmFormat:
    """One kind of film that can be written.

    Args:
        name: what people call it.
        suffixes: file suffixes, lower case; the first is the one given to new files.
        muxer: FFmpeg's name of it.
        codecs: encoders, by FFmpeg's names; the first that this installation has is used.
        holds_aspect: whether pixels that are not square can be written.
    """

    name: str
    suffixes: tuple[str, ...]
    muxer: str
    codecs: tuple[str, ...]
    holds_aspect: bool = True


FILM_FORMATS: dict[str, FilmFormat] = {
    entry.name: entry
    for entry in (
        FilmFormat("MP4", (".mp4", ".m4v"), "mp4", _H264),
        FilmFormat("MOV", (".mov", ".qt"), "mov", _H264),
        FilmFormat("MKV", (".mkv",), "matroska", _H264),
        FilmFormat("WEBM", (".webm",), "webm", ("libvpx-vp9", "libvpx"), holds_aspect=False),
    )
}

_READ_ONLY = {
    *(".avi", ".divx", ".xvid", ".amv"),
    *(".ts", ".mts", ".m2ts", ".m2t", ".trp", ".tp", ".tod"),
    *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".m2p", ".vob", ".vro", ".evo", ".mod"),
    *(".wmv", ".asf", ".wtv", ".dvr-ms"),
    *(".flv", ".f4v", ".3gp", ".3g2", ".3gpp", ".mj2", ".lrv", ".insv", ".mk3d"),
    *(".ogv", ".ogm", ".ivf", ".obu", ".nut", ".rm", ".rmvb", ".dv", ".dif", ".mxf", ".gxf", ".y4m"),
    *(".h261", ".h263", ".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".vc1", ".mjpg", ".mjpeg"),
}
FILM_SUFFIXES: frozenset[str] = (
    frozenset(suffix for entry in FILM_FORMATS.values() for suffix in entry.suffixes) | _READ_ONLY
)
"""Suffixes by which a file is taken for a film."""


def is_film(path: str | os.PathLike[str]) -> bool:
    """Say whether a path names a film, by its suffix.

    >>> is_film("holiday.MOV"), is_film("holiday.gif")
    (True, False)
    """
    return PurePath(path).suffix.lower() in FILM_SUFFIXES


def film_format_named(name: str) -> FilmFormat:
    """The format of that name, whatever the case: ``"mkv"``.

    Raises:
        UnknownNameError: films of that name are not written.
    """
    key = name.strip().upper().removeprefix(".")
    if key not in FILM_FORMATS:
        raise UnknownNameError("film format", name, [known.lower() for known in FILM_FORMATS])
    return FILM_FORMATS[key]


def film_format_of(path: str | os.PathLike[str]) -> FilmFormat:
    """The format that a film's path asks for.

    Raises:
        OutputError: the suffix is missing, or none that a film is written with.
    """
    suffix = PurePath(path).suffix.lower()
    for entry in FILM_FORMATS.values():
        if suffix in entry.suffixes:
            return entry
    known = ", ".join(suffix for entry in FILM_FORMATS.values() for suffix in entry.suffixes)
    raise OutputError(
        f"{path}: a film cannot be written as {suffix or 'a file without suffix'}; give one of {known}"
    )
