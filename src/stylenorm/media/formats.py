"""The picture formats: what is read, what is written, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from stylenorm.errors import OutputError, UnknownNameError

__all__ = ["FORMATS", "READABLE_SUFFIXES", "PictureFormat", "format_named", "format_of"]


@dataclass(frozen=True)
class PictureFormat:
    """One format that can be written.

    Args:
        name: Pillow's name of the format.
        suffixes: file suffixes, lower case; the first is the one given to new files.
        alpha: whether it holds an alpha channel (GIF: fully transparent or not at all).
        deep: whether it holds 16 bits a channel.
        animated: whether it holds several frames.
        max_side_px: the longest side that it holds.
    """

    name: str
    suffixes: tuple[str, ...]
    alpha: bool
    deep: bool
    animated: bool
    max_side_px: int


FORMATS: dict[str, PictureFormat] = {
    entry.name: entry
    for entry in (
        PictureFormat("PNG", (".png", ".apng"), True, True, True, 2**31 - 1),
        PictureFormat("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), False, False, False, 65500),
        PictureFormat("WEBP", (".webp",), True, False, True, 16383),
        PictureFormat("TIFF", (".tif", ".tiff"), True, True, False, 2**31 - 1),
        PictureFormat("GIF", (".gif",), True, False, True, 65535),
        PictureFormat("AVIF", (".avif",), True, False, False, 65535),
        PictureFormat("BMP", (".bmp",), False, False, False, 2**31 - 1),
    )
}

# Pillow reads many more; these are pictures that people have (MPO is read as JPEG). Left out on purpose:
# EPS (starts Ghostscript), PSD (a working file beside the picture made from it), icons, scientific stubs.
# The first five come with Pillow's core; asking for another one loads all of its plugins, 45 ms.
READ_FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000", "TGA", "QOI", "PCX", "DIB"),
)

READABLE_SUFFIXES: frozenset[str] = frozenset(
    suffix for entry in FORMATS.values() for suffix in entry.suffixes
) | {
    *(".mpo", ".jps", ".jif", ".dib", ".avifs", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".icb", ".vda", ".vst", ".qoi", ".pcx"),
}

_BY_SUFFIX = {suffix: entry for entry in FORMATS.values() for suffix in entry.suffixes}


def format_named(name: str) -> PictureFormat:
    """The format of that name or suffix, whatever the case: ``"png"``, ``"JPG"``, ``".tiff"``.

    Raises:
        UnknownNameError: no format of that name is written.
    """
    key = name.strip().lower().removeprefix(".")
    if key.upper() in FORMATS:
        return FORMATS[key.upper()]
    if f".{key}" in _BY_SUFFIX:
        return _BY_SUFFIX[f".{key}"]
    raise UnknownNameError("picture format", name, [known.lower() for known in FORMATS])


def format_of(path: str | PurePath) -> PictureFormat:
    """The format that a path's suffix asks for.

    Raises:
        OutputError: the suffix is missing or unknown; the message lists those known.
    """
    suffix = PurePath(path).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    problem = f"suffix {suffix!r} is no picture format that can be written" if suffix else "no suffix"
    raise OutputError(f"{path}: {problem}; give one of {', '.join(sorted(_BY_SUFFIX))}, or name a format")
