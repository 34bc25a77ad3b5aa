"""The perceptual networks that ship: two small ones, plain, learned from two classifiers.

Only 3 x 3 convolutions, each followed by a leaky ReLU of slope 0.1, with 2 x 2 average pooling between the
grids; 1.16 M parameters together, 2.3 MB in float16. They have the teachers' layout (Tiny Darknet and the
Darknet reference model, see `stylenorm.perceptual.darknet`), so that there is something to learn that is
exactly right: layer by layer they were made to answer as the teachers do
(`stylenorm.training.recipes.distill`), and losses on them are the teachers' to a part in a thousand.

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

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.perceptual.darknet import DARKNETS, DarknetLayout

__all__ = ["COLUMNS", "DISTILLED", "DistilledNetwork", "load_distilled"]

DISTILLED = "distilled"
"""The name of the shipped networks, both together, where feature networks are asked for."""

COLUMNS: Mapping[str, tuple[int, ...]] = {
    "tiny-darknet": (16, 32, 16, 128, 16, 128, 32, 256, 32, 256, 64, 512),
    "darknet-reference": (16, 32, 64, 128, 256),
}
"""The channels of each network's layers, by the teacher that it learned from."""

_NAMES = {"tiny-darknet": "distilled-deep", "darknet-reference": "distilled-wide"}
_SHIPPED = Path(__file__).parent / "data" / "distilled.safetensors"


class DistilledNetwork(DarknetLayout):
    """One of the networks of the module's table, with random weights; see `load_distilled` for trained ones.

    Args:
        teacher: whose layout it has, of `COLUMNS`.

    Shape: see `FeatureNetwork`; taps are ``conv1``, ``conv2``, ..., after the leaky ReLU and before pooling.
    """

    def __init__(self, teacher: str) -> None:
        sizes = (3, *COLUMNS[teacher])
        convs = (nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(sizes))
        super().__init__(DARKNETS[teacher], convs)
        self.name = _NAMES[teacher]


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
