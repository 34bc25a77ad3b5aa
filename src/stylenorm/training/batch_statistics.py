"""Batch norms that measure the whole batch, though each process has a share of it.

`torch.nn.SyncBatchNorm` does the same on GPUs, and refuses CPUs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stylenorm.training import ranks

__all__ = ["share_statistics"]


class _Shared(nn.modules.batchnorm._BatchNorm):
    """Statistics over the batch of all processes; alone, or not in training, what it was before."""

    def forward(self, x: Tensor) -> Tensor:
        if ranks.world_size() == 1 or not self.training:
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        dims = [dim for dim in range(x.dim()) if dim != 1]
        per_channel = [1, -1] + [1] * (x.dim() - 2)
        num = x.numel() // x.shape[1] * ranks.world_size()
        mean = ranks.all_reduce(x.float().sum(dims)) / num
        centred = x.float() - mean.view(per_channel)
        variance = ranks.all_reduce(centred.square().sum(dims)) / num
        if self.track_running_stats:
            self._remember(mean.detach(), variance.detach() * num / max(1, num - 1))
        y = centred * torch.rsqrt(variance + self.eps).view(per_channel)
        if self.affine:
            y = y * self.weight.view(per_channel) + self.bias.view(per_channel)
        return y.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, unbiased: Tensor) -> None:
        assert self.num_batches_tracked is not None  # noqa: S101 (narrows the type; not a user's input)
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, now in ((self.running_mean, mean), (self.running_var, unbiased)):
            assert running is not None  # noqa: S101
            running.lerp_(now.to(running.dtype), momentum)


class _Shared1d(_Shared, nn.BatchNorm1d): ...


class _Shared2d(_Shared, nn.BatchNorm2d): ...


class _Shared3d(_Shared, nn.BatchNorm3d): ...


_SHARED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _Shared1d,
    nn.BatchNorm2d: _Shared2d,
    nn.BatchNorm3d: _Shared3d,
}


def share_statistics(model: nn.Module) -> None:
    """Let the batch norms of ``model`` measure all processes' samples, if there are several processes.

    The layers stay the objects that they are, with their parameters, buffers and whoever refers to them: only
    how they compute changes. Other layers with batch statistics (batch-instance, switchable) measure their
    share of the batch.
    """
    if ranks.world_size() == 1:
        return
    for module in model.modules():
        module.__class__ = _SHARED.get(type(module), type(module))
