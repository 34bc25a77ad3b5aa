"""Filter response norm and the thresholded linear unit as modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stylenorm.functional import _checks as checks
from stylenorm.functional import filter_response_norm, thresholded_linear_unit
from stylenorm.nn.conditional import check_count, check_rank
from stylenorm.nn.renaming import AFFINE, rename
from stylenorm.nn.tracing import Leaf

__all__ = ["FilterResponseNorm1d", "FilterResponseNorm2d", "FilterResponseNorm3d", "ThresholdedLinearUnit"]


class ThresholdedLinearUnit(Leaf):
    r"""A rectifier with a learned threshold: :math:`\max(x, \tau)`; :math:`\tau` starts at 0.

    See :func:`stylenorm.functional.thresholded_linear_unit`.

    Args:
        num_features: channels.
        device: of the parameter.
        dtype: of the parameter.

    Shape: (N, C, \*S); returns the same.

    Reference: Singh & Krishnan 2020, arXiv:1911.09737, eq. 3.

    Example:
        >>> ThresholdedLinearUnit(1)(torch.tensor([[[-1.0, 1.0]]]))
        tensor([[[0., 1.]]], grad_fn=<MaximumBackward0>)
    """

    def __init__(
        self, num_features: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.num_features = check_count(num_features, "num_features")
        self.threshold = nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Rectify (N, C, *S)."""
        return thresholded_linear_unit(input, self.threshold)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load, also by the paper's name of the threshold."""
        rename(self, state_dict, prefix, {"tau": "threshold"})
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        """Arguments, as they were given."""
        return str(self.num_features)


class _FilterResponse(Leaf):
    dim: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-6,
        *,
        learn_eps: bool = False,
        threshold: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        checks.check_eps(eps)
        self.num_features, self.eps = check_count(num_features, "num_features"), eps
        self.weight = nn.Parameter(torch.ones(num_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype))
        zeros = torch.zeros(num_features, device=device, dtype=dtype)
        self.threshold = nn.Parameter(zeros) if threshold else None
        self.learned_eps = nn.Parameter(zeros.new_full((1,), 1e-4)) if learn_eps else None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load, also by the paper's names: gamma, beta and tau, and of shape (1, C, 1, 1)."""
        rename(self, state_dict, prefix, {**AFFINE, "tau": "threshold"})
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize (N, C, *S)."""
        check_rank(input, self.dim, self.num_features)
        eps = self.eps if self.learned_eps is None else self.eps + self.learned_eps.abs()
        return filter_response_norm(input, self.weight, self.bias, self.threshold, eps)

    def extra_repr(self) -> str:
        """Arguments, as they were given."""
        learned = ", learn_eps=True" if self.learned_eps is not None else ""
        return f"{self.num_features}, eps={self.eps}, threshold={self.threshold is not None}{learned}"


class FilterResponseNorm1d(_FilterResponse):
    r"""Filter response norm over (N, C, L), by default with its thresholded linear unit.

    .. math:: y = \max\Big(\gamma \frac{x}{\sqrt{\nu^2 + |\epsilon|}} + \beta,\ \tau\Big)

    See :func:`stylenorm.functional.filter_response_norm`.

    Args:
        num_features: channels.
        eps: added to the mean square (the paper: 1e-6; timm: 1e-5).
        learn_eps: learn a further eps, started at 1e-4, for layers that may see one element a channel.
        threshold: end with the thresholded linear unit.
        device: of the parameters.
        dtype: of the parameters.

    Shape: (N, C, L); returns the same.

    Raises:
        ShapeError: input does not fit (message: expected, got).

    Reference: Singh & Krishnan 2020, arXiv:1911.09737.
    """

    dim = 3


class FilterResponseNorm2d(_FilterResponse):
    """Filter response norm over (N, C, H, W); see :class:`FilterResponseNorm1d`.

    Example:
        >>> FilterResponseNorm2d(4)(torch.rand(2, 4, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    dim = 4


class FilterResponseNorm3d(_FilterResponse):
    """Filter response norm over (N, C, D, H, W); see :class:`FilterResponseNorm1d`."""

    dim = 5
