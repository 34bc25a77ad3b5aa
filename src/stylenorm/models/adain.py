"""Painting with a trained AdaIN network: any paintings as styles, mixed, by region, at any strength.

Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017
(arXiv:1703.06868), section 7.2: content-style trade-off, interpolation, regions, colours. What runs is the
exported encoder and decoder (`stylenorm.export`), by OpenVINO and without torch; between them is what the
paper is about, written out: channel by channel the photo's features get the paintings' means and deviations.

Differs from the paper: regions may be soft and may overlap; colours can also be kept by luminance, and are
matched by the methods of `stylenorm.colors` (the paper: by covariance). Deviations are biased, with 1e-5
inside the root, on both sides; unbiased where a folder of imported weights says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.colors import COLOR_METHODS, DEFAULT_COLOR_METHOD
from stylenorm.engines.memory import check_memory
from stylenorm.engines.openvino_session import GraphSession
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.model_folder import ADAIN

__all__ = ["FREE_COLORS", "AdainPainter", "StylePicture"]

FREE_COLORS = "painting"
"""The value of ``colors`` that keeps none of the photo's."""

FloatArray = NDArray[np.float32]

_KEPT_PIXELS = 1_000_000  # compiled graphs of larger photos are not kept: they hold some kB a pixel
_GRID = 8
_SMALLEST_PX = 2 * _GRID  # the decoder reflects its borders, so it needs two positions
_EPS = 1e-5
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class StylePicture:
    """A painting to paint like.

    Attributes:
        pixels: (H, W, 3) uint8, sRGB, any size; its strokes come out as large, in pixels, as they are here.
        weight: how much it counts among the others, more than 0.
        region: (h, w) of the photo's size, 0..1: where it paints; None is everywhere.
    """

    pixels: NDArray[np.uint8]
    weight: float = 1.0
    region: FloatArray | None = None


