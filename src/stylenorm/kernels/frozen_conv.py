"""3 x 3 convolutions whose weights stand still, by Winograd's algorithm on the CPU.

Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016 (arXiv:1509.09308), whose
F(4 x 4, 3 x 3) takes a fourth of the multiplications. A loss on a frozen feature network, as the perceptual
losses are, needs no gradient of the weights. Features lie channels last between the layers.
"""

from __future__ import annotations

import struct
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from stylenorm.kernels import c_norm
from stylenorm.winograd import panels, winograd_panels

__all__ = ["FrozenConvReLU"]

SMALLEST = 4  # a smaller plane would not fill one tile
LANES = 8  # as in _c/winograd.h, for AVX2
_pack = struct.Struct("=5q5q2q4q").pack  # struct conv_arguments of _c/conv.h


class FrozenConvReLU(nn.Conv2d):
    """``relu(conv(x))``, 3 x 3, stride 1, zeros around, for weights that no longer change.

    By Winograd's algorithm in C where the C kernels are for AVX2, ``x`` is float32 on the CPU and nobody asks
    for gradients of weights; else by torch. Both agree within 1e-5 of the output's largest value. Twice
    differentiable. The output of the C kernels is channels last.

    Args:
        c_in, c_out: channels; the C kernels serve multiples of 8, and 3 for ``c_in``.
        device: as of `torch.nn.Conv2d`.

    Shape:
        - ``x``: (N, c_in, H, W); returns (N, c_out, H, W).
    """

    def __init__(self, c_in: int, c_out: int, device: torch.device | str | None = None) -> None:
        super().__init__(c_in, c_out, 3, padding=1, device=device)
        self._packed: dict[str, tuple[Any, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations."""
        if not self._serves(x):
            return F.relu(super().forward(x))
        if torch.is_grad_enabled() and x.requires_grad:
            y: Tensor = _ConvReLU.apply(x, self.weight, self)  # type: ignore[no-untyped-call]
            return y
        return self.run(x.detach())

    def _serves(self, x: Tensor) -> bool:
        """Whether the C kernels do this one."""
        weight, bias = self.weight, self.bias
        if (
            type(x) is not Tensor
            or x.dtype != torch.float32
            or not x.is_cpu
            or x.dim() != 4
            or not x.numel()
            or min(x.shape[2:]) < SMALLEST
            or x.shape[1] != self.in_channels
            or self.out_channels % LANES
            or (self.in_channels % LANES and self.in_channels != 3)
            or self.padding_mode != "zeros"
            or weight.dtype != torch.float32
            or not weight.is_cpu
            or (
                torch.is_grad_enabled()
                and (weight.requires_grad or (bias is not None and bias.requires_grad))
            )
        ):
            return False
        state = torch._C
        return (
            not (
                state._are_functorch_transforms_active()
                or state._get_tracing_state()
                or state._len_torch_dispatch_stack()
                or forward_ad._current_level >= 0
                or torch.compiler.is_compiling()
            )
            and c_norm.has_conv()
        )

    def run(self, x: Tensor) -> Tensor:
        """The forward pass in C."""
        n, c, height, width = x.shape
        shape = (n, self.out_channels, height, width)
        y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        first = c == 3
        if not first:
            x = x.contiguous(memory_format=torch.channels_last)
        _call("sn_conv_first" if first else "sn_conv", x, None, self._of(first, "forward"), self.bias, y, x)
        return y

    def run_backward(self, gradient: Tensor, y: Tensor, like: Tensor) -> Tensor:
        """The gradient of the input from that of the output ``y``."""
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        first = self.in_channels == 3
        layout = torch.preserve_format if first else torch.channels_last
        dx = torch.empty_like(like, device=gradient.device, memory_format=layout)
        call = "sn_conv_first_backward" if first else "sn_conv"
        _call(call, gradient, y, self._of(first, "backward"), None, dx, dx)
        return dx

    def _of(self, first: bool, direction: str) -> Tensor:
        """The packed weights, made again when the weights were replaced or written to."""
        weight = self.weight
        state = (weight.data_ptr(), weight._version)
        known = self._packed.get(direction)
        if known is None or known[0] != state:
            pack = _PACKERS[first, direction]
            known = self._packed[direction] = (state, pack(weight.detach()))
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: not the packed weights."""
        return {**self.__dict__, "_packed": {}}


class _ConvReLU(torch.autograd.Function):
    """The convolution and its gradient with respect to the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, conv: FrozenConvReLU) -> Tensor:
        y = conv.run(x)
        ctx.save_for_backward(y, weight)
        ctx.conv, ctx.like = conv, torch.empty_like(x, device="meta")
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        y, weight = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient itself will be differentiated
            return F.conv_transpose2d(gradient * (y > 0), weight, padding=1), None, None
        return ctx.conv.run_backward(gradient, y, ctx.like), None, None


def _call(
    name: str, x: Tensor, gate: Tensor | None, packed: Tensor, bias: Tensor | None, y: Tensor, rgb: Tensor
) -> None:
    """Run one of the kernels; ``rgb``: the three-channel side, where there is one."""
    arguments = _pack(
        x.data_ptr(), 0 if gate is None else gate.data_ptr(), packed.data_ptr(),
        0 if bias is None else bias.data_ptr(), y.data_ptr(),
        x.shape[0], *x.shape[2:], x.shape[1], y.shape[1], gate is None, torch.get_num_threads(),
        *rgb.stride(),
    )  # fmt: skip
    if getattr(c_norm._library(), name)(arguments):
        raise MemoryError("convolution: no memory for its tiles")


def _panels(matrices: Tensor) -> Tensor:
    return torch.from_numpy(panels(matrices.numpy()))


def _winograd(weight: Tensor) -> Tensor:
    return torch.from_numpy(winograd_panels(weight.numpy()))


def _winograd_backward(weight: Tensor) -> Tensor:
    """The gradient of the input is a convolution with the filter turned round, from outputs to inputs."""
    return _winograd(weight.flip(2, 3).transpose(0, 1))


def _first(weight: Tensor) -> Tensor:
    """(K, 3, 3, 3) to the panels of (27, K): rows, columns, channels of a neighbourhood."""
    return _panels(weight.permute(2, 3, 1, 0).reshape(1, 27, -1))


def _first_backward(weight: Tensor) -> Tensor:
    """(K, 3, 3, 3) to a panel of (K, 9) for each row of the filter: columns and channels."""
    return _panels(weight.permute(2, 0, 3, 1).flatten(2))


_PACKERS = {
    (False, "forward"): _winograd,
    (False, "backward"): _winograd_backward,
    (True, "forward"): _first,
    (True, "backward"): _first_backward,
}
