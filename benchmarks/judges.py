"""What the benchmarks of looks measure, with eyes that took no part in any training.

- **style left, content**: on EfficientNet-Lite0 (`benchmarks/judge.py`). For each layer the relative style
  loss (Gram matrices) of the painted photo over that of the photo; the figure is the geometric mean over
  layers. Content is the relative squared difference of features.
- **palette**: sliced Wasserstein distance (root mean square, grey levels of 0..255) between the colours of
  the painted photo and the painting's, mean over the pictures as they are and averaged by 4 and by 16.
- **contrast**: spread of lightness in units of the painting's, geometric mean over the same three; 1 is
  right.
- **recognised**: whether the class that the judge gives the photo is among the five that it gives the
  painted photo.
- **edges kept**: correlation of the strength of edges, photo with painted photo, both averaged by 2.
- **grain**: variation of the mean absolute difference between neighbouring rows over the phases of a grid
  of 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from judge import Judge
from measured import summary
from stylenorm.perceptual import content_loss, gram_matrix, palette_quantiles, style_loss

POOLS = (1, 4, 16)
LIGHT = torch.tensor([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Verdict:
    """The figures of one painted photo; see the module's docstring."""

    style_left: float
    content: float
    palette: float
    contrast: float
    recognised: float
    edges_kept: float
    grain: float


class Judges:
    """Measure paintings of these photos.

    Args:
        photos: (1, 3, H, W) each, RGB, 0..1.
    """

    def __init__(self, photos: list[Tensor]) -> None:
        self.network, self.photos = Judge(), photos
        self.directions = F.normalize(torch.randn(32, 3, generator=torch.Generator().manual_seed(7)))
        self._seen = [self._look(photo) for photo in photos]
        self._classes = [self.network.classes(photo).argmax(dim=1) for photo in photos]

    def __call__(self, index: int, painted: Tensor, painting: Tensor) -> Verdict:
        """Judge photo ``index``, painted, beside the painting (1, 3, h, w)."""
        photo, (before, kept) = self.photos[index], self._seen[index]
        (after, content), (target, _) = self._look(painted), self._look(painting)
        shares = [float(style_loss(after[t], target[t]) / style_loss(before[t], target[t])) for t in target]
        best = self.network.classes(painted).topk(5, dim=1).indices
        return Verdict(
            style_left=float(np.exp(np.log(shares).mean())),
            content=float(content_loss(content, kept)),
            palette=float(np.mean([self._distance(painted, painting, pool) for pool in POOLS])),
            contrast=float(
                np.exp(np.mean([np.log(spread(painted, p) / spread(painting, p)) for p in POOLS]))
            ),
            recognised=float((best == self._classes[index][:, None]).any()),
            edges_kept=float(np.corrcoef(edges(photo), edges(painted))[0, 1]),
            grain=grain(painted[0]),
        )

    @torch.no_grad()
    def _look(self, picture: Tensor) -> tuple[Mapping[str, Tensor], Tensor]:
        features = self.network(picture)
        grams = {tap: gram_matrix(features[tap]) for tap in self.network.style_taps}
        return grams, features[self.network.content_tap]

    def _distance(self, painted: Tensor, painting: Tensor, pool: int) -> float:
        ours, theirs = (
            palette_quantiles(F.avg_pool2d(x, pool).flatten(2), self.directions) for x in (painted, painting)
        )
        return float((ours - theirs).square().mean().sqrt() * 255)


def medians(verdicts: list[Verdict]) -> dict[str, object]:
    """Median, smallest and largest of each figure; of what is recognised, the share."""
    columns = zip(*(astuple(v) for v in verdicts), strict=True)
    named = {field.name: list(column) for field, column in zip(fields(Verdict), columns, strict=True)}
    share = round(float(np.mean(named.pop("recognised"))), 3)
    return {name: summary(values) for name, values in named.items()} | {"recognised": share}


def spread(picture: Tensor, pool: int) -> float:
    """Standard deviation of lightness, averaged by ``pool``."""
    light = (F.avg_pool2d(picture, pool) * LIGHT[:, None, None]).sum(dim=1)
    return float(light.std(correction=0)) + 1e-4


def edges(picture: Tensor) -> np.ndarray:
    """Strength of the edges of lightness, averaged by 2, flat."""
    light = F.avg_pool2d((picture * LIGHT[:, None, None]).sum(dim=1, keepdim=True), 2)[0, 0].numpy()
    return np.hypot(*np.gradient(light)).ravel()


def grain(picture: Tensor) -> float:
    """Variation of the gradient over the phases of rows, (3, H, W): 0 where every row is like every other."""
    difference = (picture[:, 1:] - picture[:, :-1]).abs().mean(dim=(0, 2))  # (H - 1,)
    phases = torch.stack([difference[phase::4].mean() for phase in range(4)])
    return float((phases.max() - phases.min()) / phases.mean())
