"""What the page asks this machine's engine for: pixels painted, files painted, files decoded.

Requests are bytes: four of a length, little-endian, so many of JSON (the settings), a style vector in
float32, and the pixels or the file. Whatever is wrong with them is an `InputError` of one sentence.
"""

from __future__ import annotations

import json
import math
import re
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError, OutputError
from stylenorm.films import PRESETS, preset_named
from stylenorm.media import Picture, atomic_write, encode_picture, read_picture, to_uint8
from stylenorm.models.stylizer import Stylizer
from stylenorm.style import Style
from stylenorm.zoo import IDENTITY

__all__ = ["NativePainter", "Request", "write_new"]

_FORMATS = {"png": (".png",), "jpeg": (".jpg", ".jpeg")}
_LONGEST_SETTINGS = 1 << 16
_NUMBERED = 1000


@dataclass(frozen=True)
class Request:
    """What is painted, and how.

    Attributes:
        preset: which network.
        style: the style vector, mixed and weakened already.
        keep_colors: as `Stylizer` has it.
        stroke_size: likewise.
        noise: likewise.
        width, height: of raw pixels; 0 where a file is sent.
        format: ``"png"`` or ``"jpeg"``, of files that are painted.
        quality: 1 to 100, of JPEG.
        name: what the painting is to be called in the folder, or empty.
        content: RGBA pixels or the file.
    """

    preset: str
    style: NDArray[np.float32]
    keep_colors: bool
    stroke_size: float
    noise: float
    width: int
    height: int
    format: str
    quality: int
    name: str
    content: memoryview

    @classmethod
    def parse(cls, body: bytes) -> Request:
        """Read a request.

        Raises:
            InputError: it is none.
        """
        try:
            (length,) = struct.unpack_from("<I", body)
            if length > _LONGEST_SETTINGS:
                raise ValueError("settings too long")
            told = json.loads(body[4 : 4 + length])
            preset = str(told["preset"])
            count = PRESETS[preset].open_network().style_length
            start = 4 + length
            style = np.frombuffer(body, "<f4", count, start).astype(np.float32)
            stroke_size = float(told.get("strokeSize", 1))
            request = cls(
                preset,
                style,
                told.get("keepColors") is True,
                stroke_size,
                float(told.get("noise", 0)),
                int(told.get("width", 0)),
                int(told.get("height", 0)),
                str(told.get("format", "png")),
                int(told.get("quality", 95)),
                str(told.get("name", "")),
                memoryview(body)[start + 4 * count :],
            )
        except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError) as error:
            raise InputError(
                f"request: expected settings, a style and a picture, got others: {error}"
            ) from None
        if not np.isfinite(style).all() or not math.isfinite(stroke_size):
            raise InputError("request: expected finite numbers in the style, got others")
        if request.format not in _FORMATS:
            raise InputError(f"request: expected png or jpeg, got {request.format!r}")
        return request


class NativePainter:
    """Paints requests, one at a time.

    Args:
        engine: as `Stylizer` has it.
        threads: likewise.
        max_megapixels: larger pictures are refused before they are decoded.
    """

    def __init__(self, engine: str, threads: int | None, max_megapixels: float) -> None:
        self._engine, self._threads, self.max_megapixels = engine, threads, max_megapixels
        self._stylizers: dict[str, Stylizer] = {}
        self._lock = threading.Lock()

    def warm_up(self) -> str:
        """Open the engine of the best network, so that the first photo does not wait; return its name."""
        with self._lock:
            return self._stylizer("standard").engine.name

    def paint_pixels(self, request: Request) -> bytes:
        """Paint RGBA pixels; return RGBA pixels of the same size.

        Raises:
            InputError: the pixels are not as many as the settings say, or too many.
        """
        width, height = request.width, request.height
        if width < 1 or height < 1 or width * height > self.max_megapixels * 1e6:
            raise InputError(
                f"picture: expected up to {self.max_megapixels:g} megapixels, got {width} x {height}"
            )
        if len(request.content) != width * height * 4:
            raise InputError(
                f"picture: expected {width * height * 4} bytes of pixels, got {len(request.content)}"
            )
        image = np.frombuffer(request.content, np.uint8).reshape(height, width, 4)
        opaque = image[..., 3].min() == 255
        painted = self._paint(np.ascontiguousarray(image[..., :3]) if opaque else image, request)
        return (np.dstack([painted, image[..., 3]]) if opaque else painted).tobytes()

    def paint_file(self, request: Request) -> bytes:
        """Paint a picture's file at its full size; return a file, as ``stylenorm stylize`` would write it.

        Raises:
            InputError: the file is no picture, or too large.
        """
        picture = read_picture(bytes(request.content), max_megapixels=self.max_megapixels)
        painted = picture.painted_with(lambda pixels: self._paint(pixels, request))
        return encode_picture(painted, request.format, quality=request.quality)

    def decode_file(self, content: bytes) -> bytes:
        """Return a picture that the browser cannot read as a PNG: upright, sRGB, 8 bits.

        Raises:
            InputError: the file is no picture, or too large.
        """
        picture = read_picture(content, max_megapixels=self.max_megapixels)
        alpha = None if picture.alpha is None else to_uint8(picture.alpha)
        return encode_picture(Picture(to_uint8(picture.pixels), alpha), "png")

    def close(self) -> None:
        """Close the engines."""
        with self._lock:
            for stylizer in self._stylizers.values():
                stylizer.close()
            self._stylizers.clear()

    def _paint(self, pixels: NDArray[Any], request: Request) -> NDArray[Any]:
        with self._lock:
            stylizer = self._stylizer(request.preset)
            network = stylizer.network
            style = Style.from_vector(
                request.style, network.norm_sizes, name="studio", network=network.identity
            )
            return stylizer.with_style(style).with_noise(request.noise)(
                pixels, keep_colors=request.keep_colors, stroke_size=request.stroke_size
            )

    def _stylizer(self, preset: str) -> Stylizer:
        if preset not in self._stylizers:
            network = preset_named(preset).open_network()
            self._stylizers[preset] = Stylizer(
                IDENTITY, network=network, engine=self._engine, threads=self._threads
            )
        return self._stylizers[preset]


def write_new(folder: Path, name: str, content: bytes) -> str:
    """Write a painting into a folder under a name that is free there; return the name it got.

    Args:
        folder: exists.
        name: a plain file name, ``photo.scream.png``; where it is taken, ``photo.scream-2.png``.
        content: the file.

    Raises:
        InputError: ``name`` is no plain name of a picture: it would lead out of the folder, or be hidden.
        OutputError: the folder cannot be written.
    """
    stem, dot, suffix = name.rpartition(".")
    suffixes = [ending for endings in _FORMATS.values() for ending in endings]
    is_plain = re.fullmatch(r"[^/\\:\x00-\x1f]{1,200}", name) and not name.startswith(".")
    if not is_plain or not stem or f"{dot}{suffix}".lower() not in suffixes or name != Path(name).name:
        raise InputError(f"name: expected a picture's plain name such as photo.png, got {name!r}")
    for number in range(1, _NUMBERED):
        free = name if number == 1 else f"{stem}-{number}.{suffix}"
        try:
            with atomic_write(folder / free) as file:
                file.write(content)
            return free
        except OutputError as error:
            if "exists already" not in str(error):
                raise
    raise OutputError(f"{folder}: has {_NUMBERED} paintings called {name}; move some")
