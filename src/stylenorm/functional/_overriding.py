"""What happens where an argument overrides torch's functions (``__torch_function__``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function

from stylenorm.errors import InputError
from stylenorm.kernels.activations import apply_activation

__all__ = ["instance_norm_override"]


def instance_norm_override(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Hand the call to whoever overrides it: a tensor subclass, a tracer's proxy, a mode.

    torch's per-sample gradients (expanded weights) know torch's own functions only, and get those.
    """
    named = {n: kwargs[n] for n in ("mask", "residual", "act_weight", "out")}
    tensors = (*args[:5], *named.values())
    if any(type(v).__name__ == "ExpandedWeight" for v in tensors):
        return _per_sample(*args, **kwargs)
    relevant = tuple(v for v in tensors if v is not None)
    return handle_torch_function(function, relevant, *args, **kwargs)


def _per_sample(
    x: Tensor, running_mean: Any, running_var: Any, weight: Any, bias: Any, use_input_stats: bool,
    momentum: float, eps: float, **kwargs: Any,
) -> Tensor:  # fmt: skip
    plain = {"statistics": None, "mask": None, "eps_mode": "inside", "correction": 0, "scale_offset": 0.0}
    changed = [name for name, value in plain.items() if kwargs[name] != value and kwargs[name] is not None]
    if changed or kwargs["act"] == "prelu":
        raise InputError(
            "call_for_per_sample_grads: expected torch's own conventions, got "
            f"{', '.join(changed) or 'prelu'}; "
            "use torch.func.vmap(torch.func.grad(...)) instead"
        )
    y = F.instance_norm(x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)
    y = y if kwargs["residual"] is None else y + kwargs["residual"]
    slope = kwargs["alpha"] if kwargs["act"] == "elu" else kwargs["negative_slope"]
    return apply_activation(y, kwargs["act"], slope)
