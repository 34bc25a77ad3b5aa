"""Which of torch's activation modules can be computed with a norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from stylenorm.errors import InputError, UnknownNameError

__all__ = ["ACTIVATION_TYPES", "activation_name"]

ACTIVATION_TYPES: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "prelu",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
    nn.ELU: "elu",
}
KNOWN = ("alpha", "init", "inplace", "negative_slope", "num_parameters")


def activation_name(kind: type[nn.Module], arguments: Mapping[str, Any]) -> str:
    """The name of an activation that is given as torch's class and its arguments.

    Raises:
        UnknownNameError: it is not one that is fused.
        InputError: an argument is not known.
    """
    if kind not in ACTIVATION_TYPES:
        name = getattr(kind, "__name__", repr(kind))
        raise UnknownNameError("act_layer", name, [k.__name__ for k in ACTIVATION_TYPES])
    unknown = sorted(set(arguments) - set(KNOWN))
    if unknown:
        raise InputError(f"act_kwargs: expected {', '.join(KNOWN)}, got {', '.join(unknown)}")
    return ACTIVATION_TYPES[kind]
