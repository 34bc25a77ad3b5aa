"""Animated GIF, frame by frame.

Pillow's writer holds all frames before it writes the first. Here Pillow encodes each frame as a GIF of its
own, and the parts are strung together (GIF89a specification, CompuServe 1990, sections 18 to 27).
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from PIL import Image

__all__ = ["GifWriter"]


class GifWriter:
    """Write an animated GIF one frame at a time; memory holds one frame and one encoded frame.

    Args:
        file: where it goes.
        size: width and height.
        plays: how often it is played; 0 for ever.
        comment: a comment at the front; empty for none.
    """

    def __init__(self, file: BinaryIO, size: tuple[int, int], plays: int, comment: str = "") -> None:
        self._file = file
        self._pending: tuple[int, int | None, bytes] | None = None
        file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0))  # no table of colours for all
        if plays != 1:
            repetitions = 0 if plays == 0 else min(plays - 1, 65535)
            file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", repetitions) + b"\0")
        if comment:
            file.write(b"\x21\xfe" + _sub_blocks(comment.encode()[:65000]))

    def add(self, image: Image.Image, duration_ms: float) -> None:
        """Append a frame: of palette or grey, of full size."""
        transparent = image.info.get("transparency")
        encoded = io.BytesIO()
        image.save(encoded, "GIF", optimize=False, interlace=0)
        centiseconds = round(min(max(duration_ms / 10, 0), 65535))
        # a frame with holes shows what is below: the one before it must have been taken away
        self._flush(cleared=transparent is not None)
        self._pending = (centiseconds, transparent, _image_block(encoded.getvalue()))

    def close(self) -> None:
        """Write the last frame and the end."""
        self._flush(cleared=True)
        self._file.write(b";")

    def _flush(self, *, cleared: bool) -> None:
        if self._pending is None:
            return
        centiseconds, transparent, block = self._pending
        disposal = 2 if cleared else 1
        flags = disposal << 2 | (transparent is not None)
        self._file.write(
            b"\x21\xf9\x04" + struct.pack("<BHBB", flags, centiseconds, transparent or 0, 0) + block
        )
        self._pending = None


def _image_block(data: bytes) -> bytes:
    """The image of a GIF of one frame, with the file's table of colours made its own."""
    flags = data[10]
    table_bytes = 3 << (flags & 7) + 1 if flags & 0x80 else 0
    table = data[13 : 13 + table_bytes]
    at = 13 + table_bytes
    while data[at] == 0x21:  # extensions: replaced by ours
        at = _after_sub_blocks(data, at + 2)
    descriptor = bytearray(data[at : at + 10])
    pixels_at = at + 10
    if descriptor[9] & 0x80:  # it has its own table already
        own_bytes = 3 << (descriptor[9] & 7) + 1
        table = data[pixels_at : pixels_at + own_bytes]
        pixels_at += own_bytes
    else:
        descriptor[9] = descriptor[9] & 0x40 | 0x80 | flags & 7
    return bytes(descriptor) + table + data[pixels_at : _after_sub_blocks(data, pixels_at + 1)]


def _after_sub_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _sub_blocks(data: bytes) -> bytes:
    parts = [data[first : first + 255] for first in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
