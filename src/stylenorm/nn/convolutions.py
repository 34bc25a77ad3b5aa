"""Convolutions of converted networks by Winograd's algorithm: ``convert(model, engine="winograd")``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from stylenorm.kernels.spatial_conv import PackedFilters, conv, filters_obstacle
from stylenorm.nn.tracing import as_class, is_proxy, traced_call

__all__ = [
    "WinogradConv2d",
    "WinogradConv3d",
    "conv_obstacle",
    "pads_for",
    "winograd_class",
]

PACKED = "_stylenorm_packed"
# What a convolution without padding does by itself: how far, and whether by mirroring.
PADS: dict[type[nn.Module], bool] = {
    nn.ReflectionPad2d: True,
    nn.ZeroPad2d: False,
    nn.ZeroPad3d: False,
}


class _Winograd(nn.modules.conv._ConvNd):
    """What both ranks share; placed before torch's class in the order of bases."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """As torch's, for (N, C, ...) and (C, ...)."""
        if type(input) is not Tensor and is_proxy(input):
            return traced_call(self, input)  # type: ignore[no-any-return]
        return self.run(input, _padding(self), reflect=self.padding_mode == "reflect")

    def run(self, x: Tensor, padding: tuple[int, ...], *, reflect: bool) -> Tensor:
        """The convolution with a padding that is given for this call."""
        packed = self.__dict__.setdefault(PACKED, PackedFilters())
        if x.dim() == self.weight.dim() - 1:
            return conv(
                x.unsqueeze(0), self.weight, self.bias, padding, reflect=reflect, packed=packed
            ).squeeze(0)
        return conv(x, self.weight, self.bias, padding, reflect=reflect, packed=packed)

    def __prepare_scriptable__(self) -> nn.Module:
        """TorchScript gets torch's own layer."""
        return as_class(self, nn.Conv2d if self.weight.dim() == 4 else nn.Conv3d)

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: not the transformed filters."""
        return {name: value for name, value in self.__dict__.items() if name != PACKED}


class WinogradConv2d(_Winograd, nn.Conv2d):
    """A 3 x 3 convolution whose output and gradients take a fourth of the multiplications.

    Lavin, Gray, CVPR 2016 (arXiv:1509.09308), F(4 x 4, 3 x 3) in float32: errors are about 1e-5 of the
    largest value. What the kernels cannot serve (docs/kernels.md) runs as torch's own layer. Arguments,
    state_dict and repr are torch's. Without gradients the transformed filters are kept: four times the memory
    of the weights, and a copy of these.
    """


class WinogradConv3d(_Winograd, nn.Conv3d):
    """A 3 x 3 x 3 or 1 x 3 x 3 convolution; see :class:`WinogradConv2d`."""


CLASSES: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: WinogradConv2d, nn.Conv3d: WinogradConv3d}


def winograd_class(module: nn.Module) -> type[nn.Module] | None:
    """The class that a convolution is given; None for what is no plain convolution of torch."""
    return CLASSES.get(type(module))


def conv_obstacle(module: Any) -> str | None:
    """Why a convolution of torch keeps its class; None where it can be given another."""
    if "forward" in module.__dict__ or "_conv_forward" in module.__dict__:
        return "its forward was replaced"
    if parametrize.is_parametrized(module) or module._forward_pre_hooks:
        return "its weight is computed anew in each call"
    reason = filters_obstacle(module.weight, module.stride, module.dilation, module.groups)
    if reason is not None:
        return reason
    if module.padding_mode not in ("zeros", "reflect") or max(_padding(module)) > 1:
        return "Winograd's algorithm here is for a padding of 0 or 1, of zeros or mirrored"
    if module.padding_mode == "reflect" and len(_padding(module)) > 2:
        return "Winograd's algorithm here mirrors pictures only"
    return None


def _padding(module: Any) -> tuple[int, ...]:
    """Of each spatial axis; torch has it a second time behind the words ``"same"`` and ``"valid"``."""
    if isinstance(module.padding, str):
        return tuple(reversed(module._reversed_padding_repeated_twice[::2]))
    return tuple(module.padding)


def pads_for(pad: nn.Module, layer: nn.Module) -> tuple[int, ...] | None:
    """The padding that a layer can do in its own call for the module before it; None where it cannot.

    Mirrored borders have no gradient in the kernels, so they are for calls without one.
    """
    if type(pad) not in PADS or not isinstance(layer, _Winograd) or any(_padding(layer)):
        return None
    sides: Any = pad.padding
    if set(sides) != {1} or len(sides) != 2 * (layer.weight.dim() - 2):
        return None
    if PADS[type(pad)] and (torch.is_grad_enabled() or layer.weight.dim() != 4):
        return None
    return (1,) * (layer.weight.dim() - 2)
