"""Where a model may overwrite a norm's input in training: one full activation kept for backward, not two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from stylenorm.nn import instance_norm as ours
from stylenorm.nn.sequences import Fused, pairs, produces

__all__ = ["inplace_places"]

INVERTIBLE = (nn.LeakyReLU, nn.PReLU)
# Blocks whose forward gives the output of each convolution to nothing but its norm, and their activation.
BLOCKS = {
    "monai.networks.blocks.dynunet_block.UnetBasicBlock": (("norm1", "norm2"), "lrelu"),
    "monai.networks.blocks.dynunet_block.UnetResBlock": (("norm1",), "lrelu"),
}


def inplace_places(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Names of the norms that may overwrite, and what is to be told so: their sequence, or they themselves.

    In a sequence, a norm does so behind a convolution only, whose output nobody else sees, and with an
    activation that can be inverted. Elsewhere a model may use the norm's input once more, which would
    silently be another value then.
    """
    for name, module in model.named_modules():
        if isinstance(module, Fused):
            yield from _in_sequence(name, module, fresh=False)
            continue
        for kind in type(module).__mro__:
            norms, activation = BLOCKS.get(f"{kind.__module__}.{kind.__qualname__}", ((), ""))
            for key in norms:
                norm = getattr(module, key)
                leaky = isinstance(getattr(module, activation), INVERTIBLE)
                if isinstance(norm, ours._Instance) and leaky and type(module) is not kind:
                    yield f"{name}.{key}".lstrip("."), norm


def _in_sequence(name: str, sequence: Any, *, fresh: bool) -> Iterator[tuple[str, Any]]:
    """As ``sequences.run`` goes; ``fresh``: what comes in is new, and nobody else's."""
    acts = {norm: sequence._modules[act] for norm, act, reason in pairs(sequence) if reason is None}
    for key, layer in sequence._modules.items():
        label = f"{name}.{key}".lstrip(".")
        if fresh and isinstance(acts.get(key), INVERTIBLE):
            yield label, sequence
        if fresh and isinstance(layer, Fused):
            yield from _in_sequence(label, layer, fresh=True)
        fresh = produces(layer)
