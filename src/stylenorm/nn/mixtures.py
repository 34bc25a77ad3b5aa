"""Norms that mix instance statistics with those of other axes: batch-instance, switchable, IBN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.functional import _checks as checks
from stylenorm.functional import batch_instance_norm, switchable_norm
from stylenorm.functional._modes import is_batched
from stylenorm.nn.conditional import check_count, check_rank
from stylenorm.nn.instance_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from stylenorm.nn.tracing import Leaf

__all__ = [
    "IBN",
    "BatchInstanceNorm1d",
    "BatchInstanceNorm2d",
    "BatchInstanceNorm3d",
    "SwitchableNorm1d",
    "SwitchableNorm2d",
    "SwitchableNorm3d",
]


class _Tracking(Leaf):
    """Parameters and running statistics of a norm that looks at the batch in training."""

    dim: int
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        checks.check_eps(eps)
        self.num_features = check_count(num_features, "num_features")
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype))
        self.register_buffer("running_mean", torch.zeros(num_features, device=device, dtype=dtype))
        self.register_buffer("running_var", torch.ones(num_features, device=device, dtype=dtype))
        self.register_buffer("num_batches_tracked", torch.tensor(0, device=device))

    def extra_repr(self) -> str:
        """Arguments, as they were given."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class _BatchInstance(_Tracking):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, device, dtype)
        self.gate = nn.Parameter(torch.ones(num_features, device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize (N, C, *S)."""
        check_rank(input, self.dim, self.num_features)
        if self.training:
            self.num_batches_tracked.add_(1)
        return batch_instance_norm(
            input, self.gate, self.running_mean, self.running_var, self.weight, self.bias,
            self.training, self.momentum, self.eps,
        )  # fmt: skip

    @torch.no_grad()
    def clip_gate(self) -> None:
        """Bring the gate back into 0..1; the paper does so after every step of the optimizer."""
        self.gate.clamp_(0, 1)


class BatchInstanceNorm1d(_BatchInstance):
    r"""Batch-instance norm over (N, C, L).

    .. math:: y = \gamma\,\big(\rho\,\hat x_{BN} + (1 - \rho)\,\hat x_{IN}\big) + \beta

    See :func:`stylenorm.functional.batch_instance_norm`. The gate starts at 1, which is batch norm; call
    :meth:`clip_gate` after each step of the optimizer.

    Args:
        num_features: channels.
        eps: added to both variances.
        momentum: weight of the new running statistics.
        device: of the parameters.
        dtype: of the parameters.

    Shape: (N, C, L); returns the same.

    Raises:
        ShapeError: input does not fit (message: expected, got).

    Reference: Nam & Kim 2018, arXiv:1805.07925.
    """

    dim = 3


class BatchInstanceNorm2d(_BatchInstance):
    """Batch-instance norm over (N, C, H, W); see :class:`BatchInstanceNorm1d`.

    Example:
        >>> BatchInstanceNorm2d(4)(torch.rand(2, 4, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    dim = 4


class BatchInstanceNorm3d(_BatchInstance):
    """Batch-instance norm over (N, C, D, H, W); see :class:`BatchInstanceNorm1d`."""

    dim = 5


class _Switchable(_Tracking):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        use_batch: bool = True,
        correction: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, device, dtype)
        checks.check_choice(correction, "correction", (0, 1))
        self.use_batch, self.correction = use_batch, correction
        parts = 3 if use_batch else 2
        self.mean_weight = nn.Parameter(torch.ones(parts, device=device, dtype=dtype))
        self.var_weight = nn.Parameter(torch.ones(parts, device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize (N, C, *S)."""
        check_rank(input, self.dim, self.num_features)
        if self.training:
            self.num_batches_tracked.add_(1)
        return switchable_norm(
            input, self.mean_weight, self.var_weight, self.running_mean, self.running_var, self.weight,
            self.bias, self.training, self.momentum, self.eps, correction=self.correction,
        )  # fmt: skip


class SwitchableNorm1d(_Switchable):
    """Switchable norm over (N, C, L): a learned mixture of instance, layer and batch statistics.

    See :func:`stylenorm.functional.switchable_norm`, also for where the reference code differs. There, the
    running variance starts at 0; here at 1, as everywhere in torch.

    Args:
        num_features: channels.
        eps: added to the mixed variance.
        momentum: weight of the new running statistics (torch's sense).
        use_batch: mix batch statistics in.
        correction: 0 divides the instance variance by L, 1 by L - 1.
        device: of the parameters.
        dtype: of the parameters.

    Shape: (N, C, L); returns the same.

    Raises:
        ShapeError: input does not fit (message: expected, got).

    Reference: Luo, Ren, Peng, Zhang & Li 2019, arXiv:1806.10779.
    """

    dim = 3


class SwitchableNorm2d(_Switchable):
    """Switchable norm over (N, C, H, W); see :class:`SwitchableNorm1d`.

    Example:
        >>> SwitchableNorm2d(4)(torch.rand(2, 4, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    dim = 4


class SwitchableNorm3d(_Switchable):
    """Switchable norm over (N, C, D, H, W); see :class:`SwitchableNorm1d`."""

    dim = 5


class IBN(Leaf):
    """Instance norm on the first channels, batch norm on the rest: appearance out, content kept.

    The parts are called ``IN`` and ``BN`` as in the reference code, so that its checkpoints load.

    Args:
        num_features: channels.
        ratio: share of the channels that get instance norm.
        rank: spatial axes: 1, 2 or 3.
        eps: added to the variances.
        momentum: of the batch norm's running statistics.
        device: of the parameters.
        dtype: of the parameters.

    Shape: (N, C, *S) with ``rank`` spatial axes; returns the same.

    Raises:
        InputError: ratio leaves one of the parts without a channel, or rank is none of 1, 2, 3.
        ShapeError: input does not fit (message: expected, got).

    Reference: Pan, Luo, Shi & Tang 2018, arXiv:1807.09441.

    Example:
        >>> IBN(4)(torch.rand(2, 4, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(
        self,
        num_features: int,
        ratio: float = 0.5,
        rank: int = 2,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count(num_features, "num_features")
        checks.check_choice(rank, "rank", (1, 2, 3))
        self.num_features, self.rank, self.num_instance = num_features, rank, int(num_features * ratio)
        if not 0 < self.num_instance < num_features:
            raise InputError(f"ratio: expected a share that leaves both parts a channel, got {ratio!r}")
        instance = {1: InstanceNorm1d, 2: InstanceNorm2d, 3: InstanceNorm3d}[rank]
        batch = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[rank]
        self.IN = instance(self.num_instance, eps, affine=True, device=device, dtype=dtype)
        rest = num_features - self.num_instance
        self.BN = batch(rest, eps, momentum, device=device, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize (N, C, *S)."""
        check_rank(input, self.rank + 2, self.num_features)
        layout = torch.contiguous_format
        for rank, other in ((2, torch.channels_last), (3, torch.channels_last_3d)):
            # A vmapped tensor does not say how it lies.
            known = self.rank == rank and not is_batched(input)
            if known and input.is_contiguous(memory_format=other) and not input.is_contiguous():
                layout = other
        # split, whose backward joins, keeps the layout in the gradient; slices would not.
        sizes = [self.num_instance, self.num_features - self.num_instance]
        first, rest = (p.contiguous(memory_format=layout) for p in torch.split_with_sizes(input, sizes, 1))
        joined = torch.cat([self.IN(first), self.BN(rest)], 1)
        return joined.contiguous(memory_format=layout)
