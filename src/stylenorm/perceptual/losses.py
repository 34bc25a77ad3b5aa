"""The losses of style transfer: content, style (Gram matrices) and total variation.

Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016, and Johnson,
Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer", ECCV 2016 (arXiv:1603.08155).

Differs from both: every term is divided by its own size (content by the mean square of the photo's features,
style by the squared norm of the painting's Gram matrix), so that layers, networks and paintings count alike
and one weight serves every painting. Every function returns one number a sample, not a mean over the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm._moved import old_names
from stylenorm.errors import ShapeError
from stylenorm.perceptual.features import FeatureNetwork

__all__ = [
    "PerceptualLoss",
    "PerceptualTerms",
    "StyleTarget",
    "checkerboard_loss",
    "content_loss",
    "gram_matrix",
    "style_loss",
    "total_variation",
]

__getattr__ = old_names(__name__)

_TINY = 1e-8  # keeps a black photo's or a flat painting's normalization finite


def gram_matrix(features: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""Return the channel products of ``features``, averaged over positions.

    .. math:: G_{ij} = \frac{\sum_p w_p F_{ip} F_{jp}}{\sum_p w_p}

    Differs from Gatys and Johnson, who also divide by the number of channels: here the loss is relative, and
    such a factor drops out. With weights it is the guided Gram matrix of Gatys et al., "Controlling
    Perceptual Factors in Neural Style Transfer", CVPR 2017, section 4.2, whose guidance T is the root of w.

    Shape:
        - ``features``: (N, C, H, W); returns (N, C, C), float32 or better.
        - ``weights``: (N or 1, 1, H, W), not negative, with a positive sum; None counts all positions alike.

    Example:
        >>> gram_matrix(torch.ones(1, 2, 4, 4))
        tensor([[[1., 1.],
                 [1., 1.]]])
    """
    if features.dim() != 4:
        raise ShapeError(f"features: expected (N, C, H, W), got {tuple(features.shape)}")
    if features.dtype in (torch.float16, torch.bfloat16):
        features = features.float()
    product: Tensor = _Gram.apply(features, weights)  # type: ignore[no-untyped-call]
    return product


class _Gram(torch.autograd.Function):
    """The product of features with themselves, whose derivative autograd would compute twice.

    G is symmetric in its two factors, so with the gradient g of G that of F is (g + g') (w F) / sum w: one
    product, where autograd makes two and adds the second one transposed. That took half of a step's time.
    Twice differentiable.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weights: Tensor | None) -> Tensor:
        flat = features.flatten(2)
        share = torch.full((1, 1, 1), 1 / flat.shape[2], dtype=flat.dtype, device=flat.device)
        if weights is not None:
            share = weights.flatten(2).to(flat)  # (N or 1, 1, HW)
            share = share / share.sum(dim=2, keepdim=True)
        ctx.save_for_backward(features, share)
        if weights is None:
            return flat @ flat.transpose(1, 2) * share
        return (flat * share) @ flat.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        features, share = ctx.saved_tensors
        flat = features.flatten(2)
        both = gradient + gradient.transpose(1, 2)
        if not features.is_contiguous() and features.is_contiguous(memory_format=torch.channels_last):
            rows = flat.transpose(1, 2)  # the gradient lies as the features do, so that they add up quickly
            turned = rows @ (both * share) if share.shape[2] == 1 else rows @ both * share.transpose(1, 2)
            return turned.transpose(1, 2).view(features.shape), None
        product = (both * share) @ flat if share.shape[2] == 1 else both @ flat * share
        return product.reshape(features.shape), None


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    r"""Return :math:`\|F - F_{photo}\|^2 / \|F_{photo}\|^2` of each sample; shapes (N, C, H, W) to (N,)."""
    difference = (features - target).square().mean(dim=(1, 2, 3))
    return difference / (target.square().mean(dim=(1, 2, 3)) + _TINY)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    r"""Return :math:`\|G - G_{painting}\|^2 / \|G_{painting}\|^2` of each sample; (N, C, C) to (N,)."""
    difference = (gram - target).square().sum(dim=(1, 2))
    return difference / (target.square().sum(dim=(1, 2)) + _TINY)


def total_variation(x: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbours, down plus right; (N, C, H, W) to (N,).

    Example:
        >>> board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).reshape(1, 1, 2, 2)
        >>> total_variation(board)
        tensor([2.])
    """
    down = (x[:, :, 1:] - x[:, :, :-1]).abs().mean(dim=(1, 2, 3))
    right = (x[..., 1:] - x[..., :-1]).abs().mean(dim=(1, 2, 3))
    return down + right


