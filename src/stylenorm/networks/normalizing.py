"""Convolutions with a norm that can be chosen: what the networks of the papers are built of.

The papers' networks were published with batch norm, and became what they are with instance norm (Ulyanov,
Vedaldi, Lempitsky 2016, arXiv:1607.08022). So the norm is a word, and so is what happens at the border.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, UnknownNameError
from stylenorm.networks.stylizer import conv2d_on_doubled, padded
from stylenorm.nn import InstanceNorm2d, InstanceNormAct2d

__all__ = ["NORMS", "PADDINGS", "NormConv2d", "make_norm"]

_CHANNELS_A_GROUP = 8
_LEAK = 0.01

NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": lambda channels: InstanceNorm2d(channels, affine=True),
    "group": lambda channels: nn.GroupNorm(channels // math.gcd(channels, _CHANNELS_A_GROUP), channels),
    "none": lambda channels: nn.Identity(),  # noqa: ARG005 (the others need it)
}
"""Norms by name, each made from a number of channels; scale and shift are learned, eps is 1e-5."""

PADDINGS = ("reflect", "replicate", "zeros", "circular")
"""What a convolution finds beyond the border: the mirror image, the edge, nothing, the other side."""


def make_norm(norm: str, channels: int) -> nn.Module:
    """Return a norm of ``channels`` channels.

    Args:
        norm: one of `NORMS`; ``"group"`` takes 8 channels a group (or as many as divide them).
        channels: of its input (N, C, H, W).

    Raises:
        UnknownNameError: no such norm.
    """
    if norm not in NORMS:
        raise UnknownNameError("norm", norm, NORMS)
    return NORMS[norm](channels)


class NormConv2d(nn.Module):
    """Convolution with bias, norm, activation.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: odd.
        norm: one of `NORMS`.
        padding: one of `PADDINGS`, or ``"valid"``: none, and the output is smaller by ``kernel_size - 1``.
        stride: the output has 1 / stride of the grid.
        enlarge: None; ``"transposed"`` for a convolution of stride 1/2; ``"nearest"`` for enlargement by 2,
            then a convolution of 3 x 3.
        act: ``"relu"``, ``"leaky_relu"`` (slope 0.01) or None.

    Shape: (N, in_channels, H, W) to (N, out_channels, H', W').

    Raises:
        UnknownNameError: no such norm or padding.
        InputError: the other arguments do not fit together.
    """

    conv: nn.Conv2d | nn.ConvTranspose2d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        norm: str,
        padding: str = "reflect",
        stride: int = 1,
        enlarge: str | None = None,
        act: str | None = "relu",
    ) -> None:
        super().__init__()
        if padding not in (*PADDINGS, "valid"):
            raise UnknownNameError("padding", padding, (*PADDINGS, "valid"))
        if enlarge not in (None, "transposed", "nearest"):
            raise UnknownNameError("enlargement", str(enlarge), ("transposed", "nearest"))
        if act not in (None, "relu", "leaky_relu"):
            raise UnknownNameError("activation", str(act), ("relu", "leaky_relu"))
        if enlarge is not None and (kernel_size, stride) != (3, 1):
            raise InputError(
                f"enlarge: expected kernel_size 3 and stride 1 with it, got {kernel_size} and {stride}"
            )
        if enlarge is not None and padding == "valid":
            raise InputError("padding: expected one that keeps the size where the picture is enlarged")
        self.enlarge, self.padding = enlarge, padding
        self.pad_px = 0 if padding == "valid" or enlarge else kernel_size // 2
        if enlarge == "transposed":
            self.conv = nn.ConvTranspose2d(
                in_channels, out_channels, 3, stride=2, padding=1, output_padding=1
            )
        else:
            self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride)
        if norm == "instance" and act is not None:  # one pass over memory for both
            self.act = None
            self.norm: nn.Module = InstanceNormAct2d(out_channels, affine=True, act=act, negative_slope=_LEAK)
        else:
            self.act = act
            self.norm = make_norm(norm, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalize, activate."""
        if self.enlarge == "nearest":
            # A doubled picture reflected by one pixel is the picture replicated, then doubled.
            padding = "replicate" if self.padding == "reflect" else self.padding
            x = conv2d_on_doubled(x, self.conv.weight, self.conv.bias, padding)
        elif self.pad_px and self.padding == "zeros":
            x = F.conv2d(x, self.conv.weight, self.conv.bias, self.conv.stride, self.pad_px)  # no copy of x
        else:
            x = self.conv(padded(x, self.pad_px, self.padding) if self.pad_px else x)
        y: Tensor = self.norm(x)
        if self.act == "relu":
            return F.relu(y)
        return F.leaky_relu(y, _LEAK) if self.act == "leaky_relu" else y
