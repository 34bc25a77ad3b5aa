"""Norms whose scale and shift depend on a style: a label, a mixture, a vector, or a picture's features."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional import adaptive_instance_norm, conditional_instance_norm, instance_norm
from stylenorm.nn.tracing import Leaf

__all__ = [
    "AdaptiveInstanceNorm1d",
    "AdaptiveInstanceNorm2d",
    "AdaptiveInstanceNorm3d",
    "ConditionalInstanceNorm1d",
    "ConditionalInstanceNorm2d",
    "ConditionalInstanceNorm3d",
]


def check_rank(x: Tensor, dim: int, channels: int | None) -> None:
    """The rank and the channels that a module was built for."""
    checks.check_input(x)
    if x.dim() != dim:
        raise ShapeError(f"input: expected {dim} dimensions (N, C, *spatial), got {tuple(x.shape)}")
    if channels is not None and x.shape[1] != channels:
        raise ShapeError(f"input: expected {channels} channels at dim 1, got {tuple(x.shape)}")


def check_count(value: int, name: str) -> int:
    """An integer of at least one."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name}: expected an integer >= 1, got {value!r}")
    return value


class _Conditional(Leaf):
    dim: int

    def __init__(
        self,
        num_features: int,
        num_styles: int,
        eps: float = 1e-5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        checks.check_eps(eps)
        self.num_features = check_count(num_features, "num_features")
        self.num_styles = check_count(num_styles, "num_styles")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_styles, num_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(num_styles, num_features, device=device, dtype=dtype))

    def forward(self, input: Tensor, style: Tensor, residual: Tensor | None = None) -> Tensor:  # noqa: A002
        """Normalize with the rows of ``style``: labels (N,) or mixture weights (N or 1, num_styles)."""
        check_rank(input, self.dim, self.num_features)
        return conditional_instance_norm(input, style, self.weight, self.bias, self.eps, residual=residual)

    def extra_repr(self) -> str:
        """Arguments, as they were given."""
        return f"{self.num_features}, num_styles={self.num_styles}, eps={self.eps}"


class ConditionalInstanceNorm1d(_Conditional):
    r"""Instance norm over (N, C, L) with one row of (scale, shift) for each style.

    See :func:`stylenorm.functional.conditional_instance_norm`. ``forward(x, style)``: integer labels (N,), or
    mixture weights (N, num_styles) as reals.

    Args:
        num_features: channels.
        num_styles: rows of the table.
        eps: added to the variance.
        device: of the parameters.
        dtype: of the parameters.

    Shape: x (N, C, L); style (N,) or (N or 1, num_styles); returns as x.

    Raises:
        ShapeError: input or style does not fit (message: expected, got).

    Reference: Dumoulin, Shlens & Kudlur 2017, arXiv:1610.07629.
    """

    dim = 3


class ConditionalInstanceNorm2d(_Conditional):
    """Conditional instance norm over (N, C, H, W); see :class:`ConditionalInstanceNorm1d`.

    Example:
        >>> norm = ConditionalInstanceNorm2d(4, num_styles=10)
        >>> norm(torch.rand(2, 4, 8, 8), torch.tensor([3, 7])).shape
        torch.Size([2, 4, 8, 8])
    """

    dim = 4


class ConditionalInstanceNorm3d(_Conditional):
    """Conditional instance norm over (N, C, D, H, W); see :class:`ConditionalInstanceNorm1d`."""

    dim = 5