class AdainPainter(Closing):
    """Paints photos like paintings.

    Args:
        folder: what ``stylenorm train adain`` wrote.
        threads: how many; None for all cores.

    Raises:
        InputError: it is not that.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        folder = Path(folder)
        with ADAIN.reading(folder, ("encoder", "decoder")) as described:
            self._unbiased = bool(described.get("unbiased", False))
            self._encoder = GraphSession(folder / "encoder.onnx", threads=threads)
            self._decoder = GraphSession(folder / "decoder.onnx", threads=threads)

    def __call__(
        self,
        photo: NDArray[np.uint8],
        styles: Sequence[StylePicture],
        *,
        strength: float = 1.0,
        colors: str = FREE_COLORS,
        alpha: float | None = None,
    ) -> NDArray[np.uint8]:
        """Paint a photo.

        Where the regions of several styles overlap they are mixed, by region times weight; where no region
        reaches, the photo's own features stay.

        Args:
            photo: (H, W, 3) uint8, sRGB, any size.
            styles: one painting or more.
            strength: 0 gives the photo as the decoder knows it, 1 the full style; the paper's alpha.
            colors: ``"painting"`` takes the paintings'; ``"covariance"`` and ``"histogram"`` give the
                paintings the photo's palette before; ``"luminance"`` gives the result the photo's colours.
            alpha: the old name of ``strength``; it goes with the next release.

        Returns:
            (H, W, 3) uint8.

        Raises:
            InputError: no styles; a weight that is not more than 0; a strength beyond 0..1.
            ShapeError: a picture or a region of another shape.
            UnknownNameError: no such way with colours.
            MemoryError: the photo does not fit into memory.
        """
        if alpha is not None:
            warnings.warn(
                "alpha is now strength; the old name goes with the next release", DeprecationWarning, 2
            )
            strength = alpha
        _check(photo, styles, strength, colors)
        check_memory(photo.size // 3)
        seen = _floats(photo)
        content = self._features(seen)  # (C, h, w)
        mixed = self._mixed(content, seen, styles, colors)
        blended = (content + np.float32(strength) * (mixed - content))[None]
        if photo.size // 3 > _KEPT_PIXELS:
            self._encoder.close()  # what it holds of a big photo would lie beside what the decoder needs
        painted = self._decoder(blended)[0][0]
        if photo.size // 3 > _KEPT_PIXELS:
            self._decoder.close()
        painting = painted.transpose(1, 2, 0)[: photo.shape[0], : photo.shape[1]].clip(0, 1)
        if colors == DEFAULT_COLOR_METHOD:
            painting = COLOR_METHODS[colors](np.ascontiguousarray(painting), seen)
        return np.asarray(np.rint(painting * 255), np.uint8)

    def close(self) -> None:
        """Free the compiled graphs; the next photo compiles anew."""
        self._encoder.close()
        self._decoder.close()

    def _mixed(
        self, content: FloatArray, photo: FloatArray, styles: Sequence[StylePicture], colors: str
    ) -> FloatArray:
        """The content's features in the styles, each in its region."""
        total = np.zeros_like(content)
        shares = np.zeros(content.shape[1:], np.float32)
        covered = np.zeros(content.shape[1:], np.float32)
        for style in styles:
            region = _on_grid(style.region, content.shape)
            if not region.any():
                continue
            picture = _floats(style.pixels)
            if colors in COLOR_METHODS and colors != DEFAULT_COLOR_METHOD:
                method = COLOR_METHODS[colors]
                palettes = method.measure(picture), method.measure(photo, style.region)
                picture = method.recolor(*palettes)(picture, picture)
            mean, deviation = _moments(self._features(picture), unbiased=self._unbiased)
            own_mean, own_deviation = _moments(content, region, unbiased=self._unbiased)
            share = np.float32(style.weight) * region
            total += share * ((content - own_mean) / own_deviation * deviation + mean)
            shares += share
            covered = np.minimum(covered + region, 1)
        in_style = total / np.maximum(shares, _TINY)
        return np.asarray(content + covered * (in_style - content), np.float32)

    def _features(self, picture: FloatArray) -> FloatArray:
        """(H, W, 3), 0..1, extended by its edge to what the encoder takes -> (C, h, w)."""
        height, width = (max(_SMALLEST_PX, -(-size // _GRID) * _GRID) for size in picture.shape[:2])
        more = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
        whole = np.pad(picture, more, mode="edge").transpose(2, 0, 1)[None]
        return np.asarray(self._encoder(np.ascontiguousarray(whole))[0][0], np.float32)


def _floats(pixels: NDArray[np.uint8]) -> FloatArray:
    return np.divide(pixels, 255, dtype=np.float32)


def _moments(
    features: FloatArray, weights: FloatArray | None = None, *, unbiased: bool
) -> tuple[FloatArray, FloatArray]:
    """Mean and deviation of each channel, (C, 1, 1); positions counted by ``weights`` (h, w)."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    share = np.ones(flat.shape[1]) if weights is None else weights.reshape(-1).astype(np.float64)
    count = share.sum()
    share = share / count
    correction = count / max(count - 1, 1) if unbiased else 1.0
    mean = flat @ share
    deviation = np.sqrt(correction * ((flat - mean[:, None]) ** 2 @ share) + _EPS)
    return mean.astype(np.float32)[:, None, None], deviation.astype(np.float32)[:, None, None]


def _on_grid(region: FloatArray | None, shape: tuple[int, ...]) -> FloatArray:
    """A region on the features' grid: the mean over each position's 8 x 8 pixels."""
    if region is None:
        return np.ones(shape[1:], np.float32)
    height, width = shape[1] * _GRID, shape[2] * _GRID
    more = ((0, height - region.shape[0]), (0, width - region.shape[1]))
    whole = np.pad(region.astype(np.float32), more, mode="edge")
    return np.asarray(whole.reshape(shape[1], _GRID, shape[2], _GRID).mean(axis=(1, 3)), np.float32)


def _check(photo: NDArray[np.uint8], styles: Sequence[StylePicture], strength: float, colors: str) -> None:
    for name, picture in (("photo", photo), *(("style", style.pixels) for style in styles)):
        if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape or picture.dtype != np.uint8:
            raise ShapeError(f"{name}: expected uint8 (H, W, 3), got {picture.dtype} {picture.shape}")
    if not styles:
        raise InputError("styles: expected one painting or more, got none")
    if not 0 <= strength <= 1:
        raise InputError(f"strength: expected 0 (the photo) to 1 (the full style), got {strength:g}")
    if colors not in (FREE_COLORS, *COLOR_METHODS):
        raise UnknownNameError("way with colours", colors, (FREE_COLORS, *COLOR_METHODS))
    for style in styles:
        if not 0 < style.weight < float("inf"):
            raise InputError(f"weight: expected more than 0, got {style.weight:g}")
        if style.region is None:
            continue
        if style.region.shape != photo.shape[:2]:
            raise ShapeError(f"region: expected {photo.shape[:2]}, got {style.region.shape}")
        if not (style.region.min() >= 0 and style.region.max() <= 1):  # NaN fails too
            raise InputError("region: expected values of 0..1")
