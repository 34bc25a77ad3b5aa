"""Any style in one pass: a frozen encoder, adaptive instance norm, and a decoder that learned to paint.

Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017
(arXiv:1703.06868). The encoder's features of the photo are given the mean and deviation, channel by channel,
of its features of the painting; the decoder turns them into a picture.

As published, with VGG-19 up to relu4_1 as the encoder: the decoder mirrors it, with nearest-neighbour
enlargement for its poolings, reflected borders, and no norm (a norm would give every picture one style).

==============================  =====  ===================
layer (width w = 64)            grid   channels
==============================  =====  ===================
conv 3x3                        1/8    4w
x 2, four times conv 3x3        1/4    4w, 4w, 4w, 2w
x 2, two times conv 3x3         1/2    2w, w
x 2, two times conv 3x3         1      w, 3 (no ReLU)
==============================  =====  ===================

With another encoder what is mirrored is the grids; features of several are put side by side. As in the paper
the encoder's borders are reflected (`reflect_borders`): the zeros that it was trained with look like an edge
around every picture. Differs from the paper: pictures are RGB in 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import adaptive_instance_norm
from stylenorm.networks.normalizing import NormConv2d

__all__ = ["ADAIN_GRID", "AdainDecoder", "AdainNetwork", "Encoder", "reflect_borders"]

ADAIN_GRID = 8
"""The encoders' content features are on an eighth of the picture's grid."""


class Encoder(Protocol):
    """What is asked of a feature network: `stylenorm.perceptual.FeatureNetwork` is one."""

    name: str
    content_tap: str

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield every tap's name and activations, in order."""
        ...


class AdainDecoder(nn.Module):
    """See the module's table.

    Args:
        channels: of the features: 512 for VGG-19.
        width: 64 in the paper.

    Shape: features (N, channels, H, W), H and W from 2; returns (N, 3, 8 H, 8 W), RGB, about 0..1.

    Example:
        >>> sum(p.numel() for p in AdainDecoder(512).parameters())
        3505219
    """

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        if channels < 1 or width < 1:
            raise InputError(f"expected at least one channel and a width of 1, got {channels} and {width}")
        self.channels, self.width = channels, width
        w = width

        def conv(before: int, after: int, *, double: bool = False, act: str | None = "relu") -> NormConv2d:
            enlarge = "nearest" if double else None
            return NormConv2d(before, after, norm="none", padding="reflect", enlarge=enlarge, act=act)

        self.layers = nn.Sequential(
            conv(channels, 4 * w),
            *(conv(4 * w, 4 * w, double=True), conv(4 * w, 4 * w), conv(4 * w, 4 * w), conv(4 * w, 2 * w)),
            *(conv(2 * w, 2 * w, double=True), conv(2 * w, w)),
            *(conv(w, w, double=True), conv(w, 3, act=None)),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Paint what the features say; see the class for shapes."""
        painted: Tensor = self.layers(features)
        return painted


class AdainNetwork(nn.Module):
    """Encoder, adaptive instance norm, decoder.

    Args:
        encoders: frozen feature networks whose content features are on an eighth of the grid.
        decoder: made for as many channels as they have together.

    Shape:
        - ``photo``: (N, 3, H, W), RGB, 0..1, H and W multiples of 8, from 16.
        - ``painting``: (N or 1, 3, H', W'), likewise.
        - returns (N, 3, H, W), RGB, about 0..1.
    """

    def __init__(self, encoders: Sequence[Encoder], decoder: AdainDecoder) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoder for encoder in encoders if isinstance(encoder, nn.Module))
        self.decoder = decoder

    def encode(self, x: Tensor) -> Tensor:
        """Return the content features (N, C, H / 8, W / 8) of pictures."""
        return torch.cat([content_features(encoder, x) for encoder in self.encoders], dim=1)  # type: ignore[arg-type]

    def forward(self, photo: Tensor, painting: Tensor, alpha: float = 1.0) -> Tensor:
        """Paint; ``alpha`` 0 gives the photo as the decoder knows it, 1 the painting. See the class."""
        content = self.encode(photo)
        features = adaptive_instance_norm(content, self.encode(painting))
        painted: Tensor = self.decoder(content + alpha * (features - content))
        return painted


def reflect_borders(encoders: Iterable[nn.Module]) -> None:
    """Let feature networks' convolutions reflect their borders instead of padding with zeros, in place."""
    for encoder in encoders:
        for module in encoder.modules():
            if isinstance(module, nn.Conv2d) and module.padding != (0, 0):
                module.padding_mode = "reflect"


def content_features(encoder: Encoder, x: Tensor) -> Tensor:
    """Return an encoder's features at its content tap; what comes after is not computed.

    Raises:
        ShapeError: they are not on an eighth of the grid.
    """
    for tap, features in encoder.activations(x):
        if tap == encoder.content_tap:
            height, width = x.shape[2] // ADAIN_GRID, x.shape[3] // ADAIN_GRID
            if features.shape[2] != height or features.shape[3] != width:
                raise ShapeError(
                    f"encoder {encoder.name}: expected features of {height} x {width} at {tap}, "
                    f"got {features.shape[2]} x {features.shape[3]}"
                )
            return features
    raise InputError(f"encoder {encoder.name}: expected a tap {encoder.content_tap!r}, found none")
