"""The perceptual network that ships: small, plain, and learned from two larger ones.

Eight 3 x 3 convolutions, each followed by a leaky ReLU of slope 0.1, with 2 x 2 average pooling between the
scales; 1.0 M parameters. It was trained (`stylenorm.training.distill`) so that the gradients of content and
style losses on it point where those on its teachers do (Tiny Darknet and the Darknet reference model), which
is all that stylization asks of a feature network; it never saw a class label.

=======================  =====  ========  =============
layers                   grid   channels  compared
=======================  =====  ========  =============
conv1                    1      32        style
conv2                    1/2    64        style
conv3, conv4             1/4    96, 128   style (conv4)
conv5, conv6             1/8    128       both (conv6)
conv7, conv8             1/16   192       style (conv8)
=======================  =====  ========  =============
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.perceptual.features import FeatureNetwork

__all__ = ["DISTILLED", "DistilledNetwork", "load_distilled"]

DISTILLED = "distilled"
"""The name of the shipped network, where a feature network is asked for."""

_WIDTHS = (32, 64, 96, 128, 128, 128, 192, 192)
_POOLS_BEFORE = frozenset({2, 3, 5, 7})
_LEAK = 0.1
_SHIPPED = Path(__file__).parent / "data" / "distilled.safetensors"


class DistilledNetwork(FeatureNetwork):
    """The network of the module's table, with random weights; see `load_distilled` for the trained ones.

    Shape: see `FeatureNetwork`; taps are ``conv1`` to ``conv8``, after the leaky ReLU.
    """

    name = DISTILLED
    content_tap = "conv6"
    style_taps = ("conv1", "conv2", "conv4", "conv6", "conv8")
    smallest_px = 16

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, *_WIDTHS)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(sizes)
        )
        for conv in self.layers():
            assert conv.bias is not None  # noqa: S101 (narrows the type; not a user's input)
            nn.init.kaiming_normal_(conv.weight, a=_LEAK)
            nn.init.zeros_(conv.bias)

    def layers(self) -> list[nn.Conv2d]:
        """Return the convolutions, in order."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield every convolution's activations, ``conv1`` to ``conv8``."""
        for number, conv in enumerate(self.convs, start=1):
            if number in _POOLS_BEFORE:
                x = F.avg_pool2d(x, 2)
            x = F.leaky_relu(conv(x), _LEAK)
            yield f"conv{number}", x


def load_distilled(path: Path = _SHIPPED) -> DistilledNetwork:
    """Load the network, frozen; its file keeps the weights in float16, which arithmetic widens to float32.

    Raises:
        InputError: the file is not there, or is another network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = DistilledNetwork()
    try:
        tensors: Mapping[str, Tensor] = load_file(path)
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{path}: expected the weights of the {DISTILLED} network ({error}); "
            "'stylenorm train distill' makes them"
        ) from error
    return network.requires_grad_(False).eval()
