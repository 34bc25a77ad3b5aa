"""Kinds of pictures that Pillow reads with another package: HEIC, JPEG XL, whatever else is registered."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import PurePath

from PIL import Image

from stylenorm.media.formats import READ_FORMATS, READABLE_SUFFIXES

__all__ = ["Plugin", "formats_read", "is_picture_name", "load_plugin", "plugin_for_head", "plugin_for_name"]


@dataclass(frozen=True)
class Plugin:
    """A package that teaches Pillow to read a format.

    Args:
        kind: what people call the format.
        module: what is imported.
        register: the function of it that registers the format; empty where importing does.
        suffixes: file suffixes, lower case.
        install: what installs it.
    """

    kind: str
    module: str
    register: str
    suffixes: tuple[str, ...]
    install: str

    @property
    def installed(self) -> bool:
        """Whether the package is there; does not import it."""
        return importlib.util.find_spec(self.module) is not None


HEIF = Plugin(
    "HEIC",
    "pillow_heif",
    "register_heif_opener",
    (".heic", ".heics", ".heif", ".heifs", ".hif"),
    "pip install 'stylenorm[heif]'",
)
JPEG_XL = Plugin("JPEG XL", "pillow_jxl", "", (".jxl",), "pip install pillow-jxl-plugin")
PLUGINS = (HEIF, JPEG_XL)

_HEIF_BRANDS = (
    *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"),
)
_JPEG_XL_HEADS = (b"\xff\x0a", b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a")


def plugin_for_name(path: str | PurePath) -> Plugin | None:
    """The plugin that a file of this name needs, installed or not."""
    suffix = PurePath(path).suffix.lower()
    return next((plugin for plugin in PLUGINS if suffix in plugin.suffixes), None)


def plugin_for_head(head: bytes) -> Plugin | None:
    """The plugin that a file which begins like this needs, installed or not."""
    if head.startswith(_JPEG_XL_HEADS):
        return JPEG_XL
    # an AVIF may name HEIF's general brand first, and its own among the others
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and b"avif" not in head[16:]:
        return HEIF
    return None


def is_picture_name(path: str | PurePath) -> bool:
    """Whether a file's suffix is that of a picture that can be read here and now.

    >>> is_picture_name("a.JPG"), is_picture_name("a.txt")
    (True, False)
    """
    # a Path takes ten times as long, and is made for each file of a folder
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    if suffix in READABLE_SUFFIXES:
        return True
    plugin = plugin_for_name(path)
    return (plugin is not None and plugin.installed) or suffix in _registered_suffixes()


@functools.cache
def load_plugin(plugin: Plugin) -> bool:
    """Import a plugin and let it register its format; whether that went well."""
    try:
        module = importlib.import_module(plugin.module)
        if plugin.register:
            getattr(module, plugin.register)()
    except (
        ImportError,
        AttributeError,
        OSError,
    ):  # not installed, of another version, or without its library
        return False
    return True


def formats_read() -> tuple[str, ...]:
    """Pillow's names of the formats that are tried: our own, and those that others have registered."""
    return (*READ_FORMATS, *_registered())


def _registered() -> list[str]:
    return [name for name, (factory, _) in Image.OPEN.items() if not _is_pillows(factory)]


def _is_pillows(factory: object) -> bool:
    return str(getattr(factory, "__module__", "PIL")).partition(".")[0] == "PIL"


def _registered_suffixes() -> set[str]:
    """Suffixes of the formats that the program has registered with Pillow beside Pillow's own."""
    others = set(_registered())
    return {suffix for suffix, name in Image.EXTENSION.items() if name in others} if others else set()
