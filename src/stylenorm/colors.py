"""Keeping the photo's colours in its painting: by luminance, by mean and covariance, by histogram.

A method that needs to know the whole of both pictures measures them first, in strips or tiles if need be
(palettes add up), and then works pixel by pixel:

>>> method = COLOR_METHODS["covariance"]
>>> painting, photo = np.random.default_rng(0).random((2, 8, 8, 3), dtype=np.float32)
>>> painted = method.measure(painting[:4]) + method.measure(painting[4:])
>>> recolor = method.recolor(painted, method.measure(photo))
>>> np.allclose(recolor(painting[:4], photo[:4]), method(painting, photo)[:4], atol=1e-6)
True

Which picture is changed? Where a painting is optimized, the style's picture can be given the photo's colours
before (Gatys et al., arXiv:1606.05897, section 3). A network whose styles are learned has no such picture at
hand, so here it is the painted result that gets the photo's colours; the same functions do both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import ShapeError

__all__ = [
    "COLOR_METHODS",
    "DEFAULT_COLOR_METHOD",
    "ColorMethod",
    "Moments",
    "Palette",
    "Tones",
    "keep_luminance",
]

FloatArray = NDArray[np.float32]
Recolor = Callable[[FloatArray, FloatArray], FloatArray]

DEFAULT_COLOR_METHOD = "luminance"
"""The one of `COLOR_METHODS` that keeps every object's colour, not only the colours of the whole."""

_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # Rec. 709, whose primaries are those of sRGB
_ROWS_AT_ONCE = 256
_LEAST_VARIANCE = 2e-6  # that of rounding to 8 bits: a direction of colour with less is not stretched
_TOP = 65535  # tones are counted in 16 bits, among which the 8-bit ones are exact


class Palette(ABC):
    """What a method measured of a picture; palettes of a picture's parts add up to that of the whole."""

    @abstractmethod
    def __add__(self, other: Self) -> Self: ...


