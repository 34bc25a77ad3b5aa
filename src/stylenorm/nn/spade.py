"""SPADE: scale and shift maps, predicted from a map of labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional import spade
from stylenorm.nn.conditional import check_count, check_rank
from stylenorm.nn.tracing import Leaf

__all__ = ["SPADE1d", "SPADE2d", "SPADE3d"]

CONVOLUTIONS = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
BATCH_NORMS = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


class _Spade(Leaf):
    dim: int

    def __init__(
        self,
        num_features: int,
        label_channels: int,
        hidden: int = 128,
        kernel_size: int = 3,
        norm: str = "instance",
        eps: float = 1e-5,
        *,
        scale_offset: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        checks.check_eps(eps)
        checks.check_choice(norm, "norm", ("batch", "instance", "sync-batch"))
        for name, value in (("num_features", num_features), ("label_channels", label_channels)):
            check_count(value, name)
        self.num_features, self.label_channels, self.eps = num_features, label_channels, eps
        self.norm, self.scale_offset = norm, scale_offset
        conv = CONVOLUTIONS[self.dim]
        padding = check_count(kernel_size, "kernel_size") // 2
        # The names are those of the reference code, so that its checkpoints load.
        self.param_free_norm: nn.Module | None = None
        if norm == "batch":
            self.param_free_norm = BATCH_NORMS[self.dim](num_features, eps, affine=False, device=device)
        elif norm == "sync-batch":
            self.param_free_norm = nn.SyncBatchNorm(num_features, eps, affine=False, device=device)
        self.mlp_shared = nn.Sequential(
            conv(label_channels, hidden, kernel_size, padding=padding, device=device, dtype=dtype), nn.ReLU()
        )
        self.mlp_gamma = conv(hidden, num_features, kernel_size, padding=padding, device=device, dtype=dtype)
        self.mlp_beta = conv(hidden, num_features, kernel_size, padding=padding, device=device, dtype=dtype)

    def forward(self, input: Tensor, labels: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize ``input`` and restyle it by ``labels``, which are resized to it by nearest neighbour."""
        check_rank(input, self.dim, self.num_features)
        checks.check_input(labels, "labels")
        if labels.dim() != self.dim or labels.shape[1] != self.label_channels or len(labels) != len(input):
            raise ShapeError(
                f"labels: expected ({len(input)}, {self.label_channels}, *spatial), got {tuple(labels.shape)}"
            )
        if labels.shape[2:] != input.shape[2:]:
            labels = F.interpolate(labels, size=input.shape[2:], mode="nearest")
        hidden = self.mlp_shared(labels)
        gamma, beta = self.mlp_gamma(hidden), self.mlp_beta(hidden)
        if self.param_free_norm is None:
            return spade(input, gamma, beta, eps=self.eps, scale_offset=self.scale_offset)
        normalized: Tensor = self.param_free_norm(input)
        y: Tensor = normalized * (self.scale_offset + gamma) + beta
        return y.to(input.dtype)

    def extra_repr(self) -> str:
        """Arguments, as they were given."""
        return (
            f"{self.num_features}, label_channels={self.label_channels}, norm={self.norm!r}, eps={self.eps}"
        )


class SPADE1d(_Spade):
    r"""Spatially adaptive normalization over (N, C, L); ``forward(x, labels)``.

    .. math:: y = \hat x\,(1 + \gamma(m)) + \beta(m)

    See :func:`stylenorm.functional.spade`. Two convolutions on a shared one predict the maps. Differs from
    the paper: the default norm is instance, as MONAI's; ``norm="sync-batch"`` is the paper's. Checkpoints of
    the reference code load.

    Args:
        num_features: channels.
        label_channels: channels of the labels.
        hidden: channels of the shared convolution.
        kernel_size: of all three.
        norm: ``"instance"``, ``"batch"`` or ``"sync-batch"``.
        eps: added to the variance.
        scale_offset: added to gamma.
        device: of the parameters.
        dtype: of the parameters.

    Shape: x (N, C, L); labels (N, label_channels, L'); returns as x.

    Raises:
        ShapeError: input or labels do not fit (message: expected, got).

    Reference: Park, Liu, Wang & Zhu 2019, arXiv:1903.07291.
    """

    dim = 3


class SPADE2d(_Spade):
    """Spatially adaptive normalization over (N, C, H, W); see :class:`SPADE1d`.

    Example:
        >>> SPADE2d(4, label_channels=3, hidden=8)(torch.rand(2, 4, 8, 8), torch.rand(2, 3, 16, 16)).shape
        torch.Size([2, 4, 8, 8])
    """

    dim = 4


class SPADE3d(_Spade):
    """Spatially adaptive normalization over (N, C, D, H, W); see :class:`SPADE1d`."""

    dim = 5
