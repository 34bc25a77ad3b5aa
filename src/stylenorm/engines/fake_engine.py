"""An engine for tests: no backend, no weights, and a result that anyone can check."""

from __future__ import annotations

import numpy as np

from stylenorm.engines.engine import Engine, FloatArray

__all__ = ["FakeEngine"]


class FakeEngine(Engine):
    """Paints the negative of the photo; as with a real network, the style's last number is the photo gate.

    ``painting = gate * photo + (1 - gate) * (1 - photo)``, in float32.

    Attributes:
        num_paintings: how often it has painted.
    """

    name = "fake"
    precision = "f32"
    threads = 1

    def __init__(self) -> None:
        self.num_paintings = 0

    def _paint(self, photo: FloatArray, style: FloatArray, exact: bool) -> FloatArray:  # noqa: ARG002
        self.num_paintings += 1
        gate = style[-1]
        return np.asarray((1 - gate) + (2 * gate - 1) * photo, dtype=np.float32)
