"""Adaptive instance norm: the statistics of one picture's features are put back into another's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylenorm.errors import ShapeError
from stylenorm.functional import _checks as checks
from stylenorm.functional._definition import compute_dtype, moments
from stylenorm.functional.instance_norm import instance_norm

__all__ = ["adaptive_instance_norm"]


def adaptive_instance_norm(
    content: Tensor,
    style: Tensor,
    *,
    eps: float = 1e-5,
    eps_mode: str = "inside",
    correction: int = 0,
    style_mask: Tensor | None = None,
    **options: Any,
) -> Tensor:
    r"""Give ``content`` the per-channel mean and deviation of ``style``.

    .. math:: y = \sigma(s)\,\frac{c - \mu(c)}{\sigma(c)} + \mu(s),\qquad \sigma(z) = \sqrt{var(z) + \epsilon}

    Statistics run over the spatial axes per sample and channel, biased (``correction=0``), in float32 or
    better; ``eps`` is added to both variances (to both deviations with ``eps_mode="outside"``), so that
    ``adaptive_instance_norm(x, x)`` is ``x``. Differs from the reference code: it uses ``correction=1``
    (see the preset ``"adain"``); at 10 x 10 that is 0.5 %.

    Args:
        content: features to restyle; any range.
        style: features to imitate; of one sample for all, or one a sample; any size.
        eps: added to both variances.
        eps_mode: ``"inside"`` or ``"outside"`` the square root.
        correction: 0 divides the variances by L, 1 by L - 1.
        style_mask: 1 where ``style`` counts.
        **options: the other keyword arguments of :func:`instance_norm`: act, residual, mask, ...

    Shape: content (N, C, \*S); style (N or 1, C, \*S'); returns (N, C, \*S), memory format of content.

    Raises:
        ShapeError: ranks, samples or channels do not fit together (message: expected, got).

    Reference: Huang & Belongie 2017, arXiv:1703.06868, eq. 8.

    Example:
        >>> x, s = torch.rand(2, 3, 8, 8), 5 + 2 * torch.rand(1, 3, 5, 5)
        >>> y = adaptive_instance_norm(x, s)
        >>> torch.allclose(y.mean((2, 3)), s.mean((2, 3)).expand(2, 3), atol=1e-5)
        True
    """
    checks.check_input(content, "content")
    checks.check_input(style, "style")
    checks.check_eps(eps)
    checks.check_choice(eps_mode, "eps_mode", ("inside", "outside"))
    checks.check_choice(correction, "correction", (0, 1))
    checks.check_device(style, "style", content)
    if (
        style.dim() != content.dim()
        or style.shape[1] != content.shape[1]
        or style.shape[0] not in (1, len(content))
    ):
        wanted = (f"{len(content)} or 1", content.shape[1], *("S'" * (content.dim() - 2)))
        raise ShapeError(
            f"style: expected shape ({', '.join(map(str, wanted))}) for content {tuple(content.shape)}, "
            f"got {tuple(style.shape)}"
        )
    if style.shape[2:].numel() == 0:
        raise ShapeError(f"style: expected at least one element a channel, got {tuple(style.shape)}")
    s = style.contiguous().to(compute_dtype(style.dtype))
    weights = None if style_mask is None else checks.check_mask(style_mask, style, "style_mask")
    mean, var, _ = moments(s, tuple(range(2, s.dim())), correction=correction, weights=weights)
    mean, var = mean.flatten(1), var.flatten(1)
    deviation = _root(var + eps) if eps_mode == "inside" else _root(var) + eps
    return instance_norm(
        content, weight=deviation, bias=mean, eps=eps, eps_mode=eps_mode, correction=correction, **options
    )


def _root(var: Tensor) -> Tensor:
    """The square root, with a zero gradient at zero."""
    positive = var > 0
    return torch.where(
        positive, torch.where(positive, var, torch.ones_like(var)).sqrt(), torch.zeros_like(var)
    )
