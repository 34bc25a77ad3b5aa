"""MONAI's norm factory: ``Norm["instance_fast", 3]``."""

from __future__ import annotations

import importlib

from torch import nn

from stylenorm.errors import MissingExtraError
from stylenorm.nn.instance_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d

__all__ = ["register_monai"]


def register_monai(name: str = "instance_fast") -> str:
    """Add stylenorm's instance norm to MONAI's norm factory; importing stylenorm alone adds nothing.

    Then ``Norm[name, 3]`` is :class:`InstanceNorm3d`, and networks take ``norm=(name, {"affine": True})``
    wherever they take ``"instance"``. Calling it again changes nothing.

    Args:
        name: of the entry; MONAI writes it in capitals.

    Raises:
        MissingExtraError: MONAI is not installed.
    """
    try:
        factories = importlib.import_module("monai.networks.layers.factories")
    except ImportError as error:
        raise MissingExtraError("monai", "dev", "registering with MONAI") from error
    if name.upper() not in factories.Norm.names:
        factories.Norm.add_factory_callable(name, _instance_fast)
    return name.upper()


def _instance_fast(dim: int) -> type[nn.Module]:
    return (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)[dim - 1]
