"""Convolutions of 3 x 3, 1 x 3 x 3 and 3 x 3 x 3 with stride 1, by Winograd's algorithm on the CPU.

Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016 (arXiv:1509.09308):
F(4 x 4, 3 x 3) on the last two axes takes a fourth of the multiplications, forward and for both gradients.
Features lie channels last. What the kernels cannot serve runs in torch.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from stylenorm.kernels import c_norm
from stylenorm.kernels.plain import is_plain, is_watched
from stylenorm.kernels.rows import FORMATS, is_channels_last

__all__ = ["PackedFilters", "conv", "filters_obstacle"]

LANES, PANEL, PLACES = 8, 16, 36  # as in _c/winograd.h, for AVX2
MOST_WASTE = 2.0  # how many times the output its tiles of 4 x 4 may cover
# Transformed filters are four times as large. Where they come from memory, so many tiles must share them.
SMALL_BYTES, LEAST_TILES, LEAST_GRADIENT_TILES = 1 << 20, 32, 64
_convolution = struct.Struct("=4q6q1q3q2q").pack  # struct spatial_arguments of _c/spatial.h
_filters = struct.Struct("=2q3q5q1q").pack  # struct spatial_filters
_gradient = struct.Struct("=3q6q1q3q1q").pack  # struct spatial_gradient


class PackedFilters:
    """Transformed filters that are kept from call to call, and made again when the filters have changed.

    They are compared with a copy: weights can be written to in ways that leave no trace (``weight.data``).
    """

    def __init__(self) -> None:
        self._kept: tuple[Tensor, Tensor] | None = None

    def of(self, weight: Tensor) -> Tensor:
        """The packed filters of ``weight``."""
        kept = self._kept
        if kept is None or not _same(kept[0], weight):
            kept = self._kept = (weight.detach().clone(), _packed(weight))
        return kept[1]


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same bytes in the same places; ``a`` is dense."""
    if a.shape != b.shape or a.stride() != b.stride():
        return False
    return bool(c_norm._library().sn_same(a.data_ptr(), b.data_ptr(), a.numel() * a.element_size()))


def filters_obstacle(weight: Tensor, stride: Any, dilation: Any, groups: int) -> str | None:
    """Why filters are never served; None where they can be."""
    size = tuple(weight.shape[2:])
    if size not in ((3, 3), (1, 3, 3), (3, 3, 3)):
        return f"its filters are {' x '.join(map(str, size))}, and Winograd's algorithm here is for 3 x 3"
    if {*stride, *dilation, groups} != {1}:
        return "Winograd's algorithm here is for stride, dilation and groups of 1"
    if weight.shape[0] % LANES or weight.shape[1] % LANES:
        return f"its channels, {weight.shape[1]} to {weight.shape[0]}, are no multiples of {LANES}"
    if weight.dtype != torch.float32:
        return f"its type is {weight.dtype}, not float32"
    return None


def conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...], *, reflect: bool = False,
    packed: PackedFilters | None = None,
) -> Tensor:  # fmt: skip
    """``F.conv2d`` or ``F.conv3d`` with a stride of 1, by Winograd's algorithm where that can serve.

    Twice differentiable. Agrees with torch within 1e-4 of the output's largest value (1e-5 is usual).

    Args:
        x: features, float32.
        weight: (K, C, 3, 3), (K, C, 1, 3, 3) or (K, C, 3, 3, 3), for which ``filters_obstacle`` is None.
        bias: (K,), or None.
        padding: of each spatial axis, 0 or 1.
        reflect: mirror the features at the border; else there are zeros around.
        packed: where transformed filters are kept between calls that need no gradient.

    Shape: (N, C, H, W) or (N, C, D, H, W); returns (N, K, ...), channels last where the kernels served.
    """
    if has_torch_function_unary(x):
        return handle_torch_function(conv, (x,), x, weight, bias, padding, reflect=reflect, packed=packed)
    if not _serves(x, weight, bias, padding, reflect):
        return _by_torch(x, weight, bias, padding, reflect)
    tensors = (x, weight, bias)
    if torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in tensors):
        if reflect:
            x, padding = F.pad(x, _around(padding), mode="reflect"), (0,) * len(padding)
        y: Tensor = _Convolution.apply(x, weight, bias, padding)  # type: ignore[no-untyped-call]
        return y
    return _run(x, packed.of(weight) if packed else _packed(weight), weight, bias, padding, reflect)


def _around(padding: tuple[int, ...]) -> list[int]:
    """As ``F.pad`` takes it: the last axis first, both sides."""
    return [p for p in reversed(padding) for _ in range(2)]


def _by_torch(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...], reflect: bool
) -> Tensor:
    if reflect:
        x, padding = F.pad(x, _around(padding), mode="reflect"), (0,) * len(padding)
    if is_channels_last(x) and weight.is_contiguous() and weight.numel() > x.numel():
        x = x.contiguous()  # or torch would lay the filters anew in each call, which are larger here
    function: Any = F.conv2d if weight.dim() == 4 else F.conv3d
    return function(x, weight, bias, padding=padding)  # type: ignore[no-any-return]


