"""Blocks of known libraries whose own forward calls a norm, an activation and an addition, in one call each.

``convert`` changes the class of such a block, as it does with norms: its parts, names and parameters stay.
Each function below says the same as the forward of the class it stands for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor, nn

from stylenorm.nn import instance_norm as ours
from stylenorm.nn.activations import ACTIVATION_TYPES
from stylenorm.nn.tracing import as_class

__all__ = [
    "activation_arguments",
    "activation_obstacle",
    "block_obstacle",
    "fused_block",
    "is_hooked",
]

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def is_hooked(module: nn.Module) -> bool:
    """Whether anybody listens at a module."""
    return any(getattr(module, name, None) for name in HOOKS)


def activation_arguments(act: nn.Module) -> dict[str, Any]:
    """The keyword arguments of ``instance_norm`` that say what an activation module does."""
    kind = ACTIVATION_TYPES[type(act)]
    return {
        "act": kind,
        "negative_slope": getattr(act, "negative_slope", 0.01),
        "alpha": getattr(act, "alpha", 1.0),
        "act_weight": act.weight if kind == "prelu" else None,
    }


def activation_obstacle(act: nn.Module, norm: Any) -> str | None:
    """Why an activation cannot be computed with a norm; None where it can."""
    if type(act) not in ACTIVATION_TYPES:
        return f"its activation, {type(act).__name__}, is not one that is fused"
    if "forward" in act.__dict__:
        return "its forward was replaced"
    if isinstance(act, nn.GELU) and act.approximate != "none":
        return "approximated gelu is not fused"
    if isinstance(act, nn.PReLU) and act.num_parameters not in (1, norm.num_features):
        return "the slopes do not fit the norm's channels"
    return None


def _together(norm: Any, act: nn.Module, x: Tensor, residual: Tensor | None = None) -> Tensor:
    y: Tensor = norm.run(x, residual, activation_arguments(act))
    return y


def _unet_basic(self: Any, inp: Tensor) -> Tensor:
    out = _together(self.norm1, self.lrelu, self.conv1(inp))
    return _together(self.norm2, self.lrelu, self.conv2(out))


def _unet_residual(self: Any, inp: Tensor) -> Tensor:
    out = self.conv2(_together(self.norm1, self.lrelu, self.conv1(inp)))
    residual = self.conv3(inp) if hasattr(self, "conv3") else inp
    residual = self.norm3(residual) if hasattr(self, "norm3") else residual
    return _together(self.norm2, self.lrelu, out, residual)


def _segresnet(self: Any, x: Tensor) -> Tensor:
    y = self.conv1(_together(self.norm1, self.act, x))
    y = self.conv2(_together(self.norm2, self.act, y))
    y += x
    return y  # type: ignore[no-any-return]


def _nnunet_residual(self: Any, x: Tensor) -> Tensor:
    residual = self.skip(x)
    *layers, norm = self.conv2.all_modules
    out = self.conv1(x)
    for layer in layers:
        out = layer(out)
    return _together(norm, self.nonlin2, out, residual)


def _resnet(*acts: str) -> Callable[..., Tensor]:
    """The block of convolutions ``conv1``, ..., each with its norm ``bn1``, ... and the activation named."""

    def forward(self: Any, x: Tensor) -> Tensor:
        residual = x if self.downsample is None else self.downsample(x)
        for number, act in enumerate(acts, 1):
            norm, added = getattr(self, f"bn{number}"), residual if number == len(acts) else None
            x = _together(norm, getattr(self, act), getattr(self, f"conv{number}")(x), added)
        return x

    return forward


# What stands for which class, and its norms and activations, by attribute.
BLOCKS: dict[str, tuple[Callable[..., Tensor], tuple[str, ...], tuple[str, ...]]] = {
    "monai.networks.blocks.dynunet_block.UnetBasicBlock": (_unet_basic, ("norm1", "norm2"), ("lrelu",)),
    "monai.networks.blocks.dynunet_block.UnetResBlock": (_unet_residual, ("norm1", "norm2"), ("lrelu",)),
    "monai.networks.blocks.segresnet_block.ResBlock": (_segresnet, ("norm1", "norm2"), ("act",)),
    "torchvision.models.resnet.BasicBlock": (_resnet("relu", "relu"), ("bn1", "bn2"), ("relu",)),
    "torchvision.models.resnet.Bottleneck": (
        _resnet("relu", "relu", "relu"),
        ("bn1", "bn2", "bn3"),
        ("relu",),
    ),
    "timm.models.resnet.BasicBlock": (_resnet("act1", "act2"), ("bn1", "bn2"), ("act1", "act2")),
    "timm.models.resnet.Bottleneck": (
        _resnet("act1", "act2", "act3"),
        ("bn1", "bn2", "bn3"),
        ("act1", "act2", "act3"),
    ),
    "dynamic_network_architectures.building_blocks.residual.BasicBlockD": (
        _nnunet_residual,
        ("conv2.norm",),
        ("nonlin2",),
    ),
}
# Parts of timm's blocks that must do nothing.
BETWEEN = ("drop_block", "aa", "se", "drop_path")


def _known(block: nn.Module) -> str | None:
    name = f"{type(block).__module__}.{type(block).__qualname__}"
    return name if name in BLOCKS else None


def block_obstacle(block: nn.Module) -> str | None:
    """Why a known block keeps its forward; None where it can be fused. Unknown blocks: an empty reason."""
    name = _known(block)
    if name is None:
        return ""
    _, norms, activations = BLOCKS[name]
    if "forward" in block.__dict__:
        return "its forward was replaced"
    parts: list[nn.Module] = []
    for path in norms:
        try:
            norm = block.get_submodule(path)
        except AttributeError:
            return ""
        if not isinstance(norm, ours._Instance):
            return ""  # another norm: nothing of ours to fuse
        parts.append(norm)
    for path in activations:
        act = getattr(block, path)
        for norm in parts[: len(norms)]:
            obstacle = activation_obstacle(act, norm)
            if obstacle is not None:
                return obstacle
        parts.append(act)
    between = [getattr(block, part, None) for part in BETWEEN] if name.startswith("timm.") else []
    if any(part is not None and type(part) is not nn.Identity for part in between):
        return "something comes between its norms and what follows them"
    if name.endswith("BasicBlockD"):
        if block.apply_stochastic_depth or block.apply_se:
            return "something comes between its norm and its addition"
        sequence = block.get_submodule("conv2.all_modules")
        if list(sequence.children())[-1] is not parts[0]:
            return "its norm is not the last layer before the addition"
        parts += [block.get_submodule("conv2"), sequence]
    if any(is_hooked(part) for part in parts):
        return "its norms or activations have hooks, which would see other values"
    return None


def fused_block(block: nn.Module) -> type[nn.Module]:
    """The class that a known block is given."""
    return _build(f"{type(block).__module__}.{type(block).__qualname__}")


@cache
def _build(name: str) -> type[nn.Module]:
    module, _, cls = name.rpartition(".")
    original: type[nn.Module] = getattr(importlib.import_module(module), cls)
    body = {
        "forward": BLOCKS[name][0],
        "__module__": __name__,
        "__qualname__": name.replace(".", "__"),
        "__prepare_scriptable__": lambda self: as_class(self, original),
    }
    return type(cls, (original,), body)


def __getattr__(name: str) -> Any:
    """Find a fused class by the name that it is pickled under."""
    original = name.replace("__", ".")
    if original not in BLOCKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _build(original)
