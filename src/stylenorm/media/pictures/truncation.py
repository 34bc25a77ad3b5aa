"""Files that end too early: whether something of the picture is missing, and reading what there is."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile

from stylenorm.errors import PictureError

__all__ = ["completed_jpeg", "is_truncation", "reading_truncated"]

_END = b"\xff\xd9"
_FILLERS = (b"\x00" * 64, b"\x5a" * 64)
_lock = threading.Lock()


def is_truncation(error: PictureError) -> bool:
    """Whether a picture could not be read since its file ends too early."""
    cause = error.__cause__
    return isinstance(cause, EOFError) or (cause is not None and "truncat" in str(cause).lower())


def completed_jpeg(content: bytes) -> bytes | None:
    """Return a JPEG with the end mark that it lacks; None if it lacks more, or is none.

    Where pixels are missing, the decoder makes them of whatever follows: of two different fillers it would
    make different ones.
    """
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    content = content.removesuffix(b"\xff")
    try:
        decoded = []
        for filler in _FILLERS:
            with Image.open(io.BytesIO(content + filler + _END), formats=("JPEG",)) as image:
                decoded.append(np.asarray(image))
    except (OSError, ValueError, SyntaxError):
        return None
    return content + _END if np.array_equal(decoded[0], decoded[1]) else None


@contextmanager
def reading_truncated() -> Iterator[None]:
    """Let Pillow give what there is of files that were cut off.

    Pillow keeps this for the whole process; what other threads read meanwhile is read so, too.
    """
    with _lock:
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before
