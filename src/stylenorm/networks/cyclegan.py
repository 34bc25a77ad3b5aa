"""CycleGAN's generator: a residual network from one domain of pictures to another.

Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
ICCV 2017 (arXiv:1703.10593), appendix 7.2; after Johnson 2016.

===================================  ======  ==========
layer (width c, n = 6 or 9 blocks)   grid    channels
===================================  ======  ==========
conv 7x7, norm, ReLU                 1       c
conv 3x3 / 2, norm, ReLU             1/2     2c
conv 3x3 / 2, norm, ReLU             1/4     4c
n x residual (conv 3x3, norm,        1/4     4c
ReLU, conv 3x3, norm)
conv 3x3 * 2, norm, ReLU             1/2     2c
conv 3x3 * 2, norm, ReLU             1       c
conv 7x7, tanh                       1       3
===================================  ======  ==========

Instance norms without scale and shift, reflection at the borders of the 7x7 convolutions and in the blocks,
zeros elsewhere, as in the authors' code. 6 blocks are the paper's for pictures of 128 pixels, 9 from 256 on.

Differs from the paper: pictures are RGB in 0..1 (scaled to -1..1 inside); sides need not be multiples of 4
(the picture is extended by its edge, and cropped back).

Not in the paper: with ``residual``, the network adds what it makes to the picture, and its last layer begins
at 0, so that it begins as the identity. Where there are minutes and not days, a network that has to learn to
paint the photo itself, through layers that have 1/4 of its sides, is still blurred when the time is over;
this one has only to learn what changes: colours, light and strokes.

Nor is ``norm="none"``, for such a network. An instance norm fixes how much each channel does over the whole
picture. A network that has to do much here and nothing there gets around it by a spike: a bright blotch, at
which the rest of the picture is small (as Karras et al. found in StyleGAN, arXiv:1912.04958, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.networks.padding import padded_to
from stylenorm.networks.patch_discriminator import (
    check_norm,
    drawn_from_normal,
    load_renamed,
    without_prefix,
)
from stylenorm.nn import InstanceNormAct2d

__all__ = ["CycleGanGenerator"]


class _Residual(nn.Module):
    def __init__(self, channels: int, *, affine: bool = False, norm: str = "instance") -> None:
        super().__init__()
        options = {"padding": 1, "padding_mode": "reflect", "bias": not affine}
        self.first = nn.Conv2d(channels, channels, 3, **options)  # type: ignore[arg-type]
        self.second = nn.Conv2d(channels, channels, 3, **options)  # type: ignore[arg-type]
        self.norms = nn.ModuleList(
            [
                _norm(norm, channels, affine=affine),
                InstanceNormAct2d(channels, affine=affine, act=None) if norm == "instance" else _Sum(),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norms[1](self.second(self.norms[0](self.first(x))), x)  # norm(...) + x
        return y


class _Sum(nn.Module):
    """What stands where a norm would add the residual."""

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        return y + x


def _norm(norm: str, channels: int, *, affine: bool) -> nn.Module:
    """An instance norm with the ReLU behind it, or the ReLU alone."""
    return InstanceNormAct2d(channels, affine=affine) if norm == "instance" else nn.ReLU()


class CycleGanGenerator(nn.Module):
    """See the module's table. With 9 blocks of width 64: 11,378,179 parameters.

    Args:
        num_blocks: residual blocks.
        width: channels of the first convolution; 64 in the paper.
        affine: norms with scale and shift behind convolutions without bias. The authors' code has them with
            ``--norm batch``, which measures the picture at hand where it is run on one: that is this.
        in_channels: of what is given; 1 for grey.
        out_channels: of what comes out.
        residual: add the last layer, without tanh, to the picture, from a last layer of zeros; not in the
            paper. In training the sum is left as it is, so that gradients reach what has left 0..1; in
            evaluation it is clipped.
        up: transposed, as published, or nearest: pixels are doubled and a convolution follows, which leaves
            no checkerboard (Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016).
        norm: instance, as published, or none, for a residual network.

    Shape: (N, in_channels, H, W), RGB or grey, 0..1; returns (N, out_channels, H, W). H and W from 5.

    Example:
        >>> sum(p.numel() for p in CycleGanGenerator().parameters())
        11378179
    """

    multiple = 4
    smallest_px = 5  # becomes 8, of which a block sees 2: the least that can be reflected

    def __init__(
        self,
        num_blocks: int = 9,
        width: int = 64,
        *,
        affine: bool = False,
        in_channels: int = 3,
        out_channels: int = 3,
        residual: bool = False,
        up: str = "transposed",
        norm: str = "instance",
    ) -> None:
        super().__init__()
        if num_blocks < 0 or width < 1:
            raise InputError(
                f"expected 0 or more blocks and a width of at least 1, got {num_blocks} and {width}"
            )
        if residual and in_channels != out_channels:
            raise InputError(
                f"residual: expected as many channels in as out, got {in_channels} and {out_channels}"
            )
        if up not in ("transposed", "nearest"):
            raise InputError(f"up: expected transposed or nearest, got {up}")
        check_norm(norm, affine=affine)
        c, bias = width, not affine
        self.in_channels, self.out_channels, self.residual = in_channels, out_channels, residual
        self.first = nn.Conv2d(in_channels, c, 7, padding=3, padding_mode="reflect", bias=bias)
        self.down = nn.ModuleList(nn.Conv2d(a, 2 * a, 3, 2, padding=1, bias=bias) for a in (c, 2 * c))
        blocks = [_Residual(4 * c, affine=affine, norm=norm) for _ in range(num_blocks)]
        self.blocks = nn.Sequential(*blocks)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, a // 2, 3, 2, padding=1, output_padding=1, bias=bias)
            if up == "transposed"
            else nn.Sequential(
                nn.Upsample(scale_factor=2),
                nn.Conv2d(a, a // 2, 3, padding=1, padding_mode="reflect", bias=bias),
            )
            for a in (4 * c, 2 * c)
        )
        self.norms = nn.ModuleList(_norm(norm, k * c, affine=affine) for k in (1, 2, 4, 2, 1))
        self.last = nn.Conv2d(c, out_channels, 7, padding=3, padding_mode="reflect")
        drawn_from_normal(self)
        if norm == "none":  # 0.02 is for layers whose scale a norm sets
            for conv in self.modules():
                if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
                    nn.init.kaiming_normal_(conv.weight)
            for block in blocks:
                nn.init.normal_(block.second.weight, 0.0, 0.02)
        if residual:
            nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Translate pictures; see the class for shapes."""
        height, width = x.shape[-2:]
        if height < self.smallest_px or width < self.smallest_px:  # no min(): an exporter follows this
            raise ShapeError(
                f"x: expected height and width of at least {self.smallest_px}, got {tuple(x.shape)}"
            )
        x = padded_to(x, self.multiple)
        y = self.norms[0](self.first(2 * x - 1))
        for conv, norm in zip(self.down, self.norms[1:3], strict=True):
            y = norm(conv(y))  # ends at (N, 4c, H/4, W/4)
        y = self.blocks(y)
        for conv, norm in zip(self.up, self.norms[3:], strict=True):
            y = norm(conv(y))  # ends at (N, c, H, W)
        made: Tensor = self.last(y)
        if not self.residual:
            translated = (torch.tanh(made) + 1) / 2
        elif self.training:
            translated = x + made
        else:
            translated = (x + made).clamp(0, 1)
        return translated[..., :height, :width]

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the authors' PyTorch code, whose layers are numbered in one Sequential.

        ``model.1`` is `first`, 4 and 7 are `down`, ``model.(10 + i).conv_block.1`` and ``.5`` are the
        convolutions of block i (``.6`` where it was trained with dropout), and behind the n blocks 10 + n and
        13 + n are `up`, 17 + n is `last`. Norms with weights follow their convolutions.

        Raises:
            InputError: it is a checkpoint of another network; `from_published` builds the one that it is of.
        """
        state = without_prefix(state)
        n = len(self.blocks)
        second = 5 if "model.10.conv_block.5.weight" in state else 6
        names = {"model.1": "first", "model.4": "down.0", "model.7": "down.1"}
        names |= {"model.2": "norms.0", "model.5": "norms.1", "model.8": "norms.2"}
        for i in range(n):
            names |= {
                f"model.{10 + i}.conv_block.{number}": f"blocks.{i}.{name}"
                for number, name in (
                    (1, "first"),
                    (2, "norms.0"),
                    (second, "second"),
                    (second + 1, "norms.1"),
                )
            }
        names |= {f"model.{10 + n}": "up.0", f"model.{13 + n}": "up.1", f"model.{17 + n}": "last"}
        names |= {f"model.{11 + n}": "norms.3", f"model.{14 + n}": "norms.4"}
        load_renamed(self, state, names)

    @classmethod
    def from_published(cls, state: Mapping[str, Tensor], *, residual: bool = False) -> CycleGanGenerator:
        """Build the network of a checkpoint of the authors' code, of whatever size, and load it.

        Args:
            state: the checkpoint.
            residual: it was trained to add what it makes to the picture, which its weights do not say.

        Raises:
            InputError: it is no checkpoint of a residual generator.
        """
        state = without_prefix(state)
        blocks = {key.split(".")[1] for key in state if ".conv_block." in key}
        first, last = state.get("model.1.weight"), state.get(f"model.{17 + len(blocks)}.weight")
        if first is None or last is None or first.dim() != 4:
            raise InputError(
                "expected a checkpoint of CycleGAN's generator (model.1.weight, ...), got other layers"
            )
        network = cls(
            len(blocks),
            len(first),
            affine="model.1.bias" not in state,
            in_channels=first.shape[1],
            out_channels=len(last),
            residual=residual,
        )
        network.load_published(state)
        return network
