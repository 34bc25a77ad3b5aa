"""Pictures translated from one domain to another by a trained generator, on OpenVINO; no torch is needed.

The folder is what ``stylenorm train cyclegan`` and ``pix2pix`` write:

.. code-block:: text

    a-to-b.onnx        a graph a direction
    translator.json    format, what each graph asks of sizes, training record
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from stylenorm.engines.engine import Pixels
from stylenorm.engines.openvino_engine import OpenVinoEngine
from stylenorm.errors import InputError, ShapeError, UnknownNameError

__all__ = ["TRANSLATOR_FORMAT", "Translator"]

TRANSLATOR_FORMAT = "stylenorm-translator-1"
"""What ``translator.json`` says it is."""


class Translator:
    """Translates pictures.

    Args:
        folder: what a training wrote.
        direction: ``"a-to-b"`` or ``"b-to-a"``; None takes the folder's first.
        threads: how many; None for all cores.

    Attributes:
        directions: those that the folder has.
        direction: the one that is translated in.

    Raises:
        InputError: it is no translator folder, or the graph cannot be read.
        UnknownNameError: no such direction.
    """

    def __init__(
        self,
        folder: str | Path,
        direction: str | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        folder = Path(folder)
        try:
            described = json.loads((folder / "translator.json").read_text(encoding="utf-8"))
            known = described["directions"] if described["format"] == TRANSLATOR_FORMAT else None
        except (OSError, ValueError, KeyError, TypeError):
            known = None
        if not known:
            raise InputError(
                f"{folder}: expected a folder that 'stylenorm train cyclegan' or 'pix2pix' wrote, "
                "found no translator.json of this version"
            )
        self.directions = tuple(known)
        self.direction = direction or self.directions[0]
        if self.direction not in known:
            raise UnknownNameError("direction", self.direction, known)
        self._multiple = int(known[self.direction]["multiple"])
        self._smallest_px = int(known[self.direction]["smallest_px"])
        graph = folder / f"{self.direction}.onnx"
        self._engine = OpenVinoEngine(graph, precision="f32", threads=threads)
        self._program = self._engine.program(graph.read_bytes())

    def __call__(self, image: Pixels) -> Pixels:
        """Translate one picture.

        Args:
            image: (H, W, 3) uint8 or uint16, RGB, full range.

        Returns:
            (H, W, 3) of the same type.

        Raises:
            ShapeError: the picture has another shape or type, or is smaller than the network can see.
            MemoryError: the picture does not fit into memory.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
            raise ShapeError(
                f"image: expected uint8 or uint16 (H, W, 3), got {image.dtype} {tuple(image.shape)}"
            )
        height, width = image.shape[:2]
        if min(height, width) < self._smallest_px:
            raise ShapeError(
                f"image: expected at least {self._smallest_px} x {self._smallest_px} pixels, "
                f"got {width} x {height}"
            )
        largest = np.iinfo(image.dtype).max
        missing = [(0, -side % self._multiple) for side in (height, width)]
        whole = np.pad(image, [*missing, (0, 0)], mode="edge")
        photo = np.ascontiguousarray(whole.transpose(2, 0, 1)[None], dtype=np.float32) / largest
        (translated,) = self._program(photo)  # (1, 3, H', W'), 0..1
        pixels = translated[0, :, :height, :width].transpose(1, 2, 0)
        translation: Pixels = np.rint(np.clip(pixels, 0, 1) * largest).astype(image.dtype)
        return translation

    def close(self) -> None:
        """Free the compiled graph."""
        self._engine.close()
