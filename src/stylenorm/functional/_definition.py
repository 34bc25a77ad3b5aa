"""Normalization by its definition, in differentiable torch operations.

The slow and plain twin of ``_fused``. It is what compilers see (they fuse it themselves), what the second
derivative is taken of, and what serves the rarer arguments: masks, given statistics, eps outside the root.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stylenorm.kernels.rows import compute_dtype

__all__ = ["compute_dtype", "gradients", "moments", "normalize", "reciprocal_deviation"]


def pad(value: Tensor, like: Tensor) -> Tensor:
    """Give an (N, C) tensor as many trailing axes of size one as ``like`` has spatial axes."""
    return value.reshape(value.shape + (1,) * (like.dim() - value.dim()))


def centre(x: Tensor, dims: tuple[int, ...], weights: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Pivot, mean above the pivot, and ``x`` centred, all in the type of ``x``.

    The pivot is an element of the plane, so that a constant plane is centred to exactly zero, and a large
    mean costs no digits.
    """
    pivot = x.detach()
    for d in dims:
        pivot = pivot[(slice(None),) * d + (slice(0, 1),)]
    if weights is None:
        shifted = x - pivot
        mean = shifted.mean(dims, keepdim=True)
        return pivot, mean, shifted - mean
    counts = weights > 0
    # What does not count may hold anything. It is selected, not multiplied: NaN or infinity times 0 is NaN.
    x = torch.where(counts | x.detach().isfinite(), x, torch.zeros_like(x))
    total = weights.sum(dims, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    # A masked plane's first element may be outside the mask; its largest one inside is an element too.
    inside = torch.where(counts, x.detach(), torch.full_like(x, -torch.inf)).amax(dims, keepdim=True)
    pivot = torch.where(inside.isinf(), torch.zeros_like(inside), inside)
    shifted = x - pivot
    counted = torch.where(counts, shifted, torch.zeros_like(x))
    mean = (counted * weights).sum(dims, keepdim=True) / total
    return pivot, mean, shifted - mean


def moments(
    x: Tensor, dims: tuple[int, ...], *, correction: int = 0, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance (kept dimensions) and ``x`` centred. ``weights`` count the elements: 0, 1 or between."""
    pivot, above, centred = centre(x, dims, weights)
    if weights is None:
        count = 1
        for d in dims:
            count = count * x.shape[d]
        var = centred.square().sum(dims, keepdim=True) / max(count - correction, 1)
    else:
        total = (weights.sum(dims, keepdim=True) - correction).clamp_min(1)
        counted = torch.where(weights > 0, centred, torch.zeros_like(centred))
        var = (counted.square() * weights).sum(dims, keepdim=True) / total
    return pivot + above, var, centred


def reciprocal_deviation(var: Tensor, eps: float, eps_mode: str = "inside") -> Tensor:
    """``1 / sqrt(var + eps)`` or ``1 / (sqrt(var) + eps)``; zero, with a zero gradient, where it is 1 / 0."""
    safe = var if eps_mode == "inside" and eps > 0 else torch.where(var > 0, var, torch.ones_like(var))
    inverse = (safe + eps).rsqrt() if eps_mode == "inside" else 1 / (safe.sqrt() + eps)
    return inverse if safe is var else torch.where(var > 0, inverse, torch.zeros_like(var))


def normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    *,
    correction: int = 0,
    eps_mode: str = "inside",
    weights: Tensor | None = None,
) -> Tensor:
    """Instance norm of ``x`` (N, C, *S) by its definition; scale and shift broadcast against ``x``."""
    _, var, centred = moments(x, tuple(range(2, x.dim())), correction=correction, weights=weights)
    y = centred * reciprocal_deviation(var, eps, eps_mode)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def gradients(
    grad: Tensor, x: Tensor, weight: Tensor | None, eps: float, correction: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias of the plain norm, as differentiable functions of all arguments.

    ``dx = w r (g - mean(g) - (L / (L - correction)) xh mean(g xh))`` with ``r`` the reciprocal deviation.
    """
    dims = tuple(range(2, x.dim()))
    count = x[0, 0].numel() if x.shape[0] and x.shape[1] else 1
    _, var, centred = moments(x, dims, correction=correction)
    r = reciprocal_deviation(var, eps)
    xh = centred * r
    dbias = grad.sum(dims)
    dweight = (grad * xh).sum(dims)
    inner = grad - pad(dbias, x) / max(count, 1) - xh * (pad(dweight, x) / max(count - correction, 1))
    dx = inner * r
    return (dx if weight is None else dx * pad(weight, x)), dweight, dbias
