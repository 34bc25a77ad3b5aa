"""VGG-16 and VGG-19, the field's standard, as frozen feature extractors.

Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015
(arXiv:1409.1556).

**VGG-16** ships, to relu4_1, in float16: its authors' own weights, which they published under Creative
Commons Attribution (CC BY), and which Johnson's paper used. **VGG-19** is downloaded at its first use, with
the weights that torchvision publishes (0.55 GB, of which the classifier is 0.49 GB and not used).

Taps are ``relu1_1``, ``relu1_2``, ``relu2_1``, ... By default VGG-16 is compared as in Johnson's paper
(content at relu3_3; style at relu1_2, relu2_2, relu3_3 and, for the paper's relu4_3, relu4_1), VGG-19 as in
Gatys' (relu4_2; relu1_1 to relu5_1). Differs from both: pooling is by averages, as Gatys recommends, unless
max is asked for. Gatys also rescaled the weights to a mean activation of one, which relative losses make
needless.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.checkpoint_files import UNREADABLE
from stylenorm.errors import InputError, UnknownNameError
from stylenorm.kernels.frozen_conv import FrozenConvReLU
from stylenorm.perceptual.download import fetch
from stylenorm.perceptual.features import FeatureNetwork

__all__ = ["DOWNLOADS_VARIABLE", "VGGS", "Vgg", "VggSpec", "load_vgg"]

DOWNLOADS_VARIABLE = "STYLENORM_DOWNLOADS"
"""Environment variable that names a mirror of PyTorch's download address."""

_ADDRESS = "https://download.pytorch.org/models"
_SHIPPED = Path(__file__).parent / "data" / "vgg16.safetensors"
_WIDTHS = (64, 128, 256, 512, 512)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision rounds them


@dataclass(frozen=True)
class VggSpec:
    """One of the two networks.

    Attributes:
        name: registry name.
        convs: convolutions in each of the blocks that are there.
        content_tap, style_taps: what is compared by default.
        file: name at PyTorch's download address; empty for the one that ships.
        sha256: digest of the file. Its first eight digits are in PyTorch's name for it.
    """

    name: str
    convs: tuple[int, ...]
    content_tap: str
    style_taps: tuple[str, ...]
    file: str = ""
    sha256: str = ""

    def taps(self) -> list[str]:
        """All taps, from fine to coarse."""
        return [f"relu{block}_{i}" for block, n in enumerate(self.convs, start=1) for i in range(1, n + 1)]

    def nearest(self, tap: str) -> str:
        """Return ``tap``, or where the network ends before it, its last."""
        taps = self.taps()
        return tap if tap in taps or tap < taps[-1] else taps[-1]


_SPECS = (
    VggSpec("vgg16", (2, 2, 3, 1), "relu3_3", ("relu1_2", "relu2_2", "relu3_3", "relu4_1")),
    VggSpec(
        "vgg19",
        (2, 2, 4, 4, 4),
        "relu4_2",
        ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        "vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
)
VGGS: Mapping[str, VggSpec] = {spec.name: spec for spec in _SPECS}


class Vgg(FeatureNetwork):
    """A frozen VGG without its classifier.

    Args:
        spec: which one.
        tensors: named as torchvision's state (``features.0.weight``, ...); those not needed are ignored.
        pool: ``"average"`` (default) or ``"max"``, as published.
        content_tap, style_taps: the specification's, by default.

    Shape:
        - ``x``: (N, 3, H, W), RGB, 0..1, H and W at least 16; ImageNet's mean and deviation are taken out
          inside.
        - returns a dict from tap name to (N, C, H / 2^p, W / 2^p), after the ReLU.

    Raises:
        InputError: a tensor is missing or has another shape.
        UnknownNameError: no such tap.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        spec: VggSpec,
        tensors: Mapping[str, Tensor],
        *,
        pool: Literal["average", "max"] = "average",
        content_tap: str = "",
        style_taps: Sequence[str] = (),
    ) -> None:
        super().__init__()
        content_tap, style_taps = content_tap or spec.content_tap, style_taps or spec.style_taps
        self.name, self.spec, self.pool = spec.name, spec, pool
        self.content_tap, self.style_taps = content_tap, tuple(style_taps)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).reshape(1, 3, 1, 1), persistent=False)
        self.convs = nn.ModuleDict()
        c_in, index = 3, 0  # torchvision counts every convolution, ReLU and pooling
        for block, (count, c_out) in enumerate(zip(spec.convs, _WIDTHS, strict=False), start=1):
            for number in range(1, count + 1):
                self.convs[f"relu{block}_{number}"] = _conv(tensors, index, c_in, c_out, spec.name)
                c_in, index = c_out, index + 2
            index += 1
        for tap in (content_tap, *style_taps):
            if tap not in self.convs:
                raise UnknownNameError("tap", tap, self.convs)
        deepest = max(int(tap[4]) for tap in (content_tap, *style_taps))
        self.smallest_px = 2 ** (deepest - 1)
        self.requires_grad_(False)
        self.eval()

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield ``relu1_1``, ``relu1_2``, ``relu2_1``, ..."""
        x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        block = "1"
        for tap, conv in self.convs.items():
            if tap[4] != block:
                block = tap[4]
                x = F.avg_pool2d(x, 2) if self.pool == "average" else F.max_pool2d(x, 2)
            x = conv(x)
            yield tap, x


def load_vgg(name: str, *, pool: Literal["average", "max"] = "average", quiet: bool = False) -> Vgg:
    """Load VGG-16, which ships, or VGG-19, downloading its weights if they are not in the cache.

    Args:
        name: one of `VGGS`.
        pool: see `Vgg`.
        quiet: no progress bar.

    Raises:
        UnknownNameError: no such network.
        DownloadError: the weights are not in the cache and cannot be downloaded.
        InputError: the file is not the network's weights.
    """
    if name not in VGGS:
        raise UnknownNameError("feature network", name, VGGS)
    spec = VGGS[name]
    if not spec.file:
        return Vgg(spec, _shipped(), pool=pool)
    address = os.environ.get(DOWNLOADS_VARIABLE) or _ADDRESS
    path = fetch(f"{address.rstrip('/')}/{spec.file}", spec.file, spec.sha256, quiet=quiet)
    return Vgg(spec, _read(path), pool=pool)


def _shipped() -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(_SHIPPED)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{_SHIPPED}: expected the weights of VGG-16 ({error}); install stylenorm again"
        ) from error


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of PyTorch's; in the newer of its formats only those that are used are read."""
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except UNREADABLE as error:
        raise InputError(f"{path}: expected a PyTorch file of weights ({error})") from error
    if not isinstance(tensors, Mapping):
        raise InputError(f"{path}: expected tensors by name, got {type(tensors).__name__}")
    return dict(tensors)


def _conv(tensors: Mapping[str, Tensor], index: int, c_in: int, c_out: int, name: str) -> FrozenConvReLU:
    conv = FrozenConvReLU(c_in, c_out, device="meta")  # no time is spent on random weights
    try:
        state = {part: tensors[f"features.{index}.{part}"].float() for part in ("weight", "bias")}
        # Channels last: on the CPU the convolutions take half the time.
        state["weight"] = state["weight"].contiguous(memory_format=torch.channels_last)
        conv.load_state_dict(state, assign=True)
    except KeyError as error:
        raise InputError(f"these are not the weights of {name}: there is no tensor {error}") from error
    except RuntimeError as error:
        raise InputError(f"these are not the weights of {name}: features.{index} does not fit") from error
    return conv
