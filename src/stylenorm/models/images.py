"""What is painted: which images are taken, how errors say it, and the way of one through an engine."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.colors import COLOR_METHODS, DEFAULT_COLOR_METHOD, ColorMethod
from stylenorm.engines import Engine
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.media import fill_transparent, from_float, picture_from_image, to_float
from stylenorm.noise import with_noise

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "batch_of",
    "check_image",
    "check_strength",
    "color_method",
    "paint_pillow",
    "paint_whole",
    "plain_image",
    "visible",
]


def color_method(keep_colors: bool | str) -> ColorMethod | None:
    """Return what keeps colours, or None; see `stylenorm.models.stylizer.Stylizer.__call__`."""
    if isinstance(keep_colors, str):
        if keep_colors not in COLOR_METHODS:
            raise UnknownNameError("way of keeping colours", keep_colors, COLOR_METHODS)
        return COLOR_METHODS[keep_colors]
    return COLOR_METHODS[DEFAULT_COLOR_METHOD] if keep_colors else None


def check_strength(strength: Any) -> None:
    """Refuse what is not 0 to 1."""
    is_number = isinstance(strength, numbers.Real)
    if not is_number or not 0 <= strength <= 1:  # also refuses NaN
        shown = f"{strength:g}" if is_number else f"{strength!r}"
        raise InputError(f"strength: expected 0 (the photo) to 1 (the painting), got {shown}")


def plain_image(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image as one of the forms that are painted: three channels or four, the machine's types.

    Raises:
        ShapeError: it is no array.
    """
    if not isinstance(image, np.ndarray):
        raise ShapeError(f"image: expected an array, got {type(image).__name__}")
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        grey = image if image.ndim == 3 else image[..., None]
        return plain_image(np.repeat(grey, 3, axis=2))
    if image.dtype == np.float16:
        return image.astype(np.float32)
    return image if image.dtype.isnative else image.astype(image.dtype.newbyteorder("="))


def check_image(image: NDArray[Any]) -> None:
    """Refuse shapes, types and ranges that cannot be painted.

    Raises:
        ShapeError: an array of another shape or type.
        InputError: floats beyond 0..1.
    """
    if image.ndim != 3 or image.shape[2] not in (3, 4) or 0 in image.shape:
        raise ShapeError(
            f"image: expected (H, W, 3), (H, W, 4) or grey (H, W), got {image.shape}{_hint(image.shape)}"
        )
    if image.dtype in (np.uint8, np.uint16):
        return
    if image.dtype not in (np.float32, np.float64):
        raise ShapeError(
            f"image: expected uint8, uint16, or float16, float32 or float64 in 0..1, got {image.dtype}"
        )
    lowest, highest = image.min(), image.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise InputError(
            "image: expected floats in 0..1, got NaN or infinity among them; replace those first"
        )
    if lowest < 0 or highest > 1:
        advice = (
            "divide by 255, or pass uint8" if highest > 2 and lowest >= 0 else "clip it (image.clip(0, 1))"
        )
        raise InputError(f"image: expected floats in 0..1, got {lowest:g} to {highest:g}; {advice}")


def batch_of(images: Sequence[NDArray[Any]], noise: float = 0.0) -> NDArray[np.float32]:
    """Return images (H, W, 3 or 4) as one float32 array (N, 3, H, W), 0..1, each with so much noise.

    Raises:
        ShapeError: no images, images of different sizes, or arrays of another shape or type.
        InputError: floats beyond 0..1.
    """
    images = [plain_image(image) for image in images]
    for image in images:
        check_image(image)
    if len({image.shape[:2] for image in images}) != 1:
        sizes = sorted({f"{image.shape[1]} x {image.shape[0]}" for image in images})
        raise ShapeError(f"images: expected some of one size, got {', '.join(sizes) or 'none'}")
    return np.stack([to_float(with_noise(visible(image), noise)).transpose(2, 0, 1) for image in images])


def paint_whole(
    engine: Engine,
    image: NDArray[Any],
    alpha: NDArray[Any],
    vector: NDArray[np.float32],
    method: ColorMethod | None,
    *,
    noise: float,
) -> NDArray[Any]:
    """Paint an image in one piece.

    Args:
        engine: runs the network.
        image: (H, W, 3), one of the forms that are painted.
        alpha: (H, W, 1) of the same type, or (H, W, 0).
        vector: the style, or style and statistics, as the engine takes it.
        method: keeps the image's colours, or None.
        noise: as `stylenorm.noise.with_noise` takes it.
    """
    noisy = with_noise(image, noise)
    if method is None and image.dtype in (np.uint8, np.uint16):
        return engine.paint_image(noisy, vector)
    exact = image.dtype != np.uint8  # bfloat16 holds 8 bits
    planes = to_float(noisy).transpose(2, 0, 1)
    painting = engine.paint(planes[None], vector, exact=exact)[0].transpose(1, 2, 0)
    if method is not None:
        painting = method(painting, to_float(image), to_float(alpha[..., 0]) if alpha.size else None)
    return from_float(painting, image.dtype)


def paint_pillow(image: Any, paint: Callable[[NDArray[Any]], NDArray[Any]]) -> Image:
    """Paint a Pillow image, of which ``paint`` gets the pixels.

    Raises:
        ShapeError: it is no Pillow image.
        PictureError: it cannot be decoded.
    """
    from PIL.Image import Image

    if not isinstance(image, Image):
        advice = "; pass its .numpy()" if hasattr(image, "numpy") else ""
        raise ShapeError(f"image: expected an array or a Pillow image, got {type(image).__name__}{advice}")
    picture = picture_from_image(image)
    return picture.repainted(paint(picture.pixels)).to_image()


def _hint(shape: tuple[int, ...]) -> str:
    """What to do with an array of a shape that others use."""
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; move the channels to the end (image.transpose(1, 2, 0))"
    if len(shape) == 4:
        return "; pass one image at a time"
    return ""


def visible(image: NDArray[Any]) -> NDArray[Any]:
    """Return the colours (H, W, 3), and visible ones where alpha hides them."""
    colors, alpha = image[..., :3], image[..., 3:]
    return _filled(colors, alpha) if alpha.size else colors


def _filled(colors: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Give hidden pixels visible colours: nobody sees them, but the norms' statistics would."""
    if colors.dtype in (np.uint8, np.uint16):
        return np.asarray(fill_transparent(np.ascontiguousarray(colors), np.ascontiguousarray(alpha[..., 0])))
    return np.where(alpha > 0, colors, colors[alpha[..., 0] > 0].mean(axis=0) if alpha.any() else 0.5)
