"""What is done to intensities before a network sees them: by the scan's statistics, or by a fixed window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Intensities", "normalized", "standardized"]

FloatArray = NDArray[np.float32]

_PERCENTILES = (0.5, 99.5)  # nnU-Net's


@dataclass(frozen=True)
class Intensities:
    """How one channel is normalized.

    Attributes:
        low, high: what intensities are clipped to; None where the scan's own mean and deviation are taken,
            and nothing is clipped.
        mean: subtracted then.
        deviation: divided by then.
    """

    low: float | None = None
    high: float | None = None
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of_foreground(cls, voxels: NDArray[Any]) -> Intensities:
        """Return nnU-Net's way with CT: the 0.5 and 99.5 percentiles, mean and deviation of the foreground.

        Args:
            voxels: intensities of labelled voxels, of all scans that are trained on.
        """
        low, high = np.percentile(voxels, _PERCENTILES)
        deviation = float(voxels.std(dtype=np.float64))
        return cls(float(low), float(high), float(voxels.mean(dtype=np.float64)), max(deviation, 1e-8))

    @classmethod
    def of_window(cls, low: float, high: float) -> Intensities:
        """Return a fixed window: its middle becomes 0, and evenly spread intensities get a deviation of 1."""
        return cls(low, high, (low + high) / 2, (high - low) / 12**0.5)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Intensities:
        """Return what `to_dict` gave."""
        return cls(**{name: float(value) for name, value in fields.items()})

    def to_dict(self) -> dict[str, float]:
        """Return plain values; empty for the scan's own statistics."""
        if self.low is None or self.high is None:
            return {}
        return {"low": self.low, "high": self.high, "mean": self.mean, "deviation": self.deviation}

    def __call__(self, voxels: NDArray[Any]) -> FloatArray:
        """Return a channel (X, Y, Z) as the network sees it."""
        if self.low is None or self.high is None:
            return standardized(voxels)
        clipped = np.clip(voxels.astype(np.float32), np.float32(self.low), np.float32(self.high))
        made: FloatArray = (clipped - np.float32(self.mean)) / np.float32(self.deviation)
        return made

    def __str__(self) -> str:
        """Return it in a few words."""
        if self.low is None:
            return "mean 0, deviation 1"
        return f"{self.low:g} to {self.high:g}"


def standardized(voxels: NDArray[Any]) -> FloatArray:
    """Return intensities with mean 0 and (biased) deviation 1 over the whole volume; of one value, 0.

    Args:
        voxels: (X, Y, Z).
    """
    mean = voxels.mean(dtype=np.float64)
    centred = (voxels - mean).astype(np.float32)
    deviation = float(np.sqrt(np.square(centred).mean(dtype=np.float64)))
    # Float32 leaves so much of a constant: not to be blown up into a picture.
    return centred / np.float32(deviation) if deviation > 1e-6 * abs(mean) else np.zeros_like(centred)


def normalized(voxels: FloatArray, ways: Sequence[Intensities]) -> FloatArray:
    """Return a scan (C, X, Y, Z) with each channel in its way."""
    return np.stack([way(channel) for way, channel in zip(ways, voxels, strict=True)])
