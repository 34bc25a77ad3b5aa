"""Which tensors a kernel may read by their address, and when nobody is watching what is computed.

Asked of the dispatcher's own keys, not of Python types: a plain tensor of the CPU has the keys of memory,
autograd, versions and autocast, and no other. Lazy negation, zero tensors without memory, wrappers of
``torch.func``, wrapper subclasses, sparse, quantized and meta tensors all have a key more, or another one; a
subclass that overrides ``__torch_function__`` only, as MONAI's MetaTensor, has not.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["has_python_dispatch", "is_plain", "is_watched"]

_C = torch._C
_keys = _C._dispatch_keys


def _raw(*names: str) -> int:
    bits = 0
    for name in names:
        bits |= _C.DispatchKeySet(getattr(_C.DispatchKey, name)).raw_repr()
    return bits


_OTHER = ~_raw("CPU", "ADInplaceOrView", "AutogradCPU", "AutocastCPU")
_PYTHON = _raw("Python")


def is_plain(x: Tensor) -> bool:
    """Whether ``x`` is memory of the CPU that says what it means: its address may be given to C."""
    return not _keys(x).raw_repr() & _OTHER


def has_python_dispatch(x: Tensor) -> bool:
    """Whether ``x`` is a subclass that computes in Python (``__torch_dispatch__``)."""
    return bool(_keys(x).raw_repr() & _PYTHON)


def is_watched() -> bool:
    """Whether a transform, a tracer, a dispatch mode or forward-mode differentiation sees what is called."""
    return bool(
        _C._are_functorch_transforms_active()
        or _C._get_tracing_state()
        or _C._len_torch_dispatch_stack()
        or forward_ad._current_level >= 0
    )
