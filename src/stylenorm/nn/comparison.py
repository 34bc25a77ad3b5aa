"""Where the norms differ: over what each pools, and what it takes out of a photo."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional import (
    batch_instance_norm,
    filter_response_norm,
    instance_norm,
    pixel_norm,
    switchable_norm,
)

__all__ = ["CHANGES", "OTHER_CHANGES", "NormFacts", "compare_norms", "remaining_change"]


@dataclass(frozen=True)
class NormFacts:
    """One norm: the axes it pools, the numbers it keeps for a shape, and how it behaves.

    ``statistics`` counts pairs of mean and variance; filter response and pixel norm keep one number instead
    of a pair.
    """

    name: str
    axes: str
    statistics: int
    in_training: str
    in_evaluation: str
    sees_the_batch: str


def compare_norms(shape: tuple[int, ...], groups: int = 32) -> list[NormFacts]:
    """Facts about each norm for features of a shape.

    Args:
        shape: (N, C, *spatial).
        groups: of group norm; C itself where it does not divide C.

    Raises:
        ShapeError: shape has no spatial axis, or an axis below one.

    Example:
        >>> {fact.name: fact.statistics for fact in compare_norms((4, 64, 8, 8))}["instance"]
        256
    """
    if len(shape) < 3 or min(shape) < 1:
        raise ShapeError(f"shape: expected (N, C, *spatial), each at least 1, got {tuple(shape)}")
    n, c, *spatial = shape
    groups = groups if c % groups == 0 else c
    sample, batch = "statistics of the sample", "statistics of the batch"
    return [
        NormFacts("batch", "N, spatial", c, batch, "running statistics", "in training"),
        NormFacts("layer", "C, spatial", n, sample, sample, "no"),
        NormFacts(f"group ({groups})", f"{c // groups} channels, spatial", n * groups, sample, sample, "no"),
        NormFacts("instance", "spatial", n * c, sample, sample, "no"),
        NormFacts("instance, tracking", "spatial", n * c, sample, "running statistics", "no"),
        NormFacts("conditional, adaptive, SPADE", "spatial", n * c, sample, sample, "no"),
        NormFacts("filter response", "spatial", n * c, "mean square of the sample", "the same", "no"),
        NormFacts("pixel", "C", n * prod(spatial), "mean square of the place", "the same", "no"),
        NormFacts("batch-instance", "both of them", c + n * c, "both", "running and sample", "in training"),
        NormFacts("switchable", "all three", n * c + n + c, "all three", "running and sample", "in training"),
        NormFacts("IBN", "half the channels each", c - c // 2 + n * (c // 2), "both", "running and sample",
                  "in training"),
    ]  # fmt: skip


# What is done to a photo in 0..1: a gain and an offset, for all channels or for each.
CHANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "bright": ((0.6,), (0.4,)),
    "dark": ((0.4,), (0.0,)),
    "low contrast": ((0.25,), (0.375,)),
    "warm light": ((1.0, 0.8, 0.5), (0.0, 0.0, 0.0)),
}


def _clipped(x: Tensor) -> Tensor:
    return (1.8 * x).clamp(max=1)


def _shadowed(x: Tensor) -> Tensor:
    """The left half at half its light."""
    left = torch.arange(x.shape[-1]) < x.shape[-1] // 2
    return torch.where(left, 0.5 * x, x)


# What is no gain and no offset of the whole picture: no norm takes all of it out.
OTHER_CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "gamma 2": lambda x: x.square(),
    "clipped": _clipped,
    "shadow": _shadowed,
}


def remaining_change(photo: Tensor) -> dict[str, dict[str, float]]:
    """How much of a change of light is still there behind each norm.

    The photo and its changed versions are one batch; of `OTHER_CHANGES`, another. The distance between a
    changed version and the photo, root mean square over all values, is divided by the photo's own deviation,
    before and behind each norm.

    Args:
        photo: RGB, sRGB values in 0..1.

    Shape: (3, H, W).

    Returns:
        For each norm, ``"none"`` first, the share that remains of each change: 0 is none of it.

    Raises:
        ShapeError: photo is not (3, H, W).

    Example:
        >>> table = remaining_change(torch.rand(3, 16, 16))
        >>> bool(table["instance"]["dark"] < 0.01 < table["none"]["dark"])
        True
    """
    if not isinstance(photo, Tensor):
        raise InputError(f"photo: expected a torch.Tensor, got {type(photo).__name__}")
    if photo.dim() != 3 or photo.shape[0] != 3:
        raise ShapeError(f"photo: expected shape (3, H, W), got {tuple(photo.shape)}")
    checks.check_input(photo, "photo")
    versions = [photo.double()]
    for gain, offset in CHANGES.values():
        scale, shift = (photo.new_tensor(v, dtype=torch.float64).reshape(-1, 1, 1) for v in (gain, offset))
        versions.append(photo.double() * scale + shift)
    others = torch.stack([photo.double(), *(change(photo.double()) for change in OTHER_CHANGES.values())])
    x = torch.stack(versions)
    equal = torch.zeros(3, dtype=torch.float64)
    half = torch.full((3,), 0.5, dtype=torch.float64)
    norms: dict[str, Callable[[Tensor], Tensor]] = {
        "none": lambda v: v,
        "batch": lambda v: F.batch_norm(v, None, None, training=True),
        "layer": lambda v: F.layer_norm(v, v.shape[1:]),
        "instance": instance_norm,
        "filter response": filter_response_norm,
        "pixel": pixel_norm,
        "batch-instance": lambda v: batch_instance_norm(v, half),
        "switchable": lambda v: switchable_norm(v, equal, equal),
    }
    return {
        name: {**_distances(norm(x), CHANGES), **_distances(norm(others), OTHER_CHANGES)}
        for name, norm in norms.items()
    }


def _distances(y: Tensor, names: Iterable[str]) -> dict[str, float]:
    spread = (y[0] - y[0].mean()).square().mean().sqrt().clamp_min(1e-12)
    return {name: float((y[i] - y[0]).square().mean().sqrt() / spread) for i, name in enumerate(names, 1)}
