"""Instance norm with torch's interface and our arithmetic, alone and with an activation.

``InstanceNorm1d/2d/3d`` are subclasses of torch's: same arguments, state_dict, repr and isinstance checks.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import ACTIVATION_NAMES, instance_norm
from stylenorm.functional import _checks as checks
from stylenorm.functional._tracking import count_batch
from stylenorm.nn.activations import activation_name
from stylenorm.nn.renaming import AFFINE, rename
from stylenorm.nn.tracing import Scriptable, as_class, is_proxy, refuse_quantized, traced_call

__all__ = [
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "InstanceNormAct1d",
    "InstanceNormAct2d",
    "InstanceNormAct3d",
]

SWITCHES = ("eps_mode", "correction", "scale_offset", "inplace")
# By the number of dimensions without a batch.
TORCHS = {2: torch.nn.InstanceNorm1d, 3: torch.nn.InstanceNorm2d, 4: torch.nn.InstanceNorm3d}


class _Instance(torch.nn.modules.instancenorm._InstanceNorm):
    """What the three ranks share; placed before torch's class in the order of bases."""

    # Class attributes, so that ``convert`` can turn torch's modules into these without touching their state.
    eps_mode: str = "inside"
    correction: int = 0
    scale_offset: float = 0.0
    inplace: bool = False

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
        eps_mode: str = "inside",
        correction: int = 0,
        scale_offset: float = 0.0,
        inplace: bool = False,
    ) -> None:
        if not isinstance(num_features, int) or isinstance(num_features, bool) or num_features < 1:
            raise InputError(f"num_features: expected an integer >= 1, got {num_features!r}")
        checks.check_eps(eps)
        checks.check_choice(eps_mode, "eps_mode", ("inside", "outside"))
        checks.check_choice(correction, "correction", (0, 1))
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)  # type: ignore[arg-type]
        if not bias:
            self.register_parameter("bias", None)
        if eps_mode != "inside":
            self.eps_mode = eps_mode
        if correction:
            self.correction = correction
        if inplace:
            self.inplace = True
        if scale_offset:
            self.scale_offset = scale_offset
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again: a scale of one in all (``scale_offset`` included), no shift, no statistics."""
        super().reset_parameters()
        if self.weight is not None and self.scale_offset:
            torch.nn.init.constant_(self.weight, 1.0 - self.scale_offset)

    def forward(
        self,
        input: Tensor,  # noqa: A002 - torch's own name
        residual: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Normalize (N, C, *S), or (C, *S) without a batch.

        ``residual`` is added behind. ``mask``, (N or 1, C or 1, *S), is 1 where an element counts; where it
        does not, anything may lie, and the result is meaningless.
        """
        if type(input) is not Tensor and is_proxy(input):
            return traced_call(self, input, residual, mask)  # type: ignore[no-any-return]
        return self.run(input, residual, self._activation(), mask=mask)

    def run(
        self,
        input: Tensor,  # noqa: A002 - torch's own name
        residual: Tensor | None,
        activation: dict[str, Any],
        *,
        mask: Tensor | None = None,
        inplace: bool = False,
    ) -> Tensor:
        """Normalize with an activation that is given for this call: what fused blocks call."""
        self._check_input_dim(input)
        unbatched = input.dim() == self._get_no_batch_dim()  # type: ignore[no-untyped-call]
        axis = 0 if unbatched else 1
        if input.shape[axis] != self.num_features:
            message = (
                f"input: expected {self.num_features} channels at dim {axis}, got {input.shape[axis]} in "
                f"{tuple(input.shape)}"
            )
            if self.affine or self.track_running_stats:
                raise ShapeError(message)
            # torch only warns where no parameter depends on the number; networks live with it.
            warnings.warn(f"{message}; without parameters, it is normalized all the same", stacklevel=2)
        if unbatched:
            input = input.unsqueeze(0)  # noqa: A001
            residual = None if residual is None else residual.unsqueeze(0)
            mask = None if mask is None else mask.unsqueeze(0)
        output = instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self._momentum(input),
            self.eps,
            mask=mask,
            residual=residual,
            eps_mode=self.eps_mode,
            correction=self.correction,
            scale_offset=self.scale_offset,
            inplace=(inplace or (self.inplace and residual is None)) and not unbatched,
            **activation,
        )
        return output.squeeze(0) if unbatched else output

    def _activation(self) -> dict[str, Any]:
        return {}

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """What ``torch.jit.script`` compiles in the place of this module: the same in torch's own layers."""
        activation = self._activation()
        usual = all(getattr(self, name) == getattr(_Instance, name) for name in SWITCHES)
        if activation or not usual or (self.track_running_stats and self.momentum is None):
            return Scriptable(self, activation)
        return as_class(self, TORCHS[self._get_no_batch_dim()])  # type: ignore[no-untyped-call]

    def _momentum(self, batch: Tensor) -> float:
        """The weight of the new statistics; counts the batch, as torch documents and does not do."""
        if not (self.training and self.track_running_stats) or not batch.numel():
            return 0.0  # an empty batch leaves the statistics alone, so it is not counted either
        counter = self.num_batches_tracked
        if counter is not None:
            count_batch(counter, batch)
        if self.momentum is not None:
            return self.momentum
        return 1.0 / max(float(counter), 1.0) if counter is not None else 0.0

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's own name
        batched = self._get_no_batch_dim() + 1  # type: ignore[no-untyped-call]
        if not isinstance(input, Tensor):
            raise InputError(f"input: expected a torch.Tensor, got {type(input).__name__}")
        refuse_quantized(input)
        if input.dim() not in (batched - 1, batched):
            raise ShapeError(
                f"input: expected {batched} dimensions, or {batched - 1} without a batch, "
                f"got {tuple(input.shape)}"
            )

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        """Load, also ``gamma`` and ``beta``.

        Running statistics that torch before 0.4 saved without ever using them are left out. They are known by
        what is not there: a version, and the counter of batches. A dict of later torch has
        the counter also where its version was lost (safetensors); that is refused, as torch does.
        """
        rename(self, state_dict, prefix, AFFINE)
        names = [prefix + name for name in ("running_mean", "running_var")]
        old = local_metadata.get("version") is None and prefix + "num_batches_tracked" not in state_dict
        if old and not self.track_running_stats and any(name in state_dict for name in names):
            for name in names:
                state_dict.pop(name, None)
            warnings.warn(
                f"{', '.join(names)}: left out; torch before 0.4 saved them and never used them. If they "
                "are to be used, build the layer with track_running_stats=True",
                stacklevel=2,
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def extra_repr(self) -> str:
        """Exactly torch's line, and behind it whatever differs from torch."""
        text = str(super().extra_repr())  # type: ignore[no-untyped-call]
        for name in SWITCHES:
            value = getattr(self, name)
            if value != getattr(_Instance, name):
                text += f", {name}={value!r}"
        return text


class InstanceNorm1d(_Instance, torch.nn.InstanceNorm1d):
    r"""Instance norm over (N, C, L) or (C, L); torch's arguments, and named switches.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \gamma + \beta

    See :func:`stylenorm.functional.instance_norm`: statistics over L per sample and channel, biased, in
    float32 or better. Differs from torch: channels-last is kept, a plane of one element gives ``bias`` and no
    error, running statistics count their batches, and ``momentum=None`` is their plain average.

    Args:
        num_features: channels.
        eps: added to the variance.
        momentum: weight of the new running statistics; None averages all batches.
        affine: learn a scale and a shift.
        track_running_stats: keep running statistics, and use them in evaluation.
        device: of the parameters.
        dtype: of the parameters; independent of the input's.
        bias: with ``affine``, learn the shift too.
        eps_mode: ``"inside"`` or ``"outside"`` the root.
        correction: 0 divides the variance by L, 1 by L - 1.
        scale_offset: added to the scale, which then starts at 1 - offset.
        inplace: write the result over the input, where there is a batch and no residual; see
            :func:`stylenorm.functional.instance_norm` for what that saves and asks for.

    Shape: (N, C, L) or (C, L); returns the same.

    Raises:
        ShapeError: the number of dimensions, or of channels, is wrong (message: expected, got).

    Reference: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.

    Example:
        >>> repr(InstanceNorm1d(3)) == repr(torch.nn.InstanceNorm1d(3))
        True
    """


class InstanceNorm2d(_Instance, torch.nn.InstanceNorm2d):
    """Instance norm over (N, C, H, W) or (C, H, W); see :class:`InstanceNorm1d`.

    Example:
        >>> y = InstanceNorm2d(3)(torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last))
        >>> y.is_contiguous(memory_format=torch.channels_last)
        True
    """


class InstanceNorm3d(_Instance, torch.nn.InstanceNorm3d):
    """Instance norm over (N, C, D, H, W) or (C, D, H, W); see :class:`InstanceNorm1d`."""


class _InstanceAct(_Instance):
    """Instance norm, residual and activation in one call."""

    act: str | None = "relu"
    negative_slope: float = 0.01
    alpha: float = 1.0

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        act: str | None = "relu",
        negative_slope: float = 0.01,
        alpha: float = 1.0,
        num_parameters: int = 1,
        init: float = 0.25,
        apply_act: bool = True,
        act_layer: type[torch.nn.Module] | None = None,
        act_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, **options)
        if act_layer is not None:
            given = dict(act_kwargs or {})
            act = activation_name(act_layer, given)
            negative_slope, alpha = given.get("negative_slope", 0.01), given.get("alpha", 1.0)
            num_parameters, init = given.get("num_parameters", 1), given.get("init", 0.25)
        act = act if apply_act else None
        if act is not None:
            checks.check_choice(act, "act", ACTIVATION_NAMES)
        self.act, self.negative_slope, self.alpha = act, negative_slope, alpha
        if act == "prelu":
            if num_parameters not in (1, num_features):
                raise InputError(f"num_parameters: expected 1 or {num_features}, got {num_parameters!r}")
            self.act_weight = torch.nn.Parameter(
                torch.full((num_parameters,), init, device=device, dtype=dtype or torch.get_default_dtype())
            )

    def _activation(self) -> dict[str, Any]:
        return {
            "act": self.act,
            "negative_slope": self.negative_slope,
            "alpha": self.alpha,
            "act_weight": self.act_weight if self.act == "prelu" else None,
        }

    def extra_repr(self) -> str:
        """Line of the norm, then the activation."""
        text = f"{super().extra_repr()}, act={self.act!r}"
        if self.act == "leaky_relu":
            text += f", negative_slope={self.negative_slope}"
        return text + (f", alpha={self.alpha}" if self.act == "elu" else "")


