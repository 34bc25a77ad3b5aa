"""Pictures translated from one domain to another by a trained generator, on OpenVINO; no torch is needed.

The folder is what ``stylenorm train cyclegan``, ``pix2pix`` and ``spade`` write:

.. code-block:: text

    a-to-b.onnx        a graph a direction; spade's is labels-to-photo.onnx
    translator.json    format, what each graph asks of sizes and takes, training record
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.engines.engine import Pixels
from stylenorm.engines.openvino_session import GraphSession
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.media import UNLABELLED, check_labels, from_float, to_float
from stylenorm.model_folder import TRANSLATOR

__all__ = ["FROM_LABELS", "Translator", "shorter_sized"]

FROM_LABELS = "labels-to-photo"
"""The direction that takes label maps."""


class Translator(Closing):
    """Translates pictures, or label maps into pictures.

    Args:
        folder: what a training wrote.
        direction: ``"a-to-b"``, ``"b-to-a"`` or ``"labels-to-photo"``; None takes the folder's first.
        threads: how many; None for all cores.
        seed: what the look of a picture beyond its labels is drawn from; None takes the middle of all looks.

    Attributes:
        directions: those that the folder has.
        direction: the one that is translated in.
        num_classes: how many classes a label map may have; None where pictures are translated.
        first_class: number of the first class in the maps that it learned from; with 1, 0 is unlabelled.
        scale_px: shortest and longest shorter side of the pictures that it learned from; None if not known.

    Raises:
        InputError: it is no translator folder, the graph cannot be read, or there are no looks for a seed.
        UnknownNameError: no such direction.
    """

    def __init__(
        self,
        folder: str | Path,
        direction: str | None = None,
        *,
        threads: int | None = None,
        seed: int | None = None,
    ) -> None:
        folder = Path(folder)
        with TRANSLATOR.reading(folder) as described:
            known = described["directions"]
            self.directions = tuple(known)
            self.direction = direction or self.directions[0]
            if self.direction not in known:
                raise UnknownNameError("direction", self.direction, known)
            asked = known[self.direction]
            self._multiple, self._smallest_px = int(asked["multiple"]), int(asked["smallest_px"])
            self.num_classes = int(asked["num_classes"]) if "num_classes" in asked else None
            self.first_class = int(asked.get("first_class", 0))
            scale = asked.get("scale_px")
            self.scale_px = None if scale is None else (int(scale[0]), int(scale[1]))
            latent = int(asked.get("latent", 0))
        self._look = _look(latent, seed)
        self._session = GraphSession(folder / f"{self.direction}.onnx", threads=threads)

    def __call__(self, image: Pixels) -> Pixels:
        """Translate one picture, or paint one label map.

        Args:
            image: (H, W, 3) uint8 or uint16, RGB, full range; or, where there are `num_classes`, (H, W)
                uint8, class numbers, 255 where there is no class.

        Returns:
            (H, W, 3) of the same type.

        Raises:
            ShapeError: the picture has another shape or type, or is smaller than the network can see.
            PictureError: a class number is not one of the network's.
            MemoryError: the picture does not fit into memory.
        """
        if self.num_classes is not None:
            _check(image, "labels", 2, (np.uint8,))
            check_labels(image.astype(np.uint8, copy=False), self.num_classes)
            planes = np.where(image == UNLABELLED, self.num_classes, image).astype(np.float32)[..., None]
        else:
            _check(image, "image", 3, (np.uint8, np.uint16))
            planes = to_float(image)
        height, width = image.shape[:2]
        if min(height, width) < self._smallest_px:
            raise ShapeError(
                f"image: expected at least {self._smallest_px} x {self._smallest_px} pixels, "
                f"got {width} x {height}"
            )
        missing = [(0, -side % self._multiple) for side in (height, width)]
        whole = np.pad(planes, [*missing, (0, 0)], mode="edge")
        given = np.ascontiguousarray(whole.transpose(2, 0, 1)[None])
        (translated,) = self._session(given, *self._look)  # (1, 3, H', W'), 0..1
        pixels = translated[0, :, :height, :width].transpose(1, 2, 0)
        translation: Pixels = from_float(pixels, image.dtype)
        return translation

    def learned_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size, (width, height), at which a picture is as those that the network learned from.

        Shapes count in pixels: a network sees a photo of twice the size as one of things twice as large. If
        the shorter side is within `scale_px`, or that is not known, the size is the picture's own.
        """
        if self.scale_px is None:
            return width, height
        shorter = min(width, height)
        return shorter_sized(width, height, min(max(shorter, self.scale_px[0]), self.scale_px[1]))

    def close(self) -> None:
        """Free the compiled graph."""
        self._session.close()


def shorter_sized(width: int, height: int, shorter_px: int) -> tuple[int, int]:
    """Return the size, (width, height), of a picture whose shorter side is scaled to so many pixels.

    Example:
        >>> shorter_sized(640, 480, 96)
        (128, 96)
    """
    scale = shorter_px / min(width, height)
    return max(shorter_px, round(width * scale)), max(shorter_px, round(height * scale))


def _check(image: Pixels, name: str, num_dims: int, kinds: tuple[type[np.generic], ...]) -> None:
    if image.ndim != num_dims or (num_dims == 3 and image.shape[2] != 3) or image.dtype not in kinds:
        expected = "uint8 (H, W)" if num_dims == 2 else "uint8 or uint16 (H, W, 3)"
        raise ShapeError(f"{name}: expected {expected}, got {image.dtype} {tuple(image.shape)}")


def _look(latent: int, seed: int | None) -> tuple[NDArray[np.float32], ...]:
    if seed is not None and not latent:
        raise InputError("seed: expected a network with looks to choose from, got one that has a single look")
    if not latent:
        return ()
    z = np.zeros(latent) if seed is None else np.random.default_rng(seed).standard_normal(latent)
    return (z.astype(np.float32)[None],)
