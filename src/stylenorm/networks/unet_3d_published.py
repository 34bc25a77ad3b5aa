"""Weights of nnU-Net's and MONAI's networks as `UNet3d`: sizes are read from their shapes.

- MONAI's ``DynUNet`` without residuals.
- nnU-Net's ``PlainConvUNet`` (version 2, package dynamic_network_architectures) in three dimensions, two
  convolutions a level, with instance norm. Its convolutions have biases before the norms, which take them
  out again: they are left out, and the numbers stay the same. nnU-Net's arrays run z, y, x; ours x, y, z, so
  the kernels are turned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.networks.unet_3d import UNet3d

__all__ = ["published_dynunet", "published_nnunet"]


class _Whole(dict[str, Tensor]):
    """A checkpoint that says in our words what it lacks."""

    def __missing__(self, key: str) -> Tensor:
        raise InputError(f"expected a whole checkpoint of a segmentation network, got none of its {key}")


def published_dynunet(state: Mapping[str, Tensor]) -> UNet3d:
    """Return the network of a checkpoint of MONAI's ``DynUNet``.

    Raises:
        InputError: it is of another network.
    """
    first, last = state.get("input_block.conv1.conv.weight"), state.get("output_block.conv.conv.weight")
    if first is None or last is None or first.dim() != 5:
        raise InputError("expected a checkpoint of MONAI's DynUNet in three dimensions, got other layers")
    state = _Whole(state)
    levels = sorted({int(key.split(".")[1]) for key in state if key.startswith("downsamples.")})
    heads = {key.split(".")[1] for key in state if key.startswith("deep_supervision_heads.")}
    blocks = ["input_block", *(f"downsamples.{level}" for level in levels), "bottleneck"]
    ups = [state[f"upsamples.{i}.transp_conv.conv.weight"] for i in reversed(range(len(blocks) - 1))]
    kernels = [state[f"{block}.conv1.conv.weight"].shape[2:] for block in blocks]
    network = UNet3d(
        len(last),
        len(blocks),
        len(first),
        in_channels=first.shape[1],
        norm="batch" if "input_block.norm1.running_mean" in state else "instance",
        num_heads=len(heads) + 1,
        kernels=kernels,
        up_kernels=kernels[1:],
        strides=[(1, 1, 1), *(each.shape[2:] for each in ups)],
    )
    network.load_monai(state)
    return network.eval()


def published_nnunet(state: Mapping[str, Tensor], transposed: Sequence[int] = (0, 1, 2)) -> UNet3d:
    """Return the network of a checkpoint of nnU-Net.

    Args:
        state: tensors of its ``network_weights``.
        transposed: ``transpose_forward`` of its plans: which of z, y, x each of its axes is.

    Raises:
        InputError: it is of another network.
    """
    if any(".blocks." in key for key in state):
        raise InputError(
            "expected nnU-Net's plain network, got one with residual blocks: it has no equal here"
        )
    first = state.get("encoder.stages.0.0.convs.0.conv.weight")
    if first is None or first.dim() != 5:
        raise InputError(
            "expected a checkpoint of nnU-Net's PlainConvUNet in three dimensions, got other layers"
        )
    if any(".convs.2." in key for key in state) or "encoder.stages.0.0.convs.1.conv.weight" not in state:
        raise InputError("expected two convolutions a level, got another number: it has no equal here")
    if "encoder.stages.0.0.convs.0.norm.running_mean" in state:
        raise InputError(
            "expected nnU-Net's network with instance norm, got batch norm: it has no equal here"
        )
    num_levels = len({key.split(".")[2] for key in state if key.startswith("encoder.stages.")})
    axes = [0, 1, *(2 + list(transposed).index(2 - axis) for axis in range(3))]  # ours from theirs
    turned = _Whole(
        {key: value.permute(axes).contiguous() if value.dim() == 5 else value for key, value in state.items()}
    )
    heads = [turned[f"decoder.seg_layers.{i}.weight"] for i in range(num_levels - 1)]
    lifts = [turned[f"decoder.transpconvs.{i}.weight"] for i in range(num_levels - 1)]
    network = UNet3d(
        len(heads[-1]),
        num_levels,
        len(first),
        in_channels=first.shape[1],
        num_heads=num_levels - 1,
        kernels=[turned[f"encoder.stages.{i}.0.convs.0.conv.weight"].shape[2:] for i in range(num_levels)],
        strides=[(1, 1, 1), *(each.shape[2:] for each in reversed(lifts))],
    )
    found: dict[str, Tensor] = {}
    for level in range(num_levels):
        blocks = {f"encoder.stages.{level}.0": f"down.{level}"}
        if level < num_levels - 1:  # theirs count from the coarsest
            blocks[f"decoder.stages.{num_levels - 2 - level}"] = f"up.{level}"
            for kind in ("weight", "bias"):
                found[f"lift.{level}.{kind}"] = turned[f"decoder.transpconvs.{num_levels - 2 - level}.{kind}"]
                found[f"heads.{level}.{kind}"] = turned[f"decoder.seg_layers.{num_levels - 2 - level}.{kind}"]
        for theirs, ours in blocks.items():
            for i in range(2):
                found[f"{ours}.convs.{i}.weight"] = turned[f"{theirs}.convs.{i}.conv.weight"]
                for kind in ("weight", "bias"):
                    found[f"{ours}.norms.{i}.{kind}"] = turned[f"{theirs}.convs.{i}.norm.{kind}"]
    wanted = {key: value.shape for key, value in network.state_dict().items()}
    wrong = [key for key, shape in wanted.items() if key not in found or found[key].shape != shape]
    if wrong:
        came = tuple(found[wrong[0]].shape) if wrong[0] in found else "none"
        raise InputError(
            f"expected nnU-Net's network of {num_levels} levels and width {len(first)} ({wrong[0]}: "
            f"{tuple(wanted[wrong[0]])}), got {came}"
        )
    with torch.no_grad():
        network.load_state_dict(found)
    return network.eval()