class InstanceNormAct1d(_InstanceAct, InstanceNorm1d):
    r"""Instance norm, residual and activation as one layer: ``act(norm(x) + residual)``.

    .. math:: y = act\Big(\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \gamma + \beta + r\Big)

    ``forward(x, residual=None)``. One full tensor is kept for backward instead of two; with prelu, two.

    Args:
        num_features: channels.
        eps: added to the variance.
        momentum: weight of the new running statistics.
        affine: learn a scale and a shift.
        track_running_stats: keep running statistics, and use them in evaluation.
        device: of the parameters.
        dtype: of the parameters.
        act: ``"relu"``, ``"leaky_relu"``, ``"prelu"``, ``"silu"``, ``"gelu"``, ``"elu"`` or None.
        negative_slope: of leaky_relu.
        alpha: of elu.
        num_parameters: slopes of prelu: 1, or one a channel.
        init: what they start at.
        apply_act: leave the activation out where False, as timm's layers do.
        act_layer: the activation as torch's class, as timm's layers take it; instead of ``act``.
        act_kwargs: arguments of ``act_layer``.
        **options: bias, eps_mode, correction, scale_offset and inplace of :class:`InstanceNorm1d`.

    Shape: (N, C, L) or (C, L); returns the same.

    Raises:
        UnknownNameError: no such activation.

    Example:
        >>> bool((InstanceNormAct1d(3)(torch.randn(2, 3, 8)) >= 0).all())
        True
    """


class InstanceNormAct2d(_InstanceAct, InstanceNorm2d):
    """Instance norm, residual and activation over (N, C, H, W); see :class:`InstanceNormAct1d`.

    Example:
        >>> InstanceNormAct2d(3, act="leaky_relu", negative_slope=0.2)(torch.rand(2, 3, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
    """


class InstanceNormAct3d(_InstanceAct, InstanceNorm3d):
    """Instance norm, residual and activation over (N, C, D, H, W); see :class:`InstanceNormAct1d`."""
