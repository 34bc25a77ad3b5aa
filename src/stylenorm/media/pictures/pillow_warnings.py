"""Pillow, without what it says to the whole process."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import Image

__all__ = ["quiet_decoder", "quiet_pillow"]

_lock = threading.Lock()
_depth = 0
_before: tuple[int | None, warnings.catch_warnings[None], logging.Handler] | None = None


@contextmanager
def quiet_pillow(max_pixels: int) -> Iterator[None]:
    """Hold back Pillow's warnings and log lines, and lift its own limit of pixels to ``max_pixels``.

    Pillow keeps all three for the whole process. They are set when the first thread enters and put back
    when the last one leaves, so that pictures can be read in several threads and nothing stays changed.
    The caller checks sizes itself, before decoding; Pillow's limit remains as the second fence, for what
    grows while it is decoded (a GIF frame larger than its screen).

    Args:
        max_pixels: Pillow refuses above twice this number.
    """
    global _depth, _before
    with _lock:
        if _depth == 0:
            catcher = warnings.catch_warnings()
            catcher.__enter__()
            warnings.simplefilter("ignore")
            handler: logging.Handler = (
                logging.NullHandler()
            )  # without one, errors go to stderr by Python's last resort
            logging.getLogger("PIL").addHandler(handler)
            _before = (Image.MAX_IMAGE_PIXELS, catcher, handler)
            Image.MAX_IMAGE_PIXELS = max_pixels
        elif Image.MAX_IMAGE_PIXELS is not None:
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _before is not None:
                limit, catcher, handler = _before
                Image.MAX_IMAGE_PIXELS = limit
                logging.getLogger("PIL").removeHandler(handler)
                catcher.__exit__(None, None, None)
                _before = None


_talker_depth = 0
_stderr: int | None = None


@contextmanager
def quiet_decoder(format_name: str | None) -> Iterator[None]:
    """Hold back what libtiff and dav1d write to the process's standard error while they decode.

    They report each broken strip or tile there, past Python, before Pillow raises; Pillow offers no switch.
    What other threads write to standard error in these milliseconds is lost too, so other formats are
    left alone.

    Args:
        format_name: Pillow's name of the format that is decoded.
    """
    global _talker_depth, _stderr
    if format_name not in ("TIFF", "AVIF"):
        yield
        return
    with _lock:
        if _talker_depth == 0:
            with suppress(OSError):  # a process without standard error has nothing to hold back
                _stderr = os.dup(2)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)
        _talker_depth += 1
    try:
        yield
    finally:
        with _lock:
            _talker_depth -= 1
            if _talker_depth == 0 and _stderr is not None:
                os.dup2(_stderr, 2)
                os.close(_stderr)
                _stderr = None
