"""Darknet's small ImageNet classifiers as frozen feature extractors.

Redmon's Tiny Darknet and the Darknet reference model (https://pjreddie.com/darknet/), cut after the last
convolution that carries style. Both see RGB in 0..1 without mean subtraction; every convolution is followed
by a batch norm (folded into it here: the network is frozen) and a leaky ReLU of slope 0.1.

Differs from the classifiers: pooling is **average** by default. Max pooling passes the gradient of a style
loss to one pixel in four, and a generator learns to answer with isolated bright pixels; with averages the
style loss on a network that took no part was lower in every trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError, UnknownNameError
from stylenorm.perceptual.features import FeatureNetwork

__all__ = ["DARKNETS", "LEAK", "SMALLEST_PX", "Darknet", "DarknetLayout", "DarknetSpec", "load_darknet"]

SMALLEST_PX = 16
"""The smallest side of a picture that is left with a position after four poolings."""

_BATCH_NORM_EPS = 1e-3
LEAK = 0.1
"""The slope of the leaky ReLUs."""


@dataclass(frozen=True)
class DarknetSpec:
    """Which convolutions a Darknet has, and which of them the losses look at.

    Attributes:
        name: registry name.
        num_convs: convolutions kept, named ``conv1`` to ``conv<num_convs>``.
        pools_after: 2 x 2 pooling follows these convolutions.
        content_tap: the convolution whose activations are compared for content.
        style_taps: the convolutions whose Gram matrices are compared for style.
    """

    name: str
    num_convs: int
    pools_after: frozenset[int]
    content_tap: str
    style_taps: tuple[str, ...]


_SPECS = (
    DarknetSpec(
        name="tiny-darknet",
        num_convs=12,
        pools_after=frozenset({1, 2, 6, 10}),
        content_tap="conv8",
        style_taps=("conv1", "conv2", "conv4", "conv6", "conv8", "conv10", "conv12"),
    ),
    DarknetSpec(
        name="darknet-reference",
        num_convs=5,
        pools_after=frozenset({1, 2, 3, 4}),
        content_tap="conv4",
        style_taps=("conv1", "conv2", "conv3", "conv4", "conv5"),
    ),
)
DARKNETS: Mapping[str, DarknetSpec] = {spec.name: spec for spec in _SPECS}


class DarknetLayout(FeatureNetwork):
    """What `Darknet` and those that learn from it share: convolutions with leaky ReLUs, pooled between grids.

    Args:
        spec: which convolutions and taps.
        convs: the convolutions, in order.
        pool: ``"average"`` (default, see the module's docstring) or ``"max"`` as the classifiers had it.

    Shape:
        - ``x``: (N, 3, H, W), RGB, 0..1, H and W at least 16.
        - returns a dict from tap name to (N, C, H / 2^p, W / 2^p), after the leaky ReLU and before pooling.
    """

    def __init__(
        self,
        spec: DarknetSpec,
        convs: Iterable[nn.Conv2d],
        *,
        pool: Literal["average", "max"] = "average",
    ) -> None:
        super().__init__()
        self.spec = spec
        self.name, self.content_tap, self.style_taps = spec.name, spec.content_tap, spec.style_taps
        self.smallest_px = SMALLEST_PX
        self.pool = pool
        self.convs = nn.ModuleList(convs)

    def layers(self) -> list[nn.Conv2d]:
        """Return the convolutions, in order."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield ``conv1``, ``conv2``, ... after the leaky ReLU."""
        for number, conv in enumerate(self.convs, start=1):
            x = F.leaky_relu(conv(x), LEAK, inplace=True)  # half the memory
            yield f"conv{number}", x
            if number in self.spec.pools_after:
                x = F.avg_pool2d(x, 2) if self.pool == "average" else F.max_pool2d(x, 2)


class Darknet(DarknetLayout):
    """A frozen Darknet with named taps, each convolution's batch norm folded in.

    Args:
        spec: which convolutions and taps.
        tensors: the published tensors (``conv3.weight``, ``bn3.running_mean``, ...).
        pool: see `DarknetLayout`.

    Shape: see `DarknetLayout`.
    """

    def __init__(
        self,
        spec: DarknetSpec,
        tensors: Mapping[str, Tensor],
        *,
        pool: Literal["average", "max"] = "average",
    ) -> None:
        super().__init__(spec, (_folded_conv(tensors, i) for i in range(1, spec.num_convs + 1)), pool=pool)
        self.requires_grad_(False)
        self.eval()


def load_darknet(name: str, folder: Path, *, pool: Literal["average", "max"] = "average") -> Darknet:
    """Load one of `DARKNETS` from the safetensors file in ``folder`` whose name starts with ``name``.

    Raises:
        UnknownNameError: no such network.
        InputError: the folder has no such file, or the file is another network's.
    """
    from safetensors.torch import load_file

    if name not in DARKNETS:
        raise UnknownNameError("feature network", name, DARKNETS)
    files = sorted(folder.glob(f"{name}*.safetensors"))
    if not files:
        raise InputError(
            f"no feature network {name!r} in {folder}: expected a file {name}*.safetensors there; "
            "name the folder that has it with --features"
        )
    try:
        return Darknet(DARKNETS[name], load_file(files[0]), pool=pool)
    except KeyError as error:
        raise InputError(f"{files[0]} is not the weights of {name}: it has no tensor {error}") from error


def _folded_conv(tensors: Mapping[str, Tensor], number: int) -> nn.Conv2d:
    """Convolution ``number`` with its batch norm folded in."""
    weight = tensors[f"conv{number}.weight"].double()
    scale = tensors[f"bn{number}.weight"].double() / torch.sqrt(
        tensors[f"bn{number}.running_var"].double() + _BATCH_NORM_EPS
    )
    bias = tensors[f"bn{number}.bias"].double() - tensors[f"bn{number}.running_mean"].double() * scale
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=weight.shape[2] // 2)
    conv.weight.data = (weight * scale[:, None, None, None]).float()
    conv.bias = nn.Parameter(bias.float())
    return conv
