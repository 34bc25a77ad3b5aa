"""What image translation's trainings share: two players, a pool of past pictures, the papers' rates.

Least-squares losses are of Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017
(arXiv:1611.04076); the pool is of Shrivastava et al., "Learning from Simulated and Unsupervised Images
through Adversarial Training", CVPR 2017 (arXiv:1612.07828); hinge losses are of Lim & Ye, "Geometric GAN",
2017 (arXiv:1705.02894).
"""

from __future__ import annotations

import platform
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.perceptual import FeatureNetwork, FeatureStatistics, load_features
from stylenorm.training import ranks
from stylenorm.training.loop import Recipe

__all__ = ["NUM_MEASURED", "AdversarialRecipe", "PicturePool", "hinge", "least_squares", "pixel_error"]


NUM_MEASURED = 32
"""So many held-out pictures are measured, at most."""


class PicturePool(nn.Module):
    """The last pictures that a generator made, some of which its discriminator sees again.

    Its pictures are buffers: they are saved with the model, and a resumed training goes on with them.

    Args:
        num_pictures: how many are kept; 50 in CycleGAN, 0 for none.
        size_px: side of the pictures.
    """

    kept: Tensor
    num_kept: Tensor

    def __init__(self, num_pictures: int, size_px: int) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(num_pictures, 3, size_px, size_px))
        self.register_buffer("num_kept", torch.tensor(0))

    @torch.no_grad()
    def exchange(self, made: Tensor, generator: torch.Generator) -> Tensor:
        """Return pictures to score, as many as ``made`` (N, 3, S, S): of each two, one is from the pool.

        While the pool fills, ``made`` itself is returned. Of several processes, ``made`` is the share.
        """
        if not len(self.kept):
            return made.detach()
        shown = ranks.all_gather(made).clone()
        for i in range(len(shown)):
            place = int(torch.randint(len(self.kept), (1,), generator=generator))
            is_old = torch.rand(1, generator=generator).item() < 0.5
            if self.num_kept < len(self.kept):
                self.kept[int(self.num_kept)] = shown[i]
                self.num_kept += 1
            elif is_old:
                old = self.kept[place].clone()
                self.kept[place] = shown[i]
                shown[i] = old
        return ranks.shard(shown)


class AdversarialRecipe(Recipe):
    """A recipe with generators and discriminators; Adam and its rate are as in the papers."""

    betas = (0.5, 0.999)
    settings: Any
    _feature_networks: Sequence[FeatureNetwork] | None = None

    def rate(self, step: int, steps: int) -> float:
        """Return the full rate for the first half of the steps; from there it falls linearly to 0."""
        return min(1.0, 2 * (1 - step / steps))

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all but `tunable` must be the same when a checkpoint is resumed."""
        return {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float)}

    def tunable(self) -> Collection[str]:
        """Return the weights of the losses."""
        return [name for name in self.config() if name.endswith("_weight")]

    def compared(self, made: Tensor, wanted: Tensor, *, paired: bool) -> dict[str, float]:
        """Return how far pictures are from those that are wanted.

        Args:
            made: (N, 3, H, W), 0..1.
            wanted: (M, 3, H, W); if ``paired``, the true ones.
            paired: measure ``L1`` too, in grey levels of 256.

        Returns:
            ``L1``, and ``Frechet`` (see `FeatureStatistics.distance`) where a feature network can see them.
        """
        found = {"L1": 255 * float((made - wanted).abs().mean())} if paired else {}
        if self._feature_networks is None:
            self._feature_networks = load_features("vgg16")
        if min(made.shape[-2:]) >= max(network.smallest_px for network in self._feature_networks):
            sets = [FeatureStatistics.of(self._feature_networks, [each.cpu()]) for each in (made, wanted)]
            found["Frechet"] = sets[0].distance(sets[1])
        return found

    @abstractmethod
    def sources(self) -> Mapping[str, str]:
        """Return what it learns from, for the record."""

    def whole_record(self, record: Mapping[str, str], command: str) -> dict[str, str]:
        """Return the record with what is known here."""
        return {
            **record,
            **{key: str(value) for key, value in self.config().items()},
            **self.sources(),
            "command": command,
            "machine": f"{platform.machine()}, {self.device.type}",
        }


def least_squares(score: Tensor, *, real: bool) -> Tensor:
    """Return how far scores are from 1, for what is real, or from 0; the mean of the squares."""
    return (score - float(real)).square().mean()


def hinge(score: Tensor, *, real: bool) -> Tensor:
    """Return how far scores fall short of 1, for what is real, or exceed -1; the mean.

    That is the discriminator's loss; the generator's is ``-score.mean()``.
    """
    return F.relu(1 - score if real else 1 + score).mean()


def pixel_error(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference of pictures in 0..1, in the papers' scale, which is -1..1."""
    return 2 * (a - b).abs().mean()