def checkerboard_loss(x: Tensor, period: int = 4) -> Tensor:
    """Return how far statistics depend on the place in a grid of ``period``; (N, C, H, W) to (N,).

    A texture has no preferred phase: its mean, and the mean absolute difference of neighbours down and right,
    are the same at each of the ``period`` squared phases, but for chance. The variance of these three over
    phases (channels averaged) is divided by the square of the mean difference, so that contrast and
    brightness do not matter. 0 is no artefact; a picture enlarged by nearest neighbours has about twice
    ``period`` - 1. No paper's: networks that work on a coarse grid leave one that Gram matrices do not see.

    Args:
        x: (N, C, H, W), H and W greater than ``period``.
        period: of the grid, in pixels.

    Example:
        >>> steps = torch.arange(9.0).div(4, rounding_mode="floor").expand(1, 1, 9, 9)
        >>> checkerboard_loss(steps)  # 0, 0, 0, 1 from one to the next
        tensor([12.0000])
    """
    n, c = x.shape[:2]
    height, width = ((side - 1) // period for side in x.shape[2:])
    x = x[:, :, : height * period + 1, : width * period + 1]
    here = x[:, :, :-1, :-1]
    differences = torch.stack([x[:, :, 1:, :-1] - here, x[:, :, :-1, 1:] - here], dim=1).abs()
    both = torch.cat([here[:, None], differences], dim=1)  # (N, 3, C, h p, w p)
    phases = both.reshape(n, 3, c, height, period, width, period).mean(dim=(3, 5))
    variance = phases.flatten(3).var(dim=3, correction=0)  # (N, 3, C)
    scale = differences.mean(dim=(1, 3, 4)).square() + _TINY  # (N, C)
    return torch.mean(variance.sum(dim=1) / scale, dim=1)


@dataclass(frozen=True)
class StyleTarget:
    """The Gram matrices of paintings: ``grams[network, scale][tap]`` is (S, C, C)."""

    grams: Mapping[tuple[int, int], Mapping[str, Tensor]]

    @classmethod
    def stack(cls, targets: Sequence[StyleTarget]) -> StyleTarget:
        """Put several paintings' targets into one, in order."""
        first = targets[0].grams
        return cls(
            {
                key: {tap: torch.cat([t.grams[key][tap] for t in targets]) for tap in taps}
                for key, taps in first.items()
            }
        )

    def to(self, device: torch.device) -> StyleTarget:
        """Return a copy on ``device``."""
        return StyleTarget(
            {key: {tap: gram.to(device) for tap, gram in taps.items()} for key, taps in self.grams.items()}
        )

    def select(self, index: Tensor) -> StyleTarget:
        """Pick one painting a sample; ``index`` (N,) of integers."""
        return StyleTarget(
            {key: {tap: gram[index] for tap, gram in taps.items()} for key, taps in self.grams.items()}
        )


@dataclass(frozen=True)
class PerceptualTerms:
    """Content and style loss of each sample, (N,) each, means over networks, scales and taps."""

    content: Tensor
    style: Tensor


class PerceptualLoss:
    """Content and style losses over several feature networks at several scales.

    Several small networks together are harder to fool than one: what pleases a single small network need not
    look like the painting, or lower the style loss on a network that took no part.

    Args:
        networks: frozen feature networks.
        num_scales: style is compared at the full picture and at ``num_scales - 1`` halvings of it (the
            coarser ones ask for larger strokes); content at the full picture only.
    """

    def __init__(self, networks: Sequence[FeatureNetwork], num_scales: int = 2) -> None:
        self.networks = list(networks)
        self.num_scales = num_scales

    @torch.no_grad()
    def style_target(self, painting: Tensor) -> StyleTarget:
        """Measure a painting; (1, 3, H, W), RGB 0..1, at the size whose strokes are wanted."""
        return StyleTarget(
            {
                key: {tap: gram_matrix(features[tap]) for tap in self.networks[key[0]].style_taps}
                for key, features in self.features(painting).items()
            }
        )

    @torch.no_grad()
    def content_target(self, photo: Tensor) -> list[Tensor]:
        """Measure photos; (N, 3, H, W), RGB 0..1. One tensor a network."""
        return [network(photo, [network.content_tap])[network.content_tap] for network in self.networks]

    def __call__(self, x: Tensor, content: Sequence[Tensor], style: StyleTarget) -> PerceptualTerms:
        """Compare ``x`` (N, 3, H, W) with the photos' content and the paintings' style."""
        content_terms: list[Tensor] = []
        style_terms: list[Tensor] = []
        for (number, scale), features in self.features(x).items():
            network = self.networks[number]
            if scale == 0:
                content_terms.append(content_loss(features[network.content_tap], content[number]))
            per_tap = [
                style_loss(gram_matrix(features[tap]), style.grams[number, scale][tap])
                for tap in network.style_taps
            ]
            style_terms.append(torch.stack(per_tap).mean(dim=0))
        return PerceptualTerms(torch.stack(content_terms).mean(dim=0), torch.stack(style_terms).mean(dim=0))

    def features(self, x: Tensor) -> dict[tuple[int, int], dict[str, Tensor]]:
        """Return ``features[network, scale][tap]``, (N, C, h, w): style taps, and at scale 0 content too."""
        found = {}
        for scale, scaled in enumerate(self._scales(x)):
            for number, network in enumerate(self.networks):
                found[number, scale] = network(scaled, None if scale == 0 else network.style_taps)
        return found

    def _scales(self, x: Tensor) -> list[Tensor]:
        scales = [x]
        for _ in range(self.num_scales - 1):
            scales.append(F.avg_pool2d(scales[-1], 2))
        return scales