@dataclass(frozen=True, eq=False)
class Moments(Palette):
    """Mean and covariance of a picture's colours.

    Attributes:
        count: pixels, or the sum of their weights.
        mean: (3,) float64.
        scatter: (3, 3) float64, the sum of the products of deviations from the mean; over ``count`` it is the
            covariance (biased).
    """

    count: float
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    def __add__(self, other: Self) -> Self:
        """Join exactly (Chan, Golub, LeVeque 1979)."""
        count = self.count + other.count
        if count == 0:
            return self
        step = other.mean - self.mean
        between = np.outer(step, step) * (self.count * other.count / count)
        mean = self.mean + step * (other.count / count)
        return type(self)(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(3, 3), biased."""
        return self.scatter / self.count if self.count else self.scatter


@dataclass(frozen=True, eq=False)
class Tones(Palette):
    """Histograms of a picture's channels: ``counts`` is (3, 65536) float64, of the tones k / 65535."""

    counts: NDArray[np.float64]

    def __add__(self, other: Self) -> Self:
        return type(self)(self.counts + other.counts)


class ColorMethod(ABC):
    """A way to give a painting the photo's colours.

    All pictures are (H, W, 3) float32, RGB in sRGB, 0..1.

    Attributes:
        measures: whether `recolor` needs palettes; if not, it takes None for both.
    """

    measures = True

    @abstractmethod
    def measure(self, picture: FloatArray, weights: NDArray[Any] | None = None) -> Any:
        """Measure a picture, or a part of it.

        Args:
            picture: as above.
            weights: (H, W), how much each pixel counts, 0..1 (its alpha); None counts all alike.
        """

    @abstractmethod
    def recolor(self, painted: Any, photo: Any) -> Recolor:
        """Return what turns a part of the painting, and the same part of the photo, into the result."""

    def __call__(
        self, painting: FloatArray, photo: FloatArray, weights: NDArray[Any] | None = None
    ) -> FloatArray:
        """Return the painting in the photo's colours; see `measure` for ``weights``."""
        if not self.measures:
            return self.recolor(None, None)(painting, photo)
        palettes = (self.measure(painting, weights), self.measure(photo, weights))
        return self.recolor(*palettes)(painting, photo)


class _Luminance(ColorMethod):
    measures = False

    def measure(self, picture: FloatArray, weights: NDArray[Any] | None = None) -> None:  # noqa: ARG002
        return None

    def recolor(self, painted: None, photo: None) -> Recolor:  # noqa: ARG002
        return keep_luminance


class _Covariance(ColorMethod):
    """Mean and covariance of the photo, by the affine map that moves colours least.

    Gatys et al. 2016 take any matrix that turns one covariance into the other, and find its symmetric root
    good and Cholesky's not; this is the symmetric one of optimal transport between normal distributions
    (Pitié, Kokaram 2007), A = S^-1/2 (S^1/2 T S^1/2)^1/2 S^-1/2. Where a painting has no variance (grey, or
    one colour) there is nothing to stretch, and nothing is. Colours beyond 0..1 are clipped.
    """

    def measure(self, picture: FloatArray, weights: NDArray[Any] | None = None) -> Moments:
        _check(picture, weights)
        total = Moments(0.0, np.zeros(3), np.zeros((3, 3)))
        for top in range(0, len(picture), _ROWS_AT_ONCE):  # in strips: float64 takes memory
            pixels = picture[top : top + _ROWS_AT_ONCE].reshape(-1, 3).astype(np.float64)
            share = (
                np.ones(len(pixels))
                if weights is None
                else np.asarray(weights[top : top + _ROWS_AT_ONCE], np.float64).ravel()
            )
            count = float(share.sum())
            if count > 0:
                mean = share @ pixels / count
                centred = pixels - mean
                total = total + Moments(count, mean, (centred * share[:, None]).T @ centred)
        return total

    def recolor(self, painted: Moments, photo: Moments) -> Recolor:
        if painted.count == 0 or photo.count == 0:  # nothing of it is visible
            return lambda painting, _: painting
        matrix = _transport(painted.covariance, photo.covariance).T.astype(np.float32)
        mean, target = painted.mean.astype(np.float32), photo.mean.astype(np.float32)

        def apply(painting: FloatArray, _: FloatArray) -> FloatArray:
            return np.asarray(((painting - mean) @ matrix + target).clip(0, 1), dtype=np.float32)

        return apply


class _Histogram(ColorMethod):
    """The photo's histogram in each channel: every tone becomes the photo's tone of the same rank.

    Ranks are those of the middle of a tone's pixels, so a picture keeps its own tones exactly, and one colour
    becomes the photo's median. Between tones that the painting has, and between ranks that the photo has, it
    is linear.
    """

    def measure(self, picture: FloatArray, weights: NDArray[Any] | None = None) -> Tones:
        _check(picture, weights)
        counts = np.zeros((3, _TOP + 1))
        for top in range(0, len(picture), _ROWS_AT_ONCE):
            rows = slice(top, top + _ROWS_AT_ONCE)
            tones = np.rint(picture[rows].clip(0, 1) * np.float32(_TOP)).astype(np.int64)
            share = None if weights is None else np.asarray(weights[rows], np.float64).ravel()
            for channel in range(3):
                counts[channel] += np.bincount(tones[..., channel].ravel(), weights=share, minlength=_TOP + 1)
        return Tones(counts)

    def recolor(self, painted: Tones, photo: Tones) -> Recolor:
        if not painted.counts.any() or not photo.counts.any():
            return lambda painting, _: painting
        tables = [_tone_table(a, b) for a, b in zip(painted.counts, photo.counts, strict=True)]

        def apply(painting: FloatArray, _: FloatArray) -> FloatArray:
            result = np.empty_like(painting)
            for top in range(0, len(painting), _ROWS_AT_ONCE):
                rows = slice(top, top + _ROWS_AT_ONCE)
                position = painting[rows].clip(0, 1) * np.float32(_TOP)
                below = np.minimum(position.astype(np.int32), _TOP - 1)
                position -= below
                for channel, table in enumerate(tables):
                    low, high = table[below[..., channel]], table[below[..., channel] + 1]
                    result[rows, :, channel] = low + (high - low) * position[..., channel]
            return result

        return apply


def keep_luminance(painting: FloatArray, photo: FloatArray) -> FloatArray:
    """Give a painting the colours of the photo: luma of the one, chroma of the other.

    After Gatys et al., "Preserving Color in Neural Artistic Style Transfer" (2016, arXiv:1606.05897),
    section 4, who transfer luminance alone, in YIQ. Here: ``Y' + s (photo - Y)``, with Rec. 709 luma Y of
    the encoded (not linear) values. Reasons for this space: the difference to grey is additive, so noise in
    the photo's shadows is not blown up where the painting is bright, as ratios in linear light would; the
    grey axis lies inside the gamut, so a colour that would leave 0..1 is moved towards the grey of the same
    luma, by the largest s of at most 1 that fits. Nothing is clipped: luma is exactly the painting's, hue the
    photo's, and only saturation gives way. (In Lab there is no such closed form.)

    Args:
        painting: (H, W, 3) float32, RGB, 0..1.
        photo: the same.

    Returns:
        (H, W, 3) float32, RGB, 0..1.
    """
    result = np.empty(painting.shape, dtype=np.float32)
    for top in range(0, len(painting), _ROWS_AT_ONCE):  # in strips, to save memory
        rows = slice(top, top + _ROWS_AT_ONCE)
        luma = (painting[rows] @ _LUMA).clip(0, 1)[..., None]  # (h, W, 1)
        chroma = photo[rows] - (photo[rows] @ _LUMA)[..., None]  # (h, W, 3)
        highest = chroma.max(axis=2, keepdims=True)
        lowest = chroma.min(axis=2, keepdims=True)
        # the largest s with luma + s * highest <= 1 and luma + s * lowest >= 0; grey needs none
        tiny = np.float32(1e-6)
        fit = np.minimum((1 - luma) / np.maximum(highest, tiny), luma / np.maximum(-lowest, tiny))
        result[rows] = (luma + np.minimum(fit, 1) * chroma).clip(0, 1)  # clips rounding alone
    return result


COLOR_METHODS: Mapping[str, ColorMethod] = {
    "luminance": _Luminance(),
    "covariance": _Covariance(),
    "histogram": _Histogram(),
}
"""Ways to keep the photo's colours: its chroma at every pixel; its mean and covariance; its tones."""


def _transport(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric matrix that turns covariance ``source`` into ``target``, as far as ``source`` reaches."""
    values, vectors = np.linalg.eigh(source)
    reaches = values > _LEAST_VARIANCE
    root = np.sqrt(np.where(reaches, values, 0))
    inverse = np.where(reaches, 1 / np.where(reaches, root, 1), 0)
    half, half_inverse = (vectors * root) @ vectors.T, (vectors * inverse) @ vectors.T
    values, vectors = np.linalg.eigh(half @ target @ half)
    middle = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return np.asarray(half_inverse @ middle @ half_inverse)


def _tone_table(painted: NDArray[np.float64], photo: NDArray[np.float64]) -> FloatArray:
    """Of one channel: the photo's tone for each of 65536 tones of the painting."""
    mine, theirs = np.flatnonzero(painted), np.flatnonzero(photo)
    ranks = _ranks(painted[mine])
    matched = np.interp(ranks, _ranks(photo[theirs]), theirs / _TOP)
    return np.interp(np.arange(_TOP + 1), mine, matched).astype(np.float32)


def _ranks(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of pixels below the middle of each tone's."""
    return np.asarray((np.cumsum(counts) - counts / 2) / counts.sum())


def _check(picture: NDArray[Any], weights: NDArray[Any] | None) -> None:
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ShapeError(f"picture: expected (H, W, 3), got {picture.shape}")
    if weights is not None and weights.shape != picture.shape[:2]:
        raise ShapeError(f"weights: expected {picture.shape[:2]}, got {weights.shape}")
