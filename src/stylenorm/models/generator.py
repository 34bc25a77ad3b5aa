"""Pictures from seeds, by a trained StyleGAN or StyleGAN2 generator, on OpenVINO; no torch is needed.

The folder is what ``stylenorm train stylegan`` and ``stylegan2`` write:

.. code-block:: text

    mapping.onnx       latent vector z to style vector w
    synthesis.onnx     a style for each layer, and each layer's noise, to a picture
    generator.json     format, sizes, the mean w (centre of truncation), training record

A seed is all that a picture is made of: its latent vector and its noise are drawn from it by numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.engines.openvino_session import GraphSession
from stylenorm.errors import InputError, ShapeError
from stylenorm.media import from_float
from stylenorm.model_folder import GENERATOR

__all__ = ["PictureGenerator"]

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

_LATENT, _NOISE = 0, 1  # what is drawn from a seed


class PictureGenerator(Closing):
    """Makes pictures.

    Args:
        folder: what a training wrote.
        threads: how many; None for all cores.

    Attributes:
        size_px: side of the pictures.
        num_styles: layers that take a style.
        style_px: side of the grid that each of these layers works on.
        mean_style: (style_length,) float32, the centre of truncation.

    Raises:
        InputError: it is no generator folder, or a graph cannot be read.

    Example::

        generator = PictureGenerator("run/")
        picture = generator.picture(seed=7, truncation=0.7)  # (S, S, 3) uint8
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        folder = Path(folder)
        with GENERATOR.reading(folder, ("mapping", "synthesis")) as described:
            self.size_px, self.num_styles = int(described["size_px"]), int(described["num_styles"])
            self._noise_px = [int(px) for px in described["noise_px"]]
            self.mean_style: Floats = np.array(described["mean_style"], np.float32)
        self.style_length = len(self.mean_style)
        self.style_px = tuple(4 << (i // 2) for i in range(self.num_styles))
        self._mapping, self._synthesis = (
            GraphSession(folder / f"{name}.onnx", threads=threads) for name in ("mapping", "synthesis")
        )

    def style(self, seed: int, truncation: float = 1.0, num_layers: int | None = None) -> Floats:
        """Return a seed's styles, one for each layer: (num_styles, style_length).

        Args:
            seed: from 0.
            truncation: 1 for the styles as they are, 0 for their mean; in between, pictures get more alike,
                and better.
            num_layers: truncate the styles of the first so many layers; None for all.

        Raises:
            InputError: the seed is negative.
        """
        z = _drawn_from(seed, _LATENT).standard_normal((1, self.style_length), np.float32)
        (w,) = self._mapping(z)  # (1, style_length)
        styles = np.repeat(w, self.num_styles, axis=0).astype(np.float32)
        near = self.mean_style + np.float32(truncation) * (styles - self.mean_style)
        styles[:num_layers] = near[:num_layers]
        return styles

    def __call__(self, styles: Floats, *, noise_seed: int = 0) -> Image:
        """Make one picture.

        Args:
            styles: (num_styles, style_length) float32, from `style` or `mixed`.
            noise_seed: what the noise is drawn from.

        Returns:
            (size_px, size_px, 3) uint8, RGB.

        Raises:
            ShapeError: the styles have another shape or type.
        """
        if styles.shape != (self.num_styles, self.style_length) or styles.dtype != np.float32:
            raise ShapeError(
                f"styles: expected float32 ({self.num_styles}, {self.style_length}), "
                f"got {styles.dtype} {tuple(styles.shape)}"
            )
        rng = _drawn_from(noise_seed, _NOISE)
        noise = [rng.standard_normal((1, 1, px, px), np.float32) for px in self._noise_px]
        (made,) = self._synthesis(np.ascontiguousarray(styles[None]), *noise)  # (1, 3, S, S), about 0..1
        pixels: Image = from_float(made[0].transpose(1, 2, 0), np.dtype(np.uint8))
        return pixels

    def picture(
        self,
        seed: int,
        truncation: float = 1.0,
        num_layers: int | None = None,
        *,
        noise_seed: int | None = None,
    ) -> Image:
        """Make a seed's picture; its noise is its own, unless another ``noise_seed`` is given."""
        styles = self.style(seed, truncation, num_layers)
        return self(styles, noise_seed=seed if noise_seed is None else noise_seed)

    def mixed(self, styles: Floats, other: Floats, layers: range) -> Floats:
        """Return ``styles`` with those of ``other`` in ``layers``.

        Raises:
            InputError: there are no such layers.
        """
        if not layers or min(layers) < 0 or max(layers) >= self.num_styles:
            raise InputError(
                f"layers: expected some of 0 to {self.num_styles - 1}, the layers of this network, "
                f"got {layers.start} to {layers.stop - 1}"
            )
        both = styles.copy()
        both[list(layers)] = other[list(layers)]
        return both

    def layers_named(self, band: str) -> range:
        """Return the layers of a part of the picture, as the paper divides it.

        Args:
            band: ``"coarse"`` (grids of 4 and 8), ``"middle"`` (16 and 32) or ``"fine"`` (from 64 on).

        Raises:
            InputError: no such band, or this network has no such layers.
        """
        bands = {"coarse": (4, 8), "middle": (16, 32), "fine": (64, 1 << 30)}
        if band not in bands:
            raise InputError(f"layers: expected coarse, middle, fine or numbers such as 0-3, got {band!r}")
        low, high = bands[band]
        chosen = [i for i, px in enumerate(self.style_px) if low <= px <= high]
        if not chosen:
            raise InputError(
                f"layers: {band} are those of grids from {low}, and this network's end at {self.size_px}: "
                f"name some of its layers, 0-{self.num_styles - 1}"
            )
        return range(chosen[0], chosen[-1] + 1)

    def walk(self, styles: Sequence[Floats], num_between: int, *, noise_seed: int = 0) -> Iterator[Image]:
        """Make the frames of a walk through ``styles`` and back to the first, with the same noise in all.

        The way is a closed curve without corners (Catmull and Rom's) in the space of styles.

        Args:
            styles: those that are passed, at least 2; each is a frame.
            num_between: frames from one to the next, from 1.
            noise_seed: what the noise is drawn from.

        Raises:
            InputError: there is nowhere to walk to.
        """
        if len(styles) < 2 or num_between < 1:
            raise InputError(
                f"expected at least 2 pictures to walk through and 1 frame from each to the next, "
                f"got {len(styles)} and {num_between}"
            )
        for i in range(len(styles)):
            a, b, c, d = (styles[(i + k) % len(styles)] for k in (-1, 0, 1, 2))
            for frame in range(num_between):
                t = frame / num_between
                way = b + 0.5 * t * ((c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * (b - c) + d - a)))
                yield self(way.astype(np.float32), noise_seed=noise_seed)

    def close(self) -> None:
        """Free the compiled graphs."""
        self._mapping.close()
        self._synthesis.close()


def _drawn_from(seed: int, what: int) -> np.random.Generator:
    if seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed}")
    return np.random.default_rng([seed, what])
