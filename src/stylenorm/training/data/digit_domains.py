"""One small data set in two domains: scikit-learn's digits, on paper and in the street.

``paper`` is what a scanner gives: dark ink on light ground, nothing else. ``street`` has the same shapes in
any ink that is darker than its ground, of any colours, in less contrast, on a rough ground, in light that
falls from one side. So a classifier trained on one can be judged on the other, of which it has seen nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylenorm.errors import InputError, MissingExtraError, UnknownNameError
from stylenorm.media import atomic_write

__all__ = ["DOMAINS", "draw_digits", "read_digits", "write_domain"]

DOMAINS = ("paper", "street")
"""The renderings that `draw_digits` knows."""

_SHARE = (0.7, 0.85)  # of the picture's side that a digit takes
_LUMA = np.array([0.299, 0.587, 0.114])  # BT.601


def read_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return scikit-learn's 1797 digits (N, 8, 8), strength of ink 0..1, and what they are (N,).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "lab", "its data set of digits") from error
    data = load_digits()
    ink: NDArray[np.float32] = np.asarray(data.images, dtype=np.float32) / np.float32(16)
    return ink, np.asarray(data.target, dtype=np.int64)


def draw_digits(ink: NDArray[np.float32], domain: str, size_px: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Draw digits in a domain.

    Args:
        ink: (N, 8, 8), 0..1.
        domain: one of `DOMAINS`.
        size_px: side of the pictures, at least 16.
        seed: what place, colours, ground and light are drawn from; for each digit alone, by its number.

    Returns:
        (N, size_px, size_px, 3) uint8, RGB.

    Raises:
        UnknownNameError: no such domain.
        InputError: the pictures would be too small.
    """
    if domain not in DOMAINS:
        raise UnknownNameError("domain", domain, DOMAINS)
    if size_px < 16:
        raise InputError(f"size_px: expected at least 16, got {size_px}")
    drawn = np.empty((len(ink), size_px, size_px, 3), np.uint8)
    for number, digit in enumerate(ink):
        rng = np.random.default_rng([seed, DOMAINS.index(domain), number])
        mask = _placed(digit, size_px, rng)[..., None]
        ground, color = _paper(rng) if domain == "paper" else _street(rng, size_px)
        picture = ground * (1 - mask) + color * mask
        if domain == "street":
            picture = picture * _light(rng, size_px) + rng.normal(0, 0.02, picture.shape)
        drawn[number] = np.rint(255 * picture.clip(0, 1))
    return drawn


def write_domain(folder: Path, domain: str, size_px: int, *, seed: int = 0, count: int | None = None) -> None:
    """Write ``folder/0/0000.png``, ...: digits (the first ``count``, or all) in a sub-folder for each class.

    What is there already is left alone, so that a training which is resumed has nothing to do.
    """
    ink, classes = read_digits()
    paths = [folder / str(digit) / f"{number:04d}.png" for number, digit in enumerate(classes[:count])]
    if all(path.exists() for path in paths):
        return
    for path, pixels in zip(paths, draw_digits(ink[:count], domain, size_px, seed=seed), strict=True):
        with atomic_write(path, overwrite=True) as file:
            Image.fromarray(pixels).save(file, format="PNG")


def _placed(digit: NDArray[np.float32], size_px: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Enlarge a digit and put it somewhere: (S, S), 0..1, with the soft edge of a pen."""
    side = round(size_px * rng.uniform(*_SHARE))
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    mask = np.zeros((size_px, size_px))
    y, x = rng.integers(0, size_px - side + 1, 2)
    mask[y : y + side, x : x + side] = np.clip((np.asarray(large) - 0.25) / 0.4, 0, 1)
    return mask


def _paper(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.full(3, rng.uniform(0.9, 1.0)), np.full(3, rng.uniform(0.0, 0.15))


def _street(rng: np.random.Generator, size_px: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A rough coloured ground (S, S, 3), and an ink whose luminance is surely below the ground's."""
    color, ink = rng.uniform(0.4, 1.0, 3), rng.uniform(0.0, 0.6, 3)
    ink *= min(1.0, max(0.0, color @ _LUMA - rng.uniform(0.35, 0.6)) / (ink @ _LUMA))
    rough = np.zeros((size_px, size_px))
    for cells, strength in ((4, 0.04), (9, 0.04), (size_px // 2, 0.03)):
        noise = Image.fromarray(rng.normal(0, strength, (cells, cells)).astype(np.float32))
        rough += np.asarray(noise.resize((size_px, size_px), Image.Resampling.BICUBIC))
    return color + rough[..., None], ink


def _light(rng: np.random.Generator, size_px: int) -> NDArray[np.float64]:
    """Light that falls from one side: (S, S, 1)."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.4)
    y, x = np.mgrid[-0.5 : 0.5 : size_px * 1j, -0.5 : 0.5 : size_px * 1j]
    light: NDArray[np.float64] = 1 - strength * (0.5 + np.cos(angle) * x + np.sin(angle) * y)
    return light[..., None]
