"""PNG beyond what Pillow writes: 16 bits in colour, and animations frame by frame.

Pillow writes everything around the pixels (a small stand-in picture with the same metadata); the chunks that
hold pixels are put in its place. PNG, third edition (W3C, 2025): chunks 5.3, filters 9, APNG 11.3.4.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["ApngWriter", "encode_png16"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_STAND_IN_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def encode_png16(channels: NDArray[np.uint16], save_options: dict[str, Any]) -> bytes:
    """Encode a 16-bit PNG.

    Args:
        channels: (H, W, C): 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
        save_options: what Pillow's PNG writer is given: metadata and ``compress_level``.

    Returns:
        The file.
    """
    height, width, count = channels.shape
    stand_in = io.BytesIO()
    Image.new(_STAND_IN_MODES[count], (1, 1)).save(stand_in, "PNG", **save_options)
    out = io.BytesIO()
    out.write(_SIGNATURE)
    for name, data in _chunks(stand_in.getvalue()):
        if name == b"IHDR":
            header = struct.pack(">IIBBBBB", width, height, 16, _COLOR_TYPES[count], 0, 0, 0)
            _write_chunk(out, name, header)
        elif name == b"IDAT":
            for part in _compressed(channels, save_options.get("compress_level", 6)):
                _write_chunk(out, name, part)
        else:
            _write_chunk(out, name, data)
    return out.getvalue()


def _compressed(channels: NDArray[np.uint16], level: int) -> Iterator[bytes]:
    # Each row as its difference to the row above (filter 2): as small on paintings as the costlier filters
    rows = np.ascontiguousarray(channels, dtype=">u2").view(np.uint8).reshape(channels.shape[0], -1)
    compressor = zlib.compressobj(level)
    above = np.zeros((1, rows.shape[1]), dtype=np.uint8)
    band_rows = max(1, 2**22 // rows.shape[1])
    for first in range(0, len(rows), band_rows):
        band = rows[first : first + band_rows]
        differences = band - np.concatenate((above, band[:-1]))
        above = band[-1:]
        filtered = np.concatenate((np.full((len(band), 1), 2, dtype=np.uint8), differences), axis=1)
        if part := compressor.compress(filtered.tobytes()):
            yield part
    yield compressor.flush()


class ApngWriter:
    """Write an animated PNG one frame at a time; memory holds one frame.

    Args:
        file: where it goes; must be seekable, since the count of frames stands at the front.
        size: width and height.
        loop: how often it is played; 0 for ever.
        save_options: what Pillow's PNG writer is given.
    """

    def __init__(
        self, file: BinaryIO, size: tuple[int, int], loop: int, save_options: dict[str, Any]
    ) -> None:
        self._file, self._size, self._loop, self._options = file, size, loop, save_options
        self._num_frames = self._sequence = self._control_at = 0

    def add(self, image: Image.Image, duration_ms: float) -> None:
        """Append a frame, RGB or RGBA, all frames of one mode."""
        encoded = io.BytesIO()
        image.save(encoded, "PNG", **(self._options if self._num_frames == 0 else self._level_only()))
        chunks = list(_chunks(encoded.getvalue()))
        if self._num_frames == 0:
            self._start(chunks)
        self._write_control(duration_ms)
        for name, data in chunks:
            if name != b"IDAT":
                continue
            if self._num_frames == 0:
                _write_chunk(self._file, b"IDAT", data)
            else:
                _write_chunk(self._file, b"fdAT", struct.pack(">I", self._next()) + data)
        self._num_frames += 1

    def close(self) -> None:
        """Write the end, and the number of frames at the front."""
        _write_chunk(self._file, b"IEND", b"")
        end = self._file.tell()
        self._file.seek(self._control_at)
        _write_chunk(self._file, b"acTL", struct.pack(">II", self._num_frames, self._loop))
        self._file.seek(end)

    def _start(self, chunks: list[tuple[bytes, bytes]]) -> None:
        self._file.write(_SIGNATURE)
        for name, data in chunks:
            if name == b"IDAT":
                break
            _write_chunk(self._file, name, data)
        self._control_at = self._file.tell()
        _write_chunk(self._file, b"acTL", struct.pack(">II", 1, self._loop))

    def _write_control(self, duration_ms: float) -> None:
        delay = round(min(max(duration_ms, 0), 65535))
        # no disposal, source copied: each frame is whole
        control = struct.pack(">IIIIIHHBB", self._next(), *self._size, 0, 0, delay, 1000, 0, 0)
        _write_chunk(self._file, b"fcTL", control)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _level_only(self) -> dict[str, Any]:
        return {key: value for key, value in self._options.items() if key == "compress_level"}


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def _write_chunk(file: BinaryIO, name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
