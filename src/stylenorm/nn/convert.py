"""Turn the instance norms of an existing model into stylenorm's, in place, and back.

A norm is converted by changing its class: parameters, buffers, hooks, the names it is registered under and
its state_dict stay what they are. An activation behind it, in the same ``nn.Sequential``, is taken into the
norm, and a placeholder keeps its place; everything that makes this unsafe leaves the pair alone, with a
reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stylenorm.errors import InputError, StylenormError
from stylenorm.nn import instance_norm as ours
from stylenorm.nn.blocks import ACTIVATION_TYPES, activation_arguments, block_obstacle, fused_block, is_hooked
from stylenorm.nn.inplace import inplace_norms

__all__ = ["Change", "Conversion", "FusedActivation", "Left", "convert", "revert"]

PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    nn.InstanceNorm1d: ours.InstanceNorm1d,
    nn.InstanceNorm2d: ours.InstanceNorm2d,
    nn.InstanceNorm3d: ours.InstanceNorm3d,
}
FUSED: dict[type[nn.Module], type[nn.Module]] = {
    nn.InstanceNorm1d: ours.InstanceNormAct1d,
    nn.InstanceNorm2d: ours.InstanceNormAct2d,
    nn.InstanceNorm3d: ours.InstanceNormAct3d,
}
# Blocks that register the parts of their Sequential a second time, as attributes that their forward does not
# call: the name of the class, the name of the Sequential.
MIRRORED = {
    "dynamic_network_architectures.building_blocks.simple_conv_blocks.ConvDropoutNormReLU": "all_modules",
}
MARK = "_stylenorm_was"


class FusedActivation(nn.Module):
    """The place of an activation that the norm before it has taken over; passes its input on.

    Parameters of the activation stay registered here, under their old names.
    """

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.__dict__["original"] = original  # not registered: its parameters are, under their own names
        for name, parameter in original.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        self.training = original.training

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Pass the input on."""
        return input

    def extra_repr(self) -> str:
        """What stood here."""
        return repr(self.__dict__["original"])


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
        return "\n".join(lines) or "no instance norm found"


