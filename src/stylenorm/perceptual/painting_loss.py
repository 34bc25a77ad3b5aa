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
- **Palette**: the sliced Wasserstein distance of colours (Rabin, Peyre, Delon, Bernot, SSVM 2011; Heitz et
  al., CVPR 2021, arXiv:2006.07229) of the picture and of two averages of it, so that dark and light, and
  large areas of them, come out in the painting's shares.
- **Two sizes of one network**: fine taps look at the picture, deep ones at half its size. They see motifs
  twice as large, at a quarter of the cost.

Every function returns one number a sample, not a mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.perceptual.features import FeatureNetwork
from stylenorm.perceptual.losses import gram_matrix

__all__ = ["LOOKS", "Look", "PaintingLoss", "PaintingTarget", "PaintingTerms", "palette_quantiles"]

_TINY = 1e-8
_FLOOR = 0.1  # of the mean variance: a channel with less is hardly used, and its noise is no content
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


LOOKS = (
    Look(0, ("relu1_2", "relu2_1")),
    Look(1, ("relu1_2", "relu2_2", "relu3_3", "relu4_1"), ("relu2_2", "relu3_3")),
)
"""For VGG-16: what `PaintingLoss` compares by default."""

Key = tuple[int, str]  # halvings, tap


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
    def target(self, painting: Tensor) -> PaintingTarget:
        """Measure a painting; (1, 3, H, W), RGB 0..1, at the size whose strokes are wanted."""
        means, covariances = {}, {}
        for look, features in self._features(painting, lambda look: look.style_taps):
            for tap in look.style_taps:
                means[look.halvings, tap], covariances[look.halvings, tap] = moments(features[tap])
        quantiles = {
            pool: palette_quantiles(_pooled(painting, pool).flatten(2), self.directions) for pool, _ in _POOLS
        }
        spread = quantiles[1].var(dim=2, correction=0).mean(dim=1)
        return PaintingTarget(means, covariances, quantiles, spread)

    @torch.no_grad()
    def content_target(self, photo: Tensor) -> dict[Key, Tensor]:
        """Measure photos; (N, 3, H, W), RGB 0..1: their normalized features, by look and tap."""
        return {
            (look.halvings, tap): normalized(features[tap])
            for look, features in self._features(photo, lambda look: look.content_taps)
            for tap in look.content_taps
        }

    def __call__(
        self,
        x: Tensor,
        content: Mapping[Key, Tensor],
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
        content_terms, style_terms = [], []
        for look, features in self._features(x, lambda look: look.taps):
            for tap in look.taps:
                key = look.halvings, tap
                if tap in look.content_taps:
                    difference = normalized(features[tap]) - content[key]
                    content_terms.append(difference.square().mean(dim=(1, 2, 3)))
                if tap in look.style_taps:
                    mean, covariance = moments(features[tap])
                    style_terms.append(_relative(mean, target.means[key], (1,)))
                    style_terms.append(_relative(covariance, target.covariances[key], (1, 2)))
        palette = x.new_zeros(len(x))
        for pool, weight in _POOLS:
            found = palette_quantiles(_sampled(_pooled(x, pool), generator), self.directions)
            palette = palette + weight * (found - target.quantiles[pool]).square().mean(dim=(1, 2))
        return PaintingTerms(
            torch.stack(content_terms).mean(dim=0),
            torch.stack(style_terms).mean(dim=0),
            palette / target.spread,
        )

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


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (N, C) and covariance (N, C, C; biased) of ``features`` (N, C, H, W) over positions."""
    mean = features.mean(dim=(2, 3))
    return mean, gram_matrix(features) - mean[:, :, None] * mean[:, None, :]


def normalized(features: Tensor) -> Tensor:
    """Take mean and variance out of each sample's channels; channels that hardly vary stay small."""
    centred = features - features.mean(dim=(2, 3), keepdim=True)
    variance = centred.square().mean(dim=(2, 3), keepdim=True)
    return centred * (variance + _FLOOR * variance.mean(dim=1, keepdim=True) + _TINY).rsqrt()


def palette_quantiles(colors: Tensor, directions: Tensor) -> Tensor:
    """Return the quantiles of colours along directions.

    Args:
        colors: (N, 3, pixels), RGB.
        directions: (K, 3).

    Shape: returns (N, K, 128).
    """
    ordered = torch.einsum("kc,ncl->nkl", directions, colors).sort(dim=2).values
    place = (torch.arange(_NUM_QUANTILES, device=colors.device) + 0.5) / _NUM_QUANTILES * ordered.shape[2]
    return ordered[:, :, place.long()]


def _sampled(colors: Tensor, generator: torch.Generator | None) -> Tensor:
    """Colours (N, 3, H, W) as (N, 3, pixels): all, or so many as are enough."""
    flat = colors.flatten(2)
    if generator is None or flat.shape[2] <= _MOST_PIXELS:
        return flat
    drawn = torch.randint(flat.shape[2], (_MOST_PIXELS,), generator=generator)
    return flat[..., drawn.to(flat.device)]


def _pooled(x: Tensor, pool: int) -> Tensor:
    return x if pool == 1 else F.avg_pool2d(x, pool)


def _relative(found: Tensor, target: Tensor, dims: tuple[int, ...]) -> Tensor:
    return (found - target).square().sum(dim=dims) / (target.square().sum(dim=dims) + _TINY)
