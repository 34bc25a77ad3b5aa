"""What a picture is here: pixels in sRGB, straight alpha, and what the file said about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylenorm.errors import ShapeError

__all__ = ["Frame", "Metadata", "Picture", "Pixels", "from_float", "resize_shorter", "to_float", "to_uint8"]

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its pixels, already made fit for a painting of the same size.

    Args:
        exif: EXIF block that starts with ``Exif`` and two zeros; orientation, thumbnail, maker notes and tags
            of the old file's structure are gone. Empty if none.
        xmp: XMP packet, UTF-8; without orientation and embedded pictures. Empty if none.
        dpi: horizontal and vertical resolution, or None.
        comment: comment of a JPEG or GIF file.
        text: keywords and texts of a PNG file.
    """

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    comment: str = ""
    text: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A still picture.

    Args:
        pixels: (H, W, 3) uint8 or uint16, RGB in sRGB, full range.
        alpha: (H, W) of the same type, straight (not premultiplied), 0 is transparent; None if opaque.
        metadata: what is written beside the pixels.
        source_format: Pillow's name of the format it was read from, or None.
        grey: whether the source had no colours; such a picture is written as grey again.
        notes: one line for each thing that reading had to change, ignore or assume.

    Raises:
        ShapeError: pixels or alpha have another shape or type.

    Example:
        >>> import numpy as np
        >>> picture = Picture(np.zeros((4, 6, 3), dtype=np.uint8))
        >>> negative = picture.painted_with(lambda pixels: 255 - pixels)
        >>> negative.width, negative.height, int(negative.pixels.max())
        (6, 4, 255)
    """

    pixels: Pixels
    alpha: Pixels | None = None
    metadata: Metadata = field(default_factory=Metadata)
    source_format: str | None = None
    grey: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self.pixels, self.alpha)

    def __repr__(self) -> str:
        alpha = "" if self.alpha is None else " with alpha"
        return f"<Picture {self.width} x {self.height}, {self.pixels.dtype}{alpha}, {self.source_format}>"

    @property
    def height(self) -> int:
        """H, in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """W, in pixels."""
        return int(self.pixels.shape[1])

    @property
    def bit_depth(self) -> int:
        """Bits of each channel: 8 or 16."""
        return self.pixels.dtype.itemsize * 8

    def repainted(self, pixels: Pixels) -> Picture:
        """The same picture with other pixels, in colour: what a stylizer returns.

        Args:
            pixels: (H, W, 3) uint8 or uint16 of the same height and width; alpha follows its type.

        Raises:
            ShapeError: the size is not this picture's, or the type is another.
        """
        if pixels.shape != self.pixels.shape:
            raise ShapeError(
                f"expected pixels of shape {self.pixels.shape}, got {pixels.shape}: paint at full size"
            )
        return replace(self, pixels=pixels, alpha=_as_type(self.alpha, pixels.dtype), grey=False)

    def fitted(self, longest_px: int) -> Picture:
        """The picture, made smaller so that its longer side has so many pixels at most."""
        return self.scaled(fitted_size(self.width, self.height, longest_px))

    def scaled(self, size: tuple[int, int]) -> Picture:
        """The picture in another size, (width, height), by Lanczos' filter."""
        if size == (self.width, self.height):
            return self
        alpha = None if self.alpha is None else resized(self.alpha, size)
        return replace(self, pixels=resized(self.pixels, size), alpha=alpha)

    def squared(self, side_px: int | None = None) -> Picture:
        """The square from the middle, its side in so many pixels, enlarged too; None for the shorter side.

        The shorter side is scaled to the square's, and what the longer one has more is cut off evenly.
        """
        alpha = None if self.alpha is None else _square(self.alpha, side_px)
        return replace(self, pixels=_square(self.pixels, side_px), alpha=alpha)

    def painted_with(self, paint: Callable[[Pixels], Pixels]) -> Picture:
        """The picture after ``paint``, which takes and returns (H, W, 3); see ``repainted``."""
        return self.repainted(paint(self.pixels))

    def to_image(self) -> Image.Image:
        """A Pillow image, RGB or RGBA; 16 bits are rounded to 8, which is all that Pillow holds in colour."""
        return image_of(to_uint8(self.pixels), None if self.alpha is None else to_uint8(self.alpha))


