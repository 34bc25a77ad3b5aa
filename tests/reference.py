"""Float64 oracles in numpy, written from the formulas. They never call the code under test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray


def f64(value: Any) -> Array:
    """Any array or tensor as float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)


def erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def activation(
    z: Array, act: str | None, slope: float = 0.01, alpha: float = 1.0, weight: Any = None
) -> Array:
    if act is None:
        return z
    if act == "relu":
        return np.where(z > 0, z, 0)
    if act == "leaky_relu":
        return np.where(z > 0, z, slope * z)
    if act == "silu":
        return z / (1 + np.exp(-z))
    if act == "gelu":
        return z * 0.5 * (1 + erf(z / math.sqrt(2)))
    if act == "elu":
        return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))
    if act == "prelu":
        return np.where(z > 0, z, channel(weight, z) * z)
    raise ValueError(act)


def channel(value: Any, x: Array) -> Array:
    """(C,), (N, C) or a map, broadcastable against x."""
    v = f64(value)
    if v.ndim == 1:
        v = v[None]
    return v.reshape(v.shape + (1,) * (x.ndim - v.ndim)) if v.ndim == 2 else v


def plane_moments(x: Array, correction: int = 0, mask: Any = None) -> tuple[Array, Array]:
    """Mean and variance of every (sample, channel), exactly rounded sums."""
    n, c = x.shape[:2]
    mean, var = np.zeros((n, c)), np.zeros((n, c))
    weights = np.broadcast_to(np.ones(()) if mask is None else f64(mask), x.shape)
    for i in range(n):
        for j in range(c):
            v, w = x[i, j].ravel(), weights[i, j].ravel()
            total = math.fsum(w)
            if total == 0:
                continue
            mean[i, j] = math.fsum(v * w) / total
            var[i, j] = math.fsum(w * (v - mean[i, j]) ** 2) / max(total - correction, 1)
    return mean, var


def inverse(var: Array, eps: float, eps_mode: str = "inside") -> Array:
    spread = np.sqrt(var + eps) if eps_mode == "inside" else np.sqrt(var) + eps
    return np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0)


def instance_norm(
    x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *, eps_mode: str = "inside",
    correction: int = 0, scale_offset: float = 0.0, mask: Any = None, statistics: Any = None,
    residual: Any = None, act: str | None = None, slope: float = 0.01, alpha: float = 1.0,
    act_weight: Any = None,
) -> Array:  # fmt: skip
    x = f64(x)
    if statistics is None:
        mean, var = plane_moments(x, correction, mask)
    else:
        mean, var = f64(statistics[0]), f64(statistics[1])
    y = (x - channel(mean, x)) * channel(inverse(var, eps, eps_mode), x)
    if weight is not None:
        y = y * (channel(weight, x) + scale_offset)
    if bias is not None:
        y = y + channel(bias, x)
    if residual is not None:
        y = y + f64(residual)
    return activation(y, act, slope, alpha, act_weight)


def adaptive_instance_norm(
    content: Any, style: Any, eps: float = 1e-5, eps_mode: str = "inside", correction: int = 0
) -> Array:
    style = f64(style)
    mean, var = plane_moments(style, correction)
    deviation = np.sqrt(var + eps) if eps_mode == "inside" else np.sqrt(var) + eps
    return instance_norm(content, deviation, mean, eps, eps_mode=eps_mode, correction=correction)


def filter_response_norm(
    x: Any, weight: Any = None, bias: Any = None, threshold: Any = None, eps: float = 1e-6
) -> Array:
    x = f64(x)
    square = np.mean(x**2, tuple(range(2, x.ndim)), keepdims=True)
    y = x / np.sqrt(square + abs(eps))
    y = y if weight is None else y * channel(weight, x)
    y = y if bias is None else y + channel(bias, x)
    return y if threshold is None else np.maximum(y, channel(threshold, x))


def batch_norm(x: Array, eps: float = 1e-5, statistics: Any = None) -> Array:
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes) if statistics is None else f64(statistics[0])
    var = x.var(axes) if statistics is None else f64(statistics[1])
    return (x - channel(mean, x)) / np.sqrt(channel(var, x) + eps)


def batch_instance_norm(
    x: Any, gate: Any, weight: Any, bias: Any, eps: float = 1e-5, statistics: Any = None
) -> Array:
    x = f64(x)
    rho = channel(gate, x)
    mixed = rho * batch_norm(x, eps, statistics) + (1 - rho) * instance_norm(x, eps=eps)
    return mixed * channel(weight, x) + channel(bias, x)


def softmax(x: Any) -> Array:
    e = np.exp(f64(x))
    return e / e.sum()


def switchable_norm(
    x: Any, mean_weight: Any, var_weight: Any, weight: Any, bias: Any, eps: float = 1e-5, correction: int = 0,
    statistics: Any = None,
) -> Array:  # fmt: skip
    x = f64(x)
    mu, var = plane_moments(x, correction)
    # As the paper has it: layer and batch statistics from the raw moments of the instances.
    raw = var + mu**2
    mu_ln, mu_bn = mu.mean(1, keepdims=True), mu.mean(0, keepdims=True)
    var_ln = raw.mean(1, keepdims=True) - mu_ln**2
    var_bn = raw.mean(0, keepdims=True) - mu_bn**2
    if statistics is not None:
        mu_bn, var_bn = f64(statistics[0])[None], f64(statistics[1])[None]
    p, q = softmax(mean_weight), softmax(var_weight)
    means, variances = (mu, mu_ln, mu_bn)[: len(p)], (var, var_ln, var_bn)[: len(p)]
    mean = sum(w * m for w, m in zip(p, means, strict=True))
    total = sum(w * v for w, v in zip(q, variances, strict=True))
    y = (x - channel(mean, x)) / np.sqrt(channel(total, x) + eps)
    return y * channel(weight, x) + channel(bias, x)


def conv2d(x: Array, w: Array, stride: int = 1, padding: int = 0) -> Array:
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nihwkl,oikl->nohw", windows, w)


def modulated_conv2d(
    x: Any, weight: Any, style: Any, bias: Any = None, *, stride: int = 1, padding: int = 0,
    demodulate: bool = True, eps: float = 1e-8, scale_offset: float = 0.0,
) -> Array:  # fmt: skip
    """One convolution a sample, with that sample's own weights, as the paper writes it."""
    x, weight, style = f64(x), f64(weight), np.broadcast_to(f64(style), (len(x), np.shape(x)[1]))
    out = []
    for sample, s in zip(x, style, strict=True):
        w = weight * (s + scale_offset)[None, :, None, None]
        if demodulate:
            w = w / np.sqrt((w**2).sum((1, 2, 3), keepdims=True) + eps)
        out.append(conv2d(sample[None], w, stride, padding)[0])
    y = np.stack(out)
    return y if bias is None else y + channel(bias, y)


def pixel_norm(x: Any, eps: float = 1e-8) -> Array:
    x = f64(x)
    return x / np.sqrt((x**2).mean(1, keepdims=True) + eps)