def convert(
    model: nn.Module,
    *,
    fuse: bool = True,
    inplace: bool = False,
    check: tuple[Tensor, ...] | None = None,
    tolerance: float = 1e-3,
) -> Conversion:
    """Replace torch's instance norms in ``model`` by stylenorm's, in place.

    Names, state_dict keys, indices of ``nn.Sequential``, shared modules, parameters (so optimizers stay
    valid) and hooks stay. ``revert`` undoes it.

    Args:
        model: any module; changed in place.
        fuse: take an activation that follows directly in the same ``nn.Sequential``, or in a known block of
            MONAI or nnU-Net, into the norm.
        inplace: let norms with leaky_relu or prelu, directly behind a convolution in an ``nn.Sequential`` or
            a known block, overwrite the convolution's output: a training step keeps one full activation of
            them instead of two. Their gradients have a first derivative only.
        check: inputs to run the model on before and after, in evaluation mode; if the outputs differ by more
            than ``tolerance``, everything is reverted and an error raised.
        tolerance: largest difference allowed, relative to the largest output.

    Raises:
        InputError: ``model`` is no module.
        StylenormError: the check failed; the model is as it was.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(inplace=True))
        >>> print(convert(model))
        changed 1: InstanceNorm2d -> InstanceNormAct2d(act='relu'), with 2
        >>> _ = revert(model)
        >>> type(model[1]) is nn.InstanceNorm2d and type(model[2]) is nn.ReLU
        True
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    before = None if check is None else _run(model, check)
    left: list[Left] = []
    changed = list(_fuse(model, left)) if fuse else []
    for name, module in model.named_modules():
        if MARK in module.__dict__:
            continue
        reason = _refusal(module)
        if reason:
            left.append(Left(name, type(module).__name__, reason))
        elif type(module) in PLAIN:
            was = type(module)
            module.__dict__[MARK] = was
            module.__class__ = PLAIN[was]
            changed.append(Change(name, was.__name__, f"stylenorm {was.__name__}"))
    for name, module in model.named_modules() if fuse else ():
        obstacle = block_obstacle(module)
        if obstacle is None:
            was = type(module)
            module.__dict__[MARK] = was
            module.__class__ = fused_block(module)
            changed.append(Change(name, was.__name__, "its norms, activations and addition in one call each"))
        elif obstacle:
            left.append(Left(name, type(module).__name__, obstacle))
    for name, norm in inplace_norms(model) if inplace else ():
        norm.inplace = True
        changed.append(Change(name, type(norm).__name__, "in place"))
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
    for module in list(model.modules()):
        was = module.__dict__.pop(MARK, None)
        if was is not None:
            module.__class__ = was
            for name in ("act", "negative_slope", "alpha", "inplace", "_act_source"):
                module.__dict__.pop(name, None)
            count += was in PLAIN
        for name, child in list(module._modules.items()):
            if isinstance(child, FusedActivation):
                original = child.__dict__["original"]
                for key, parameter in child._parameters.items():
                    original._parameters[key] = parameter  # follows a model that was moved meanwhile
                original.train(child.training)
                module._modules[name] = original
    return count


def _fuse(model: nn.Module, left: list[Left]) -> Iterator[Change]:
    """Take activations into the norms before them, Sequential by Sequential."""
    owners = _registrations(model)
    for name, sequence in list(model.named_modules()):
        if not isinstance(sequence, nn.Sequential):
            continue
        children = list(sequence._modules.items())
        for position, (key, norm) in enumerate(children):
            if type(norm) not in FUSED or MARK in norm.__dict__:
                continue
            follower = _follower(children, position)
            if follower is None:
                continue
            act_key, act = follower
            label = f"{name}.{key}".lstrip(".")
            reason = _obstacle(sequence, norm, act, owners)
            if reason:
                left.append(Left(f"{name}.{act_key}".lstrip("."), type(act).__name__, reason))
                continue
            was = type(norm)
            placeholder = FusedActivation(act)
            arguments = activation_arguments(act)
            kind = arguments["act"]
            norm.__dict__[MARK] = was
            norm.__class__ = FUSED[was]
            norm.__dict__ |= {name: arguments[name] for name in ("act", "negative_slope", "alpha")}
            if kind == "prelu":
                norm.__dict__["_act_source"] = placeholder
            sequence._modules[act_key] = placeholder
            for parent, attribute in owners[id(act)]:
                if _mirrors(parent, sequence):
                    parent._modules[attribute] = placeholder
            yield Change(label, was.__name__, f"{FUSED[was].__name__}(act={kind!r}), with {act_key}")


def _registrations(model: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """For each module, by identity, every parent and name that it is registered under."""
    owners: dict[int, list[tuple[nn.Module, str]]] = {}
    for parent in model.modules():
        for name, child in parent._modules.items():
            if child is not None:
                owners.setdefault(id(child), []).append((parent, name))
    return owners


def _follower(
    children: Sequence[tuple[str, nn.Module | None]], position: int
) -> tuple[str, nn.Module] | None:
    """The activation behind a norm, past what does nothing; None where something else comes."""
    for key, child in children[position + 1 :]:
        if type(child) in ACTIVATION_TYPES:
            return key, child  # type: ignore[return-value]
        nothing = isinstance(child, nn.Identity) or (
            isinstance(child, nn.modules.dropout._DropoutNd) and child.p == 0
        )
        if child is None or not nothing or is_hooked(child):
            return None
    return None


def _obstacle(
    sequence: nn.Sequential, norm: nn.Module, act: nn.Module, owners: dict[int, list[tuple[nn.Module, str]]]
) -> str | None:
    """Why the pair must stay two modules; None where it may become one."""
    if type(sequence).forward is not nn.Sequential.forward or "forward" in sequence.__dict__:
        return "its container has a forward of its own"
    if _refusal(norm):
        return "the norm before it is left"
    if is_hooked(norm) or is_hooked(act):
        return "the norm or the activation has hooks, which would see other values"
    if "forward" in act.__dict__:
        return "its forward was replaced"
    if isinstance(act, nn.GELU) and act.approximate != "none":
        return "approximated gelu is not fused"
    if isinstance(act, nn.PReLU) and act.num_parameters not in (1, norm.num_features):
        return "the slopes do not fit the norm's channels"
    others = [p for p, _ in owners[id(norm)] if p is not sequence and not _mirrors(p, sequence)]
    if others or sum(p is sequence for p, _ in owners[id(norm)]) > 1:
        return "the norm before it is used in several places"
    return None


def _mirrors(parent: nn.Module, sequence: nn.Sequential) -> bool:
    """Whether ``parent`` is known to name the parts of ``sequence`` again without calling them."""
    attribute = next(
        (
            MIRRORED[n]
            for n in (f"{c.__module__}.{c.__qualname__}" for c in type(parent).__mro__)
            if n in MIRRORED
        ),
        None,
    )
    return attribute is not None and parent._modules.get(attribute) is sequence


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
