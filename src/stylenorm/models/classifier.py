"""What a picture shows, by a trained classifier, on OpenVINO; no torch is needed.

The folder is what ``stylenorm train ibn`` writes:

.. code-block:: text

    classifier.onnx    the network; its input is (1, 3, S, S), RGB, 0..1, its output (1, classes), not bounded
    classifier.json    format, size, names of the classes, training record
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylenorm.closing import Closing
from stylenorm.engines.engine import Pixels
from stylenorm.engines.openvino_session import GraphSession
from stylenorm.errors import ShapeError
from stylenorm.media import resize_shorter, to_float, to_uint8
from stylenorm.model_folder import CLASSIFIER

__all__ = ["Classifier", "central_square"]


def central_square(image: Pixels, size_px: int) -> NDArray[np.uint8]:
    """Return the middle of a picture: its shorter side scaled to ``size_px``, the longer one cropped.

    Args:
        image: (H, W, 3) uint8 or uint16, RGB, full range.
        size_px: side of the result.

    Returns:
        (size_px, size_px, 3) uint8.

    Raises:
        ShapeError: the picture has another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16) or not image.size:
        raise ShapeError(f"image: expected uint8 or uint16 (H, W, 3), got {image.dtype} {tuple(image.shape)}")
    picture = resize_shorter(Image.fromarray(np.ascontiguousarray(to_uint8(image))), size_px)
    left, top = ((side - size_px) // 2 for side in picture.size)
    return np.asarray(picture)[top : top + size_px, left : left + size_px]


class Classifier(Closing):
    """Says what pictures show.

    Args:
        folder: what a training wrote.
        threads: how many; None for all cores.

    Attributes:
        classes: their names.
        size_px: side of the square that the network sees.

    Raises:
        InputError: it is no classifier folder, or the graph cannot be read.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        folder = Path(folder)
        with CLASSIFIER.reading(folder, ("classifier",)) as described:
            self.classes = tuple(map(str, described["classes"]))
            self.size_px = int(described["size_px"])
        self._session = GraphSession(folder / "classifier.onnx", threads=threads)

    def __call__(self, image: Pixels) -> dict[str, float]:
        """Return the probability of each class, the likeliest first.

        Args:
            image: (H, W, 3) uint8 or uint16, RGB, full range; its central square is looked at.

        Raises:
            ShapeError: the picture has another shape or type.
        """
        square = central_square(image, self.size_px)
        x = np.ascontiguousarray(to_float(square).transpose(2, 0, 1)[None])
        (outputs,) = self._session(x)
        raised = np.exp(outputs[0].astype(np.float64) - outputs[0].max())
        shares = raised / raised.sum()
        return {self.classes[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable")}

    def close(self) -> None:
        """Free the compiled graph."""
        self._session.close()
