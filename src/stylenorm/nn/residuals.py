"""Residual blocks of any class whose forward is ``x + self.part(x)``: CycleGAN's, pix2pixHD's, Johnson's.

Such a block is found by what it does, because everybody has a class of his own for it: its forward has no
branch and no loop, and ``torch.fx`` sees one call of a sequence and one addition in it.
"""

from __future__ import annotations

import dis
import operator
from typing import Any

import torch
from torch import fx, nn

from stylenorm.nn.blocks import is_hooked
from stylenorm.nn.sequences import Fused, Wrapped, does_nothing, is_norm, run

__all__ = ["PART", "Residual", "residual_part"]

PART = "_stylenorm_part"
JUMPS = {*dis.hasjrel, *dis.hasjabs}


class Residual(Wrapped):
    """What is put before the class of a block: its last norm and its addition are one call."""

    def forward(self, x: Any) -> Any:
        """As the block's own forward."""
        part = self._modules.get(self.__dict__[PART])
        if isinstance(x, fx.Proxy) or not _is_plain(part):
            return super().forward(x)
        return run(part, x, residual=x)


def residual_part(block: nn.Module) -> str | None:
    """The name of the sequence to whose output a block adds its input; None for all other modules."""
    names = [name for name, part in block._modules.items() if _is_plain(part) and _ends_with_norm(part)]
    forward = type(block).forward
    code = getattr(forward, "__code__", None)
    if len(names) != 1 or code is None or "forward" in block.__dict__ or isinstance(block, Wrapped):
        return None
    instructions = list(dis.get_instructions(code))
    if any(each.opcode in JUMPS for each in instructions):
        return None
    try:
        nodes = list(_Leaves().trace(block).nodes)
    except Exception:  # noqa: BLE001 - anybody's forward; what cannot be followed is left alone
        return None
    if [node.op for node in nodes] != ["placeholder", "call_module", "call_function", "output"]:
        return None
    x, call, total, output = nodes
    # The tracer takes a += b for a + b. That is the same where a is the part's output; else x itself changes.
    writes = any(each.argrepr == "+=" for each in instructions)
    orders = [(call, x)] if writes else [(call, x), (x, call)]
    adds = total.target in (operator.add, torch.add) and total.args in orders
    fits = call.target == names[0] and call.args == (x,) and output.args == (total,)
    return names[0] if adds and fits and not (call.kwargs or total.kwargs) else None


class _Leaves(fx.Tracer):
    def is_leaf_module(self, _module: nn.Module, _name: str) -> bool:
        return True


def _is_plain(part: nn.Module | None) -> bool:
    return isinstance(part, Fused) and "forward" not in part.__dict__ and not is_hooked(part)


def _ends_with_norm(sequence: Any) -> bool:
    """Whether the last part that does something in evaluation is a norm of ours."""
    for part in reversed(sequence._modules.values()):
        if isinstance(part, nn.modules.dropout._DropoutNd) or does_nothing(part):
            continue
        return is_norm(part) or (_is_plain(part) and _ends_with_norm(part))
    return False
