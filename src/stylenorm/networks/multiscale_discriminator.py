"""The discriminator of patches at two scales, from pix2pixHD, and what SPADE's networks share.

Wang, Liu, Zhu, Tao, Kautz, Catanzaro, "High-Resolution Image Synthesis and Semantic Manipulation with
Conditional GANs", CVPR 2018 (arXiv:1711.11585), section 3.2; with the layers of Park et al. 2019
(arXiv:1903.07291), appendix A, of which the middle ones have spectral norm (Miyato et al. 2018,
arXiv:1802.05957).

Differs from the papers: pictures are RGB in 0..1 and scaled to -1..1 inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from stylenorm.errors import InputError, ShapeError
from stylenorm.networks.patch_discriminator import load_renamed
from stylenorm.nn import InstanceNormAct2d

__all__ = ["MultiscaleDiscriminator", "drawn_by_glorot", "load_spectral"]

_SLOPE = 0.2
_GAIN = 0.02
_PUBLISHED_KINDS = {
    "weight_orig": "parametrizations.weight.original",
    "weight_u": "parametrizations.weight.0._u",
    "weight_v": "parametrizations.weight.0._v",
}


class _OneScale(nn.Module):
    """One scale's discriminator: what its layers see, the last of which is the score."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        c = [channels, width, 2 * width, 4 * width, 8 * width, 1]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2 if i < 3 else 1, padding=2, bias=i in (0, 4))
            for i, (a, b) in enumerate(pairwise(c))
        )
        self.norms = nn.ModuleList(
            InstanceNormAct2d(each, act="leaky_relu", negative_slope=_SLOPE) for each in c[2:5]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        first, *inner, last = self.convs
        features = [F.leaky_relu(first(x), _SLOPE)]
        for conv, norm in zip(inner, self.norms, strict=True):
            features.append(norm(conv(features[-1])))
        return [*features, last(features[-1])]


class MultiscaleDiscriminator(nn.Module):
    """Scores patches of labels and picture, at full size and at half of it.

    Each scale has 4x4 convolutions with padding 2: three of stride 2 with c, 2c and 4c channels, then 8c and
    1; instance norms without scale and shift and spectral norm on the three in the middle, leaky ReLUs of
    slope 0.2.

    Args:
        label_channels: as of the generator.
        width: channels of the first convolution; 64 in the paper.
        num_scales: 2 in the paper.

    Shape: labels (N, label_channels, H, W); picture (N, 3, H, W), RGB, 0..1. Returns for each scale the
    outputs of its five layers, from fine to coarse; the last is the score, (N, 1, h, w), not bounded.

    Example:
        >>> sum(p.numel() for p in MultiscaleDiscriminator(184).parameters())
        5904514
    """

    def __init__(self, label_channels: int, width: int = 64, num_scales: int = 2) -> None:
        super().__init__()
        if min(label_channels, width, num_scales) < 1:
            raise InputError(
                f"expected sizes of at least 1, got {label_channels} channels of labels, width {width} "
                f"and {num_scales} scales"
            )
        self.scales = nn.ModuleList(_OneScale(label_channels + 3, width) for _ in range(num_scales))
        drawn_by_glorot(self)
        for discriminator in self.scales:
            for conv in list(discriminator.convs)[1:-1]:  # type: ignore[arg-type]
                spectral_norm(conv)

    def forward(self, labels: Tensor, picture: Tensor) -> list[list[Tensor]]:
        """Score pictures; see the class for shapes."""
        if labels.shape[2:] != picture.shape[2:]:
            raise ShapeError(
                f"picture: expected the size of the labels, {tuple(labels.shape[2:])}, "
                f"got {tuple(picture.shape[2:])}"
            )
        x = torch.cat([labels, 2 * picture - 1], dim=1)
        features = []
        for i, discriminator in enumerate(self.scales):
            if i:
                x = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
            features.append(discriminator(x))
        return features

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the authors' PyTorch code (``latest_net_D.pth``).

        ``discriminator_I.model0.0`` and ``.model4.0`` are the first and the last of ``scales.I.convs``,
        ``.model1.0.0`` to ``.model3.0.0`` those between.

        Raises:
            InputError: it is a checkpoint of another network.
        """
        names: dict[str, str] = {}
        for i in range(len(self.scales)):
            theirs, ours = f"discriminator_{i}.model", f"scales.{i}.convs"
            names |= {f"{theirs}{k}.0": f"{ours}.{k}" for k in (0, 4)}
            names |= {f"{theirs}{k}.0.0": f"{ours}.{k}" for k in (1, 2, 3)}
        load_spectral(self, state, names)


def drawn_by_glorot(network: nn.Module) -> None:
    """Draw weights as the authors do: Glorot's normal distribution with gain 0.02; biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(module.weight, _GAIN)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def load_spectral(network: nn.Module, state: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    """Load a published checkpoint; `load_renamed` for networks with spectral norm.

    Args:
        network: ours.
        state: theirs, with PyTorch's older names of what spectral norm knows.
        names: the beginnings of their layers' names to ours.

    Raises:
        InputError: a layer is missing, unknown, or of another shape.
    """
    renamed = {}
    for key, value in state.items():
        layer, _, kind = key.removeprefix("module.").rpartition(".")
        for theirs, ours in names.items():
            if layer == theirs or layer.startswith(f"{theirs}."):
                layer = ours + layer.removeprefix(theirs)
                break
        renamed[f"{layer}.{_PUBLISHED_KINDS.get(kind, kind)}"] = value
    load_renamed(network, renamed, {}, keep_statistics=True)
