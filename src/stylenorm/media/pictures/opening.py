"""From a path, bytes or a stream to an opened, checked and not yet decoded Pillow image."""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from stylenorm.errors import PictureError, printable
from stylenorm.media.pictures.kinds import HEAD_BYTES, described
from stylenorm.media.pictures.pillow_warnings import quiet_pillow
from stylenorm.media.pictures.plugins import formats_read, load_plugin, plugin_for_head

__all__ = [
    "MAX_MEGAPIXELS",
    "PictureSource",
    "Source",
    "UnreadKindError",
    "check_pixels",
    "check_size",
    "decoding",
    "head_of",
    "opened",
    "picture_size",
]

PictureSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

# A 100 x 100 cm print at 500 dots per inch is 390 megapixels; a bomb claims thousands.
MAX_MEGAPIXELS = 400.0

# What Pillow's decoders raise on broken files: they are many, old, and each has its own habit.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_HEAD_BYTES = 2**20
_EXPECTED = "expected a picture (JPEG, PNG, WebP, TIFF, GIF, AVIF, BMP, ...)"


class UnreadKindError(ValueError):
    """A picture of a kind that would be decoded to rubbish; says what came and what to do."""


@dataclass(frozen=True)
class Source:
    """Where a picture comes from, so that it can be opened more than once.

    Args:
        name: how messages call it.
        place: the path, or the bytes of what was no file.
    """

    name: str
    place: Path | bytes

    def content(self) -> bytes:
        """All of the file's bytes."""
        with _file_errors(self.name), _file(self) as file:
            return file.read()

    def head(self, num_bytes: int) -> bytes:
        """The file's first bytes."""
        with _file_errors(self.name), _file(self) as file:
            return file.read(num_bytes)

    @classmethod
    def of(cls, source: PictureSource, max_megapixels: float) -> Source:
        """Take a path, bytes, or a binary stream; a stream is read to its end.

        Raises:
            PictureError: the stream cannot be read, gives text, or does not end.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls("<bytes>", bytes(source))
        if isinstance(source, (str, os.PathLike)):
            if not os.fspath(source):
                raise PictureError(f"{_EXPECTED}, got an empty name")
            path = Path(source)
            try:
                regular = path.is_file() or not path.exists() or path.is_dir()
            except (OSError, ValueError):
                regular = True  # opening it will say what is wrong
            name = printable(path)
            if regular:
                return cls(name, path)
            with _file_errors(name), path.open("rb") as pipe:
                return cls(name, _drained(pipe, name, max_megapixels))
        if not hasattr(source, "read"):
            raise PictureError(f"expected a path, bytes or a binary stream, got {type(source).__name__}")
        name = printable(getattr(source, "name", "<stream>"))
        with _file_errors(name):
            return cls(name, _drained(source, name, max_megapixels))


def head_of(source: Source, formats: Container[str], image: Image.Image) -> bytes:
    """The beginning of a file of certain formats: those whose beginning says more than Pillow tells."""
    if image.format not in formats:
        return b""
    with _file_errors(source.name), _file(source) as file:
        return file.read(_HEAD_BYTES)


@contextmanager
def opened(source: Source, max_megapixels: float) -> Iterator[Image.Image]:
    """Open and identify a picture; decode it in a ``decoding`` block.

    Args:
        source: what is opened.
        max_megapixels: the most pixels that a picture (or one frame) may have, in millions.

    Yields:
        The image: its size is checked, its pixels are not decoded yet.

    Raises:
        PictureError: the file is missing, may not be read, is no picture, or is too large.
    """
    with _file_errors(source.name):
        file = _file(source)
    with file:
        with _file_errors(source.name), decoding(source.name, max_megapixels):
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if not head:
                raise PictureError(
                    f"{source.name}: {_EXPECTED}, got an empty file; was it copied to its end?"
                )
            plugin = plugin_for_head(head)
            if plugin is not None:
                load_plugin(plugin)
            try:
                image = Image.open(file, formats=formats_read())
            except UnidentifiedImageError:
                raise PictureError(
                    f"{source.name}: {_EXPECTED}, got {described(head, source.name)}"
                ) from None
        with image:
            check_size(source.name, image, max_megapixels)
            yield image


def picture_size(source: PictureSource, max_megapixels: float = MAX_MEGAPIXELS) -> tuple[int, int]:
    """Return a picture's width and height as its head has them, before it is turned upright.

    Raises:
        PictureError: it cannot be read, is no picture, or larger than allowed.
    """
    with opened(Source.of(source, max_megapixels), max_megapixels) as image:
        return image.size


@contextmanager
def decoding(name: str, max_megapixels: float = MAX_MEGAPIXELS) -> Iterator[None]:
    """Keep Pillow quiet, and turn whatever it raises in the block into one ``PictureError``."""
    with quiet_pillow(max(int(max_megapixels * 1e6), 1)):
        try:
            yield
        except PictureError:
            raise
        except Image.DecompressionBombError as error:
            pixels = re.search(r"\((\d+) pixels\)", str(error))
            size = f" {int(pixels[1]) / 1e6:.0f} megapixels" if pixels else ""
            raise PictureError(f"{name}: {_too_large(size, max_megapixels)}") from None
        except MemoryError:
            raise PictureError(f"{name}: does not fit in memory; make it smaller first") from None
        except UnreadKindError as error:
            raise PictureError(f"{name}: {_EXPECTED}, got {error}") from None
        except (FileNotFoundError, IsADirectoryError, PermissionError):
            raise
        except _DECODER_ERRORS as error:
            raise PictureError(f"{name}: {_broken(error)}") from error


def check_size(name: str, image: Image.Image, max_megapixels: float) -> None:
    """Refuse an image with more pixels than allowed, by its header.

    Raises:
        PictureError: it has more, or none.
    """
    check_pixels(name, *image.size, max_megapixels)


def check_pixels(name: str, width: int, height: int, max_megapixels: float) -> None:
    """Refuse a picture of more pixels than allowed.

    Raises:
        PictureError: it has more, or none.
    """
    if width < 1 or height < 1:
        raise PictureError(f"{name}: {_EXPECTED}, got one of {width} x {height} pixels")
    if width * height > max_megapixels * 1e6:
        size = f" {width} x {height} pixels ({width * height / 1e6:.3g} megapixels)"
        raise PictureError(f"{name}: {_too_large(size, max_megapixels)}")


def _too_large(size: str, max_megapixels: float) -> str:
    return (
        f"expected at most {max_megapixels:g} megapixels, got{size or ' more'}; make it smaller, or raise "
        "the limit if you trust the file"
    )


def _drained(stream: BinaryIO, name: str, max_megapixels: float) -> bytes:
    # 8 bytes a pixel is the largest uncompressed kind (RGBA, 16 bit); the rest is for metadata
    limit = int(max_megapixels * 1e6) * 8 + 2**26
    chunks: list[bytes] = []
    total = 0
    while total <= limit:
        chunk = stream.read(2**20)
        if not isinstance(chunk, (bytes, type(None))):
            raise PictureError(f"{name}: expected a binary stream, got one of text; pass its .buffer")
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        total += len(chunk)
    raise PictureError(f"{name}: expected a picture, got more than {limit // 2**20} MiB and no end")


def _file(source: Source) -> BinaryIO:
    return io.BytesIO(source.place) if isinstance(source.place, bytes) else source.place.open("rb")


@contextmanager
def _file_errors(name: str) -> Iterator[None]:
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"{name}: no such file; check the path") from None
    except IsADirectoryError:
        raise PictureError(f"{name}: {_EXPECTED}, got a folder") from None
    except PermissionError:
        raise PictureError(f"{name}: no permission to read it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise PictureError(f"{name}: cannot be read ({_one_line(str(reason))})") from error


def _broken(error: BaseException) -> str:
    text = _one_line(str(error)) or type(error).__name__
    kind = "a truncated one" if "truncat" in text.lower() or isinstance(error, EOFError) else "a broken one"
    return f"{_EXPECTED}, got {kind} ({text}); copy or export it again"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160]
