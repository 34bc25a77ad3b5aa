"""What symbolic tracers, TorchScript and quantization get in the place of our modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from stylenorm.errors import InputError

__all__ = ["Leaf", "Scriptable", "as_class", "is_proxy", "refuse_quantized", "traced_call"]


def is_proxy(value: Any) -> bool:
    """Whether ``torch.fx`` follows a value."""
    return isinstance(value, fx.Proxy)


def traced_call(module: nn.Module, *args: Any) -> Any:
    """One node of the graph that ``torch.fx`` draws: a module is a leaf, as torch's own norms are."""
    proxy = next(v for v in args if isinstance(v, fx.Proxy))
    while args and args[-1] is None:
        args = args[:-1]
    return proxy.tracer.create_proxy("call_module", proxy.tracer.path_of_module(module), args, {})  # type: ignore[attr-defined]


def as_class(module: Any, kind: type[nn.Module]) -> nn.Module:
    """The same module, parts and all, as one of another class."""
    twin = kind.__new__(kind)
    twin.__dict__ |= module.__dict__
    return twin


class Leaf(nn.Module):
    """A layer that tracers take as one node, and that says so where TorchScript cannot have it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As every module, but for a tracer's proxies."""
        if any(isinstance(v, fx.Proxy) for v in args):
            return traced_call(self, *args)
        return super().__call__(*args, **kwargs)

    def __prepare_scriptable__(self) -> nn.Module:
        raise InputError(
            f"torch.jit.script: expected layers that TorchScript can compile, got {type(self).__name__}; use "
            "torch.export.export, torch.compile or torch.jit.trace"
        )


def refuse_quantized(x: Tensor) -> None:
    """A clear line for what eager quantization would do."""
    if x.is_quantized:
        raise InputError(
            f"input: expected a floating tensor, got {x.dtype}; for a quantized model call "
            "stylenorm.nn.revert(model) first, or put DeQuantStub and QuantStub around the norm"
        )


class Scriptable(nn.Module):
    """An instance norm, its residual and its activation, in what TorchScript knows.

    Parameters, buffers and their names are those of the module it stands for.
    """

    if TYPE_CHECKING:  # TorchScript would take class annotations for its own
        weight: Tensor | None
        bias: Tensor | None
        running_mean: Tensor | None
        running_var: Tensor | None
        num_batches_tracked: Tensor | None

    __constants__ = (
        "act", "alpha", "correction", "eps", "momentum", "negative_slope", "num_features", "outside", "rank",
        "scale_offset", "tracks",
    )  # fmt: skip

    def __init__(self, norm: Any, activation: dict[str, Any]) -> None:
        super().__init__()
        self.num_features, self.eps, self.tracks = (
            norm.num_features,
            float(norm.eps),
            norm.track_running_stats,
        )
        self.momentum = 0.0 if norm.momentum is None else float(norm.momentum)
        self.average = norm.momentum is None
        self.rank = norm._get_no_batch_dim() + 1
        self.outside, self.correction = norm.eps_mode == "outside", norm.correction
        self.scale_offset = float(norm.scale_offset)
        self.act = activation.get("act") or ""
        self.negative_slope = float(activation.get("negative_slope", 0.01))
        self.alpha = float(activation.get("alpha", 1.0))
        for name in ("weight", "bias"):
            self.register_parameter(name, getattr(norm, name))
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.act_weight = activation.get("act_weight")
        self.training = norm.training

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:  # noqa: A002
        """As the module that this stands for."""
        unbatched = input.dim() == self.rank - 1
        x = input.unsqueeze(0) if unbatched else input
        own = self.training or not self.tracks
        weight = self.weight
        if weight is not None and self.scale_offset != 0.0:
            weight = weight + self.scale_offset
        mean, var, momentum = self.running_mean, self.running_var, self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.average:
                momentum = 1.0 / float(self.num_batches_tracked)
        if self.outside or self.correction != 0:
            y = self.unusual(x, mean, var, own)
            shape = [1, -1] + [1] * (x.dim() - 2)
            if weight is not None:
                y = y * weight.reshape(shape)
            if self.bias is not None:
                y = y + self.bias.reshape(shape)
        else:
            y = F.instance_norm(x, mean, var, weight, self.bias, own, momentum, self.eps)
        if residual is not None:
            y = y + (residual.unsqueeze(0) if unbatched else residual)
        y = self.activated(y)
        return y.squeeze(0) if unbatched else y

    def unusual(self, x: Tensor, mean: Tensor | None, var: Tensor | None, own: bool) -> Tensor:
        """Conventions that torch's function has not; running statistics are used, and not moved."""
        dims = list(range(2, x.dim()))
        shape = [1, -1] + [1] * (x.dim() - 2)
        if own or mean is None or var is None:
            v, m = torch.var_mean(x, dims, correction=self.correction, keepdim=True)
        else:
            v, m = var.reshape(shape), mean.reshape(shape)
        return (x - m) / (v.sqrt() + self.eps if self.outside else (v + self.eps).sqrt())

    def activated(self, y: Tensor) -> Tensor:
        """The activation."""
        if self.act == "relu":
            return F.relu(y)
        if self.act == "leaky_relu":
            return F.leaky_relu(y, self.negative_slope)
        if self.act == "silu":
            return F.silu(y)
        if self.act == "gelu":
            return F.gelu(y)
        if self.act == "elu":
            return F.elu(y, self.alpha)
        slopes = self.act_weight
        if slopes is not None:
            return F.prelu(y, slopes)
        return y
