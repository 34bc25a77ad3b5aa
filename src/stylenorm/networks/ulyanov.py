"""Texture networks: a pyramid of small convolutions, from noise to a texture or from a photo to a painting.

Ulyanov, Lebedev, Vedaldi, Lempitsky, "Texture Networks: Feed-forward Synthesis of Textures and Stylized
Images", ICML 2016 (arXiv:1603.03417); with instance norm: Ulyanov, Vedaldi, Lempitsky, "Instance
Normalization: The Missing Ingredient for Fast Stylization", 2016 (arXiv:1607.08022).

At each of K scales (the picture's grid, a half of it, a quarter, ...) noise, and for stylization the photo
averaged down, goes through a block of three convolutions. From the coarsest scale on, what was made is
enlarged by nearest neighbours, joined with the next finer scale, and goes through a wider block:

.. code-block:: text

    scale K    block(8) -> x2, norm -+
    scale K-1  block(8) -> norm -----+-> block(16) -> x2, norm -+
    scale K-2  block(8) -> norm --------------------------------+-> block(24) -> ... -> block(8 K) -> conv 1x1

where block(c) is conv 3x3, conv 3x3, conv 1x1 of c channels, each with norm and activation. The norms before
a joint make its two sides count alike.

As published: batch norm, circular borders, leaky ReLU, K = 6 for stylization and 5 for textures, 8 channels,
3 channels of noise a scale. Differs from the paper: the output goes through a sigmoid to 0..1 (theirs is
bounded by the loss alone); sides need not be multiples of 2^(K-1) (the input is extended and the output
cropped); and all noise is one tensor, of which scale i reads three channels of its own at every 2^i-th pixel:
independent numbers as in the paper, in one input.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.networks.normalizing import PADDINGS, NormConv2d, make_norm

__all__ = ["UlyanovNetwork"]

_MODES = {"style": 6, "texture": 5}  # and the paper's number of scales


class UlyanovNetwork(nn.Module):
    """See the module's drawing.

    Args:
        norm: one of `stylenorm.networks.NORMS`; ``"batch"`` in the paper.
        num_scales: K; by default 6 for stylization and 5 for textures.
        mode: ``"style"`` (photo and noise to painting) or ``"texture"`` (noise to texture).
        padding: one of `stylenorm.networks.PADDINGS`; ``"circular"`` in the paper, ``"replicate"`` in its
            authors' later code.
        channels: of a scale's block, and by which the joined blocks grow.
        noise_channels: channels of noise a scale; 0, for stylization, makes the result a function of the
            photo.

    Shape:
        - ``photo``: (N, 3, H, W), RGB, 0..1; None for textures.
        - ``noise``: (N, noise_channels num_scales, H, W); see `noise`.
        - returns (N, 3, H, W), RGB, 0..1.

    Raises:
        UnknownNameError: no such norm, mode or padding.
        InputError: there would be nothing to start from.

    Example:
        >>> network = UlyanovNetwork(mode="texture")
        >>> network(None, network.noise(1, 64, 48, torch.Generator().manual_seed(0))).shape
        torch.Size([1, 3, 64, 48])
    """

    def __init__(
        self,
        norm: str = "instance",
        num_scales: int | None = None,
        mode: str = "style",
        padding: str = "circular",
        channels: int = 8,
        noise_channels: int = 3,
    ) -> None:
        super().__init__()
        if mode not in _MODES:
            raise UnknownNameError("mode", mode, _MODES)
        if padding not in PADDINGS:
            raise UnknownNameError("padding", padding, PADDINGS)
        scales = _MODES[mode] if num_scales is None else num_scales
        if noise_channels < (mode == "texture") or channels < 1 or scales < 1:
            raise InputError(
                "expected at least one scale, one channel and, for textures, one channel of noise; got "
                f"num_scales {scales}, channels {channels}, noise_channels {noise_channels}"
            )
        self.norm, self.mode, self.padding = norm, mode, padding
        self.num_scales = scales
        self.channels, self.noise_channels = channels, noise_channels
        read = noise_channels + (3 if mode == "style" else 0)
        widths = [channels * k for k in range(1, self.num_scales + 1)]
        # From the coarsest scale to the finest, in the order in which they are computed.
        self.branches = nn.ModuleList(self._block(read, channels) for _ in widths)
        self.branch_norms = nn.ModuleList(make_norm(norm, channels) for _ in widths[1:])
        self.joined_norms = nn.ModuleList(make_norm(norm, width) for width in widths[:-1])
        self.joints = nn.ModuleList(self._block(width, width) for _, width in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 3, 1)

    @property
    def grid(self) -> int:
        """Sides that are multiples of this are painted as they are; others are extended and cropped."""
        return int(2 ** (self.num_scales - 1))

    @property
    def smallest_px(self) -> int:
        """The smallest height and width that it can paint."""
        return self.grid + 1 if self.padding == "reflect" else 1  # two pixels at the coarsest scale

    def noise(
        self, count: int, height: int, width: int, generator: torch.Generator, scale: float = 1.0
    ) -> Tensor:
        """Draw noise, uniform in 0..``scale``: (count, noise_channels num_scales, height, width).

        A network for stylization was trained with scale 1; with less it follows the photo more closely.
        """
        shape = (count, self.noise_channels * self.num_scales, height, width)
        return scale * torch.rand(shape, generator=generator, device=generator.device)

    def forward(self, photo: Tensor | None, noise: Tensor | None = None) -> Tensor:
        """Paint; see the class for shapes.

        Raises:
            ShapeError: photo or noise is missing, not wanted, or of another shape.
        """
        height, width = self._checked(photo, noise)
        extend = (0, -width % self.grid, 0, -height % self.grid)
        photo, noise = (
            None if part is None else F.pad(part, extend, mode="replicate") for part in (photo, noise)
        )
        return self.paint(photo, noise)[..., :height, :width]

    def paint(self, photo: Tensor | None, noise: Tensor | None) -> Tensor:
        """Paint where sides are multiples of `grid`; see `forward`."""
        found = [part for part in (photo, noise) if part is not None]
        x = 2 * torch.cat(found, dim=1) - 1  # centred, as zeros at a border and convolutions like it
        num_photo = 0 if photo is None else 3
        photo_now, fields = x[:, :num_photo], x[:, num_photo:]
        scales = []
        for i in range(self.num_scales):
            if i and photo is not None:
                photo_now = F.avg_pool2d(photo_now, 2)
            first = i * self.noise_channels
            field = fields[:, first : first + self.noise_channels, :: 2**i, :: 2**i]
            scales.append(field if photo is None else torch.cat([photo_now, field], dim=1))
        y: Tensor = self.branches[0](scales[-1])  # (N, c, H / 2^(K-1), W / 2^(K-1))
        for i in range(1, self.num_scales):
            y = self.joined_norms[i - 1](F.interpolate(y, scale_factor=2, mode="nearest"))
            branch = self.branch_norms[i - 1](self.branches[i](scales[-1 - i]))
            y = self.joints[i - 1](torch.cat([y, branch], dim=1))
        return torch.sigmoid(self.last(y))

    def _checked(self, photo: Tensor | None, noise: Tensor | None) -> tuple[int, int]:
        if (photo is not None) != (self.mode == "style"):
            raise ShapeError(
                f"photo: expected {'(N, 3, H, W)' if photo is None else 'None'} in mode {self.mode!r}, "
                f"got {'None' if photo is None else tuple(photo.shape)}"
            )
        depth = self.noise_channels * self.num_scales
        like = photo if photo is not None else noise
        if like is None or (noise is None and depth) or like.dim() != 4:
            got = None if noise is None else tuple(noise.shape)
            raise ShapeError(f"noise: expected (N, {depth}, H, W), got {got}")
        wanted = (len(like), depth, *like.shape[2:])
        if noise is not None and tuple(noise.shape) != wanted:
            raise ShapeError(f"noise: expected {wanted}, got {tuple(noise.shape)}")
        if like.shape[2] < self.smallest_px or like.shape[3] < self.smallest_px:
            raise ShapeError(f"expected height and width of at least {self.smallest_px}, got {wanted}")
        return like.shape[2], like.shape[3]

    def _block(self, in_channels: int, width: int) -> nn.Sequential:
        def conv(before: int, kernel_size: int) -> NormConv2d:
            return NormConv2d(
                before, width, kernel_size, norm=self.norm, padding=self.padding, act="leaky_relu"
            )

        return nn.Sequential(conv(in_channels, 3), conv(width, 3), conv(width, 1))
