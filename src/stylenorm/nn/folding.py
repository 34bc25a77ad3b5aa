"""Norms whose statistics are fixed in evaluation, folded into the layers before them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from stylenorm.errors import InputError, ShapeError
from stylenorm.nn.blocks import is_hooked
from stylenorm.nn.convert import MARK, Change, Conversion, Left

__all__ = ["fold_norms"]

NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


class Rank(nn.Identity):
    """In the place of a ``BatchNorm1d``, whose channels lie elsewhere in an input of another rank."""

    dims: int

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Pass on what has the rank that the norm was folded for."""
        if type(input) is Tensor and input.dim() != self.dims:
            raise ShapeError(f"input: expected {self.dims} dimensions, got {tuple(input.shape)}")
        return input

    def __prepare_scriptable__(self) -> nn.Module:
        return nn.Identity()


class _Layers(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return _is_norm(module) or super().is_leaf_module(module, name)


def fold_norms(model: nn.Module) -> Conversion:
    """Fold norms with fixed statistics into the layer before them, in place; for inference only.

    Batch norm, instance norm with ``track_running_stats`` (torch's and ours) and the FrozenBatchNorm2d of
    torchvision and timm are, in evaluation, one scale and one shift a channel, which a convolution or linear
    layer before them can have in its weights. They are computed in float64 and rounded once. The norm becomes
    an identity, or its activation where it has one (timm). Keep a ``copy.deepcopy``: this cannot be undone.

    Args:
        model: any module in evaluation mode that ``torch.fx`` can follow; changed in place.

    Returns:
        What was folded; and which norms were left, and why: the layer is called twice, its output or weights
        are used elsewhere, or the norm measures its input.

    Raises:
        InputError: ``model`` is in training mode, converted, or cannot be followed, or has nothing to fold.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> print(fold_norms(model))
        changed 1: BatchNorm2d -> folded into 0 (Conv2d)
        >>> model[1]
        Identity()
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    for name, module in model.named_modules():
        label = f"{name or 'the model'} ({type(module).__name__})"
        if module.training:
            raise InputError(f"model: expected evaluation mode, got {label} in training; call model.eval()")
        if MARK in module.__dict__:
            raise InputError(
                f"model: expected no converted layers, got {label}; revert it first, convert behind"
            )
    kept = set(vars(model))
    try:
        graph = _Layers().trace(model)
    except Exception as error:
        raise InputError(
            f"model: expected a forward that torch.fx can follow, got {type(error).__name__} ({error}) in "
            f"{type(model).__name__}; fold its parts one by one, such as model.backbone"
        ) from error
    finally:
        for name in set(vars(model)) - kept:  # constants, which the tracer leaves there
            delattr(model, name)
    modules = dict(model.named_modules(remove_duplicate=False))
    nodes: list[Any] = [node for node in graph.nodes if node.op == "call_module"]
    used = Counter(id(modules[node.target]) for node in nodes)  # calls of layers, and owners of parameters
    used.update(id(p) for m in model.modules() for p in m._parameters.values() if p is not None)
    used.update(id(modules[n.target.rpartition(".")[0]]) for n in graph.nodes if n.op == "get_attr")
    called = {id(modules[node.target]): node for node in reversed(nodes)}
    folds: list[tuple[nn.Module, nn.Module, Change]] = []
    left: list[Left] = []
    for name, norm in model.named_modules():
        if not _is_norm(norm):
            continue
        node: Any = called.get(id(norm))
        alone = node is not None and len(node.all_input_nodes) == 1 == len(node.args)
        before: Any = node.args[0] if alone else None
        layer: Any = modules[before.target] if before in nodes else None
        reason = _obstacle(layer, norm)
        if reason is None:
            counts = [used[id(each)] for each in (norm, layer, *layer._parameters.values())]
            if len(before.users) > 1 or max(counts) > 1:
                reason = f"{before.target}, or what it gives or learns, is used twice"
            else:
                after = f"folded into {before.target} ({type(layer).__name__})"
                folds.append((layer, norm, Change(name, type(norm).__name__, after)))
        if reason is not None:
            left.append(Left(name, type(norm).__name__, reason))
    if not folds:
        told = f"{left[0].name} ({left[0].kind}): {left[0].reason}" if left else "no such norm"
        raise InputError(f"model: expected a norm with fixed statistics behind a layer, got {told}")
    for layer, norm, _ in folds:
        _fold(layer, *_affine(norm))
        for name in [name for name, module in modules.items() if module is norm]:
            model.set_submodule(name, _rest(layer, norm))
    return Conversion(model, tuple(change for *_, change in folds), tuple(left))


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, NORMS) or type(module).__name__.startswith("FrozenBatchNorm")


def _obstacle(layer: Any, norm: Any) -> str | None:
    """Why a norm cannot be folded; what is used twice is looked at elsewhere."""
    if any(isinstance(each, nn.modules.lazy.LazyModuleMixin) for each in (layer, norm)):
        return "it or the layer before it is lazy: run the model once first"
    if norm.running_mean is None:
        return "it measures its input anew in each call"
    kind = next((kind for kind in LAYERS if isinstance(layer, kind)), None)
    if kind is None:
        return "no convolution or linear layer is before it alone"
    if type(layer).forward is not kind.forward or {"forward", "_conv_forward"} & set(layer.__dict__):
        return f"the {type(layer).__name__} before it has a forward of its own"
    if any(is_hooked(each) or parametrize.is_parametrized(each) for each in (layer, norm)):
        return "it or the layer before it has hooks or parametrizations"
    channels = layer.out_features if kind is nn.Linear else layer.out_channels
    if channels != len(norm.running_mean) or (kind is nn.Linear and not isinstance(norm, NORMS[0])):
        return "its channels are not those of the layer before it"
    x = torch.randn(1, channels, *(2,) * (layer.weight.dim() - 2)).to(norm.running_mean)
    scale, shift = (v.reshape(1, -1, *(1,) * (x.dim() - 2)) for v in _affine(norm))
    with torch.no_grad():
        right, found = _rest(layer, norm)((x * scale + shift).to(x.dtype)), norm(x)
    same = torch.allclose(right, found, rtol=1e-2, atol=1e-2 * float(right.abs().max()))
    return None if same else f"{type(norm).__qualname__} has a behaviour of its own"


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Scale and shift of each channel (C), float64."""
    eps, var = getattr(norm, "eps", 1e-5), norm.running_var.double()
    scale = 1 / (var.sqrt() + eps if getattr(norm, "eps_mode", "") == "outside" else (var + eps).sqrt())
    if norm.weight is not None:
        scale = scale * (norm.weight.detach().double() + getattr(norm, "scale_offset", 0.0))
    shift = -norm.running_mean.double() * scale
    return scale, shift if norm.bias is None else shift + norm.bias.detach().double()


def _rest(layer: Any, norm: Any) -> nn.Module:
    """What takes a norm's place."""
    rest: Any = norm.act if isinstance(getattr(norm, "act", None), nn.Module) else nn.Identity()
    if isinstance(norm, nn.BatchNorm1d | nn.SyncBatchNorm) and isinstance(layer, nn.Linear | nn.Conv1d):
        rest = Rank()
        rest.dims = layer.weight.dim()
    return rest.eval()  # type: ignore[no-any-return]


@torch.no_grad()
def _fold(layer: Any, scale: Tensor, shift: Tensor) -> None:
    weight, learns = layer.weight, layer.weight.requires_grad
    rows = scale[:, None]
    if isinstance(layer, TRANSPOSED):  # (in, out / groups, ...), with the inputs of one group after another's
        rows = scale.reshape(layer.groups, -1).repeat_interleave(layer.in_channels // layer.groups, 0)
    folded = weight.double() * rows.reshape(*rows.shape, *(1,) * (weight.dim() - 2))
    bias = shift if layer.bias is None else layer.bias.double() * scale + shift
    layer.weight = nn.Parameter(folded.to(weight.dtype), requires_grad=learns)
    layer.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=learns)
