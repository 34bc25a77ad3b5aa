"""Parameters under the names, and in the shapes, that papers and tutorials give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

__all__ = ["AFFINE", "rename"]

AFFINE = {"gamma": "weight", "beta": "bias"}


def rename(module: nn.Module, state_dict: dict[str, Any], prefix: str, names: Mapping[str, str]) -> None:
    """Give entries of a state_dict the names of ``module``'s parameters, before it is loaded.

    A (1, C, 1, 1) is loaded as (C,). What has the right name already is left alone, and so is a name that the
    module has no parameter for: loading then says that it was not expected.
    """
    parameters = dict(module.named_parameters())
    for theirs, mine in names.items():
        if prefix + theirs in state_dict and mine in parameters and prefix + mine not in state_dict:
            state_dict[prefix + mine] = state_dict.pop(prefix + theirs)
        value = state_dict.get(prefix + mine)
        if mine not in parameters or value is None or isinstance(parameters[mine], nn.UninitializedParameter):
            continue
        shape = parameters[mine].shape
        if value.shape != shape and value.numel() == shape.numel() and value.squeeze().shape == shape:
            state_dict[prefix + mine] = value.reshape(shape)
