"""Group norm with one channel a group, which is instance norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylenorm.errors import ShapeError
from stylenorm.functional import instance_norm
from stylenorm.nn.tracing import as_class, is_proxy, refuse_quantized, traced_call

__all__ = ["ChannelGroupNorm"]


class ChannelGroupNorm(torch.nn.GroupNorm):
    """What ``convert`` makes of ``torch.nn.GroupNorm(C, C)``; fused as instance norms are."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize (N, C, *S)."""
        if type(input) is not Tensor and is_proxy(input):
            return traced_call(self, input)  # type: ignore[no-any-return]
        return self.run(input, None, {})

    def run(
        self,
        input: Tensor,  # noqa: A002 - torch's own name
        residual: Tensor | None,
        activation: dict[str, Any],
        *,
        inplace: bool = False,
    ) -> Tensor:
        """Normalize with an activation that is given for this call."""
        refuse_quantized(input)
        if input.dim() < 2 or input.shape[1] != self.num_channels:
            raise ShapeError(
                f"input: expected {self.num_channels} channels at dim 1, got {tuple(input.shape)}"
            )
        x = input if input.dim() > 2 else input.unsqueeze(2)
        y = instance_norm(
            x, weight=self.weight, bias=self.bias, eps=self.eps, residual=residual,
            inplace=inplace and input.dim() > 2, **activation,
        )  # fmt: skip
        return y if input.dim() > 2 else y.squeeze(2)

    @property
    def num_features(self) -> int:
        """Channels, by the name that instance norms have for them."""
        return self.num_channels

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """TorchScript gets torch's own."""
        return as_class(self, torch.nn.GroupNorm)
