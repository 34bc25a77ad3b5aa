"""Batch norm folded into the convolutions before it; and why instance norm must not be.

Once trained, a batch norm is one scale and one shift a channel, the same for every picture, so the
convolution before it can do its work: Johnson et al. 2016 (arXiv:1603.08155) "freeze and simplify".

An instance norm measures every picture anew. Folding it with what one picture measures is exact for that
picture and wrong for the next one: the contrast of the first would be taken out of the second, and what
instance norm is for (the painting's contrast does not depend on the photo's) would be lost. Only where the
statistics *shall* be frozen, as for the frames of a shot, is that what one wants: `stylenorm.graphs`.
"""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stylenorm.errors import InputError
from stylenorm.networks.normalizing import NormConv2d

__all__ = ["fold_batch_norm"]


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode whose batch norms are folded into the convolutions before them.

    It paints what the network paints in evaluation mode, with fewer passes over memory. Batch norms that do
    not follow a convolution (before the joints of a texture network) stay.

    Args:
        network: made of `NormConv2d`, with batch norm.

    Raises:
        InputError: it has no batch norm after a convolution, or a norm that measures every picture; see the
            module's docstring.

    Example:
        >>> from stylenorm.networks import JohnsonNetwork2016
        >>> folded = fold_batch_norm(JohnsonNetwork2016("batch", 4, 1))
        >>> any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        False
    """
    folded = copy.deepcopy(network).eval()
    convs = [module for module in folded.modules() if isinstance(module, NormConv2d)]
    others = {type(m.norm).__name__ for m in convs if not isinstance(m.norm, nn.BatchNorm2d | nn.Identity)}
    if others:
        raise InputError(
            f"expected a network with batch norm, got {', '.join(sorted(others))}, which measures every "
            "picture anew: folded with one picture's statistics it would be wrong for the next"
        )
    with_norm = [(module, module.norm) for module in convs if isinstance(module.norm, nn.BatchNorm2d)]
    if not with_norm:
        raise InputError("expected a network with batch norms after its convolutions, got none to fold")
    for module, norm in with_norm:
        transposed = isinstance(module.conv, nn.ConvTranspose2d)
        module.conv = fuse_conv_bn_eval(module.conv, norm, transpose=transposed)
        module.norm = nn.Identity()
    return folded
