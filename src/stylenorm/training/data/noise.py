"""Photos with the noise from which motifs begin, as a network sees them (`stylenorm.noise`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stylenorm.noise import with_noise
from stylenorm.training import ranks

__all__ = ["drawn_places", "noisy"]

_PLACES = 2**20  # pixels: windows are drawn from a square of this side


def noisy(photo: Tensor, amplitude: Tensor | float, places: Tensor | None = None) -> Tensor:
    """Return photos with noise; without gradients.

    Args:
        photo: (N, 3, H, W), 0..1.
        amplitude: standard deviation of the noise where a photo is flat, of all or (N,) of each.
        places: (N, 2), the window of the noise that each gets: its first row and column; None for (0, 0),
            as a photo is painted.

    Returns:
        (N, 3, H, W), 0..1.
    """
    amplitudes = torch.as_tensor(amplitude).expand(len(photo)).tolist()
    corners = [(0, 0)] * len(photo) if places is None else [(row, column) for row, column in places.tolist()]
    pictures = photo.permute(0, 2, 3, 1).numpy(force=True)
    made = [
        with_noise(picture, amplitude, origin=corner)
        for picture, amplitude, corner in zip(pictures, amplitudes, corners, strict=True)
    ]
    return torch.from_numpy(np.stack(made)).to(photo.device).permute(0, 3, 1, 2).contiguous()


def drawn_places(count: int, generator: torch.Generator) -> Tensor:
    """Return places of windows of the noise for `noisy`: this process's part, (n, 2), of ``count`` in all."""
    return ranks.shard(torch.randint(_PLACES, (count, 2), generator=generator))
