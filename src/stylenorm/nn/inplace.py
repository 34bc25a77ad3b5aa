"""Which norms of a model may overwrite their input: one full activation kept for backward, not two."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from torch import nn

from stylenorm.nn import instance_norm as ours
from stylenorm.nn.blocks import is_hooked

__all__ = ["inplace_norms"]

INVERTIBLE = ("leaky_relu", "prelu")
# What keeps its input for backward, and not its output.
PRODUCERS = (nn.modules.conv._ConvNd, nn.Linear)
# Blocks whose forward gives the output of each convolution to nothing but its norm, and their activation.
BLOCKS = {
    "monai.networks.blocks.dynunet_block.UnetBasicBlock": (("norm1", "norm2"), "lrelu"),
    "monai.networks.blocks.dynunet_block.UnetResBlock": (("norm1",), "lrelu"),
}


def inplace_norms(model: nn.Module) -> Iterator[tuple[str, ours._Instance]]:
    """Norms with an activation that can be inverted, behind a convolution whose output nobody else sees.

    In an ``nn.Sequential`` with torch's own forward, and in known blocks; names and modules. Elsewhere a
    model may use the norm's input once more, which would silently be another value then.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Sequential):
            if type(module).forward is not nn.Sequential.forward:
                continue
            children = [(key, child) for key, child in module._modules.items() if child is not None]
            for (_, before), (key, norm) in itertools.pairwise(children):
                if not isinstance(before, PRODUCERS) or is_hooked(before) or is_hooked(norm):
                    continue
                if isinstance(norm, ours._InstanceAct) and norm.act in INVERTIBLE:
                    yield f"{name}.{key}".lstrip("."), norm
            continue
        for kind in type(module).__mro__:
            norms, activation = BLOCKS.get(f"{kind.__module__}.{kind.__qualname__}", ((), ""))
            for key in norms:
                norm = getattr(module, key)
                leaky = isinstance(getattr(module, activation), (nn.LeakyReLU, nn.PReLU))
                if isinstance(norm, ours._Instance) and leaky and type(module) is not kind:
                    yield f"{name}.{key}".lstrip("."), norm
