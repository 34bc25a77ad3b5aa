"""How much of a photo's style loss a painting leaves: what the benchmarks of looks measure.

For each network and each of its layers, the relative style loss of the painted photo is divided by that of
the photo as it was; the figure is the geometric mean over layers and networks. Beside it stands the relative
content loss, the mean over networks. What photos and paintings measure is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from stylenorm.perceptual import FeatureNetwork, content_loss, gram_matrix, style_loss

Grams = list[Mapping[str, Tensor]]  # a network: tap to (1, C, C)


class StyleLeft:
    """Measures paintings of these photos.

    Args:
        networks: which judge, with equal say.
        photos: (N, 3, H, W), RGB, 0..1.
    """

    def __init__(self, networks: Sequence[FeatureNetwork], photos: Tensor) -> None:
        self.networks = list(networks)
        self.photos = [self._measure(photo) for photo in photos.split(1)]

    def grams(self, painting: Tensor) -> Grams:
        """Return what a painting (1, 3, H, W) measures."""
        return [grams for grams, _ in self._measure(painting)]

    def __call__(self, index: int, painted: Tensor, painting: Grams) -> tuple[float, float]:
        """Return the share of photo ``index``'s style loss that ``painted`` leaves, and its content loss."""
        shares, contents = [], []
        for (after, content), (before, kept), target in zip(
            self._measure(painted), self.photos[index], painting, strict=True
        ):
            shares += [
                float(style_loss(after[tap], gram) / style_loss(before[tap], gram))
                for tap, gram in target.items()
            ]
            contents.append(float(content_loss(content, kept)))
        return float(np.exp(np.log(shares).mean())), float(np.mean(contents))

    @torch.no_grad()
    def _measure(self, picture: Tensor) -> list[tuple[Mapping[str, Tensor], Tensor]]:
        found = []
        for network in self.networks:
            features = network(picture)
            grams = {tap: gram_matrix(features[tap]) for tap in network.style_taps}
            found.append((grams, features[network.content_tap]))
        return found
