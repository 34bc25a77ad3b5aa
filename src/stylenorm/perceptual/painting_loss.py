"""The loss of the project's own styles: content without its statistics, style by moments, and the palette.

Gatys, Ecker, Bethge 2016 and Johnson, Alahi, Fei-Fei 2016 compare Gram matrices, and the photo's features
as they are. Differs from both, since a muddy picture is cheap on their losses:

- **Style: means and covariances of features, apart**, each relative to its own size. A Gram matrix is the
  covariance plus the mean's outer product, and of ReLU features the mean is most of it: a veil of the right
  mean colour has a low Gram loss. (Means and variances alone: Li, Wang, Liu, Hou, "Demystifying Neural
  Style Transfer", IJCAI 2017, arXiv:1701.01036.)
- **Content: features with their statistics taken out** by instance norm, as in Park and Lee, "Arbitrary
  Style Transfer with Style-Attentional Networks", CVPR 2019 (arXiv:1812.02342). Brightness, contrast and
  colour of the photo may then be the painting's; where things are, and how they are divided, must stay.
  Each place counts by how much its surroundings differ in the photo (with the mean detail five times as much
  as without any, at most 13 times), so that faces and buildings stay, and skies are free for motifs.
- **Palette**: the sliced Wasserstein distance of colours (Rabin, Peyre, Delon, Bernot, SSVM 2011; Heitz et
  al., CVPR 2021, arXiv:2006.07229) of the picture and of two averages of it, so that dark and light, and
  large areas of them, come out in the painting's shares.
- **Sizes**: layers may also look at the halved picture, where they see motifs twice as large for a quarter of
  the cost. By default none does: it left grain that the halved picture does not have (docs/model-card.md).

Every function returns one number a sample, not a mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.perceptual.features import FeatureNetwork
from stylenorm.perceptual.losses import gram_matrix

__all__ = [
    "LOOKS",
    "Content",
    "Look",
    "PaintingLoss",
    "PaintingTarget",
    "PaintingTerms",
    "Region",
    "palette_quantiles",
]

_TINY = 1e-8
_FLOOR = 0.1  # of the mean variance: a channel with less is hardly used, and its noise is no content
_LEAST_WEIGHT, _MOST_DETAIL = 0.2, 3.0  # of a flat place; of a place's detail, as multiples of the mean
_AROUND = 5  # a place and its surroundings, in positions of the features
_POOLS = ((1, 1.0), (4, 1.0), (16, 0.5))  # averages in which colours are compared, and their weights
_NUM_QUANTILES = 128
_NUM_DIRECTIONS = 16
_MOST_PIXELS = 4096  # of a picture whose colours are sorted: a sample is as good


@dataclass(frozen=True)
class Look:
    """What is compared at one size of the picture.

    Attributes:
        halvings: how often the picture is halved first.
        style_taps: taps whose means and covariances are compared.
        content_taps: taps whose normalized features are compared.
    """

    halvings: int
    style_taps: tuple[str, ...]
    content_taps: tuple[str, ...] = ()

    @property
    def taps(self) -> tuple[str, ...]:
        """All taps, each once."""
        return tuple(dict.fromkeys((*self.style_taps, *self.content_taps)))


LOOKS = (Look(0, ("relu1_2", "relu2_2", "relu3_3", "relu4_1"), ("relu2_2", "relu3_3")),)
"""For VGG-16: what `PaintingLoss` compares by default."""

Key = tuple[int, str]  # halvings, tap


class Content(NamedTuple):
    """What a photo asks for at one tap.

    Attributes:
        features: normalized, (N, C, H, W).
        weights: how much each place counts, (N, 1, H, W); 1 in the mean.
    """

    features: Tensor
    weights: Tensor


@dataclass(frozen=True)
class PaintingTarget:
    """What paintings ask for.

    Attributes:
        means: by look and tap, (S, C).
        covariances: by look and tap, (S, C, C).
        quantiles: by pooling, (S, directions, quantiles).
        spread: variance of the colours' projections, (S,); distances of colours are relative to it.
    """

    means: Mapping[Key, Tensor]
    covariances: Mapping[Key, Tensor]
    quantiles: Mapping[int, Tensor]
    spread: Tensor

    @classmethod
    def stack(cls, targets: Sequence[PaintingTarget]) -> PaintingTarget:
        """Put several paintings' targets into one, in order."""

        def joined(name: str) -> dict[object, Tensor]:
            return {
                key: torch.cat([getattr(t, name)[key] for t in targets]) for key in getattr(targets[0], name)
            }

        spread = torch.cat([t.spread for t in targets])
        return cls(joined("means"), joined("covariances"), joined("quantiles"), spread)  # type: ignore[arg-type]

    def to(self, device: torch.device) -> PaintingTarget:
        """Return a copy on ``device``."""
        return self._each(lambda tensor: tensor.to(device))

    def select(self, index: Tensor) -> PaintingTarget:
        """Pick one painting a sample; ``index`` (N,) of integers."""
        return self._each(lambda tensor: tensor[index])

    def _each(self, change: Callable[[Tensor], Tensor]) -> PaintingTarget:
        return PaintingTarget(
            {key: change(tensor) for key, tensor in self.means.items()},
            {key: change(tensor) for key, tensor in self.covariances.items()},
            {key: change(tensor) for key, tensor in self.quantiles.items()},
            change(self.spread),
        )


