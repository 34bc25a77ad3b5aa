"""The perceptual networks that ship: two small ones, plain, learned from two classifiers.

Only 3 x 3 convolutions, each followed by a leaky ReLU of slope 0.1, with 2 x 2 average pooling between the
grids; 1.16 M parameters together, 2.3 MB in float16. They have the teachers' layout (Tiny Darknet and the
Darknet reference model, see `stylenorm.perceptual.darknet`), so that there is something to learn that is
exactly right: layer by layer they were made to answer as the teachers do (`stylenorm.training.distill`), and
losses on them are the teachers' to a part in a thousand.

====================  ======  ===============================  =====================================
network               grid    channels of its layers           compared
====================  ======  ===============================  =====================================
distilled-deep        1       16                               style
                      1/2     32                               style
                      1/4     16, 128, 16, 128                 style (conv4, conv6)
                      1/8     32, 256, 32, 256                 content (conv8), style (conv8, conv10)
                      1/16    64, 512                          style (conv12)
distilled-wide        1       16                               style
                      1/2     32                               style
                      1/4     64                               style
                      1/8     128                              both
                      1/16    256                              style
====================  ======  ===============================  =====================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.perceptual.darknet import DARKNETS, SMALLEST_PX, DarknetSpec
from stylenorm.perceptual.features import FeatureNetwork

__all__ = ["COLUMNS", "DISTILLED", "DistilledNetwork", "load_distilled"]

DISTILLED = "distilled"
"""The name of the shipped networks, both together, where feature networks are asked for."""

COLUMNS: Mapping[str, tuple[int, ...]] = {
    "tiny-darknet": (16, 32, 16, 128, 16, 128, 32, 256, 32, 256, 64, 512),
    "darknet-reference": (16, 32, 64, 128, 256),
}
"""The channels of each network's layers, by the teacher that it learned from."""

_NAMES = {"tiny-darknet": "distilled-deep", "darknet-reference": "distilled-wide"}
_LEAK = 0.1
_SHIPPED = Path(__file__).parent / "data" / "distilled.safetensors"


class DistilledNetwork(FeatureNetwork):
    """One of the networks of the module's table, with random weights; see `load_distilled` for trained ones.

    Args:
        teacher: whose layout it has, of `COLUMNS`.

    Shape: see `FeatureNetwork`; taps are ``conv1``, ``conv2``, ..., after the leaky ReLU and before pooling.
    """

    smallest_px = SMALLEST_PX

    def __init__(self, teacher: str) -> None:
        super().__init__()
        self.spec: DarknetSpec = DARKNETS[teacher]
        self.name = _NAMES[teacher]
        self.content_tap, self.style_taps = self.spec.content_tap, self.spec.style_taps
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise((3, *COLUMNS[teacher]))
        )

    def layers(self) -> list[nn.Conv2d]:
        """Return the convolutions, in order."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield every convolution's activations."""
        for number, conv in enumerate(self.convs, start=1):
            x = F.leaky_relu(conv(x), _LEAK, inplace=True)  # half the memory
            yield f"conv{number}", x
            if number in self.spec.pools_after:
                x = F.avg_pool2d(x, 2)


def load_distilled(path: Path = _SHIPPED) -> list[DistilledNetwork]:
    """Load both networks, frozen; their file keeps float16, which arithmetic widens to float32.

    Raises:
        InputError: the file is not there, or is not theirs.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    networks = []
    try:
        tensors: Mapping[str, Tensor] = load_file(path)
        for teacher in COLUMNS:
            network = DistilledNetwork(teacher)
            prefix = f"{network.name}."
            network.load_state_dict(
                {
                    name.removeprefix(prefix): tensor.float()
                    for name, tensor in tensors.items()
                    if name.startswith(prefix)
                }
            )
            networks.append(network.requires_grad_(False).eval())
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{path}: expected the weights of the {DISTILLED} networks ({error}); "
            "'stylenorm train distill' makes them"
        ) from error
    return networks
