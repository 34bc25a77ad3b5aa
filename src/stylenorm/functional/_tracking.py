"""Running statistics, moved towards those of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["count_batch", "track"]

_LIBRARY: Any = torch.library.Library("stylenorm", "FRAGMENT")  # type: ignore[no-untyped-call]
# An operator, because a transform of ``torch.func`` lets an operator write to a tensor from outside of the
# transform, as torch's batch norm does, and refuses ``add_``.
_LIBRARY.define(
    "track(Tensor(a!) running_mean, Tensor(b!) running_var, Tensor mean, Tensor var, float momentum) -> ()"
)
_LIBRARY.define("count(Tensor(a!) counter, Tensor like) -> ()")
_TRACK: Any = torch.ops.stylenorm.track.default
_COUNT: Any = torch.ops.stylenorm.count.default


def _move(running_mean: Tensor, running_var: Tensor, mean: Tensor, var: Tensor, momentum: float) -> None:
    for running, new in ((running_mean, mean), (running_var, var)):
        running.mul_(1 - momentum).add_(new.to(running.dtype), alpha=momentum)


def _count(counter: Tensor, _like: Tensor) -> None:
    counter.add_(1)


for _operator, _run in ((_TRACK, _move), (_COUNT, _count)):

    def _through_autograd(*arguments: Any, operator: Any = _operator) -> None:
        """Nothing is differentiated; what a level of ``torch.func.grad`` has wrapped goes on below it."""
        with torch._C._AutoDispatchBelowAutograd():
            operator(*arguments)

    _LIBRARY.impl(_operator._opname, _run, "CompositeExplicitAutograd")
    _LIBRARY.impl(_operator._opname, _through_autograd, "Autograd")
    torch.library.register_fake(f"stylenorm::{_operator._opname}", lambda *_: None, lib=_LIBRARY)


@torch.no_grad()
def track(
    running_mean: Tensor, running_var: Tensor, mean: Tensor, var: Tensor, length: int, momentum: float
) -> None:
    """Move the running statistics towards the batch's mean of (N, C) means and unbiased variances."""
    if mean.shape[0] == 0 or length == 0:
        return
    unbiased = var * (length / (length - 1)) if length > 1 else var
    move = _TRACK if torch._C._are_functorch_transforms_active() else _move
    move(running_mean, running_var, mean.mean(0), unbiased.mean(0), momentum)


def count_batch(counter: Tensor, batch: Tensor) -> None:
    """One batch more."""
    (_COUNT if torch._C._are_functorch_transforms_active() else _count)(counter, batch)
