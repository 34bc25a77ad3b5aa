"""TIFFs that keep 16-bit channels in planes of their own, of which Pillow gives 8 bits, or rubbish.

Each plane is laid before Pillow as a grey picture: the same file with another directory behind it, that
knows of this plane only. So whatever compression and layout Pillow reads is read here too.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["planes_of"]

_LONG = 4
_COPIED = (256, 257, 259, 266, 278, 317, 322, 323)  # sizes, compression, bit order, rows, predictor, tiles


def planes_of(content: bytes, tags: Any, count: int) -> NDArray[np.uint16]:
    """Return the channels of a planar 16-bit TIFF, (H, W, count).

    Args:
        content: the file.
        tags: Pillow's ``tag_v2`` of it.
        count: how many planes there are.

    Raises:
        ValueError: the file does not say where its planes are.
        OSError: a plane cannot be decoded.
    """
    planes = []
    for plane in range(count):
        with Image.open(io.BytesIO(_with_directory(content, tags, plane, count)), formats=("TIFF",)) as image:
            planes.append(np.asarray(image).astype(np.uint16))
    return np.stack(planes, axis=2)


def _with_directory(content: bytes, tags: Any, plane: int, count: int) -> bytes:
    """The file with a directory of one plane, in the file's own order of bytes."""
    order = "<" if content[:2] == b"II" else ">"
    entries: dict[int, list[int]] = {tag: [int(tags[tag])] for tag in _COPIED if tag in tags}
    entries |= {258: [16], 262: [1], 277: [1], 284: [1]}
    for tag in (273, 279, 324, 325):
        if tag not in tags:
            continue
        places = [int(value) for value in np.atleast_1d(tags[tag])]
        if len(places) % count:
            raise ValueError("planes of different numbers of strips")
        each = len(places) // count
        entries[tag] = places[plane * each : (plane + 1) * each]
    if 273 not in entries and 324 not in entries:
        raise ValueError("a TIFF without strips")
    start = len(content) + len(content) % 2
    lists_at = start + 2 + 12 * len(entries) + 4
    directory, lists = struct.pack(f"{order}H", len(entries)), b""
    for tag in sorted(entries):
        values = entries[tag]
        packed = struct.pack(f"{order}{len(values)}L", *values)
        if len(values) == 1:
            directory += struct.pack(f"{order}HHL", tag, _LONG, 1) + packed
        else:
            directory += struct.pack(f"{order}HHLL", tag, _LONG, len(values), lists_at + len(lists))
            lists += packed
    head = content[:2] + struct.pack(f"{order}HL", 42, start)
    return head + content[8:] + bytes(len(content) % 2) + directory + struct.pack(f"{order}L", 0) + lists
