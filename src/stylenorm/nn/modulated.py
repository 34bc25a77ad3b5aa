"""StyleGAN's layers as modules."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stylenorm.errors import ShapeError
from stylenorm.functional import modulated_conv2d, pixel_norm
from stylenorm.nn.conditional import check_count
from stylenorm.nn.tracing import Leaf

__all__ = ["ModulatedConv2d", "PixelNorm"]


class ModulatedConv2d(Leaf):
    """A convolution whose weights are scaled by a style vector, and demodulated.

    See :func:`stylenorm.functional.modulated_conv2d`. The affine map of the style starts at a scale of one.
    The weights are drawn from the unit normal and scaled by ``1 / sqrt(fan_in)`` at run time, as the paper's
    equalized learning rate has it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd; the picture keeps its size.
        style_dim: length of the style vector.
        demodulate: divide by the expected deviation (off in the layer to RGB).
        bias: add a bias.
        device: of the parameters.
        dtype: of the parameters.

    Shape: x (N, I, H, W), w (N, style_dim); returns (N, O, H, W).

    Raises:
        ShapeError: input or style does not fit (message: expected, got).

    Reference: Karras et al. 2020, arXiv:1912.04958.

    Example:
        >>> ModulatedConv2d(3, 4, 3, style_dim=8)(torch.rand(2, 3, 8, 8), torch.rand(2, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, value in (
            ("in_channels", in_channels),
            ("out_channels", out_channels),
            ("kernel_size", kernel_size),
            ("style_dim", style_dim),
        ):
            check_count(value, name)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.style_dim, self.demodulate = kernel_size, style_dim, demodulate
        size = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(size, device=device, dtype=dtype))
        self.gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.affine = nn.Linear(style_dim, in_channels, device=device, dtype=dtype)
        nn.init.ones_(self.affine.bias)
        self.bias = nn.Parameter(torch.zeros(out_channels, device=device, dtype=dtype)) if bias else None

    def forward(self, input: Tensor, style: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Convolve (N, I, H, W) in the style (N, style_dim)."""
        if style.dim() != 2 or style.shape[1] != self.style_dim:
            raise ShapeError(f"style: expected (N, {self.style_dim}), got {tuple(style.shape)}")
        return modulated_conv2d(
            input, self.weight * self.gain, self.affine(style), self.bias,
            padding=self.kernel_size // 2, demodulate=self.demodulate,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Arguments, as they were given."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"style_dim={self.style_dim}, demodulate={self.demodulate}"
        )


class PixelNorm(Leaf):
    """Divide the feature vector of each place by its root mean square; see the function ``pixel_norm``.

    Args:
        eps: added to the mean square.

    Shape: (N, C) or (N, C, *S); returns the same.

    Reference: Karras, Aila, Laine & Lehtinen 2018, arXiv:1710.10196.

    Example:
        >>> PixelNorm(eps=0.0)(torch.tensor([[3.0, -3.0]]))
        tensor([[ 1., -1.]])
    """

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize (N, C) or (N, C, *S)."""
        return pixel_norm(input, self.eps)

    def extra_repr(self) -> str:
        """Arguments, as they were given."""
        return f"eps={self.eps}"
