"""nnU-Net's plain network: a 3-D U-Net with instance norm and LeakyReLU.

Isensee, Jaeger, Kohl, Petersen, Maier-Hein, "nnU-Net: a self-configuring method for deep learning-based
biomedical image segmentation", Nature Methods 18, 2021 (arXiv:1904.08128), after Çiçek 2016.

=====================================  ==========  ===================
level l (n levels, width c)            grid        channels
=====================================  ==========  ===================
down: conv 3 (stride 2 from l = 1),    1 / 2^l     min(2^l c, 320)
norm, LeakyReLU, conv 3, norm,
LeakyReLU
up: transposed conv 2 / 2, the way     1 / 2^l     min(2^l c, 320)
down's beside it, conv 3, norm,
LeakyReLU, conv 3, norm, LeakyReLU
head: conv 1                           1           classes
=====================================  ==========  ===================

The paper plans kernels and strides by the spacing. Along an axis of coarse voxels a level may have a kernel
of 1 and a stride of 1 (`kernels`, `strides`).

Batches of volumes are of 2, which is all that fits into a GPU: too few for batch norm's statistics, and the
running ones belong to no scan. So each volume is normalized by itself. ``norm="batch"`` is there to see it.

Differs from the paper: the convolutions before a norm have no bias, which the norm would take out again;
sides need not be multiples of the strides' products (the volume is extended by its edge, and cropped back).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.networks.padding import padded_to
from stylenorm.nn import InstanceNormAct3d

__all__ = ["VOLUME_NORMS", "UNet3d"]

VOLUME_NORMS = ("instance", "group", "batch")
_CHANNELS_A_GROUP = 8
_SLOPE = 0.01
_MOST_CHANNELS = 320  # in 3-D, as published

Sides = tuple[int, int, int]

_ONE: Sides = (1, 1, 1)


class _Block(nn.Module):
    """Two convolutions, each with norm and LeakyReLU."""

    def __init__(self, channels: Sequence[int], kernel: Sides, stride: Sides, norm: str) -> None:
        super().__init__()
        first, second = channels
        x, y, z = (side // 2 for side in kernel)
        self.convs = nn.ModuleList(
            [
                nn.Conv3d(first, second, kernel, stride, padding=(x, y, z), bias=False),
                nn.Conv3d(second, second, kernel, padding=(x, y, z), bias=False),
            ]
        )
        self.norms = nn.ModuleList(_norm(norm, second) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x))
        return x


class UNet3d(nn.Module):
    """See the module's table. With 6 levels of width 32 and 3 classes: 31,190,243 parameters.

    Args:
        num_classes: background included.
        num_levels: sizes, the volume's own included, at least 2; 6 for patches of 128 in the paper.
        width: channels of the first level.
        in_channels: images of each volume (MR sequences, say).
        norm: ``"instance"``, ``"group"`` with 8 channels a group, or ``"batch"`` with running statistics in
            evaluation.
        num_heads: levels, from the finest, that have a head of their own for deep supervision.
        kernels: of each level, the sides of its kernels, 1 or 3; None for 3 everywhere.
        up_kernels: of each level but the coarsest, those of its way up; None for the same. (MONAI takes the
            next coarser level's.)
        strides: of each level, how it shrinks the grid before it along each axis, 1 or 2; the first level's
            are 1. None for 2 everywhere else.

    Attributes:
        multiple: what sides are extended to a multiple of, along each axis.

    Shape: (N, in_channels, D, H, W); returns logits (N, num_classes, D, H, W); any D, H, W from 1.

    Example:
        >>> UNet3d(3, num_levels=3, width=4)(torch.rand(1, 1, 9, 8, 11)).shape
        torch.Size([1, 3, 9, 8, 11])
    """

    def __init__(
        self,
        num_classes: int,
        num_levels: int = 6,
        width: int = 32,
        in_channels: int = 1,
        norm: str = "instance",
        num_heads: int = 1,
        kernels: Sequence[Sequence[int]] | None = None,
        strides: Sequence[Sequence[int]] | None = None,
        up_kernels: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        if norm not in VOLUME_NORMS:
            raise UnknownNameError("norm", norm, VOLUME_NORMS)
        if num_levels < 2 or min(num_classes, width, in_channels) < 1:
            raise InputError(
                "expected at least 2 levels, and 1 class, width and channel, "
                f"got {num_levels}, {num_classes}, {width} and {in_channels}"
            )
        if not 1 <= num_heads < num_levels:
            raise InputError(f"num_heads: expected 1 to {num_levels - 1}, got {num_heads}")
        self.num_classes, self.in_channels, self.norm = num_classes, in_channels, norm
        self.kernels = _sides("kernels", kernels or [(3, 3, 3)] * num_levels, num_levels, (1, 3))
        ups = _sides("up_kernels", up_kernels or self.kernels[:-1], num_levels - 1, (1, 3))
        self.strides = _sides(
            "strides", strides or [_ONE] + [(2, 2, 2)] * (num_levels - 1), num_levels, (1, 2)
        )
        if self.strides[0] != _ONE:
            raise InputError(f"strides: expected (1, 1, 1) for the first level, got {self.strides[0]}")
        x, y, z = (math.prod(each) for each in zip(*self.strides, strict=True))
        self.multiple: Sides = (x, y, z)
        c = [min(width << level, max(width, _MOST_CHANNELS)) for level in range(num_levels)]
        self.down = nn.ModuleList(
            _Block((before, after), kernel, stride, norm)
            for before, after, kernel, stride in zip(
                [in_channels, *c[:-1]], c, self.kernels, self.strides, strict=True
            )
        )
        self.lift = nn.ModuleList(
            nn.ConvTranspose3d(b, a, stride, stride)
            for (a, b), stride in zip(pairwise(c), self.strides[1:], strict=True)
        )
        self.up = nn.ModuleList(
            _Block((2 * a, a), kernel, _ONE, norm) for a, kernel in zip(c[:-1], ups, strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv3d(each, num_classes, 1) for each in c[:num_heads])
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; see the class for shapes."""
        if x.dim() != 5 or x.shape[1] != self.in_channels:
            raise ShapeError(f"x: expected (N, {self.in_channels}, D, H, W), got {tuple(x.shape)}")
        depth, height, width = x.shape[2:]
        x = padded_to(x, self.multiple)
        logits: Tensor = self.heads[0](self.features(x)[0])
        return logits[..., :depth, :height, :width]

    def features(self, x: Tensor) -> list[Tensor]:
        """Return what the way up has at each level, the finest first: (N, c_l, *grid of the level).

        The last is what the way down ends in. Sides must be multiples of `multiple`.
        """
        found: list[Tensor] = []
        for block in self.down:
            x = block(x)
            found.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([self.lift[level](x), found[level]], dim=1))
            found[level] = x
        return found

    def supervised(self, x: Tensor) -> list[Tensor]:
        """Return the logits of every head, the finest first: (N, num_classes, *grid of the level).

        Sides must be multiples of `multiple`.
        """
        return [head(each) for head, each in zip(self.heads, self.features(x), strict=False)]

    def load_monai(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of MONAI's ``DynUNet`` of the same kernels and strides, without residuals.

        ``input_block``, ``downsamples.(l - 1)`` and ``bottleneck`` are `down`; ``upsamples.i.transp_conv`` is
        `lift` and ``upsamples.i.conv_block`` `up` of level n - 2 - i; in each block ``conv1.conv`` and
        ``norm1`` come first; ``output_block`` is head 0, ``deep_supervision_heads.i`` head i + 1. Without
        ``trans_bias`` the biases of `lift` are 0. ``skip_layers`` says all of it once more.

        Raises:
            InputError: it is a checkpoint of another network.
        """
        last = len(self.down) - 1
        blocks = {"input_block": "down.0", "bottleneck": f"down.{last}"}
        blocks |= {f"downsamples.{level - 1}": f"down.{level}" for level in range(1, last)}
        blocks |= {f"upsamples.{last - 1 - level}.conv_block": f"up.{level}" for level in range(last)}
        names = {
            f"{theirs}.{kind}{i + 1}{inner}": f"{ours}.{kind}s.{i}"
            for theirs, ours in blocks.items()
            for kind, inner in (("conv", ".conv"), ("norm", ""))
            for i in range(2)
        }
        names |= {f"upsamples.{last - 1 - level}.transp_conv.conv": f"lift.{level}" for level in range(last)}
        names["output_block.conv.conv"] = "heads.0"
        names |= {
            f"deep_supervision_heads.{i}.conv.conv": f"heads.{i + 1}" for i in range(len(self.heads) - 1)
        }
        if self.norm != "instance":  # there the norm is a layer of its own, before the activation
            names = {key: f"{name}.0" if ".norms." in name else name for key, name in names.items()}
        ours = self.state_dict()
        found = {f"lift.{level}.bias": torch.zeros_like(ours[f"lift.{level}.bias"]) for level in range(last)}
        for key, value in state.items():
            layer, _, kind = key.rpartition(".")
            if not key.startswith("skip_layers."):
                found[f"{names.get(layer, layer)}.{kind}"] = value
        for key in sorted(ours.keys() | found.keys()):
            mine, theirs = (tuple(each[key].shape) if key in each else None for each in (ours, found))
            if mine != theirs:
                raise InputError(
                    f"expected a DynUNet with {key} {mine or 'nowhere'}, got {theirs or 'none'}: build the "
                    "network with the checkpoint's levels, width, channels, classes and heads"
                )
        self.load_state_dict(found)


def _sides(
    name: str, given: Sequence[Sequence[int]], num_levels: int, known: tuple[int, ...]
) -> tuple[Sides, ...]:
    found = tuple(tuple(int(side) for side in each) for each in given)
    if len(found) != num_levels or any(len(each) != 3 or {*each} - {*known} for each in found):
        raise InputError(
            f"{name}: expected three numbers, {known[0]} or {known[1]}, for each of {num_levels} levels, "
            f"got {list(given)}"
        )
    return found  # type: ignore[return-value]  # three of each, as was looked at


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.Sequential(nn.BatchNorm3d(channels), nn.LeakyReLU(_SLOPE))
    if kind == "group":
        num_groups = channels // math.gcd(channels, _CHANNELS_A_GROUP)
        return nn.Sequential(nn.GroupNorm(num_groups, channels), nn.LeakyReLU(_SLOPE))
    return InstanceNormAct3d(channels, affine=True, act="leaky_relu", negative_slope=_SLOPE)
