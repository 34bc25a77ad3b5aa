"""SPADE (GauGAN): photos from maps of labels.

Park, Liu, Wang, Zhu, "Semantic Image Synthesis with Spatially-Adaptive Normalization", CVPR 2019
(arXiv:1903.07291), appendix A. What is to be seen where enters through every norm, as maps of scale and shift
that two convolutions predict from the labels (`stylenorm.nn.SPADE2d`); so no norm can wash it out.

======================================  ==========  ==========
layer (width c, 5 doublings)            grid        channels
======================================  ==========  ==========
labels, conv 3x3 (or z, linear)         1/32        16c
SPADE block, * 2                        1/32        16c
SPADE block, SPADE block, * 2           1/16        16c
SPADE block, * 2                        1/8         8c
SPADE block, * 2                        1/4         4c
SPADE block, * 2                        1/2         2c
SPADE block                             1           c
leaky ReLU 0.2, conv 3x3, tanh          1           3
======================================  ==========  ==========

A block is x + conv(act(spade(conv(act(spade(x)))))), with leaky ReLUs of slope 0.2; where it narrows, x goes
through a norm and a 1x1 convolution of its own. All convolutions of the blocks have spectral norm (Miyato et
al. 2018, arXiv:1802.05957): their largest singular value is 1, by one step of the power iteration whenever
they are used in training. What that step knows are buffers.

Differs from the paper: inside SPADE the norm is an instance norm by default; the paper's is a synchronized
batch norm, which is ``norm="batch"`` (`stylenorm.training` synchronizes it). Pictures are RGB in 0..1; sides
need not be multiples of 32 (the labels are extended by their edge, and the picture cropped back). Maps of
the edges between instances are no labels of their own here: give them as a further channel, if there are any.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from stylenorm.errors import InputError, ShapeError
from stylenorm.networks.multiscale_discriminator import drawn_by_glorot, load_spectral
from stylenorm.networks.padding import padded_to
from stylenorm.nn import InstanceNormAct2d, SPADE2d

__all__ = ["SpadeEncoder", "SpadeGenerator"]

_SLOPE = 0.2
_PUBLISHED_BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")


class _Block(nn.Module):
    """The residual block of figure 4; its layers are named as the authors named them."""

    def __init__(self, c_in: int, c_out: int, label_channels: int, hidden: int, norm: str) -> None:
        super().__init__()
        middle = min(c_in, c_out)
        self.norm_0 = SPADE2d(c_in, label_channels, hidden, norm=norm)
        self.conv_0 = nn.Conv2d(c_in, middle, 3, padding=1)
        self.norm_1 = SPADE2d(middle, label_channels, hidden, norm=norm)
        self.conv_1 = nn.Conv2d(middle, c_out, 3, padding=1)
        self.narrows = c_in != c_out
        if self.narrows:
            self.norm_s = SPADE2d(c_in, label_channels, hidden, norm=norm)
            self.conv_s = nn.Conv2d(c_in, c_out, 1, bias=False)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        labels = F.interpolate(labels, size=x.shape[2:], mode="nearest")  # once for all norms of the block
        y = self.conv_0(F.leaky_relu(self.norm_0(x, labels), _SLOPE))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, labels), _SLOPE))
        painted: Tensor = (self.conv_s(self.norm_s(x, labels)) if self.narrows else x) + y
        return painted


class SpadeGenerator(nn.Module):
    """See the module's table. With 184 channels of labels (COCO): 97,480,899 parameters.

    Args:
        label_channels: of the labels: one a class, and one for what is unlabelled.
        width: channels of the last block; 64 in the paper.
        hidden: channels of the convolution in SPADE that scale and shift share; 128 in the paper.
        num_doublings: 3 to 6; 5 in the paper for 256 pixels. 6 doubles once more between the second and the
            third block, fewer leave out the first ones.
        norm: ``"instance"`` or ``"batch"``; see the module's docstring.
        latent: numbers in z; 256 in the paper. 0 starts from the labels, and there is no z.
        start_px: side of the grid that z is spread on; another start is made from it by nearest neighbours.

    Shape: labels (N, label_channels, H, W), 0 or 1; z (N, latent); returns (N, 3, H, W), RGB, 0..1. Any H and
    W from 1.

    Example:
        >>> sum(p.numel() for p in SpadeGenerator(184).parameters())
        97480899
    """

    smallest_px = 1

    def __init__(
        self,
        label_channels: int,
        width: int = 64,
        hidden: int = 128,
        *,
        num_doublings: int = 5,
        norm: str = "instance",
        latent: int = 0,
        start_px: int = 8,
    ) -> None:
        super().__init__()
        if not 3 <= num_doublings <= 6 or min(label_channels, width, hidden, start_px) < 1 or latent < 0:
            raise InputError(
                "expected 3 to 6 doublings and sizes of at least 1, got "
                f"{num_doublings} doublings, {label_channels} channels of labels, width {width}, "
                f"hidden {hidden}, latent {latent}, start_px {start_px}"
            )
        self.label_channels, self.latent, self.start_px = label_channels, latent, start_px
        self.multiple = 2**num_doublings
        # before each block whether the grid is doubled: always before the last four
        self._doubled = (False, num_doublings >= 5, num_doublings == 6, num_doublings >= 4, True, True, True)
        c = [16, 16, 16, 16, 8, 4, 2, 1]
        self.first = (
            nn.Linear(latent, c[0] * width * start_px**2)
            if latent
            else nn.Conv2d(label_channels, c[0] * width, 3, padding=1)
        )
        self.blocks = nn.ModuleList(
            _Block(a * width, b * width, label_channels, hidden, norm) for a, b in pairwise(c)
        )
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        drawn_by_glorot(self)
        for block in self.blocks:
            for name in ("conv_0", "conv_1", "conv_s"):
                if hasattr(block, name):
                    spectral_norm(getattr(block, name))

    def forward(self, labels: Tensor, z: Tensor | None = None) -> Tensor:
        """Paint labels; see the class for shapes.

        Args:
            labels: what is where.
            z: what it shall look like; None is 0, the middle of all looks.
        """
        if labels.dim() != 4 or labels.shape[1] != self.label_channels:
            raise ShapeError(f"labels: expected (N, {self.label_channels}, H, W), got {tuple(labels.shape)}")
        height, width = labels.shape[-2:]
        labels = padded_to(labels, self.multiple)
        grid = labels.shape[2] // self.multiple, labels.shape[3] // self.multiple
        if self.latent:
            z = labels.new_zeros(labels.shape[0], self.latent) if z is None else z
            x = self.first(z).unflatten(1, (-1, self.start_px, self.start_px))
            x = F.interpolate(x, size=grid, mode="nearest")
        else:
            x = self.first(F.interpolate(labels, size=grid, mode="nearest"))  # (N, 16 c, H/32, W/32)
        for block, doubled in zip(self.blocks, self._doubled, strict=True):
            if doubled:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(x, labels)
        painted: Tensor = (torch.tanh(self.last(F.leaky_relu(x, _SLOPE))) + 1) / 2
        return painted[..., :height, :width]

    def folded(self) -> SpadeGenerator:
        """Return a copy, in evaluation, whose convolutions have what spectral norm makes of their weights.

        PyTorch's ``remove_parametrizations`` would break the original, too: copies share their layers' class.
        """
        network = copy.deepcopy(self).eval()
        for block in network.blocks:
            for name, conv in list(block.named_children()):
                if is_parametrized(conv):
                    plain = nn.Conv2d(
                        conv.in_channels,  # type: ignore[arg-type]
                        conv.out_channels,  # type: ignore[arg-type]
                        conv.kernel_size,  # type: ignore[arg-type]
                        padding=conv.padding,  # type: ignore[arg-type]
                        bias=conv.bias is not None,
                    )
                    plain.weight.data, plain.bias = conv.weight.detach(), conv.bias  # type: ignore[assignment, operator]
                    setattr(block, name, plain.eval())
        return network

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the authors' PyTorch code (``latest_net_G.pth``).

        ``fc`` is `first`, ``conv_img`` is `last`, and the blocks are ``head_0``, ``G_middle_0``,
        ``G_middle_1`` and ``up_0`` to ``up_3``; within a block names are the same. ``weight_orig``,
        ``weight_u`` and ``weight_v`` are PyTorch's older names of what spectral norm knows. Published
        networks have batch norms, so this one needs ``norm="batch"``; and their labels are one channel a
        class, then one for what is unlabelled, then one for the edges of instances (of ADE20K: 151, none).

        Raises:
            InputError: it is a checkpoint of another network.
        """
        names = {"fc": "first", "conv_img": "last"}
        names |= {name: f"blocks.{i}" for i, name in enumerate(_PUBLISHED_BLOCKS)}
        load_spectral(self, state, names)