def _serves(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...], reflect: bool) -> bool:
    """Whether the C kernels do this one."""
    if torch.compiler.is_compiling() or is_watched() or torch.is_autocast_enabled("cpu"):
        return False
    for value in (x, weight, bias):
        if value is not None and (not is_plain(value) or value.dtype != torch.float32):
            return False
    if x.dim() != weight.dim() or x.shape[1] != weight.shape[1] or not x.numel():
        return False
    sides = [s + 2 * p - t + 1 for s, p, t in zip(x.shape[2:], padding, weight.shape[2:], strict=True)]
    if min(sides) < 1 or (reflect and min(x.shape[2:]) < 2):
        return False
    height, width = sides[-2:]
    if 16 * -(-height // 4) * -(-width // 4) > MOST_WASTE * height * width:
        return False
    return _pays(x.shape[0], sides, weight, LEAST_TILES) and c_norm.has_conv()


def _pays(n: int, sides: Sequence[int], weight: Tensor, least: int) -> bool:
    """Whether enough tiles of the output share the transformed filters."""
    tiles = n * math.prod(sides[:-2]) * -(-sides[-2] // 4) * -(-sides[-1] // 4)
    return tiles >= least or weight.numel() * 16 <= SMALL_BYTES


def _extent(x: Tensor, taps: int, padding: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(n, depth, height, width) and the padding of the last three, as the library takes them.

    Where filters have one slice, each slice is a picture.
    """
    depth, pad_z = (1, 0) if x.dim() == 4 else (x.shape[2], padding[0])
    n = x.shape[0]
    if taps == 1 and pad_z == 0:
        n, depth = n * depth, 1
    return (n, depth, *x.shape[-2:]), (pad_z, *padding[-2:])


def _taps(weight: Tensor) -> int:
    return 1 if weight.dim() == 4 else weight.shape[2]


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=FORMATS[x.dim()])


def _run(
    x: Tensor, packed: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...], reflect: bool
) -> Tensor:
    """The convolution in C; ``weight`` for its shape."""
    x = _last(x.detach())
    taps = _taps(weight)
    sides = [s + 2 * p - t + 1 for s, p, t in zip(x.shape[2:], padding, weight.shape[2:], strict=True)]
    shape = (x.shape[0], weight.shape[0], *sides)
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=FORMATS[x.dim()])
    size, around = _extent(x, taps, padding)
    bias = None if bias is None else bias.contiguous()
    arguments = _convolution(
        x.data_ptr(), packed.data_ptr(), 0 if bias is None else bias.data_ptr(), y.data_ptr(),
        *size, x.shape[1], y.shape[1], taps, *around, reflect, torch.get_num_threads(),
    )  # fmt: skip
    _call("sn_spatial", arguments)
    return y


def _packed(weight: Tensor, turned: bool = False) -> Tensor:
    """Filters as the library reads them.

    ``turned``: for the gradient of the input, which is a convolution with the filters turned round, from
    outputs to inputs.
    """
    weight = weight.detach()
    if turned:
        weight = weight.transpose(0, 1).flip(tuple(range(2, weight.dim())))
    k, c = weight.shape[:2]
    taps = _taps(weight)
    packed = weight.new_empty((taps, PLACES, -(-k // PANEL), c, PANEL))
    strides = weight.stride()
    stride_z = strides[2] if weight.dim() == 5 else 0
    arguments = _filters(
        weight.data_ptr(), packed.data_ptr(), k, c, taps, *strides[:2], stride_z, *strides[-2:],
        torch.get_num_threads(),
    )  # fmt: skip
    _call("sn_spatial_pack", arguments)
    return packed


def _filters_gradient(gradient: Tensor, x: Tensor, weight: Tensor, padding: tuple[int, ...]) -> Tensor:
    """The gradient of the filters, contiguous; ``x`` and ``gradient`` channels last."""
    taps = _taps(weight)
    size, around = _extent(x, taps, padding)
    found = x.new_empty(weight.shape)
    arguments = _gradient(
        x.data_ptr(), gradient.data_ptr(), found.data_ptr(),
        *size, x.shape[1], weight.shape[0], taps, *around, torch.get_num_threads(),
    )  # fmt: skip
    _call("sn_spatial_gradient", arguments)
    return found


class _Convolution(torch.autograd.Function):
    """The convolution and its gradients; the profiler shows the name of this class."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)  # the argument itself: a copy would be no part of second derivatives
        ctx.padding, ctx.has_bias = padding, bias is not None
        return _run(x, _packed(weight), weight, bias, padding, reflect=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        padding = ctx.padding
        if torch.is_grad_enabled() or not is_plain(gradient) or is_watched():
            # The gradient itself will be differentiated, or somebody looks on.
            sizes = [weight.shape[0]] if ctx.has_bias else None
            found = _backward_by_torch(gradient, x, weight, sizes, padding, wanted)
            return (*found, None)
        gradient, x = _last(gradient), _last(x)
        dx = dw = db = None
        if wanted[0]:
            back = tuple(t - 1 - p for t, p in zip(weight.shape[2:], padding, strict=True))
            dx = _run(gradient, _packed(weight, turned=True), weight.transpose(0, 1), None, back, False)
        if wanted[1] and _pays(x.shape[0], gradient.shape[2:], weight, LEAST_GRADIENT_TILES):
            dw = _filters_gradient(gradient, x, weight, padding)
        elif wanted[1]:
            dw = _backward_by_torch(gradient, x, weight, None, padding, (False, True, False))[1]
        if wanted[2]:
            db = gradient.sum((0, *range(2, gradient.dim())))
        return dx, dw, db, None


def _backward_by_torch(
    gradient: Tensor, x: Tensor, weight: Tensor, bias_sizes: list[int] | None, padding: tuple[int, ...],
    wanted: tuple[bool, ...],
) -> Any:  # fmt: skip
    ones, zeros = [1] * len(padding), [0] * len(padding)
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, bias_sizes, ones, list(padding), ones, False, zeros, 1, list(wanted)
    )


def _call(name: str, arguments: bytes) -> None:
    if getattr(c_norm._library(), name)(arguments):
        raise MemoryError("convolution: no memory for its tiles")