@dataclass(frozen=True, eq=False)
class Region:
    """Where which painting is wanted.

    Attributes:
        share: of the style and palette loss.
        target: one painting a sample, or one for all.
        mask: (1, 1, H, W), 0..1, of the picture's size; None is everywhere. Regions with several
            paintings share the same tensor.
    """

    share: float
    target: PaintingTarget
    mask: Tensor | None = None


@dataclass(frozen=True)
class PaintingTerms:
    """Content, style and palette loss of each sample, (N,) each.

    Content is 0 for the photo and about 2 for a picture that has nothing to do with it; style and palette
    are 0 for the painting, and about 1 for a picture without any structure, or of one wrong colour.
    """

    content: Tensor
    style: Tensor
    palette: Tensor


class PaintingLoss:
    """Content, style and palette; see the module's docstring.

    Args:
        network: a frozen feature network.
        looks: what is compared at which size.
    """

    def __init__(self, network: FeatureNetwork, looks: Sequence[Look] = LOOKS) -> None:
        self.network, self.looks = network, tuple(looks)
        generator = torch.Generator().manual_seed(1)
        drawn = torch.randn(_NUM_DIRECTIONS - 4, 3, generator=generator)
        light = torch.tensor([[0.2126, 0.7152, 0.0722]])
        self.directions = torch.cat([torch.eye(3), light / light.norm(), F.normalize(drawn)])

    def to(self, device: torch.device) -> None:
        """Move the network, and what colours are projected on."""
        self.network.to(device)
        self.directions = self.directions.to(device)

    @property
    def smallest_px(self) -> int:
        """The smallest side of a picture that can be compared."""
        return self.network.smallest_px << max(look.halvings for look in self.looks)

    @torch.no_grad()
    def target(self, painting: Tensor, mask: Tensor | None = None) -> PaintingTarget:
        """Measure a painting.

        Args:
            painting: (1, 3, H, W), RGB 0..1, at the size whose strokes are wanted.
            mask: (1, 1, H, W), 0..1: what of it counts; None is all of it.
        """
        means, covariances = {}, {}
        for look, features in self._features(painting, lambda look: look.style_taps):
            for tap in look.style_taps:
                weights = at_size_of(features[tap], mask)
                means[look.halvings, tap], covariances[look.halvings, tap] = moments(features[tap], weights)
        quantiles = {pool: self._quantiles(painting, pool, mask) for pool, _ in _POOLS}
        spread = quantiles[1].var(dim=2, correction=0).mean(dim=1)
        return PaintingTarget(means, covariances, quantiles, spread)

    @torch.no_grad()
    def content_target(self, photo: Tensor) -> dict[Key, Content]:
        """Measure photos; (N, 3, H, W), RGB 0..1: what they ask for, by look and tap."""
        found = {}
        for look, features in self._features(photo, lambda look: look.content_taps):
            for tap in look.content_taps:
                target = normalized(features[tap])
                found[look.halvings, tap] = Content(target, detail_weights(target))
        return found

    def __call__(
        self,
        x: Tensor,
        content: Mapping[Key, Content],
        target: PaintingTarget,
        generator: torch.Generator | None = None,
    ) -> PaintingTerms:
        """Compare ``x`` (N, 3, H, W) with the photos' content, and with one painting a sample.

        Args:
            x: pictures, RGB 0..1.
            content: what `content_target` says of the photos.
            target: one painting a sample.
            generator: draws the pixels whose colours are compared, other ones each time (the same
                each time would be painted by themselves); None compares all.
        """
        return self.regions(x, content, [Region(1.0, target)], generator)

    def regions(
        self,
        x: Tensor,
        content: Mapping[Key, Content],
        regions: Sequence[Region],
        generator: torch.Generator | None = None,
    ) -> PaintingTerms:
        """Compare ``x`` with the photos' content, and each region of it with a painting of its own.

        Args:
            x: pictures, (N, 3, H, W), RGB 0..1.
            content: what `content_target` says of the photos.
            regions: where which painting is wanted; style and palette are sums over them, by their shares.
            generator: as in a call.
        """
        content_terms, style_terms = [], []
        for look, features in self._features(x, lambda look: look.taps):
            for tap in look.taps:
                key = look.halvings, tap
                if tap in look.content_taps:
                    wanted, weights = content[key]
                    difference = normalized(features[tap]) - wanted
                    content_terms.append((difference.square() * weights).mean(dim=(1, 2, 3)))
                if tap in look.style_taps:
                    style_terms.append(_style(features[tap], key, regions))
        palette_terms = []
        for pool, weight in _POOLS:
            found: dict[int, Tensor] = {}  # a mask is shared by several paintings
            for region in regions:
                if id(region.mask) not in found:
                    found[id(region.mask)] = self._quantiles(x, pool, region.mask, generator)
                target = region.target
                distance = (found[id(region.mask)] - target.quantiles[pool]).square().mean(dim=(1, 2))
                palette_terms.append(region.share * weight * distance / target.spread)
        return PaintingTerms(
            torch.stack(content_terms).mean(dim=0),
            torch.stack(style_terms).mean(dim=0),
            torch.stack(palette_terms).sum(dim=0),
        )

    def _quantiles(
        self, x: Tensor, pool: int, mask: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        if pool > 1:
            x = F.avg_pool2d(x, pool)
        colors, weights = x.flatten(2), at_size_of(x, mask)
        if weights is not None:
            weights = weights.flatten(2)[:, 0]
        elif generator is not None and colors.shape[2] > _MOST_PIXELS:
            drawn = torch.randint(colors.shape[2], (_MOST_PIXELS,), generator=generator)
            colors = colors[..., drawn.to(colors.device)]
        return palette_quantiles(colors, self.directions.to(colors), weights)

    def _features(
        self, x: Tensor, wanted: Callable[[Look], Sequence[str]]
    ) -> list[tuple[Look, dict[str, Tensor]]]:
        found, halvings = [], 0
        for look in sorted(self.looks, key=lambda look: look.halvings):
            while halvings < look.halvings:
                x, halvings = F.avg_pool2d(x, 2), halvings + 1
            taps = wanted(look)
            if taps:
                found.append((look, self.network(x, taps)))
        return found


def moments(features: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return mean (N, C) and covariance (N, C, C; biased) over positions.

    Args:
        features: (N, C, H, W).
        weights: (N or 1, 1, H, W), not negative: how much each position counts; None counts all alike.
    """
    if weights is None:
        mean = features.mean(dim=(2, 3))
    else:
        mean = (features * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))
    return mean, gram_matrix(features, weights) - mean[:, :, None] * mean[:, None, :]


def normalized(features: Tensor) -> Tensor:
    """Take mean and variance out of each sample's channels; channels that hardly vary stay small."""
    centred = features - features.mean(dim=(2, 3), keepdim=True)
    variance = centred.square().mean(dim=(2, 3), keepdim=True)
    return centred * (variance + _FLOOR * variance.mean(dim=1, keepdim=True) + _TINY).rsqrt()


def detail_weights(features: Tensor) -> Tensor:
    """Return how much each place counts: by how much features differ around it; (N, 1, H, W), mean 1.

    Args:
        features: normalized, (N, C, H, W).
    """
    detail = _around((features - _around(features)).square().mean(dim=1, keepdim=True))
    mean = detail.mean(dim=(2, 3), keepdim=True)
    weights = _LEAST_WEIGHT * mean + (1 - _LEAST_WEIGHT) * detail.minimum(_MOST_DETAIL * mean) + _TINY
    return weights / weights.mean(dim=(2, 3), keepdim=True)


def palette_quantiles(colors: Tensor, directions: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the quantiles of colours along directions.

    Args:
        colors: (N, 3, pixels), RGB.
        directions: (K, 3).
        weights: (1, pixels), not negative: how much each pixel counts; None counts all alike.

    Shape: returns (N, K, 128).
    """
    ordered, order = torch.einsum("kc,ncl->nkl", directions, colors).sort(dim=2)
    shares = (torch.arange(_NUM_QUANTILES, device=colors.device) + 0.5) / _NUM_QUANTILES
    if weights is None:
        return ordered[:, :, (shares * ordered.shape[2]).long()]
    reached = weights[0][order].cumsum(dim=2)
    wanted = shares.to(reached) * reached[:, :, -1:]
    place = torch.searchsorted(reached, wanted.contiguous(), right=True).clamp(max=ordered.shape[2] - 1)
    return ordered.gather(2, place)


def at_size_of(features: Tensor, mask: Tensor | None) -> Tensor | None:
    """The mask at the size of features; what pooling and strides saw of each position is averaged."""
    return None if mask is None else F.adaptive_avg_pool2d(mask, (features.shape[2], features.shape[3]))


def _around(x: Tensor) -> Tensor:
    """The mean of each place and its surroundings, as far as there are any."""
    return F.avg_pool2d(x, _AROUND, stride=1, padding=_AROUND // 2, count_include_pad=False)


def _style(features: Tensor, key: Key, regions: Sequence[Region]) -> Tensor:
    """Mean of the two moments' terms, summed over regions, each times its share; (N,)."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    terms = []
    for region in regions:
        if id(region.mask) not in found:
            found[id(region.mask)] = moments(features, at_size_of(features, region.mask))
        mean, covariance = found[id(region.mask)]
        target = region.target
        terms.append(0.5 * region.share * _relative(mean, target.means[key], (1,)))
        terms.append(0.5 * region.share * _relative(covariance, target.covariances[key], (1, 2)))
    return torch.stack(terms).sum(dim=0)


def _relative(found: Tensor, target: Tensor, dims: tuple[int, ...]) -> Tensor:
    return (found - target).square().sum(dim=dims) / (target.square().sum(dim=dims) + _TINY)
