"""Weights of published StyleGAN2 generators for `StyleGan2Generator`: two layouts, one network.

- rosinality's ``stylegan2-pytorch``: ``style.1`` to ``style.8``, ``input.input``, ``conv1``, ``to_rgb1``,
  ``convs.i``, ``to_rgbs.i``; weights have an axis of 1 in front.
- NVIDIA's ``stylegan2-ada-pytorch`` and ``stylegan3`` (their StyleGAN2): ``mapping.fc0``, ...,
  ``synthesis.b4.conv1``, ``synthesis.b8.conv0``, ...; the centre of truncation is ``mapping.w_avg``.

NVIDIA's code scales a demodulated layer's weights by nothing, where the paper's gain is ours; demodulation
divides it out again, so the pictures are the same but for the 1e-8 in its root. What it clamps (activations
beyond 256, for float16) is not clamped here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.networks.stylegan2 import StyleGan2Generator

__all__ = ["published_stylegan2"]


def published_stylegan2(state: Mapping[str, Tensor]) -> tuple[StyleGan2Generator, Tensor | None]:
    """Return the generator of a checkpoint, and the mean style where the checkpoint has it.

    Raises:
        InputError: it is of another network, or of one that is not known here: with classes, with a z of
            another length than w, or of other widths than the papers'.
    """
    if "input.input" in state:
        found, mean = _rosinality(state), None
    elif "synthesis.b4.const" in state:
        found, mean = _nvidia(state), state.get("mapping.w_avg")
    else:
        raise InputError("expected a checkpoint of a StyleGAN2 generator, got other layers")
    constant = found.get("constant")
    first = found.get("mapping.layers.0.weight")
    last = max((key for key in found if key.startswith("to_rgb.") and key.endswith(".weight")), default="")
    if constant is None or first is None or first.shape[0] != first.shape[1] or not last:
        raise InputError(
            "expected a StyleGAN2 generator without classes whose z is as long as w, got "
            f"{'another' if first is None else f'a mapping of {first.shape[1]} to {first.shape[0]} numbers'}"
        )
    num_sizes = sum(key.startswith("to_rgb.") and key.endswith(".style.bias") for key in found)
    num_layers = sum(key.startswith("mapping.") and key.endswith(".bias") for key in found)
    size_px = 2 << num_sizes
    finest = found[f"to_rgb.{num_sizes - 1}.weight"].shape[1]
    network = StyleGan2Generator(size_px, finest * size_px, constant.shape[1], first.shape[0], num_layers)
    ours = network.state_dict()
    for key in sorted(ours.keys() | found.keys()):
        mine, theirs = (tuple(each[key].shape) if key in each else None for each in (ours, found))
        if mine != theirs:
            raise InputError(
                f"expected a StyleGAN2 generator as published ({key}: {mine or 'nowhere'}), got "
                f"{theirs or 'none'}"
            )
    network.load_state_dict(found)
    return network.eval(), mean


def _rosinality(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        layer, _, rest = key.partition(".")
        if layer == "style":  # number 0 is the norm of z
            number, _, kind = rest.partition(".")
            found[f"mapping.layers.{int(number) - 1}.{kind}"] = value
        elif key == "input.input":
            found["constant"] = value
        elif layer in ("conv1", "convs", "to_rgb1", "to_rgbs"):
            number, _, kind = rest.partition(".") if layer.endswith("s") else ("-1", "", rest)
            ours = "to_rgb" if layer.startswith("to_rgb") else "layers"
            name = _ROSINALITYS.get(kind)
            if name is not None:
                found[f"{ours}.{int(number) + 1}.{name}"] = _unwrapped(value, name)
    return found


_ROSINALITYS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "style.weight",
    "conv.modulation.bias": "style.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",  # of an RGB layer
}


def _nvidia(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part == "mapping" and rest.startswith("fc"):
            number, _, kind = rest.removeprefix("fc").partition(".")
            found[f"mapping.layers.{number}.{kind}"] = value
        elif part == "mapping" and rest.startswith("embed"):
            raise InputError("expected a StyleGAN2 generator without classes, got one with them")
        elif key == "synthesis.b4.const":
            found["constant"] = value[None]
        elif part == "synthesis":
            block, _, rest = rest.partition(".")
            layer, _, kind = rest.partition(".")
            level = int(block.removeprefix("b")).bit_length() - 3  # of 4 pixels: 0
            name = _NVIDIAS.get(kind)
            if name is not None and layer in ("conv0", "conv1"):
                found[f"layers.{2 * level - (layer == 'conv0')}.{name}"] = value
            elif name is not None and layer == "torgb":
                found[f"to_rgb.{level}.{name}"] = value
    return found


_NVIDIAS = {
    "weight": "weight",
    "affine.weight": "style.weight",
    "affine.bias": "style.bias",
    "noise_strength": "noise_strength",
    "bias": "bias",
}


def _unwrapped(value: Tensor, name: str) -> Tensor:
    """Without the axes of 1 that rosinality's layers have."""
    if name == "weight":
        return value[0]
    return (
        value.reshape(()) if name == "noise_strength" else torch.flatten(value) if name == "bias" else value
    )
