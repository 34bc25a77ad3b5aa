"""Take back the resolution that a writer put into a file of a picture that has none."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

__all__ = ["forget_resolution"]

_RESOLUTION_UNIT = 296
_NO_UNIT = 1
_SCAN = 0xDA


def forget_resolution(file: BinaryIO, format: str) -> None:  # noqa: A002 (Pillow's word for it)
    """Let a JPEG, PNG or TIFF say the shape of its pixels only; what it does not have stays away.

    Args:
        file: open for reading and writing, whole.
        format: Pillow's name of its format.
    """
    if format == "JPEG":
        _forget_in_jpeg(file)
    elif format == "PNG":
        _forget_in_png(file)
    elif format == "TIFF":
        _forget_in_tiff(file)
    file.seek(0, 2)


def _forget_in_jpeg(file: BinaryIO) -> None:
    at = 2
    while True:
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[0] != 0xFF or head[1] == _SCAN:
            return
        if head[4:9] == b"JFIF\0":
            file.seek(at + 11)
            file.write(struct.pack(">BHH", 0, 1, 1))
        elif head[4:10] == b"Exif\0\0":
            _forget_in_tiff(file, at + 10)
        at += 2 + struct.unpack_from(">H", head, 2)[0]


def _forget_in_png(file: BinaryIO) -> None:
    at = 8
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IDAT":
            return
        (size,) = struct.unpack_from(">I", head)
        if head[4:] == b"pHYs":
            body = b"pHYs" + struct.pack(">IIB", 1, 1, 0)
            file.seek(at + 4)
            file.write(body + struct.pack(">I", zlib.crc32(body)))
            return
        at += 12 + size


def _forget_in_tiff(file: BinaryIO, base: int = 0) -> None:
    """In a TIFF, or in the EXIF block of another file, which begins at ``base``."""
    file.seek(base)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    (at,) = struct.unpack_from(f"{order}Q", head, 8) if is_big else struct.unpack_from(f"{order}I", head, 4)
    file.seek(base + at)
    if is_big:
        (count,), entry_bytes, value_at = struct.unpack(f"{order}Q", file.read(8)), 20, 12
    else:
        (count,), entry_bytes, value_at = struct.unpack(f"{order}H", file.read(2)), 12, 8
    start = file.tell()
    entries = file.read(count * entry_bytes)
    for i in range(count):
        if struct.unpack_from(f"{order}H", entries, i * entry_bytes)[0] == _RESOLUTION_UNIT:
            file.seek(start + i * entry_bytes + value_at)
            file.write(struct.pack(f"{order}H", _NO_UNIT))
            return
