"""Residual networks that classify, with a choice of norm: batch, instance, and the mixtures of IBN-Net.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv:1512.03385), table 1;
Pan, Luo, Shi, Tang, "Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net", ECCV 2018
(arXiv:1807.09441), figure 3.

==============  ============================================================================================
norm            where
==============  ============================================================================================
``"batch"``     everywhere: the ResNet as published
``"instance"``  everywhere
``"ibn-a"``     batch norm; the first norm of each block of stages 1 to 3 is `stylenorm.nn.IBN`: instance norm
                for half of its channels
``"ibn-b"``     batch norm; instance norm behind the first convolution, and behind the sum of the last block
                of stages 1 and 2
==============  ============================================================================================

Differs from the papers: pictures are RGB in 0..1 (ImageNet's mean and deviation are taken out inside); of any
size, the last average being over what is there; ``stem="small"``, for small pictures, begins with a 3x3
convolution of stride 1 in place of 7x7, stride 2 and pooling; depth 10 is not among the papers'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.nn import IBN, InstanceNorm2d

__all__ = ["IBN_NORMS", "IbnResNet"]

IBN_NORMS = ("batch", "instance", "ibn-a", "ibn-b")
"""The norms that `IbnResNet` can have."""

_BLOCKS = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_BOTTLENECKS_FROM = 50
_STAGES = ("layer1", "layer2", "layer3", "layer4")
_MIXED_STAGES = {"ibn-a": 3, "ibn-b": 2}  # the paper: later features are of content, and keep their strength
_SMALLEST_PX = {"small": 16, "large": 64}  # the last stage sees 2 x 2: of one pixel, instance norm leaves 0
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


def _instance_norm(channels: int) -> nn.Module:
    return InstanceNorm2d(channels, affine=True)


class _Block(nn.Module):
    """Two convolutions of 3x3, or (bottleneck) 1x1, 3x3, 1x1; names are the authors'."""

    def __init__(
        self, before: int, inner: int, stride: int, norm: str, *, bottleneck: bool, mixed: bool, last: bool
    ) -> None:
        super().__init__()
        after = 4 * inner if bottleneck else inner
        plain = _instance_norm if norm == "instance" else nn.BatchNorm2d
        self.bn1 = IBN(inner) if mixed and norm == "ibn-a" else plain(inner)
        self.bn2 = plain(inner)
        if bottleneck:
            self.conv1 = nn.Conv2d(before, inner, 1, bias=False)
            self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
            self.conv3: nn.Conv2d | None = nn.Conv2d(inner, after, 1, bias=False)
            self.bn3: nn.Module | None = plain(after)
        else:
            self.conv1 = nn.Conv2d(before, inner, 3, stride, padding=1, bias=False)
            self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
            self.conv3 = self.bn3 = None
        self.downsample: nn.Module | None = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), plain(after))
        self.IN = _instance_norm(after) if mixed and last and norm == "ibn-b" else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.conv3 is not None and self.bn3 is not None:
            y = self.bn3(self.conv3(F.relu(y)))
        y = y + (x if self.downsample is None else self.downsample(x))
        if self.IN is not None:
            y = self.IN(y)
        return F.relu(y)


