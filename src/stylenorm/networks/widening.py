"""A trained network made wider, doing what it did.

Chen, Goodfellow, Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016
(arXiv:1511.05641). Differs from it: new channels are not copies, which would have to be told apart by
noise. They keep the weights that they were initialised with on what comes in, and nothing listens to them:
the weights from them are 0, and take up what is of use as soon as training goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stylenorm.networks.stylizer import StylizerNetwork, split_style

__all__ = ["widen", "widened_style"]


@torch.no_grad()
def widen(network: StylizerNetwork, narrow: Mapping[str, Tensor]) -> None:
    """Give ``network``, freshly initialised, the weights of a narrower one of its family, in place.

    Args:
        network: of as many layers, each with as many channels or more.
        narrow: the other's ``state_dict()``.
    """
    for name, weight in network.state_dict().items():
        old = narrow[name]
        if old.shape[2:] != weight.shape[2:] or any(
            a > b for a, b in zip(old.shape, weight.shape, strict=True)
        ):
            continue  # a layer of another kind, where families differ: it stays as it was initialised
        if weight.dim() < 2:
            weight[: len(old)] = old
            continue
        (rows, columns), new_rows = old.shape[:2], weight[old.shape[0] :]
        weight[:rows, columns:] = 0  # what was there does not listen to what is new
        weight[:rows, :columns] = old
        if columns < weight.shape[1]:  # what is new sees as much as if it saw the old channels alone
            new_rows[:, columns:] = 0
            new_rows *= (weight.shape[1] / columns) ** 0.5


def widened_style(style: Tensor, sizes: Sequence[int], network: StylizerNetwork) -> Tensor:
    """Return a narrower network's style vector for ``network``: new channels as `initial_style` has them.

    Args:
        style: (L,), of a network whose norms have ``sizes`` channels.
        sizes: channels of each of its norms.
        network: the wider one.
    """
    *parts, gate = split_style(style, sizes)
    *fresh, _ = split_style(network.initial_style().to(style), network.norm_sizes)
    pairs = zip(parts, fresh, strict=True)
    return torch.cat([*(torch.cat([part, new[len(part) :]]) for part, new in pairs), gate])
