"""Animated GIF, composed frame by frame as browsers show it (GIF89a specification, CompuServe 1990).

Pillow decodes each frame's pixels; laying the frames over each other is done here. Pillow's own way fills
what a frame takes away with the colour of the background, where every browser shows through, and enlarges the
picture when a later frame is larger than the screen.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["GifFile"]

_EXTENSION, _IMAGE, _END = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9
_TO_BACKGROUND, _TO_PREVIOUS = 2, 3


@dataclass(frozen=True)
class _Part:
    """One frame, as it stands in the file."""

    box: tuple[int, int, int, int]  # left, top, width, height
    flags: int
    table: bytes
    data: bytes
    disposal: int
    transparent: int | None
    duration_ms: float


class GifFile:
    """An animation in the bytes of a GIF; pixels are decoded when frames are asked for.

    Args:
        content: the file.

    Attributes:
        size: width and height that hold the screen and every frame.
        num_frames: how many there are; what a file that was cut off has no more of is not counted.

    Raises:
        ValueError: no GIF, or one without frames.
    """

    def __init__(self, content: bytes) -> None:
        if content[:6] not in (b"GIF87a", b"GIF89a") or len(content) < 13:
            raise ValueError("no GIF")
        self._parts = list(_parts(content))
        if not self._parts:
            raise ValueError("a GIF without frames")
        screen = struct.unpack_from("<HH", content, 6)
        self.size = (
            max(screen[0], *(left + width for (left, _, width, _) in self._boxes())),
            max(screen[1], *(top + height for (_, top, _, height) in self._boxes())),
        )
        self.num_frames = len(self._parts)

    def _boxes(self) -> list[tuple[int, int, int, int]]:
        return [part.box for part in self._parts]

    def frames(self) -> Iterator[tuple[NDArray[np.uint8], float]]:
        """Yield each frame composed, (H, W, 4) uint8 with straight alpha, and how long it is shown in ms.

        Raises:
            OSError, ValueError, SyntaxError: a frame is broken.
        """
        width, height = self.size
        canvas = np.zeros((height, width, 4), np.uint8)
        for part in self._parts:
            left, top, wide, high = part.box
            place = canvas[top : top + high, left : left + wide]
            before = place.copy() if part.disposal == _TO_PREVIOUS else None
            if wide and high:
                pixels = _decoded(part)
                shown = pixels[..., 3] > 0
                place[shown] = pixels[shown]
            yield canvas.copy(), part.duration_ms
            if part.disposal == _TO_BACKGROUND:
                place[...] = 0
            elif before is not None:
                place[...] = before


def _decoded(part: _Part) -> NDArray[np.uint8]:
    """Let Pillow decode a frame, as a file of its own."""
    _, _, width, height = part.box
    table_flags = 0x80 | (len(part.table) // 3).bit_length() - 2 if part.table else 0
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, table_flags, 0, 0) + part.table
    if part.transparent is not None:
        head += b"\x21\xf9\x04" + struct.pack("<BHBB", 1, 0, part.transparent, 0)
    descriptor = struct.pack("<BHHHHB", _IMAGE, 0, 0, width, height, part.flags & 0x40)
    with Image.open(io.BytesIO(head + descriptor + part.data + b";"), formats=("GIF",)) as image:
        return np.asarray(image.convert("RGBA"))


def _parts(content: bytes) -> Iterator[_Part]:
    flags = content[10]
    at = 13
    shared = content[at : at + _table_bytes(flags)]
    at += _table_bytes(flags)
    disposal, transparent, duration_ms = 0, None, 0.0
    while at < len(content):
        kind = content[at]
        if kind == _END:
            return
        if kind == _EXTENSION:
            if content[at + 1 : at + 3] == bytes((_GRAPHIC_CONTROL, 4)) and at + 8 <= len(content):
                packed, centiseconds, index = struct.unpack_from("<BHB", content, at + 3)
                disposal, duration_ms = packed >> 2 & 7, centiseconds * 10.0
                transparent = index if packed & 1 else None
            at = _after_blocks(content, at + 2)
        elif kind == _IMAGE and at + 10 <= len(content):
            left, top, width, height, flags = struct.unpack_from("<HHHHB", content, at + 1)
            own = content[at + 10 : at + 10 + _table_bytes(flags)]
            data_at = at + 10 + _table_bytes(flags)
            at = _after_blocks(content, data_at + 1)
            if data_at >= len(content):
                return  # cut off before its pixels
            data = content[data_at:at]
            yield _Part(
                (left, top, width, height), flags, own or shared, data, disposal, transparent, duration_ms
            )
            disposal, transparent, duration_ms = 0, None, 0.0
        else:
            at += 1  # some writers leave bytes between blocks


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(content: bytes, at: int) -> int:
    while at < len(content) and content[at]:
        at += 1 + content[at]
    return min(at + 1, len(content))
