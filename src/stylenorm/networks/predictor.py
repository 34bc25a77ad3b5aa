"""Any picture as a style: gamma and beta predicted from its statistics.

Ghiasi, Lee, Kudlur, Dumoulin, Shlens, "Exploring the structure of a real-time, arbitrary neural artistic
stylization network", BMVC 2017 (arXiv:1705.06830).

Differs from the paper: in place of Inception v3 the first five convolutions of VGG-16, of which not only
the means but also the standard deviations are read, at three layers; and the pixels' own colours: moments
and histograms. A deep layer alone keeps the structure of a painting and loses its palette. What is
predicted is the departure from the mean of the styles that the network was trained with, in units of their
spread, so that an untrained predictor is a sane one.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import ShapeError

__all__ = ["StylePredictor"]

_TAPS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1")
_WIDTHS = (64, 64, 128, 128, 256)
_POOLS_BEFORE = frozenset({"relu2_1", "relu3_1"})
_READ = frozenset({"relu1_2", "relu2_2", "relu3_1"})
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as of `stylenorm.perceptual.Vgg`
_NUM_BINS = 8
_SMALLEST_PX = 16
_TINY = 1e-6


class StylePredictor(nn.Module):
    """Predicts a style vector from a picture.

    Args:
        style_length: numbers in a style vector, photo gate included (which is predicted as 0).
        hidden: width of the hidden layer.

    Shape:
        - ``painting``: (N, 3, H, W), RGB, 0..1, any H and W from 16; the size at which its strokes are seen
          is the size at which the network paints them, times two.
        - returns (N, style_length).
    """

    mean: Tensor
    std: Tensor
    center: Tensor
    spread: Tensor
    base: Tensor
    reach: Tensor

    def __init__(self, style_length: int, hidden: int = 192) -> None:
        super().__init__()
        sizes = zip(_TAPS, pairwise((3, *_WIDTHS)), strict=True)
        self.convs = nn.ModuleDict({tap: nn.Conv2d(*pair, 3, padding=1) for tap, pair in sizes})
        self.convs.requires_grad_(False)  # learned elsewhere: 155 paintings would not teach them anything
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).reshape(1, 3, 1, 1), persistent=False)
        read = sum(width for tap, width in zip(_TAPS, _WIDTHS, strict=True) if tap in _READ)
        num_statistics = 2 * read + 3 + 6 + 3 * _NUM_BINS
        self.hidden = nn.Linear(num_statistics, hidden)
        self.out = nn.Linear(hidden, style_length - 1)
        nn.init.zeros_(self.out.bias)
        nn.init.normal_(self.out.weight, std=0.1 / hidden**0.5)
        # What statistics are usual (center, spread), and what styles are (base, reach): `calibrate`.
        self.register_buffer("center", torch.zeros(num_statistics))
        self.register_buffer("spread", torch.ones(num_statistics))
        self.register_buffer("base", torch.zeros(style_length - 1))
        self.register_buffer("reach", torch.ones(style_length - 1))

    @torch.no_grad()
    def calibrate(self, statistics: Tensor, styles: Tensor) -> None:
        """Set what is usual: ``statistics`` (P, K) of paintings, ``styles`` (S, L) of the network."""
        rows = styles[:, :-1]
        self.center.copy_(statistics.mean(dim=0))
        self.spread.copy_(statistics.std(dim=0) + 1e-3)
        self.base.copy_(rows.mean(dim=0))
        self.reach.copy_(rows.std(dim=0, correction=0) + 0.05)

    def statistics(self, painting: Tensor) -> Tensor:
        """Return what is read of pictures: (N, 3, H, W) to (N, K)."""
        if painting.dim() != 4 or painting.shape[1] != 3 or min(painting.shape[-2:]) < _SMALLEST_PX:
            raise ShapeError(
                f"painting: expected (N, 3, H, W) with H and W of at least {_SMALLEST_PX}, "
                f"got {tuple(painting.shape)}"
            )
        found = _color_statistics(painting)
        x = (painting - self.mean) / self.std
        for tap, conv in self.convs.items():
            if tap in _POOLS_BEFORE:
                x = F.avg_pool2d(x, 2)
            x = F.relu(conv(x))
            if tap in _READ:
                mean = x.mean(dim=(2, 3))
                variance = (x - mean[:, :, None, None]).square().mean(dim=(2, 3))
                found += [mean, torch.sqrt(variance + _TINY)]
        return torch.cat(found, dim=1)

    def predict(self, statistics: Tensor) -> Tensor:
        """Return the styles of pictures whose `statistics` were measured: (N, K) to (N, L)."""
        usual = ((statistics - self.center) / self.spread).clamp(-4, 4)
        change = self.out(F.silu(self.hidden(usual)))
        style = self.base + self.reach * change
        return torch.cat([style, torch.zeros_like(style[:, :1])], dim=1)

    def forward(self, painting: Tensor) -> Tensor:
        """Predict; see the class for shapes."""
        return self.predict(self.statistics(painting))


def _color_statistics(x: Tensor) -> list[Tensor]:
    """Mean (N, 3), covariance (N, 6) and soft histograms (N, 24) of the channels."""
    mean = x.mean(dim=(2, 3))
    centred = x - mean[:, :, None, None]
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    covariance = torch.stack([(centred[:, i] * centred[:, j]).mean(dim=(1, 2)) for i, j in pairs], dim=1)
    width = 1 / (_NUM_BINS - 1)
    bins = [F.relu(1 - (x - k * width).abs() / width).mean(dim=(2, 3)) for k in range(_NUM_BINS)]
    return [mean, covariance, *bins]