class _Adaptive(Leaf):
    dim: int

    def __init__(
        self,
        num_features: int | None = None,
        style_dim: int | None = None,
        eps: float = 1e-5,
        *,
        eps_mode: str = "inside",
        correction: int = 0,
        scale_offset: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        checks.check_eps(eps)
        checks.check_choice(eps_mode, "eps_mode", ("inside", "outside"))
        checks.check_choice(correction, "correction", (0, 1))
        self.num_features, self.style_dim, self.eps = num_features, style_dim, eps
        self.eps_mode, self.correction, self.scale_offset = eps_mode, correction, scale_offset
        self.fc: nn.Linear | None = None
        if style_dim is not None:
            if num_features is None:
                raise InputError("num_features: expected an integer where style_dim is given, got None")
            channels = check_count(num_features, "num_features")
            self.fc = nn.Linear(check_count(style_dim, "style_dim"), 2 * channels, device=device, dtype=dtype)

    @classmethod
    def from_linear(cls, scale: nn.Linear, shift: nn.Linear, **options: Any) -> Self:
        """The layer of code that keeps two linear layers: ``scale(w) * norm(x) + shift(w)``.

        Args:
            scale: from the style vector to gamma.
            shift: from the style vector to beta; of the same shape.
            **options: of the class; ``scale_offset`` is 0 here unless it is given.

        Raises:
            ShapeError: the two layers differ in shape.
        """
        shapes = [[tuple(p.shape) for p in layer.parameters()] for layer in (scale, shift)]
        if shapes[0] != shapes[1]:
            raise ShapeError(f"shift: expected a layer like scale, {scale}, got {shift}")
        kind = {"device": scale.weight.device, "dtype": scale.weight.dtype}
        layer = cls(scale.out_features, scale.in_features, **{"scale_offset": 0.0, **kind, **options})
        assert layer.fc is not None  # noqa: S101 - for the type checker: style_dim was given
        with torch.no_grad():
            layer.fc.weight.copy_(torch.cat((scale.weight, shift.weight)))
            biases: list[Tensor | None] = [scale.bias, shift.bias]
            given = [value for value in biases if value is not None]
            layer.fc.bias.copy_(torch.cat(given)) if given else layer.fc.bias.zero_()
        return layer

    def forward(self, input: Tensor, style: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Give ``input`` the statistics of ``style`` (features), or those a style vector is mapped to."""
        check_rank(input, self.dim, self.num_features)
        if self.fc is None:
            return adaptive_instance_norm(
                input, style, eps=self.eps, eps_mode=self.eps_mode, correction=self.correction
            )
        if style.dim() != 2 or style.shape[1] != self.style_dim or style.shape[0] not in (1, len(input)):
            raise ShapeError(
                f"style: expected style vectors ({len(input)}, {self.style_dim}), got {tuple(style.shape)}"
            )
        gamma, beta = self.fc(style).chunk(2, 1)
        return instance_norm(
            input,
            weight=gamma,
            bias=beta,
            eps=self.eps,
            eps_mode=self.eps_mode,
            correction=self.correction,
            scale_offset=self.scale_offset,
        )

    def extra_repr(self) -> str:
        """Arguments, as they were given."""
        return f"{self.num_features}, style_dim={self.style_dim}, eps={self.eps}"


class AdaptiveInstanceNorm1d(_Adaptive):
    r"""Adaptive instance norm over (N, C, L), in both of its forms.

    Without ``style_dim``: ``forward(x, features)`` gives ``x`` the statistics of other features, as
    :func:`stylenorm.functional.adaptive_instance_norm`; there is nothing to learn. With it: ``forward(x, w)``
    maps a style vector to a scale and a shift, :math:`y = (o + \gamma(w)) \hat x + \beta(w)`, by the layer
    ``fc``, as StyleGAN and StarGAN v2 do (``scale_offset=1``) and MUNIT does (0).

    Args:
        num_features: channels; needed with ``style_dim``.
        style_dim: length of the style vector.
        eps: added to the variance.
        eps_mode: ``"inside"`` or ``"outside"`` the root.
        correction: 0 divides the variance by L, 1 by L - 1.
        scale_offset: added to gamma.
        device: of the parameters.
        dtype: of the parameters.

    Shape: x (N, C, L); style (N or 1, C, L') or (N or 1, style_dim); returns as x.

    Raises:
        ShapeError: input or style does not fit (message: expected, got).

    Reference: Huang & Belongie 2017, arXiv:1703.06868; Karras, Laine & Aila 2019, arXiv:1812.04948.
    """

    dim = 3


class AdaptiveInstanceNorm2d(_Adaptive):
    """Adaptive instance norm over (N, C, H, W); see :class:`AdaptiveInstanceNorm1d`.

    Example:
        >>> AdaptiveInstanceNorm2d()(torch.rand(2, 4, 8, 8), torch.rand(1, 4, 5, 5)).shape
        torch.Size([2, 4, 8, 8])
        >>> AdaptiveInstanceNorm2d(4, style_dim=16)(torch.rand(2, 4, 8, 8), torch.rand(2, 16)).shape
        torch.Size([2, 4, 8, 8])
    """

    dim = 4


class AdaptiveInstanceNorm3d(_Adaptive):
    """Adaptive instance norm over (N, C, D, H, W); see :class:`AdaptiveInstanceNorm1d`."""

    dim = 5
