"""What the stylizer networks share: the style vector, the conditional norms, the way photos go in and out.

Dumoulin, Shlens, Kudlur, "A Learned Representation For Artistic Style", ICLR 2017 (arXiv:1610.07629): one
network for many styles, in which only the gamma and beta of its instance norms depend on the style.

Differs from the paper: the output has no norm (a norm there would fix the brightness and contrast of every
painting), and the style vector ends with one number more, the *photo gate* g: the output is
``g * photo + (1 - g) * painted``. Instance norm takes the photo's own brightness and contrast out, so no
gamma and beta can return the photo; with the gate, style 0 (the identity, g = 1) returns it exactly, and a
mixture with the identity weakens a style evenly down to nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.configurations import NetworkConfig
from stylenorm.errors import ShapeError
from stylenorm.functional import instance_norm

__all__ = ["NetworkConfig", "StylizerNetwork"]

_BLOCK_GAMMA = 0.2


class Described(Protocol):
    """A network's configuration: what the base class and files ask of it."""

    @property
    def num_blocks(self) -> int: ...

    def to_dict(self) -> dict[str, str | int]: ...


class StyledConv2d(nn.Module):
    """Convolution (no bias: the norm would remove it), then instance norm with the style's gamma and beta.

    Args:
        in_channels: channels in.
        out_channels: channels out of the convolution.
        kernel_size: odd, or for stride 4 even.
        stride: 1, 2 or 4; the output has 1 / stride of the grid.
        upscale: 1, or 2 for depth-to-space by 2 before the norm (which then sees ``out_channels / 4``).
        nearest: enlarge the input by 2 (nearest neighbour) before the convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        upscale: int = 1,
        nearest: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.upscale, self.nearest = stride, upscale, nearest
        self.num_features = out_channels // upscale**2
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        if self.nearest:
            x = conv2d_on_doubled(x, self.weight)
        else:
            pad = (self.weight.shape[2] - self.stride + 1) // 2
            x = F.conv2d(F.pad(x, (pad, pad, pad, pad), mode="replicate"), self.weight, stride=self.stride)
        if self.upscale > 1:
            x = F.pixel_shuffle(x, self.upscale)
        return instance_norm(x, weight=gamma, bias=beta)


class StyledResidual(nn.Module):
    """Two styled 3 x 3 convolutions and a skip; no ReLU after the sum (Johnson's supplement, after Gross)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = StyledConv2d(channels, channels)
        self.second = StyledConv2d(channels, channels)

    def forward(self, x: Tensor, style: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        y = F.relu(self.first(x, *style[0]))
        change: Tensor = self.second(y, *style[1])
        return x + change


def split_style(style: Tensor, norm_sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Return gamma and beta of each norm in turn, then the photo gate: parts of (..., L)."""
    return torch.split(
        style, [size for channels in norm_sizes for size in (channels, channels)] + [1], dim=-1
    )


class StylizerNetwork(nn.Module):
    """Base of the two families. A subclass defines ``paint`` and lists its norms in ``norm_sizes``.

    Args:
        config: which network.
        norm_sizes: channels of each norm, in the order of the style vector.
        first_block: index of the first residual block's first norm.

    Shape:
        - ``photo``: (N, 3, H, W), RGB, 0..1, any H and W from 1.
        - ``style``: (L,) for all samples, or (N, L), one a sample; L = ``style_length``. Its layout is gamma
          and beta of each norm in turn, then the photo gate.
        - returns (N, 3, H, W), RGB, 0..1.
    """

    def __init__(self, config: Described, norm_sizes: Sequence[int], first_block: int) -> None:
        super().__init__()
        self.config = config
        self.norm_sizes = tuple(norm_sizes)
        self._last_of_blocks = range(first_block + 1, first_block + 2 * config.num_blocks, 2)

    @property
    def grid(self) -> int:
        """Sides are made multiples of this: the families work on a quarter of the picture's grid."""
        return 4

    @property
    def smallest_px(self) -> int:
        """The smallest height and width that it can paint."""
        return 1

    @property
    def style_length(self) -> int:
        """Numbers in a style vector."""
        return 2 * sum(self.norm_sizes) + 1

    def initial_style(self) -> Tensor:
        """Return the style vector (L,) to start training from: gamma 1, beta 0, gate 0.

        The gamma that ends a residual block starts at 0.2 (Goyal et al., arXiv:1706.02677, start it at 0): a
        network whose blocks change little at first learns to transmit the photo several times sooner.
        """
        parts = []
        for norm, channels in enumerate(self.norm_sizes):
            gamma = _BLOCK_GAMMA if norm in self._last_of_blocks else 1.0
            parts += [torch.full((channels,), gamma), torch.zeros(channels)]
        return torch.cat([*parts, torch.zeros(1)])

    def forward(self, photo: Tensor, style: Tensor) -> Tensor:
        """Paint photos; see the class for shapes."""
        if style.shape[-1] != self.style_length:
            raise ShapeError(
                f"style: expected (N, {self.style_length}) or ({self.style_length},), "
                f"got {tuple(style.shape)}"
            )
        height, width = photo.shape[-2:]
        whole = F.pad(photo, (0, -width % self.grid, 0, -height % self.grid), mode="replicate")
        *parts, gate = split_style(style, self.norm_sizes)
        painted = self.paint(whole, list(zip(parts[0::2], parts[1::2], strict=True)))
        mixed: Tensor = painted + gate.reshape(-1, 1, 1, 1) * (whole - painted)
        return mixed[..., :height, :width]

    @abstractmethod
    def paint(self, photo: Tensor, style: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Paint photos whose sides are multiples of 4, given (gamma, beta) of each norm."""


def padded(x: Tensor, px: int, padding: str) -> Tensor:
    """Return ``x`` (N, C, H, W) with ``px`` more on each side: reflect, replicate, zeros or circular."""
    if padding == "circular":  # in slices, since not every engine knows it
        x = torch.cat([x[:, :, -px:], x, x[:, :, :px]], dim=2)
        return torch.cat([x[..., -px:], x, x[..., :px]], dim=3)
    return F.pad(x, (px,) * 4, mode="constant" if padding == "zeros" else padding)


def conv2d_on_doubled(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: str = "replicate"
) -> Tensor:
    """Enlarge ``x`` by 2 (nearest neighbour) and convolve 3 x 3, without ever making the enlarged tensor.

    Each of the four phases of the output sees only a 2 x 2 neighbourhood of ``x``, so the 3 x 3 kernel folds
    into one 3 x 3 kernel a phase, and depth-to-space puts the phases together. Exactly the same sums as
    ``conv2d(interpolate(x, scale_factor=2), weight)`` with a quarter of the memory; borders are padded by
    ``padding``, "replicate", "zeros" or "circular".
    (Odena, Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016, for why resize first.)

    Shape: x (N, C, H, W), weight (O, C, 3, 3), bias (O,); returns (N, O, 2H, 2W).
    """
    # Row r of an even (odd) output row's fold says which of the three kernel rows fall on input row r.
    fold = x.new_tensor(
        [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]],
            [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        ]
    )
    out_channels, in_channels = weight.shape[:2]
    phases = torch.einsum("pik,qjl,ockl->opqcij", fold, fold, weight)
    phases = phases.reshape(out_channels * 4, in_channels, 3, 3)
    phase_bias = None if bias is None else bias.repeat_interleave(4)
    y = F.conv2d(padded(x, 1, padding), phases, phase_bias)
    return F.pixel_shuffle(y, 2)