class IbnResNet(nn.Module):
    """See the module's table. Depth 50 of width 64 for 1000 classes: 25,557,032 parameters.

    Layers have the names of the authors' code, which are torchvision's, too.

    Args:
        num_classes: numbers that come out.
        norm: one of `IBN_NORMS`.
        depth: 10, 18, 34, or, with bottlenecks, 50, 101, 152.
        width: channels of the first convolution; 64 in the papers.
        stem: ``"large"`` for pictures as the papers', of 224 pixels; ``"small"`` for some tens of pixels.

    Attributes:
        smallest_px: the least height and width.

    Shape: (N, 3, H, W), RGB, 0..1; returns (N, num_classes), not bounded.

    Raises:
        UnknownNameError: no such norm or stem.
        InputError: no such depth, or width or num_classes below 2.

    Example:
        >>> sum(p.numel() for p in IbnResNet(1000, "ibn-a").parameters())
        25557032
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        num_classes: int,
        norm: str = "ibn-a",
        *,
        depth: int = 50,
        width: int = 64,
        stem: str = "large",
    ) -> None:
        super().__init__()
        if norm not in IBN_NORMS:
            raise UnknownNameError("norm", norm, IBN_NORMS)
        if stem not in _SMALLEST_PX:
            raise UnknownNameError("stem", stem, _SMALLEST_PX)
        if depth not in _BLOCKS:
            raise InputError(f"depth: expected one of {', '.join(map(str, _BLOCKS))}, got {depth}")
        if width < 2 or num_classes < 2:
            raise InputError(
                f"expected a width of at least 2 and 2 or more classes, got {width} and {num_classes}"
            )
        self.stem, self.smallest_px = stem, _SMALLEST_PX[stem]
        size = (
            {"kernel_size": 7, "stride": 2, "padding": 3}
            if stem == "large"
            else {"kernel_size": 3, "padding": 1}
        )
        self.conv1 = nn.Conv2d(3, width, bias=False, **size)  # type: ignore[arg-type]
        self.bn1: nn.Module = (
            _instance_norm(width) if norm in ("instance", "ibn-b") else nn.BatchNorm2d(width)
        )
        bottleneck = depth >= _BOTTLENECKS_FROM
        channels = width
        for stage, num_blocks in enumerate(_BLOCKS[depth]):
            blocks = []
            for i in range(num_blocks):
                blocks.append(
                    _Block(
                        channels,
                        width << stage,
                        2 if stage and not i else 1,
                        norm,
                        bottleneck=bottleneck,
                        mixed=stage < _MIXED_STAGES.get(norm, 0),
                        last=i == num_blocks - 1,
                    )
                )
                channels = (width << stage) * (4 if bottleneck else 1)
            self.add_module(_STAGES[stage], nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, num_classes)
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as the authors: He's, by the number of outputs
                fan = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan))

    def forward(self, x: Tensor) -> Tensor:
        """Classify pictures; see the class for shapes."""
        if x.dim() != 4 or x.shape[1] != 3 or x.shape[2] < self.smallest_px or x.shape[3] < self.smallest_px:
            raise ShapeError(
                f"x: expected (N, 3, H, W) with sides of at least {self.smallest_px}, got {tuple(x.shape)}"
            )
        y = F.relu(self.bn1(self.conv1((x - self.mean) / self.deviation)))
        if self.stem == "large":
            y = F.max_pool2d(y, 3, 2, padding=1)
        for stage in _STAGES:
            y = self.get_submodule(stage)(y)  # (N, ., H/32, W/32) in the end; with the small stem H/8
        classified: Tensor = self.fc(y.mean(dim=(2, 3)))
        return classified

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the authors' code (resnet50_ibn_a-*.pth, ...), or of torchvision's ResNet.

        Names are the same: ``conv1``, ``bn1``, ``layer1.0.conv1``, ``layer1.0.bn1.IN``,
        ``layer1.0.bn1.BN``, ``layer1.0.downsample.0``, ``layer1.2.IN``, ``fc``. A leading ``module.`` and the
        running statistics of instance norms, which nothing uses, are dropped; counts of batches may be
        missing.

        Raises:
            InputError: it is a checkpoint of another network.
        """
        ours = self.state_dict()
        found = {key.removeprefix("module."): value for key, value in state.items()}
        uncounted = {key for key in ours if key.endswith("num_batches_tracked")}
        found = {key: ours[key] for key in uncounted} | {
            key: value
            for key, value in found.items()
            if key in ours or not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
        }
        wanted, came = (
            {key: tuple(value.shape) for key, value in tensors.items()} for tensors in (ours, found)
        )
        if wanted != came:
            key = sorted(key for key in wanted.keys() | came.keys() if wanted.get(key) != came.get(key))[0]
            raise InputError(
                f"expected a checkpoint of this network with {key} {wanted.get(key, 'nowhere')}, "
                f"got {came.get(key, 'none')}: build it with the checkpoint's norm, depth, width and classes"
            )
        self.load_state_dict(found)
