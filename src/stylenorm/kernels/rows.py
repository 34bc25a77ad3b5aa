"""Planes as rows: how they are laid out, cut into blocks, centred, and rescued when they overflow."""

from __future__ import annotations

import math

import torch
from torch import Tensor

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
BLOCK_BYTES = 2 << 20
SAMPLE = 64  # a long row is sampled for its pivot in SAMPLE runs of SAMPLE elements


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type that statistics are computed in: float32, or float64 for float64."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def row_pivot(rows: Tensor) -> Tensor:
    """A value near the mean of each row (R, L), equal to the elements where they are all equal."""
    first = rows[:, :1]
    step = rows.shape[1] // SAMPLE
    sample = rows
    if step > SAMPLE:
        sample = rows[:, : SAMPLE * step].view(-1, SAMPLE, step)[:, :, :SAMPLE].reshape(-1, SAMPLE * SAMPLE)
    return first + (sample - first).mean(1, keepdim=True)


def blocks(rows: int, length: int, x: Tensor) -> list[tuple[int, int]]:
    """Where each block of rows starts and stops; on an accelerator, one block."""
    size = rows
    if x.device.type == "cpu":
        size = max(1, BLOCK_BYTES // (length * (8 if x.dtype == torch.float64 else 4)))
    return [(start, min(start + size, rows)) for start in range(0, rows, size)]


def effective(eps: float, correction: int, length: int, dtype: torch.dtype) -> tuple[float, float]:
    """The eps and the factor of the scale that turn the biased formula into the asked one.

    ``1 / sqrt(v L/(L-1) + eps) = sqrt((L-1)/L) / sqrt(v + eps (L-1)/L)``, exactly.
    """
    ratio = (length - 1) / length if correction and length > 1 else 1.0
    return max(eps * ratio, torch.finfo(dtype).tiny), math.sqrt(ratio)


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels, not the positions, lie side by side; False where both do."""
    if x.is_contiguous():
        return False
    if x.dim() == 4:
        return x.is_contiguous(memory_format=torch.channels_last)
    if x.dim() == 5:
        return x.is_contiguous(memory_format=torch.channels_last_3d)
    return x.dim() == 3 and x.transpose(1, 2).is_contiguous()  # torch has no name for it


def to_rows(x: Tensor, channels_last: bool) -> Tensor:
    """``x`` as contiguous rows (N * C, L): a view where it can be, else a copy."""
    n, c = x.shape[:2]
    length = x.numel() // (n * c)
    if not (channels_last and is_channels_last(x)):
        return x.contiguous().view(n * c, length)
    rows = torch.empty(n * c, length, dtype=x.dtype, device=x.device)
    for sample, out in zip(x, rows.view(n, c, length), strict=True):
        out.copy_(sample.movedim(0, -1).view(length, c).t())  # torch transposes matrices in tiles
    return rows


def fresh(x: Tensor, channels_last: bool) -> Tensor:
    """An empty tensor like ``x``: channels last or contiguous."""
    if not channels_last:
        return torch.empty_like(x, memory_format=torch.contiguous_format)
    if x.dim() == 3:
        return torch.empty_like(x.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)
    return torch.empty_like(x, memory_format=FORMATS[x.dim()])


def arranged(x: Tensor, channels_last: bool) -> Tensor:
    """``x`` itself where it lies channels last or contiguous as asked, else a copy that does."""
    if not channels_last:
        return x.contiguous()
    if x.dim() == 3:
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    return x.contiguous(memory_format=FORMATS[x.dim()])


def from_rows(rows: Tensor, out: Tensor) -> Tensor:
    """Write rows (N * C, L) into a channels-last tensor (N, C, *S)."""
    n, c = out.shape[:2]
    for sample, mine in zip(out, rows.view(n, c, -1), strict=True):
        sample.movedim(0, -1).view(-1, c).copy_(mine.t())
    return out


def flat(value: Tensor | None, dtype: torch.dtype, factor: float = 1.0) -> Tensor | None:
    """(N, C) factors as one row, in the computing type."""
    if value is None:
        return None
    flat = value.reshape(-1).to(dtype).contiguous()  # an expanded (N, 1) stays a view with stride 0
    return flat if factor == 1.0 else flat * factor


def awkward(mean: Tensor, rstd: Tensor, eps: float) -> Tensor | None:
    """The rows whose statistics left the range of the type (or hold a NaN); None when there are none."""
    if rstd.numel() == 0 or (rstd.is_cuda and torch.cuda.is_current_stream_capturing()):
        return None
    high = 1e12 if eps == 0 else math.inf
    low, top = torch.aminmax(rstd)
    if float(low) > 0 and float(top) < high and math.isfinite(float(mean.sum())):
        return None
    bad = ~((rstd > 0) & (rstd < high) & mean.isfinite())
    return bad.nonzero().view(-1) if bool(bad.any()) else None


def exact(rows: Tensor, eps: float, correction: int) -> tuple[Tensor, Tensor]:
    """Normalized rows and reciprocal deviation in float64, scaled so that nothing overflows."""
    top = rows.double().abs().amax(1, keepdim=True)
    top = torch.where(top > 0, top, torch.ones_like(top))
    x = rows.double() / top
    shifted = x - x[:, :1]
    centred = shifted - shifted.mean(1, keepdim=True)
    var = centred.square().sum(1, keepdim=True) / max(rows.shape[1] - correction, 1)
    spread = (var + eps / top / top).sqrt()
    inverse = torch.where(spread == 0, torch.zeros_like(spread), 1 / spread)
    return centred * inverse, inverse / top
