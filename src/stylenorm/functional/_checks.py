"""Checks of arguments: each names the argument, what was expected and what came."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stylenorm.errors import InputError, ShapeError, UnknownNameError

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_input(x: Tensor, name: str = "input", *, min_dim: int = 3) -> None:
    """A floating tensor of shape (N, C, *spatial)."""
    if not isinstance(x, Tensor):
        raise InputError(f"{name}: expected a torch.Tensor, got {type(x).__name__}")
    if x.dim() < min_dim:
        raise ShapeError(
            f"{name}: expected at least {min_dim} dimensions (N, C, *spatial), got {tuple(x.shape)}"
        )
    if x.dtype not in FLOATS:
        raise ShapeError(
            f"{name}: expected a floating dtype (float32, float64, float16, bfloat16), got {x.dtype}"
        )


def check_eps(eps: float) -> None:
    """A finite number that is not negative."""
    # Compared only: inside of a compiler it may be a symbol, which math.isfinite does not take.
    if not isinstance(eps, (int, float, torch.SymFloat)) or isinstance(eps, bool) or not 0 <= eps < math.inf:
        raise InputError(f"eps: expected a finite number >= 0, got {eps!r}")


def check_choice(value: object, name: str, known: tuple[object, ...]) -> None:
    """One of a few known values."""
    if isinstance(value, bool) or value not in known:
        if isinstance(value, str) and all(isinstance(k, str) for k in known):
            raise UnknownNameError(name, value, [str(k) for k in known])
        raise InputError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}")


def check_like(value: Tensor, name: str, x: Tensor, shape: tuple[int, ...]) -> None:
    """A floating tensor of exactly this shape, on the device of ``x``."""
    if not isinstance(value, Tensor):
        raise InputError(
            f"{name}: expected a torch.Tensor of shape {tuple(shape)}, got {type(value).__name__}"
        )
    if tuple(value.shape) != tuple(shape):
        raise ShapeError(f"{name}: expected shape {tuple(shape)}, got {tuple(value.shape)}")
    if value.dtype not in FLOATS:
        raise ShapeError(f"{name}: expected a floating dtype, got {value.dtype}")
    check_device(value, name, x)


def check_device(value: Tensor, name: str, x: Tensor) -> None:
    """Both tensors live on one device."""
    if value.device != x.device:
        raise InputError(f"{name}: expected device {x.device} (that of the input), got {value.device}")


def check_affine(value: Tensor | None, name: str, x: Tensor, *, maps: bool = True) -> None:
    """A scale or a shift: (C,), (N, C) or, where ``maps``, (N, C, *spatial); N and C may be 1 in a map."""
    if value is None:
        return
    if not isinstance(value, Tensor):
        raise InputError(f"{name}: expected a torch.Tensor or None, got {type(value).__name__}")
    n, c = x.shape[0], x.shape[1]
    shape = tuple(value.shape)
    fits = shape == (c,) or (value.dim() == 2 and shape in ((n, c), (1, c)))
    if maps and value.dim() == x.dim() and not fits:
        fits = shape[0] in (n, 1) and shape[1] in (c, 1) and shape[2:] == tuple(x.shape[2:])
    if not fits:
        wanted = f"({c},), ({n}, {c})" + (f" or ({n}, {c}, *{tuple(x.shape[2:])})" if maps else "")
        raise ShapeError(f"{name}: expected shape {wanted}, got {shape}")
    if value.dtype not in FLOATS:
        raise ShapeError(f"{name}: expected a floating dtype, got {value.dtype}")
    check_device(value, name, x)


def check_mask(mask: Tensor, x: Tensor, name: str = "mask") -> Tensor:
    """A mask that fits ``x``, in the type that statistics are computed in and expanded to its shape."""
    if not isinstance(mask, Tensor):
        raise InputError(f"{name}: expected a torch.Tensor, got {type(mask).__name__}")
    fits = mask.dim() == x.dim() and mask.shape[0] in (1, x.shape[0]) and mask.shape[1] in (1, x.shape[1])
    if not fits or mask.shape[2:] != x.shape[2:]:
        wanted = f"({x.shape[0]}, 1 or {x.shape[1]}, *{tuple(x.shape[2:])})"
        raise ShapeError(f"{name}: expected shape {wanted}, got {tuple(mask.shape)}")
    check_device(mask, name, x)
    return mask.to(torch.float64 if x.dtype == torch.float64 else torch.float32).expand(x.shape)