class SpadeEncoder(nn.Module):
    """Where in the space of looks a photo is: mean and logarithm of the variance of its z.

    The photo, scaled to ``size_px``, is halved by 3x3 convolutions of c, 2c, 4c, 8c, 8c, ... channels with
    spectral norm, instance norm and leaky ReLU, until 4 x 4 are left; two linear layers read them.

    Args:
        latent: numbers in z; 256 in the paper.
        width: channels of the first convolution; 64 in the paper.
        size_px: a power of two of at least 8; 256 in the paper.

    Shape: (N, 3, H, W), RGB, 0..1; returns mean and log variance, (N, latent) each.

    Example:
        >>> sum(p.numel() for p in SpadeEncoder().parameters())
        10463424
    """

    def __init__(self, latent: int = 256, width: int = 64, size_px: int = 256) -> None:
        super().__init__()
        num_layers = size_px.bit_length() - 3
        if size_px < 8 or size_px & (size_px - 1) or min(latent, width) < 1:
            raise InputError(
                f"expected size_px to be a power of two of at least 8, got {size_px} "
                f"(latent {latent}, width {width})"
            )
        self.size_px = size_px
        c = [3, *(width * min(8, 2**i) for i in range(num_layers))]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, padding=1, bias=False) for a, b in pairwise(c))
        self.norms = nn.ModuleList(
            InstanceNormAct2d(each, act="leaky_relu", negative_slope=_SLOPE) for each in c[1:]
        )
        self.mean, self.log_variance = nn.Linear(16 * c[-1], latent), nn.Linear(16 * c[-1], latent)
        drawn_by_glorot(self)
        for conv in self.convs:
            spectral_norm(conv)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Read photos; see the class for shapes."""
        x = 2 * x - 1
        if x.shape[2:] != (self.size_px, self.size_px):
            x = F.interpolate(x, size=(self.size_px, self.size_px), mode="bilinear")
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x))
        x = x.flatten(1)  # of (N, 8 c, 4, 4)
        return self.mean(x), self.log_variance(x)

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the authors' PyTorch code (``latest_net_E.pth``).

        ``layer1.0``, ``layer2.0``, ... are `convs`, ``fc_mu`` and ``fc_var`` the linear layers.

        Raises:
            InputError: it is a checkpoint of another network.
        """
        names = {f"layer{i + 1}.0": f"convs.{i}" for i in range(len(self.convs))}
        load_spectral(self, state, {**names, "fc_mu": "mean", "fc_var": "log_variance"})
