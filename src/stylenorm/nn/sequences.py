"""An ``nn.Sequential`` that runs a norm and the activation behind it in one call.

Its parts stay what and where they are, and at each call it looks at what they are then: a slice, a part
called by itself, a later hook or a replaced activation give what they give without the fusion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.module import _has_any_global_hook

from stylenorm.nn import instance_norm as ours
from stylenorm.nn.activations import ACTIVATION_TYPES
from stylenorm.nn.blocks import activation_arguments, activation_obstacle, is_hooked
from stylenorm.nn.convolutions import PADS, WinogradConv2d, WinogradConv3d, pads_for
from stylenorm.nn.group_norm import ChannelGroupNorm
from stylenorm.nn.tracing import as_class

__all__ = [
    "Fused",
    "Wrapped",
    "does_nothing",
    "is_norm",
    "is_sequence",
    "pairs",
    "produces",
    "run",
    "wrapped",
]

# Their output is new, and nobody keeps it for backward.
PRODUCERS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear,
    WinogradConv2d, WinogradConv3d,
)  # fmt: skip
INVERTIBLE = ("leaky_relu", "prelu")


class Wrapped(nn.Module):
    """What is put before the class of a module, which keeps its name and its parts."""

    def __prepare_scriptable__(self) -> nn.Module:
        """TorchScript compiles the module as it was."""
        return as_class(self, originally(self))

    def __reduce_ex__(self, _protocol: Any) -> Any:
        order = type(self).__mro__
        return _empty, (order[order.index(Wrapped) - 1], originally(self)), self.__dict__


class Fused(Wrapped):
    """What is put before the class of a sequence."""

    inplace: bool = False  # in training; where nothing is differentiated, it costs nothing and is always done

    def forward(self, input: Any) -> Any:  # noqa: A002 - torch's own name
        """Run the parts in their order, pairs in one call."""
        return run(self, input)


def originally(module: nn.Module) -> type[nn.Module]:
    """The class that a module had."""
    order = type(module).__mro__
    return order[order.index(Wrapped) + 1]


def _empty(front: type[Wrapped], original: type[nn.Module]) -> nn.Module:
    kind = wrapped(front, original)
    return kind.__new__(kind)


def wrapped(front: type[Wrapped], original: type[nn.Module]) -> type[nn.Module]:
    """The class that a module is given: ``front`` before its own."""
    return _built(front, original)  # type: ignore[arg-type]


@cache
def _built(front: Any, original: Any) -> type[nn.Module]:
    return type(original.__name__, (front, original), {"__module__": __name__, "__doc__": original.__doc__})


def is_sequence(module: nn.Module) -> bool:
    """Whether a module does what ``nn.Sequential`` does, and nothing else."""
    plain = type(module).forward is nn.Sequential.forward and "forward" not in module.__dict__
    return isinstance(module, nn.Sequential) and plain


def is_norm(module: nn.Module | None) -> bool:
    """Whether a module is one of our plain instance norms, which take an activation for a call."""
    if isinstance(module, ours._InstanceAct) or not isinstance(module, (ours._Instance, ChannelGroupNorm)):
        return False
    forwards = (ours._Instance.forward, ChannelGroupNorm.forward)
    return type(module).forward in forwards and "forward" not in module.__dict__


def does_nothing(module: nn.Module | None) -> bool:
    """Whether a module passes its input on, now."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p == 0 or not module.training
    return type(module) is nn.Identity


def follower(layers: Sequence[nn.Module], position: int) -> int | None:
    """Where the activation behind a norm is, past what does nothing; None where something else comes."""
    for index in range(position, len(layers)):
        if type(layers[index]) in ACTIVATION_TYPES:
            return index
        if not does_nothing(layers[index]) or is_hooked(layers[index]):
            return None
    return None


def produces(module: nn.Module) -> bool:
    """Whether what a module returns is new, and seen by its caller only."""
    return type(module) in PRODUCERS and "forward" not in module.__dict__ and not is_hooked(module)


def pairs(sequence: nn.Module) -> Iterator[tuple[str, str, str | None]]:
    """Names of norms and of their activations in a sequence, and why a pair is not run in one call."""
    names, layers = list(sequence._modules), list(sequence._modules.values())
    for index, norm in enumerate(layers):
        at = follower(layers, index + 1) if is_norm(norm) else None  # type: ignore[arg-type]
        if at is not None:
            yield names[index], names[at], _obstacle(norm, layers[at])


def _obstacle(norm: Any, act: Any) -> str | None:
    if is_hooked(norm) or is_hooked(act):
        return "the norm or the activation has hooks, which would see other values"
    return activation_obstacle(act, norm)


def run(sequence: Any, x: Any, *, fresh: bool = False, inplace: bool = False, residual: Any = None) -> Any:
    """Run the parts of a sequence.

    ``fresh``: nobody else sees ``x``, so that it may be overwritten. ``residual`` is added behind the last
    part, within its call if that is a norm.
    """
    layers = list(sequence._modules.values())
    if isinstance(x, fx.Proxy) or _has_any_global_hook():  # type: ignore[no-untyped-call]
        for layer in layers:
            x = layer(x)
        return x if residual is None else residual + x
    inplace = inplace or sequence.inplace
    position, end = 0, _last(layers)
    while position < len(layers):
        layer = layers[position]
        position += 1
        if is_norm(layer) and not is_hooked(layer):
            at = follower(layers, position)
            activation: dict[str, Any] = {}
            if at is not None and _obstacle(layer, layers[at]) is None:
                activation, position = activation_arguments(layers[at]), at + 1
            over = fresh and (
                not torch.is_grad_enabled() or (inplace and activation.get("act") in INVERTIBLE)
            )
            added = residual if position == end and not activation and _alike(residual, x) else None
            residual = residual if added is None else None
            x, fresh = layer.run(x, added, activation, inplace=over), True
        elif isinstance(layer, Fused) and not is_hooked(layer):
            added, residual = (residual, None) if position == end else (None, residual)
            x, fresh = run(layer, x, fresh=fresh, inplace=inplace, residual=added), False
        elif type(layer) in PADS and position < len(layers) and _pads_within(layer, layers[position]):
            conv: Any = layers[position]
            padding = pads_for(layer, conv)
            x, fresh = conv.run(x, padding, reflect=PADS[type(layer)]), True
            position += 1
        else:
            x, fresh = layer(x), produces(layer)
    return x if residual is None else residual + x


def _last(layers: Sequence[nn.Module]) -> int:
    """How many parts there are up to the last one that does something now, or that is watched."""
    end = len(layers)
    while end and does_nothing(layers[end - 1]) and not is_hooked(layers[end - 1]):
        end -= 1
    return end


def _alike(residual: Any, x: Any) -> bool:
    """Whether the sum is what the norm's own addition gives: nothing is broadcast or changes its type."""
    return (
        isinstance(residual, torch.Tensor)
        and residual.shape == x.shape
        and residual.dim() > 2
        and residual.dtype == x.dtype
        and residual.device == x.device
        and not torch.is_autocast_enabled(x.device.type)
    )


def _pads_within(pad: nn.Module, conv: nn.Module) -> bool:
    """Whether the convolution behind a padding does both now."""
    watched = is_hooked(pad) or is_hooked(conv) or "forward" in pad.__dict__ or "forward" in conv.__dict__
    return not watched and pads_for(pad, conv) is not None
