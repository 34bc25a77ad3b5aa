"""Turn the instance norms of an existing model into stylenorm's, in place, and back.

A norm is converted by changing its class: parameters, buffers, hooks, the names it is registered under and
its state_dict stay what they are. So is an ``nn.Sequential`` that holds one, or a known block: they then run
a norm and the activation behind it in one call, and leave both modules what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from stylenorm.errors import InputError, StylenormError
from stylenorm.kernels.c_norm import has_conv, reason_missing
from stylenorm.nn import instance_norm as ours
from stylenorm.nn.blocks import block_obstacle, fused_block
from stylenorm.nn.convolutions import PACKED, conv_obstacle, winograd_class
from stylenorm.nn.group_norm import ChannelGroupNorm
from stylenorm.nn.inplace import inplace_places
from stylenorm.nn.residuals import PART, Residual, residual_part
from stylenorm.nn.sequences import Fused, is_norm, is_sequence, pairs, wrapped

__all__ = ["Change", "Conversion", "Left", "convert", "revert"]

PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    nn.InstanceNorm1d: ours.InstanceNorm1d,
    nn.InstanceNorm2d: ours.InstanceNorm2d,
    nn.InstanceNorm3d: ours.InstanceNorm3d,
}
MARK = "_stylenorm_was"


@dataclass(frozen=True)
class Change:
    """One module that was changed: its name, what it was, and what it is."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Left:
    """One module that was left as it was, or an activation that was not taken in, and why."""

    name: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Conversion:
    """What ``convert`` did. Printing it lists everything."""

    model: nn.Module = field(repr=False)
    changed: tuple[Change, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        lines = [f"changed {c.name}: {c.before} -> {c.after}" for c in self.changed]
        lines += [f"left {item.name}: {item.kind}: {item.reason}" for item in self.left]
        return "\n".join(lines) or "no instance norm found that is not converted yet"


def convert(
    model: nn.Module,
    *,
    fuse: bool = True,
    inplace: bool = False,
    engine: str | None = None,
    check: tuple[Tensor, ...] | None = None,
    tolerance: float = 1e-3,
) -> Conversion:
    """Replace torch's instance norms, and group norms of one channel a group, by stylenorm's, in place.

    Names, state_dict keys, indices of ``nn.Sequential``, shared modules, parameters (so optimizers stay
    valid) and hooks stay. ``revert`` undoes it. Networks built with stylenorm's norms are fused too.

    Args:
        model: any module; changed in place.
        fuse: run a norm and the activation that follows it in the same ``nn.Sequential``, or in a known block
            of MONAI, nnU-Net, torchvision or timm, in one call; so too the last norm and the addition of any
            block whose forward is ``x + self.part(x)``. Let the norm overwrite what a convolution gave it
            where nothing is differentiated. What the parts are is looked at in each call, so that
            slices, hooks and replaced activations keep their meaning.
        inplace: in training too, let norms with leaky_relu or prelu, directly behind a convolution in an
            ``nn.Sequential`` or a known block, overwrite the convolution's output: a training step keeps one
            full activation of them instead of two. Their gradients have a first derivative only.
        engine: ``"winograd"`` also runs convolutions of 3 x 3, 1 x 3 x 3 and 3 x 3 x 3 (stride 1, float32, on
            the CPU, channels in multiples of 8) by the project's own kernels, in inference and in training.
            They take a fourth of the multiplications and give channels last. The outputs of a layer differ by
            about 1e-5 of the largest value.
        check: inputs to run the model on before and after, in evaluation mode; if the outputs differ by more
            than ``tolerance``, everything is reverted and an error raised.
        tolerance: largest difference allowed, relative to the largest output.

    Raises:
        InputError: ``model`` is no module, or there is no such engine.
        StylenormError: the check failed; the model is as it was.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(inplace=True))
        >>> print(convert(model))
        changed 1: InstanceNorm2d -> stylenorm InstanceNorm2d, in one call with 2 (ReLU)
        >>> _ = revert(model)
        >>> type(model[1]) is nn.InstanceNorm2d
        True
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    if engine not in (None, "winograd"):
        raise InputError(f"engine: expected None or 'winograd', got {engine!r}")
    before = None if check is None else _run(model, check)
    left: list[Left] = []
    changed: list[Change] = []
    was = {name: type(module).__name__ for name, module in model.named_modules()}
    norms = list(_convert_norms(model, left))
    convolutions = _convert_convolutions(model, left) if engine else []
    paired = dict(_fuse_sequences(model, left)) if fuse else {}
    for name in dict.fromkeys([*norms, *paired]):
        after = f"stylenorm {was[name]}"
        changed.append(Change(name, was[name], after + (f", {paired[name]}" if name in paired else "")))
    changed += [Change(name, was[name], f"{was[name]} by Winograd's algorithm") for name in convolutions]
    for name, module in model.named_modules() if fuse else ():
        obstacle = block_obstacle(module)
        if obstacle is None:
            _become(module, fused_block(module))
            changed.append(Change(name, was[name], "its norms, activations and addition in one call each"))
        elif obstacle:
            left.append(Left(name, type(module).__name__, obstacle))
        elif part := residual_part(module):
            module.__dict__[PART] = part
            _become(module, wrapped(Residual, type(module)))
            changed.append(Change(name, was[name], "its last norm and its addition in one call"))
    for name, place in inplace_places(model) if inplace else ():
        place.inplace = True
        changed.append(Change(name, was[name], "in place"))
    if before is not None and check is not None:
        worst = _difference(before, _run(model, check))
        if not worst <= tolerance:
            revert(model)
            raise StylenormError(
                f"the converted model differs by {worst:.2g} of its largest output, expected at most "
                f"{tolerance:g}; it was reverted; try fuse=False"
            )
    return Conversion(model, tuple(changed), tuple(left))


def revert(model: nn.Module) -> int:
    """Undo ``convert``; returns how many norms were turned back.

    Example:
        >>> model = nn.Sequential(nn.InstanceNorm1d(4))
        >>> _ = convert(model)
        >>> revert(model)
        1
    """
    count = 0
    for module in model.modules():
        was = module.__dict__.pop(MARK, None)
        if was is None:
            continue
        module.__dict__.pop("inplace", None)
        module.__dict__.pop(PACKED, None)
        module.__dict__.pop(PART, None)
        kind = type(module)
        # A parametrization that was registered meanwhile has put a class of its own before ours.
        module.__class__ = _rebased(kind, was) if parametrize.is_parametrized(module) else was
        count += was in PLAIN or was is nn.GroupNorm
    return count


def _become(module: nn.Module, kind: type[nn.Module]) -> None:
    module.__dict__[MARK] = type(module)
    module.__class__ = kind


def _rebased(kind: type[nn.Module], base: type[nn.Module]) -> type[nn.Module]:
    """The class that parametrize made, with its properties, on another base."""
    body = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    return type(kind.__name__, (base,), body)


def _convert_norms(model: nn.Module, left: list[Left]) -> Iterator[str]:
    """Names of the norms that were converted."""
    for name, module in model.named_modules():
        if MARK in module.__dict__:
            continue
        reason = _refusal(module)
        if reason:
            left.append(Left(name, type(module).__name__, reason))
        elif type(module) in PLAIN:
            _become(module, PLAIN[type(module)])
            yield name
        elif _is_channel_group_norm(module):
            _become(module, ChannelGroupNorm)
            yield name


def _convert_convolutions(model: nn.Module, left: list[Left]) -> list[str]:
    """Names of the convolutions that were converted."""
    reason = reason_missing() or (None if has_conv() else "this processor has no AVX2")
    names = []
    for name, module in model.named_modules():
        kind = winograd_class(module)
        if kind is None or MARK in module.__dict__:
            continue
        obstacle = conv_obstacle(module) or reason
        if obstacle is None:
            _become(module, kind)
            names.append(name)
        else:
            left.append(Left(name, type(module).__name__, obstacle))
    return names


def _is_channel_group_norm(module: nn.Module) -> bool:
    """Group norm with one channel a group is instance norm."""
    return (
        type(module) is nn.GroupNorm
        and module.num_groups == module.num_channels
        and "forward" not in module.__dict__
    )


def _fuse_sequences(model: nn.Module, left: list[Left]) -> Iterator[tuple[str, str]]:
    """Let each ``nn.Sequential`` with norms run pairs in one call; names of the norms, and with what."""
    names = {id(module): name for name, module in model.named_modules()}
    for module in reversed(list(model.modules())):  # the inner ones first
        if not is_sequence(module) or isinstance(module, Fused):
            continue
        parts = list(module._modules.values())
        if not any(is_norm(part) or isinstance(part, Fused) for part in parts):
            continue
        for norm, act, reason in pairs(module):
            kind, label = type(module._modules[act]).__name__, names[id(module._modules[norm])]
            if reason is None:
                yield label, f"in one call with {act} ({kind})"
            else:
                left.append(Left(names[id(module._modules[act])], kind, reason))
        _become(module, wrapped(Fused, type(module)))


def _refusal(module: nn.Module) -> str | None:
    """Why an instance norm is not converted; None for all other modules, and for those that can be."""
    base = nn.modules.instancenorm._InstanceNorm
    if not isinstance(module, base) or isinstance(module, ours._Instance):
        return None
    if isinstance(module, nn.modules.lazy.LazyModuleMixin):
        return "it is lazy: run the model once first"
    if type(module) not in PLAIN:
        return f"{type(module).__qualname__} is a subclass with a behaviour of its own"
    if "forward" in module.__dict__:
        return "its forward was replaced"
    return None


@torch.no_grad()
def _run(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    try:
        output = model(*inputs)
    finally:
        for module, training in modes:
            module.training = training
    return [o.detach().clone() for o in _tensors(output)]


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _difference(before: list[Tensor], after: list[Tensor]) -> float:
    pairs = zip(before, after, strict=True)
    return max((float((a - b).abs().max() / a.abs().max().clamp_min(1e-12)) for a, b in pairs), default=0.0)
