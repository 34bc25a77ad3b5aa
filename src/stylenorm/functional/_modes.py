"""What is watching: a compiler, an exporter, a tracer or forward-mode differentiation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["is_batched", "is_exporting", "is_traced", "wants_definition"]


def is_traced() -> bool:
    """Inside ``torch.jit.trace``."""
    return bool(torch._C._get_tracing_state())


def is_exporting() -> bool:
    """Inside ``torch.export``, ``torch.onnx.export`` or ``torch.jit.trace``."""
    if torch.compiler.is_compiling():
        exporting = getattr(torch.compiler, "is_exporting", None)  # torch 2.7 and later
        return bool(exporting and exporting()) or torch.onnx.is_in_onnx_export()
    return torch.onnx.is_in_onnx_export() or is_traced()


def wants_definition(x: Tensor) -> bool:
    """Where plain torch operations serve better than a hand-written forward and backward."""
    if torch.compiler.is_compiling() or is_traced():
        return True
    # A tracer, fake tensors, a counter; or no numbers that a kernel could look at.
    if torch._C._len_torch_dispatch_stack() > 0 or x.is_meta:
        return True
    if type(x).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        return True
    return bool(forward_ad._current_level >= 0)  # forward-mode; there is no public question for it


def is_batched(x: Tensor) -> bool:
    """Whether a vmap, new or old (``is_grads_batched``), has wrapped the tensor."""
    functorch = torch._C._functorch
    return bool(functorch.is_functorch_wrapped_tensor(x) or functorch.is_legacy_batchedtensor(x))
