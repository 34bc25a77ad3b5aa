"""Which kernel runs for what: one table, read from the top; the first that covers the arguments runs.

``STYLENORM_KERNELS`` (``auto``, or a name of the table) forces one, as does ``use_kernels`` for a while. What
a forced kernel does not cover falls back to the table, and the log says so once.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from stylenorm.errors import StylenormError, UnknownNameError
from stylenorm.kernels import c_norm, torch_norm, triton_norm

__all__ = ["KERNELS", "VARIABLE", "Choice", "Kernel", "choose", "explain", "use_kernels"]

VARIABLE = "STYLENORM_KERNELS"
log = logging.getLogger("stylenorm.kernels")

Covers = Callable[[Tensor, Tensor | None, Tensor | None, Tensor | None, str | None], str | None]


@dataclass(frozen=True)
class Kernel:
    """One row: a pair of functions on plain tensors, and the question whether it serves given arguments.

    The C kernels do more than the pair says: scale and shift as (C,), the slopes of prelu, given statistics,
    and a backward from the output; statistics and their gradients are one tensor. ``extended`` says so.
    """

    name: str
    about: str
    covers: Covers
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    extended: bool = False


KERNELS = (
    Kernel(
        "triton", "fused, CUDA devices; experimental, not run on hardware", triton_norm.covers,
        triton_norm.norm_forward, triton_norm.norm_backward,
    ),
    Kernel(
        "c", "fused, CPU", c_norm.covers, c_norm.norm_forward, c_norm.norm_backward, extended=True
    ),
    # Last, because it covers all devices and types; gelu and what the others do not have end here.
    Kernel(
        "torch", "torch operations, any device", torch_norm.covers, torch_norm.norm_forward,
        torch_norm.norm_backward,
    ),
)  # fmt: skip
_BY_NAME = {kernel.name: kernel for kernel in KERNELS}
_asked: str | None = None  # by the environment; None: it was not read yet
# By ``use_kernels``, in this thread or task only. Empty: by nobody.
_forced: ContextVar[str] = ContextVar("stylenorm_kernels", default="")
_said: set[tuple[str, str]] = set()


def _checked(name: str) -> str:
    if name != "auto" and name not in _BY_NAME:
        raise UnknownNameError(f"kernel in {VARIABLE}", name, ["auto", *_BY_NAME])
    return name


def _wanted() -> str:
    global _asked
    forced = _forced.get()
    if forced:
        return forced
    if _asked is None:
        _asked = _checked(os.environ.get(VARIABLE, "").strip().lower() or "auto")
    return _asked


@contextlib.contextmanager
def use_kernels(name: str) -> Iterator[None]:
    """Force a kernel, in this thread and for a while; ``"auto"`` is the table.

    Args:
        name: ``"auto"``, ``"c"``, ``"triton"`` or ``"torch"``.

    Raises:
        UnknownNameError: there is no such kernel; the message lists those known.

    Example:
        >>> import torch
        >>> with use_kernels("torch"):
        ...     explain(torch.rand(1, 3, 8, 8)).kernel
        'torch'
    """
    token = _forced.set(_checked(name))
    try:
        yield
    finally:
        _forced.reset(token)


def choose(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    act: str | None = None,
) -> Kernel:
    """The kernel that runs for these arguments; where it is not the one meant for them, the log says why."""
    wanted = _wanted()
    device = x.device.type
    # Triton's kernels have not run on hardware: they are only ever asked for by name.
    meant = wanted if wanted != "auto" else "c" if device == "cpu" else "torch"
    reason = _BY_NAME[meant].covers(x, weight, bias, residual, act)
    if reason is None:
        return _BY_NAME[meant]
    if x.numel():
        _say_once(meant, reason, forced=wanted != "auto")
    for kernel in KERNELS:
        elsewhere = kernel.name in (meant, "triton")
        if not elsewhere and kernel.covers(x, weight, bias, residual, act) is None:
            return kernel
    return KERNELS[-1]  # an activation that it does not have is applied behind it


def extended() -> Kernel:
    """The kernel that does more than the others.

    Raises:
        StylenormError: it is not here.
    """
    missing = c_norm.reason_missing()
    if missing is not None:
        raise StylenormError(f"a graph made where the C kernels were needs them: {missing}")
    return _BY_NAME["c"]


def is_quick() -> bool:
    """Whether the C kernels may be tried first, without asking which kernel is meant."""
    return (_forced.get() or _asked or _wanted()) in ("auto", "c") and c_norm.reason_missing() is None


def _say_once(name: str, reason: str, *, forced: bool) -> None:
    if (name, reason) not in _said:
        _said.add((name, reason))
        level = logging.WARNING if forced else logging.INFO
        log.log(level, "kernel %s does not serve this call: %s; another one runs (said once)", name, reason)


@dataclass(frozen=True)
class Choice:
    """What runs for a tensor, and why the others do not."""

    kernel: str
    about: str
    rejected: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        lines = [f"{self.kernel}: {self.about}"]
        return "\n".join(lines + [f"not {name}: {reason}" for name, reason in self.rejected])


def explain(
    x: Tensor,
    *,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    act: str | None = None,
) -> Choice:
    """Say which kernel ``instance_norm`` runs for these arguments in eager mode, and why not the others.

    Under ``torch.export``, forward-mode differentiation and, on other devices than the CPU, ``torch.compile``
    none of them runs: there the definition is seen, in plain operations.

    Args:
        x: features (N, C, *S); nothing is computed with them.
        weight: scale, as for ``instance_norm``.
        bias: shift.
        residual: added before the activation.
        act: the activation.

    Returns:
        The name of the kernel, what it is, and for each other one the reason why it does not run. Printing it
        shows all of it.

    Example:
        >>> import torch
        >>> explain(torch.rand(1, 3, 8, 8), act="gelu").kernel
        'torch'
    """
    said = set(_said)
    chosen = choose(x, weight, bias, residual, act)
    _said.intersection_update(said)  # asking is not running
    about = chosen.about
    if chosen.name == "c":
        about += f", {c_norm.instructions()}"
    rejected = []
    for kernel in KERNELS:
        if kernel is not chosen:
            reason = kernel.covers(x, weight, bias, residual, act)
            if reason is None:
                forced = _wanted() != "auto"
                reason = "it is not the first that serves this call"
                if kernel.name == "triton":
                    reason = "it is experimental, and only runs where it is asked for by name"
                if forced:
                    reason = f"{VARIABLE} asks for another"
            rejected.append((kernel.name, reason))
    return Choice(chosen.name, about, tuple(rejected))
