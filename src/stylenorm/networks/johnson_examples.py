"""Johnson's generator as PyTorch's own example has it (pytorch/examples, fast_neural_style).

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016
(arXiv:1603.08155), with what that example made of it: instance norm with scale and shift, borders by
reflection at every convolution, enlargement by nearest neighbours before a convolution, and no tanh at the
end. It is here so that the many weights that were trained with it can be taken over; what this package
trains itself is `stylenorm.networks.JohnsonNetwork2016`.

Differs from the example: pictures are RGB in 0..1 (the example's are 0..255, and so they are inside), the
result is clamped to 0..1, and sides need not be multiples of 4 (the picture is extended by its edge, and
cropped back).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.networks.normalizing import NormConv2d
from stylenorm.networks.padding import padded_to
from stylenorm.networks.patch_discriminator import load_renamed, without_prefix

__all__ = ["JohnsonExamplesNetwork"]

_NUM_BLOCKS = 5


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = NormConv2d(channels, channels, 3, norm="instance", padding="reflect")
        self.second = NormConv2d(channels, channels, 3, norm="instance", padding="reflect", act=None)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.second(self.first(x))
        return y


class JohnsonExamplesNetwork(nn.Module):
    """See the module's docstring. With width 32: 1,679,235 parameters.

    Args:
        width: channels of the first convolution; 32 in the example.

    Shape: (N, 3, H, W), RGB, 0..1; returns the same. H and W from 5.
    """

    multiple = 4
    smallest_px = 5

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        if width < 1:
            raise InputError(f"expected a width of at least 1, got {width}")
        c = width

        def conv(before: int, after: int, size: int, stride: int = 1) -> NormConv2d:
            return NormConv2d(before, after, size, norm="instance", padding="reflect", stride=stride)

        def double(before: int, after: int) -> NormConv2d:
            return NormConv2d(before, after, norm="instance", padding="reflect", enlarge="nearest")

        self.down = nn.Sequential(conv(3, c, 9), conv(c, 2 * c, 3, 2), conv(2 * c, 4 * c, 3, 2))
        self.blocks = nn.Sequential(*(_Residual(4 * c) for _ in range(_NUM_BLOCKS)))
        self.up = nn.Sequential(double(4 * c, 2 * c), double(2 * c, c))
        self.last = NormConv2d(c, 3, 9, norm="none", padding="reflect", act=None)

    def forward(self, x: Tensor) -> Tensor:
        """Paint pictures; see the class for shapes."""
        height, width = x.shape[-2:]
        if height < self.smallest_px or width < self.smallest_px:  # no min(): an exporter follows this
            raise ShapeError(
                f"x: expected height and width of at least {self.smallest_px}, got {tuple(x.shape)}"
            )
        x = padded_to(x, self.multiple)
        y = self.last(self.up(self.blocks(self.down(255 * x)))) / 255
        painted: Tensor = y.clamp(0, 1)
        return painted[..., :height, :width]

    @classmethod
    def from_published(cls, state: Mapping[str, Tensor]) -> JohnsonExamplesNetwork:
        """Build the network of a checkpoint of the example, of whatever width, and load it.

        ``convN.conv2d`` and ``inN`` are `down`, ``resN.convM.conv2d`` and ``resN.inM`` `blocks`,
        ``deconv1`` and ``deconv2`` with ``in4`` and ``in5`` `up`, ``deconv3`` is `last`.

        Raises:
            InputError: it is a checkpoint of another network.
        """
        state = without_prefix(state)
        first = state.get("conv1.conv2d.weight")
        if first is None or first.dim() != 4:
            raise InputError(
                "expected a checkpoint of pytorch/examples' fast_neural_style (conv1.conv2d.weight, ...), "
                "got other layers"
            )
        network = cls(len(first))
        names: dict[str, str] = {}
        for i in range(3):
            names |= {f"conv{i + 1}.conv2d": f"down.{i}.conv", f"in{i + 1}": f"down.{i}.norm"}
        for i in range(_NUM_BLOCKS):
            for number, name in ((1, "first"), (2, "second")):
                names[f"res{i + 1}.conv{number}.conv2d"] = f"blocks.{i}.{name}.conv"
                names[f"res{i + 1}.in{number}"] = f"blocks.{i}.{name}.norm"
        for i in range(2):
            names |= {f"deconv{i + 1}.conv2d": f"up.{i}.conv", f"in{i + 4}": f"up.{i}.norm"}
        load_renamed(network, state, {**names, "deconv3.conv2d": "last.conv"})
        return network
