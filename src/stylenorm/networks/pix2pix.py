"""pix2pix's generator: a U-Net with a skip at every size.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017
(arXiv:1611.07004), appendix 6.1.1. On the way down, every level halves the grid by a 4x4 convolution, from
the picture to a single pixel with 8 levels at 256 x 256; on the way up a transposed one doubles it, and what
the way down had at that size stands beside it. The innermost levels drop half of their channels out, which
is the only noise.

The paper normalizes by the statistics of the batch at hand, in tests too, with a batch of one picture: "this
approach to batch normalization, when the batch size is set to 1, has been termed instance normalization".
So it is instance norm with scale and shift here, and published weights give the published pictures. A norm
would make the innermost level's single pixel 0 whatever comes in; so it has none, as in the corrected paper.

Differs from the paper: pictures are RGB in 0..1 (scaled to -1..1 inside); sides need not be 256 (the picture
is extended by its edge to a multiple, and cropped back); dropout is drawn from outside (`dropout`), and
nothing is dropped in translating, so that the same photo gives the same picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.networks.padding import padded_to
from stylenorm.networks.patch_discriminator import drawn_from_normal, load_renamed, without_prefix
from stylenorm.nn import InstanceNormAct2d

__all__ = ["UNetGenerator"]

_SLOPE = 0.2
_FIRST_DROPPED = 4  # levels from here on, but the innermost, drop channels out
_KEPT = 0.5


class UNetGenerator(nn.Module):
    """See the module's docstring. With 8 levels of width 64: 54,413,955 parameters.

    Args:
        num_levels: halvings, at least 2; 8 in the paper.
        width: channels of the first level; doubled up to 8 times that.
        affine: norms with scale and shift behind convolutions without bias, as published; without, the
            authors' ``--norm instance``.
        in_channels: of what is given; 1 for grey.
        out_channels: of what comes out.

    Shape: (N, in_channels, H, W), RGB or grey, 0..1; returns (N, out_channels, H, W); any H and W from 1.

    Example:
        >>> sum(p.numel() for p in UNetGenerator().parameters())
        54413955
    """

    smallest_px = 1

    def __init__(
        self,
        num_levels: int = 8,
        width: int = 64,
        *,
        affine: bool = True,
        in_channels: int = 3,
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        if num_levels < 2 or width < 1:
            raise InputError(
                f"expected at least 2 levels and a width of at least 1, got {num_levels} and {width}"
            )
        self.multiple = 2**num_levels
        self.in_channels, self.out_channels = in_channels, out_channels
        c = [width * min(8, 2**i) for i in range(num_levels)]
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2, padding=1, bias=not affine)
            for a, b in zip([in_channels, *c], c, strict=False)
        )
        self.down_norms = nn.ModuleList(InstanceNormAct2d(each, affine=affine, act=None) for each in c[1:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(
                a if i == num_levels - 1 else 2 * a,
                c[i - 1] if i else out_channels,
                4,
                2,
                padding=1,
                bias=i == 0 or not affine,
            )
            for i, a in enumerate(c)
        )
        self.up_norms = nn.ModuleList(InstanceNormAct2d(each, affine=affine, act=None) for each in c[:-1])
        drawn_from_normal(self)

    def dropout(self, count: int, height: int, width: int, generator: torch.Generator) -> list[Tensor]:
        """Draw what is dropped in a training step, level by level from the outside.

        Args:
            count: pictures.
            height: of the pictures, as is ``width``.
            width: see ``height``.
            generator: on the CPU.

        Returns:
            For each dropping level (count, C, h, w): 0 where it drops, else 2.
        """
        masks = []
        for level in range(_FIRST_DROPPED, len(self.down) - 1):
            channels = self.up[level].out_channels
            sides = [-(-side // self.multiple) * self.multiple >> level for side in (height, width)]
            kept = torch.rand([count, channels, *sides], generator=generator) < _KEPT  # type: ignore[list-item]
            masks.append(kept / _KEPT)
        return masks

    def forward(self, x: Tensor, dropout: Sequence[Tensor] | None = None) -> Tensor:
        """Translate pictures; see the class for shapes.

        Args:
            x: the pictures.
            dropout: as `dropout` drew it; None drops nothing.
        """
        height, width = x.shape[-2:]
        x = padded_to(x, self.multiple)
        skips = [self.down[0](2 * x - 1)]  # level i at (N, c_i, H / 2^(i+1), W / 2^(i+1))
        for i, conv in enumerate(list(self.down)[1:]):
            y = conv(F.leaky_relu(skips[-1], _SLOPE))
            skips.append(self.down_norms[i](y) if i < len(self.down_norms) else y)
        y = skips.pop()
        for level in reversed(range(1, len(self.up))):
            y = self.up_norms[level - 1](self.up[level](F.relu(y)))
            if dropout and _FIRST_DROPPED <= level < len(self.up) - 1:
                y = y * dropout[level - _FIRST_DROPPED]
            y = torch.cat([skips.pop(), y], dim=1)
        translated: Tensor = (torch.tanh(self.up[0](F.relu(y))) + 1) / 2
        return translated[..., :height, :width]

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the authors' PyTorch code, whose levels are nested in one another.

        Level 0 is ``model.model``, level 1 ``model.model.1.model``, each further one ``.3.model`` of the one
        around it. In level 0, 0 is `down` and 3 is `up`; in the others 1 is `down`, 2 its norm, 5 is `up`, 6
        its norm; in the innermost 1 is `down`, 3 is `up`, 4 its norm.

        Raises:
            InputError: it is a checkpoint of another network; `from_published` builds the one that it is of.
        """
        state = without_prefix(state)
        last = len(self.down) - 1
        names = {"model.model.0": "down.0", "model.model.3": "up.0"}
        prefix = "model.model.1.model"
        for level in range(1, last):
            names |= {f"{prefix}.1": f"down.{level}", f"{prefix}.2": f"down_norms.{level - 1}"}
            names |= {f"{prefix}.5": f"up.{level}", f"{prefix}.6": f"up_norms.{level - 1}"}
            prefix += ".3.model"
        names |= {f"{prefix}.1": f"down.{last}", f"{prefix}.3": f"up.{last}"}
        names[f"{prefix}.4"] = f"up_norms.{last - 1}"
        load_renamed(self, state, names)

    @classmethod
    def from_published(cls, state: Mapping[str, Tensor]) -> UNetGenerator:
        """Build the network of a checkpoint of the authors' code, of whatever size, and load it.

        Raises:
            InputError: it is no checkpoint of a U-Net.
        """
        state = without_prefix(state)
        first, last = state.get("model.model.0.weight"), state.get("model.model.3.weight")
        if first is None or last is None or first.dim() != 4:
            raise InputError(
                "expected a checkpoint of pix2pix's U-Net (model.model.0.weight, ...), got other layers"
            )
        num_levels, prefix = 2, "model.model.1.model"
        while f"{prefix}.5.weight" in state:  # an inner level is around another
            num_levels, prefix = num_levels + 1, f"{prefix}.3.model"
        network = cls(
            num_levels,
            len(first),
            affine="model.model.0.bias" not in state,
            in_channels=first.shape[1],
            out_channels=last.shape[1],
        )
        network.load_published(state)
        return network
