"""How far apart two sets of pictures are: the Frechet distance of their features.

Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, "GANs Trained by a Two Time-Scale Update Rule Converge to
a Local Nash Equilibrium", NIPS 2017 (arXiv:1706.08500).

Differs from the paper: features are not an Inception network's but those of networks that ship, so the
numbers are not to be compared with published ones; and each picture gives 16 vectors, the means over the
fields of a grid of 4 x 4, so that some tens of pictures are enough for a covariance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.perceptual.features import FeatureNetwork

__all__ = ["FeatureStatistics", "frechet_distance"]

_GRID = 4


class FeatureStatistics:
    """Means and covariances of the features of pictures, added up batch by batch.

    Args:
        networks: whose last style tap is looked at, as `load_features` gives them.

    Attributes:
        num_pictures: so far.
    """

    def __init__(self, networks: Sequence[FeatureNetwork]) -> None:
        self.networks = networks
        self.num_pictures = 0
        self._vectors: list[list[NDArray[np.float64]]] = [[] for _ in networks]

    @torch.no_grad()
    def add(self, pictures: Tensor) -> None:
        """Take pictures in: (N, 3, H, W), RGB, 0..1."""
        for network, kept in zip(self.networks, self._vectors, strict=True):
            tap = network.style_taps[-1]
            features = network(pictures, (tap,))[tap]
            grid = min(_GRID, *features.shape[2:])
            fields = F.adaptive_avg_pool2d(features, grid).flatten(2).transpose(1, 2)  # (N, fields, C)
            kept.append(fields.flatten(0, 1).double().cpu().numpy())
        self.num_pictures += len(pictures)

    @classmethod
    def of(cls, networks: Sequence[FeatureNetwork], batches: Iterable[Tensor]) -> FeatureStatistics:
        """Return those of some batches of pictures."""
        made = cls(networks)
        for batch in batches:
            made.add(batch)
        return made

    def moments(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return mean (C,) and covariance (C, C), divided by n, for each network.

        Raises:
            InputError: there are no pictures.
        """
        if not self.num_pictures:
            raise InputError("expected at least one picture to measure, got none")
        found = []
        for kept in self._vectors:
            vectors = np.concatenate(kept)
            mean = vectors.mean(axis=0)
            found.append((mean, (vectors - mean).T @ (vectors - mean) / len(vectors)))
        return found

    def distance(self, other: FeatureStatistics) -> float:
        """Return the distance to other pictures: the mean over the networks.

        Each is divided by the trace of the other's covariance, so that networks count alike: 1 is as far as
        the other pictures are apart among themselves.
        """
        pairs = zip(self.moments(), other.moments(), strict=True)
        shares = [
            frechet_distance(mean, covariance, mean_b, covariance_b)
            / max(float(np.trace(covariance_b)), 1e-12)
            for (mean, covariance), (mean_b, covariance_b) in pairs
        ]
        return float(np.mean(shares))


def frechet_distance(
    mean_a: NDArray[np.float64],
    covariance_a: NDArray[np.float64],
    mean_b: NDArray[np.float64],
    covariance_b: NDArray[np.float64],
) -> float:
    r"""Return the squared Frechet distance of two normal distributions.

    .. math:: |\mu_a - \mu_b|^2 + \mathrm{tr}(A + B - 2 (A^{1/2} B A^{1/2})^{1/2})

    Args:
        mean_a: (C,).
        covariance_a: (C, C).
        mean_b: of the other.
        covariance_b: of the other.

    Example:
        >>> one = np.eye(2)
        >>> frechet_distance(np.zeros(2), one, np.array([3.0, 4.0]), 4 * one)  # 25 + 2 (2 - 1)^2
        27.0
    """
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    both = np.linalg.eigvalsh(root @ covariance_b @ root).clip(0)
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(both).sum()
    return float(np.square(mean_a - mean_b).sum() + max(0.0, trace))