@dataclass(frozen=True, eq=False, repr=False)
class Frame:
    """One frame of an animation, composed to full size.

    Args:
        pixels: (H, W, 3) uint8, sRGB.
        alpha: (H, W) uint8, straight; None if opaque.
        duration_ms: how long it is shown.

    Raises:
        ShapeError: pixels or alpha have another shape or type.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    duration_ms: float

    def __post_init__(self) -> None:
        _check(self.pixels, self.alpha)
        if self.pixels.dtype != np.uint8:
            raise ShapeError(f"expected a frame in uint8, got {self.pixels.dtype}")

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"<Frame {width} x {height}, {self.duration_ms:g} ms>"

    def resized(self, size: tuple[int, int]) -> Frame:
        """The same frame in another size, (width, height)."""
        pixels = resized(self.pixels, size).astype(np.uint8, copy=False)
        alpha = None if self.alpha is None else resized(self.alpha, size).astype(np.uint8, copy=False)
        return replace(self, pixels=pixels, alpha=alpha)

    def squared(self, side_px: int | None = None) -> Frame:
        """The square from the middle; see `Picture.squared`."""
        alpha = None if self.alpha is None else _square(self.alpha, side_px).astype(np.uint8, copy=False)
        return replace(self, pixels=_square(self.pixels, side_px).astype(np.uint8, copy=False), alpha=alpha)

    def repainted(self, pixels: NDArray[np.uint8]) -> Frame:
        """The same frame with other pixels, (H, W, 3) uint8 of the same size."""
        if pixels.shape != self.pixels.shape:
            raise ShapeError(
                f"expected pixels of shape {self.pixels.shape}, got {pixels.shape}: paint at full size"
            )
        return replace(self, pixels=pixels)


def to_uint8(values: Pixels) -> NDArray[np.uint8]:
    """Channels in 8 bits, rounded to the nearest: 16-bit full range to 8-bit full range."""
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def to_float(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return channels of any type as float32: of integers full range as 0..1, of floats as they are."""
    floats = values.astype(np.float32)
    if values.dtype in (np.uint8, np.uint16):
        floats /= np.float32(np.iinfo(values.dtype).max)
    return floats


def from_float(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return float32 in 0..1 as ``dtype``, rounded to the nearest and clipped where that is of integers."""
    if dtype not in (np.uint8, np.uint16):
        return values.astype(dtype)
    highest = np.float32(np.iinfo(dtype).max)
    return np.asarray(np.rint(values * highest).clip(0, highest), dtype=dtype)


def resize_shorter(image: Image.Image, shorter_px: int) -> Image.Image:
    """Return a Pillow image whose shorter side is ``shorter_px``; itself if it is so already."""
    scale = shorter_px / min(image.size)
    size = (max(shorter_px, round(image.width * scale)), max(shorter_px, round(image.height * scale)))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def fitted_size(width: int, height: int, longest_px: int) -> tuple[int, int]:
    """Width and height of a picture whose longer side has so many pixels at most; as they are if it has."""
    scale = min(1.0, longest_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _square(values: Pixels, side_px: int | None) -> Pixels:
    """The square from the middle of channels (H, W) or (H, W, C), scaled by Lanczos' filter."""
    height, width = values.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    size = side if side_px is None else side_px
    if size == side:  # cut, and not scaled: at whole pixels
        made: Pixels = values[int(top) : int(top) + side, int(left) : int(left) + side].copy()
        return made
    box = (left, top, left + side, top + side)
    if values.dtype == np.uint8:  # Pillow scales 8 bits in a fifth of the time
        image = Image.fromarray(values)
        return np.array(image.resize((size, size), Image.Resampling.LANCZOS, box=box), dtype=np.uint8)
    return resized(values, (size, size), box)


def resized(
    values: Pixels, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Pixels:
    """Channels (H, W) or (H, W, C) in another size, (width, height), by Lanczos' filter, of their type.

    Args:
        values: what is scaled.
        size: the new width and height.
        box: the part that is taken: left, top, right, bottom; None for all.
    """
    planes = values if values.ndim == 3 else values[..., None]
    top = float(np.iinfo(values.dtype).max)
    images = (Image.fromarray(planes[..., i].astype(np.float32)) for i in range(planes.shape[2]))
    scaled = [np.asarray(image.resize(size, Image.Resampling.LANCZOS, box=box)) for image in images]
    made: Pixels = np.rint(np.stack(scaled, axis=2)).clip(0, top).astype(values.dtype)
    return made if values.ndim == 3 else made[..., 0]


def image_of(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> Image.Image:
    """Pillow's RGB or RGBA image of (H, W, 3) and (H, W) arrays; a copy."""
    if alpha is None:
        return Image.fromarray(np.ascontiguousarray(pixels))
    return Image.fromarray(np.dstack((pixels, alpha)))


def _as_type(alpha: Pixels | None, dtype: np.dtype[Any]) -> Pixels | None:
    if alpha is None or alpha.dtype == dtype:
        return alpha
    return to_uint8(alpha) if dtype == np.uint8 else alpha.astype(np.uint16) * np.uint16(257)


def _check(pixels: Any, alpha: Any) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ShapeError(f"expected pixels (H, W, 3), got {_described(pixels)}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ShapeError(f"expected pixels in uint8 or uint16, got {pixels.dtype}")
    if alpha is None:
        return
    if not isinstance(alpha, np.ndarray) or alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype:
        wanted = f"{pixels.dtype} {pixels.shape[:2]}"
        raise ShapeError(f"expected alpha {wanted} as the pixels, got {_described(alpha)}")


def _described(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
