"""What is watching: a compiler, an exporter, a tracer or forward-mode differentiation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad

from stylenorm.kernels.plain import has_python_dispatch

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
    """Where plain torch operations serve better than an operator of our own."""
    if torch.compiler.is_compiling():  # the compiler of GPUs fuses them; that of the CPU does not as well
        return x.device.type != "cpu" or is_exporting()
    if is_traced() or forward_ad._current_level >= 0:  # forward-mode; there is no public question for it
        return True
    # A subclass that computes in Python may know torch's operators only, as DTensor.
    return has_python_dispatch(x) and not isinstance(x, FakeTensor)


def is_batched(x: Tensor) -> bool:
    """Whether a vmap, new or old (``is_grads_batched``), has wrapped the tensor."""
    if torch.compiler.is_compiling():  # the compiler has no wrapped tensors, and cannot ask
        return False
    functorch = torch._C._functorch
    return bool(functorch.is_functorch_wrapped_tensor(x) or functorch.is_legacy_batchedtensor(x))
