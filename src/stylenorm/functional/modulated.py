"""StyleGAN's layers: a convolution whose weights a style scales, and the norm of a pixel's feature vector."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional._definition import compute_dtype

__all__ = ["modulated_conv2d", "pixel_norm"]


def modulated_conv2d(
    input: Tensor,  # noqa: A002 - torch's own name
    weight: Tensor,
    style: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    transposed: bool = False,
    demodulate: bool = True,
    eps: float = 1e-8,
    scale_offset: float = 0.0,
    prescale: bool | None = None,
) -> Tensor:
    r"""Convolve each sample with weights scaled by its own style: instance norm, moved into the weights.

    .. math:: w'_{oik} = (o + s_i)\,w_{oik},\qquad w'' = w' \Big/ \sqrt{\sum_{ik} w'^2_{oik} + \epsilon}

    No statistics of the input are taken: the deviation that it would have, were its channels independent and
    of unit variance, is divided out. Computed as scale, shared convolution, scale, which is equal to a
    grouped convolution with one group a sample. Differs from the reference code: no up- or downsampling
    filter is in it.

    Args:
        input: features.
        weight: the shared weights.
        style: scale of each input channel, one row a sample.
        bias: added behind.
        stride: of the convolution.
        padding: zeros around the input.
        transposed: convolve as ``conv_transpose2d`` does, which with a stride of 2 doubles the picture; the
            weight's axes stay as they are.
        demodulate: divide by the expected deviation.
        eps: added inside the root.
        scale_offset: added to ``style``: 1 where the affine map of the style starts at 0 (the first code), 0
            where its bias starts at 1 (the later code).
        prescale: scale weight and style before, so that float16 cannot overflow; None does so for float16.
            The result is the same in exact arithmetic, but for ``eps``.

    Shape: input (N, I, H, W); weight (O, I, kh, kw); style (N, I) or (1, I); bias (O,); returns (N, O, H',
        W').

    Raises:
        ShapeError: the shapes do not fit together (message: expected, got).
        InputError: an argument is out of its range.

    Reference: Karras et al. 2020, arXiv:1912.04958, eq. 1 and 3.

    Example:
        >>> x, w = torch.rand(2, 3, 8, 8), torch.rand(4, 3, 3, 3)
        >>> y = modulated_conv2d(x, w, torch.rand(2, 3), padding=1)
        >>> tuple(y.shape)
        (2, 4, 8, 8)
    """
    checks.check_input(input, min_dim=4)
    if input.dim() != 4:
        raise ShapeError(f"input: expected (N, I, H, W), got {tuple(input.shape)}")
    if not isinstance(weight, Tensor) or weight.dim() != 4 or weight.shape[1] != input.shape[1]:
        came = tuple(weight.shape) if isinstance(weight, Tensor) else type(weight).__name__
        raise ShapeError(f"weight: expected (O, {input.shape[1]}, kh, kw), got {came}")
    if not isinstance(style, Tensor) or tuple(style.shape) not in (
        (input.shape[0], input.shape[1]),
        (1, input.shape[1]),
    ):
        came = tuple(style.shape) if isinstance(style, Tensor) else type(style).__name__
        raise ShapeError(f"style: expected shape ({input.shape[0]}, {input.shape[1]}), got {came}")
    if bias is not None:
        checks.check_like(bias, "bias", input, (weight.shape[0],))
    checks.check_eps(eps)
    if not isinstance(stride, int) or stride < 1 or not isinstance(padding, int) or padding < 0:
        raise InputError(f"stride, padding: expected integers >= 1 and >= 0, got {stride!r}, {padding!r}")

    dtype = compute_dtype(input.dtype)
    w, s = weight.to(dtype), style.to(dtype) + scale_offset
    if demodulate and (input.dtype == torch.float16 if prescale is None else prescale):
        fan_in = w[0].numel()
        w = w / (fan_in**0.5 * w.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-30))
        s = s / s.abs().amax(1, keepdim=True).clamp_min(1e-30)
    x = (input.to(dtype) * s[:, :, None, None]).to(input.dtype)
    if transposed:
        y = F.conv_transpose2d(x, w.to(input.dtype).transpose(0, 1), stride=stride, padding=padding)
    else:
        y = F.conv2d(x, w.to(input.dtype), stride=stride, padding=padding)
    if demodulate:
        energy = s.square() @ w.square().sum((2, 3)).t()  # (N, I) by (I, O)
        y = y * (energy + eps).rsqrt()[:, :, None, None].to(y.dtype)
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


def pixel_norm(input: Tensor, eps: float = 1e-8) -> Tensor:  # noqa: A002 - torch's own name
    r"""Divide the feature vector of each place by its root mean square over the channels.

    .. math:: y = x \Big/ \sqrt{\tfrac{1}{C}\sum_c x_c^2 + \epsilon}

    In float32 or better, rounded once. There is neither batch nor space in it.

    Args:
        input: features (N, C, \*S), or style vectors (N, C).
        eps: added to the mean square.

    Shape: input (N, C) or (N, C, \*S); returns the same.

    Raises:
        ShapeError: input has fewer than two axes or is not floating.
        InputError: eps is negative.

    Reference: Karras, Aila, Laine & Lehtinen 2018, arXiv:1710.10196, section 4.2.

    Example:
        >>> pixel_norm(torch.tensor([[3.0, -3.0]]), eps=0.0)
        tensor([[ 1., -1.]])
    """
    checks.check_input(input, min_dim=2)
    checks.check_eps(eps)
    x = input.to(compute_dtype(input.dtype))
    square = x.square().mean(1, keepdim=True)
    return (x * (square + max(eps, torch.finfo(x.dtype).tiny)).rsqrt()).to(input.dtype)
