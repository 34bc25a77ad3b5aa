"""Instance normalization: statistics of each sample and channel taken out, a scale and a shift put back."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.overrides import has_torch_function_variadic

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional._definition import compute_dtype, moments, pad, reciprocal_deviation
from stylenorm.functional._fused import norm_act, quick
from stylenorm.functional._modes import is_exporting, wants_definition
from stylenorm.functional._overriding import instance_norm_override
from stylenorm.functional._tracking import track
from stylenorm.kernels.activations import ACTIVATIONS, apply_activation
from stylenorm.kernels.c_norm import serves_compiler
from stylenorm.kernels.dispatch import choose, is_quick
from stylenorm.kernels.plain import is_plain, is_watched

__all__ = ["ACTIVATION_NAMES", "instance_norm"]

ACTIVATION_NAMES = (*sorted(ACTIVATIONS), "prelu")


def instance_norm(
    input: Tensor,  # noqa: A002 - torch's own name
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    statistics: tuple[Tensor, Tensor] | None = None,
    mask: Tensor | None = None,
    residual: Tensor | None = None,
    act: str | None = None,
    negative_slope: float = 0.01,
    alpha: float = 1.0,
    act_weight: Tensor | None = None,
    eps_mode: str = "inside",
    correction: int = 0,
    scale_offset: float = 0.0,
    out: Tensor | None = None,
    inplace: bool = False,
) -> Tensor:
    r"""Normalize each channel of each sample over its spatial axes.

    .. math:: y = act\Big(\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} (o + \gamma) + \beta + r\Big)

    Statistics run over the spatial axes of each sample and channel, biased (``correction=0``), in float32 for
    float16, bfloat16 and float32 and in float64 for float64, and the result is rounded once. The memory
    format of ``input`` is kept. The first eight arguments are torch's own, in their order.
    Differs from torch: a plane of one element is not refused but gives ``bias``, a constant plane gives
    exactly ``bias``, and an empty batch leaves the running statistics alone.

    Args:
        input: features; any range.
        running_mean: running mean, updated in place where ``use_input_stats``, else used.
        running_var: running variance (unbiased, as torch keeps it), likewise.
        weight: scale :math:`\gamma`, per channel, per sample and channel, or a map.
        bias: shift :math:`\beta`, likewise.
        use_input_stats: measure the statistics; else ``running_mean`` and ``running_var`` are used.
        momentum: weight of the new running statistics.
        eps: added to the variance (``eps_mode="inside"``) or to the deviation (``"outside"``); may be 0.
        statistics: (mean, variance) to use instead of measuring, each (C,) or (N, C): frozen statistics.
        mask: 1 where an element counts, 0 where it does not; where it does not, the result is still
            normalized with the statistics of the others.
        residual: added before the activation.
        act: ``"relu"``, ``"leaky_relu"``, ``"prelu"``, ``"silu"``, ``"gelu"``, ``"elu"`` or None.
        negative_slope: slope of ``leaky_relu``.
        alpha: of ``elu``.
        act_weight: the slopes of ``prelu``, (C,) or (1,).
        eps_mode: ``"inside"`` or ``"outside"`` the square root.
        correction: 0 divides the variance by L, 1 by L - 1.
        scale_offset: added to ``weight``; 1 for the :math:`(1 + \gamma)` convention.
        out: a tensor like ``input`` that the result is written to and that is returned; as with torch's own
            functions, only where no gradient is asked for. Large results cost their memory's first touch:
            a reused one is written several times as fast.
        inplace: write the result over ``input`` and return it. Where a gradient is asked for, what was
            overwritten must not be needed by anybody else, as torch checks, and gradients are computed from
            the output: one full tensor is kept, not two. That needs the C kernels, no residual, float32 or
            float64, no activation or one that can be inverted (leaky_relu, prelu), and shifts of at most 16
            times the scales (it loses at most 4 bits of what was normalized); otherwise a copy is kept.

    Shape:
        - input: (N, C, \*S) with one to three spatial axes, or more
        - weight, bias: (C,), (N, C) or (N, C, \*S); mask: broadcastable to input as (N, 1 or C, \*S)
        - returns (N, C, \*S), dtype, device and memory format of input

    Raises:
        ShapeError: a tensor has the wrong shape or dtype; the message says expected and got.
        InputError: an argument is out of its range, or arguments contradict each other.
        RuntimeError: ``out`` where a gradient is asked for; in backward, a second derivative of ``inplace``.

    Reference: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.

    Example:
        >>> x = torch.arange(8.0).reshape(1, 2, 2, 2)
        >>> instance_norm(x, eps=0.0).flatten()[:4]
        tensor([-1.3416, -0.4472,  0.4472,  1.3416])
        >>> instance_norm(x, bias=torch.tensor([0.0, 5.0]), act="relu").amin((2, 3))
        tensor([[0.0000, 3.6584]])
    """
    x = input
    if has_torch_function_variadic(
        x, running_mean, running_var, weight, bias, mask, residual, act_weight, out
    ):  # torch asks the same in its own functions
        return instance_norm_override(
            instance_norm, x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps,
            statistics=statistics, mask=mask, residual=residual, act=act, negative_slope=negative_slope,
            alpha=alpha, act_weight=act_weight, eps_mode=eps_mode, correction=correction,
            scale_offset=scale_offset, out=out, inplace=inplace,
        )  # fmt: skip
    if (
        running_mean is None and running_var is None and statistics is None and mask is None
        and act_weight is None and out is None and not inplace
        and use_input_stats is True and not correction
        and eps_mode == "inside" and scale_offset == 0 and not torch.compiler.is_compiling() and is_quick()
    ):  # fmt: skip
        y = quick(x, weight, bias, residual, eps, act, alpha if act == "elu" else negative_slope)
        if y is not None:
            return y
    checks.check_input(x)
    checks.check_eps(eps)
    checks.check_choice(eps_mode, "eps_mode", ("inside", "outside"))
    checks.check_choice(correction, "correction", (0, 1))
    checks.check_affine(weight, "weight", x)
    checks.check_affine(bias, "bias", x)
    _check_activation(act, act_weight, x)
    if residual is not None:
        checks.check_like(residual, "residual", x, tuple(x.shape))
    for name, value in (("running_mean", running_mean), ("running_var", running_var)):
        if value is not None:
            checks.check_like(value, name, x, (x.shape[1],))
    if (running_mean is None) != (running_var is None):
        raise InputError("running_mean, running_var: expected both or neither, got one of them")
    if not use_input_stats and statistics is None:
        if running_mean is None or running_var is None:
            raise InputError("use_input_stats=False: expected running_mean and running_var, got None")
        statistics = (running_mean, running_var)
    elif statistics is not None:
        _check_statistics(statistics, x, mask)
    if mask is not None:
        mask = checks.check_mask(mask, x)
    if scale_offset:
        weight = None if weight is None else weight + scale_offset
    if out is not None or inplace:
        _check_target(out, inplace, x, (weight, bias, residual, act_weight))
    slope = alpha if act == "elu" else negative_slope
    measured = running_mean if use_input_stats and statistics is None else None

    definition = wants_definition(x)
    if is_exporting() and measured is None and _exports(statistics, mask, eps_mode, correction):
        y = _exported(x, weight, bias, statistics, eps)
        y = apply_activation(y if residual is None else y + residual, act, slope, act_weight)
        return _delivered(y, x, out, inplace)
    if mask is None and not definition and (eps_mode == "inside" or statistics is not None):
        y = _fast(x, weight, bias, statistics, residual, act, slope, act_weight, eps, eps_mode, correction,
                  out, inplace, measured, running_var, momentum)  # fmt: skip
        if y is not None:
            return y

    xf = x.to(compute_dtype(x.dtype))
    if not definition and x.numel() == 0:
        y = _put_back(xf * 1, weight, bias, residual, act, slope, act_weight).to(x.dtype)
        return _delivered(y, x, out, inplace)
    if statistics is not None:
        mean, var = (_spread(s, xf) for s in statistics)
        centred = xf - mean
    else:
        dims = tuple(range(2, x.dim()))
        mean, var, centred = moments(xf, dims, correction=correction, weights=mask)
        if measured is not None and running_var is not None:
            biased = var if not correction else centred.square().mean(dims, keepdim=True)
            length = math.prod(x.shape[2:])
            track(
                measured, running_var, mean.detach().flatten(1), biased.detach().flatten(1), length, momentum
            )
    scale = reciprocal_deviation(var, eps, eps_mode)
    if weight is not None and weight.dim() <= 2:  # a few numbers more here are a pass over the features less
        scale, weight = scale * _spread(weight, xf), None
    y = _put_back(centred * scale, weight, bias, residual, act, slope, act_weight).to(x.dtype)
    return _delivered(y, x, out, inplace)


def _fast(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, statistics: tuple[Tensor, Tensor] | None,
    residual: Tensor | None, act: str | None, slope: float, act_weight: Tensor | None, eps: float,
    eps_mode: str, correction: int, out: Tensor | None, inplace: bool, running_mean: Tensor | None,
    running_var: Tensor | None, momentum: float,
) -> Tensor | None:  # fmt: skip
    """By the operator; None where the definition serves better."""
    narrow = all(v is None or v.dim() <= 2 for v in (weight, bias))
    prelu = act == "prelu"
    if torch.compiler.is_compiling():
        direct = False
        if prelu or statistics is not None or not narrow or not serves_compiler(x, act):
            return None
    else:
        kernel = choose(x, weight, bias, residual, act if narrow else None)
        if (prelu or statistics is not None) and not (kernel.extended and narrow):
            if statistics is not None:
                return None
            narrow = False
        tensors = (x, weight, bias, residual, act_weight, out, *(statistics or ()))
        direct = kernel.extended and not is_watched() and all(v is None or is_plain(v) for v in tensors)
    given = None
    if statistics is not None:
        if torch.is_grad_enabled() and any(s.requires_grad for s in statistics):
            return None
        mean, var = (s.to(compute_dtype(x.dtype)).expand(x.shape[:2]) for s in statistics)
        given = torch.stack((mean, torch.zeros_like(mean), reciprocal_deviation(var, eps, eps_mode)))
    keep = running_mean is not None
    if narrow:
        y, stats = norm_act(
            x, weight, bias, residual, eps, correction, act, slope, direct=direct, slopes=act_weight,
            given=given, out=out, inplace=inplace, keep=keep,
        )  # fmt: skip
    else:
        wide = x.to(compute_dtype(x.dtype))
        y, stats = norm_act(wide, None, None, None, eps, correction, None, 0.0, direct=direct, keep=keep)
        y = _put_back(y, weight, bias, residual, act, slope, act_weight).to(x.dtype)
        y = _delivered(y, x, out, inplace)
    if running_mean is not None and running_var is not None and stats is not None:
        pivot, above, rstd = stats.detach().double().unbind()
        length = math.prod(x.shape[2:])
        ratio = (length - 1) / length if correction and length > 1 else 1.0
        var = (rstd.square().reciprocal() - eps * ratio).clamp_min(0)
        track(running_mean, running_var, pivot + above, var, length, momentum)
    return y


def _delivered(y: Tensor, x: Tensor, out: Tensor | None, inplace: bool) -> Tensor:
    """The result where it was asked for."""
    if inplace:
        return x.copy_(y)
    return y if out is None else out.copy_(y)


def _spread(value: Tensor, x: Tensor) -> Tensor:
    """A (C,), (N, C) or (N, C, *S) tensor, in the type of ``x`` and broadcastable against it."""
    value = value.to(x.dtype)
    if value.dim() == 1:
        value = value.unsqueeze(0)
    return pad(value, x) if value.dim() == 2 else value


def _put_back(
    y: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    act: str | None,
    slope: float,
    act_weight: Tensor | None,
) -> Tensor:
    """Scale, shift, residual and activation of a normalized tensor, differentiable."""
    if weight is not None:
        y = y * _spread(weight, y)
    if bias is not None:
        y = y + _spread(bias, y)
    if residual is not None:
        y = y + residual.to(y.dtype)
    return apply_activation(y, act, slope, act_weight)


def _exports(
    statistics: tuple[Tensor, Tensor] | None,
    mask: Tensor | None,
    eps_mode: str,
    correction: int,
) -> bool:
    """Whether the call is within what ``aten.instance_norm`` says, so that exporters know the operator."""
    flat = statistics is None or all(s.dim() == 1 for s in statistics)
    return flat and mask is None and eps_mode == "inside" and correction == 0


def _exported(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: tuple[Tensor, Tensor] | None,
    eps: float,
) -> Tensor:
    """``aten.instance_norm``, with everything inside it that it can hold.

    Scale and shift go in as (C,), also when they come as (1, C) or, for a batch that is known to be 1, as
    (N, C); otherwise they become a multiplication and an addition behind it.
    """
    one = isinstance(x.shape[0], int) and x.shape[0] == 1
    inside = all(v is None or v.dim() == 1 or (v.dim() == 2 and one) for v in (weight, bias))
    w, b = (None if v is None or not inside else v.reshape(-1).to(x.dtype) for v in (weight, bias))
    mean, var = statistics if statistics is not None else (None, None)
    y = torch.instance_norm(x, w, b, mean, var, statistics is None, 0.0, eps, False)
    return y if inside else _put_back(y, weight, bias, None, None, 0.0, None)


def _check_activation(act: str | None, act_weight: Tensor | None, x: Tensor) -> None:
    if act is None or act != "prelu":
        if act is not None:
            checks.check_choice(act, "act", ACTIVATION_NAMES)
        if act_weight is not None:
            raise InputError(f"act_weight: expected None unless act='prelu', got a tensor with act={act!r}")
        return
    if act_weight is None:
        raise InputError(f"act_weight: expected the slopes of prelu, shape (1,) or ({x.shape[1]},), got None")
    if tuple(act_weight.shape) not in ((1,), (x.shape[1],)):
        raise ShapeError(f"act_weight: expected shape (1,) or ({x.shape[1]},), got {tuple(act_weight.shape)}")
    checks.check_device(act_weight, "act_weight", x)


def _check_target(out: Tensor | None, inplace: bool, x: Tensor, others: tuple[Tensor | None, ...]) -> None:
    if out is None:
        return
    if inplace:
        raise InputError("out: expected None with inplace=True, got a tensor")
    checks.check_like(out, "out", x, tuple(x.shape))
    if out.dtype != x.dtype:
        raise ShapeError(f"out: expected dtype {x.dtype} (that of the input), got {out.dtype}")
    if torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in (x, *others, out)):
        raise RuntimeError(
            "instance_norm(out=...): expected that no gradient is asked for, got an argument that requires "
            "one; call it under torch.no_grad(), or without out"
        )
    for name, other in (
        ("input", x),
        *(("residual", v) for v in others if v is not None and v.dim() == x.dim()),
    ):
        same = out.data_ptr() == other.data_ptr() and out.stride() == other.stride()
        if not same and _overlap(out, other):
            raise InputError(f"out: expected the {name} itself or other memory, got a part of its memory")


def _overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors may share memory: whether the ranges that they lie in do."""
    if a.device != b.device or not a.numel() or not b.numel() or a.device.type == "meta":
        return False
    ranges = []
    for t in (a, b):
        last = sum((size - 1) * stride for size, stride in zip(t.shape, t.stride(), strict=True))
        ranges.append((t.data_ptr(), t.data_ptr() + (last + 1) * t.element_size()))
    return ranges[0][0] < ranges[1][1] and ranges[1][0] < ranges[0][1]


def _check_statistics(statistics: tuple[Tensor, Tensor], x: Tensor, mask: Tensor | None) -> None:
    if not isinstance(statistics, (tuple, list)) or len(statistics) != 2:
        raise InputError(f"statistics: expected a pair (mean, variance), got {type(statistics).__name__}")
    checks.check_affine(statistics[0], "statistics[0] (mean)", x, maps=False)
    checks.check_affine(statistics[1], "statistics[1] (variance)", x, maps=False)
    if statistics[0] is None or statistics[1] is None:
        raise InputError("statistics: expected a pair of tensors (mean, variance), got None in it")
    if mask is not None:
        raise InputError("mask: expected None where statistics are given, got a tensor")
