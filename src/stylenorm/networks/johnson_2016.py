"""Johnson's residual generator as published: one style, one network.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016
(arXiv:1603.08155), with the layers of its supplement and of its authors' code. `stylenorm.networks.johnson`
is what became of it in this package: many styles, other borders.

================================  =========  ===========
layer (width c, n = 5 blocks)     grid       channels
================================  =========  ===========
conv 9x9, norm, ReLU              1          c
conv 3x3 / 2, norm, ReLU          1/2        2c
conv 3x3 / 2, norm, ReLU          1/4        4c
n x residual (conv 3x3, norm,     1/4        4c
ReLU, conv 3x3, norm; no ReLU
after the sum)
conv 3x3 * 2, norm, ReLU          1/2        2c
conv 3x3 * 2, norm, ReLU          1          c
conv 9x9, tanh                    1          3
================================  =========  ===========

With batch norm it is the paper's; with instance norm it is what the authors later released, in half the
width (Ulyanov 2016, arXiv:1607.08022).

Borders: ``padding="start"`` is the paper's. The picture is padded once by its mirror image, by 8 n = 40
pixels; the convolutions in the blocks do not pad and eat it up again (their skips are cropped by 2), and the
others pad with zeros, most of which is eaten too. Any other word of `PADDINGS` pads at every convolution
instead, and the blocks keep the size.

Differs from the paper: pictures are RGB in 0..1, centred inside, and the scaled tanh ends in 0..1 exactly;
sides need not be multiples of 4 (the picture is extended by its edge, and cropped back). With
``enlarge="nearest"`` the way up is nearest-neighbour enlargement with convolutions, as the authors' later
models have it: it leaves no checkerboard.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.networks.normalizing import PADDINGS, NormConv2d

__all__ = ["JohnsonNetwork2016"]

_LOST_PX = 8  # of the picture, on each side, by a block that does not pad: 2 on a quarter of the grid


class JohnsonNetwork2016(nn.Module):
    """See the module's table. Width 32 has 1,679,235 parameters, whichever norm with scale and shift.

    Args:
        norm: one of `stylenorm.networks.NORMS`.
        width: channels of the first convolution; 32 in the paper, 16 in the models released with instance
            norm.
        num_blocks: residual blocks.
        padding: ``"start"``, or one of `stylenorm.networks.PADDINGS`.
        enlarge: ``"transposed"`` (the paper's stride 1/2; pads with zeros, whatever ``padding`` says) or
            ``"nearest"``.

    Shape: photo (N, 3, H, W), RGB, 0..1; returns the same. H and W from 1, or from 5 where every convolution
    reflects: it cannot reach beyond the picture.

    Raises:
        UnknownNameError: no such norm, padding or enlargement.

    Example:
        >>> sum(p.numel() for p in JohnsonNetwork2016().parameters())
        1679235
    """

    grid = 4  # of whose multiples the sides are made

    def __init__(
        self,
        norm: str = "instance",
        width: int = 32,
        num_blocks: int = 5,
        padding: str = "start",
        enlarge: str = "transposed",
    ) -> None:
        super().__init__()
        if width < 1 or num_blocks < 0:
            raise InputError(
                f"expected a width of at least 1 and 0 or more blocks, got {width} and {num_blocks}"
            )
        if padding != "start" and padding not in PADDINGS:
            raise UnknownNameError("padding", padding, ("start", *PADDINGS))
        self.norm, self.width, self.num_blocks = norm, width, num_blocks
        self.padding, self.enlarge = padding, enlarge
        c, at_start = width, padding == "start"
        edge, inside = ("zeros", "valid") if at_start else (padding, padding)
        self.start_px = _LOST_PX * num_blocks if at_start else 0
        self.down = nn.Sequential(
            NormConv2d(3, c, 9, norm=norm, padding=edge),
            NormConv2d(c, 2 * c, norm=norm, padding=edge, stride=2),
            NormConv2d(2 * c, 4 * c, norm=norm, padding=edge, stride=2),
        )
        self.blocks = nn.Sequential(*(_Residual(4 * c, norm, inside) for _ in range(num_blocks)))
        self.up = nn.Sequential(
            NormConv2d(4 * c, 2 * c, norm=norm, padding=edge, enlarge=enlarge),
            NormConv2d(2 * c, c, norm=norm, padding=edge, enlarge=enlarge),
        )
        self.last = NormConv2d(c, 3, 9, norm="none", padding=edge, act=None)

    @property
    def smallest_px(self) -> int:
        """The smallest height and width that it can paint."""
        return 5 if self.padding in ("reflect", "circular") else 1  # 9 x 9 reaches 4 pixels beyond the border

    def forward(self, photo: Tensor) -> Tensor:
        """Paint photos; see the class for shapes.

        Raises:
            ShapeError: the photo is smaller than `smallest_px`.
        """
        height, width = photo.shape[-2:]
        if height < self.smallest_px or width < self.smallest_px:  # no min(): an exporter follows this
            raise ShapeError(
                f"photo: expected height and width of at least {self.smallest_px}, got {tuple(photo.shape)}"
            )
        whole = F.pad(photo, (0, -width % self.grid, 0, -height % self.grid), mode="replicate")
        return self.paint(whole)[..., :height, :width]

    def paint(self, photo: Tensor) -> Tensor:
        """Paint photos whose sides are multiples of 4."""
        x = _mirrored(photo, self.start_px) if self.start_px else photo
        x = self.up(self.blocks(self.down(2 * x - 1)))  # (N, c, H, W)
        painted: Tensor = 0.5 + 0.5 * torch.tanh(self.last(x))
        return painted


def _mirrored(x: Tensor, pad: int) -> Tensor:
    """Pad all sides by reflection, over and over where the picture is smaller than the padding."""
    for axis in (2, 3):
        # A tensor, since exporters divide by nothing else; at least 6, as sides are multiples of 4 by now.
        period = torch.full((), 2 * (x.shape[axis] - 1), device=x.device)
        position = torch.arange(-pad, x.shape[axis] + pad, device=x.device) % period
        # Not by abs(), which OpenVINO 2026 forgets of integers that it knows when it compiles.
        x = x.index_select(axis, torch.minimum(position, period - position))
    return x


class _Residual(nn.Module):
    def __init__(self, channels: int, norm: str, padding: str) -> None:
        super().__init__()
        self.first = NormConv2d(channels, channels, norm=norm, padding=padding)
        self.second = NormConv2d(channels, channels, norm=norm, padding=padding, act=None)
        self.crop = 2 if padding == "valid" else 0

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(self.first(x))
        if self.crop:
            x = x[..., self.crop : -self.crop, self.crop : -self.crop]
        return x + change
