"""Instance norm, activation and residual by the formula, differentiable; and how far off a result is.

Torch's operations on float64 tensors only: nothing of stylenorm is called.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ACTS = ["relu", "leaky_relu", "silu", "gelu", "elu"]
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
# Relative error of a whole tensor, ||a - b|| / ||b||: what rounding the result costs (half precision), and
# what some thousand additions do.
LIMITS = {torch.float64: 1e-12, torch.float32: 3e-6, torch.float16: 1e-3, torch.bfloat16: 6e-3}


def norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float,
    correction: int, act: str | None, slope: float,
) -> Tensor:  # fmt: skip
    dims = tuple(range(2, x.dim()))
    mean = x.mean(dims, keepdim=True)
    var = (x - mean).square().sum(dims, keepdim=True) / max(x[0, 0].numel() - correction, 1)
    z = (x - mean) / (var + eps).sqrt()
    wide = (*x.shape[:2],) + (1,) * len(dims)
    if weight is not None:
        z = z * weight.view(wide)
    if bias is not None:
        z = z + bias.view(wide)
    if residual is not None:
        z = z + residual
    if act is None:
        return z
    extra = {"leaky_relu": (slope,), "elu": (slope,)}.get(act, ())
    return getattr(F, act)(z, *extra)


def relative(a: Tensor, b: Tensor) -> float:
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    return float((a - b).norm() / b.norm().clamp_min(1e-6))


def laid_out(x: Tensor, channels_last: bool) -> Tensor:
    """The same values, channels last (a sequence's too) or contiguous."""
    if not channels_last:
        return x.contiguous()
    if x.dim() == 3:
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    return x.contiguous(memory_format=FORMATS[x.dim()])


def hard_planes(size: int, dtype: torch.dtype, device: str, channels_last: bool) -> tuple[Tensor, Tensor]:
    """A sample of eight planes that lose digits or overflow if taken lightly, and shifts (1, 8)."""
    x = torch.randn(1, 8, size, size, device=device, dtype=torch.float64)
    top = torch.finfo(dtype).max
    x[0, 0] = 1234.5  # constant
    x[0, 1] = top * 0.9  # constant, and its square overflows
    x[0, 2] = x[0, 2].sign() * top
    x[0, 3] = x[0, 3] * 1e-3 + 1e4
    x[0, 4] *= 1e18
    x[0, 5] *= 1e-25
    bias = torch.arange(8.0, device=device)[None]
    return laid_out(x.to(dtype), channels_last), bias


def scaled(x: Tensor, bias: Tensor, eps: float) -> Tensor:
    """The norm of (1, C, H, W) in float64, of planes scaled by their largest element."""
    rows = x[0].double()
    scale = rows.abs().amax((1, 2), keepdim=True)
    rows = rows / scale
    centred = rows - rows.mean((1, 2), keepdim=True)
    spread = (centred.square().mean((1, 2), keepdim=True) + eps / scale / scale).sqrt()
    return centred / spread + bias[0, :, None, None]
