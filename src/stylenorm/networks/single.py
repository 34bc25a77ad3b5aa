"""A generator of one style as a stylizer network, so that everything that paints can paint with it.

Its style vector holds the photo gate alone (see `stylenorm.networks.stylizer`): 0 paints, 1 gives the photo
back. A texture network's noise is drawn once, since an exported graph must give the same painting every time:
for each scale a tile of 64 x 64 positions of that scale, repeated over the picture. What is coarse, and would
be seen to repeat, repeats after 64 times its own grid: 2048 pixels at the sixth scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stylenorm.errors import UnknownNameError
from stylenorm.networks.johnson_2016 import JohnsonNetwork2016
from stylenorm.networks.stylizer import StylizerNetwork
from stylenorm.networks.ulyanov import UlyanovNetwork

__all__ = ["GENERATORS", "SingleStyleConfig", "SingleStyleNetwork"]

GENERATORS: Mapping[str, type[JohnsonNetwork2016] | type[UlyanovNetwork]] = {
    "johnson-2016": JohnsonNetwork2016,
    "ulyanov": UlyanovNetwork,
}
"""Generators of one style, by the name of their family."""

_TILE = 64


@dataclass(frozen=True)
class SingleStyleConfig:
    """Which generator: enough to build it again.

    Attributes:
        family: one of `GENERATORS`.
        options: the arguments of its class, by name.
    """

    family: str
    options: Mapping[str, str | int] = field(default_factory=dict)
    num_blocks = 0  # none of its norms is the style's

    def to_dict(self) -> dict[str, str | int]:
        """Return family and options in one, for a file's metadata."""
        return {"family": self.family, **self.options}


class SingleStyleNetwork(StylizerNetwork):
    """See the module's docstring.

    Args:
        config: which generator.
        noise_seed: what the tiles of noise are drawn from.

    Shape: see `StylizerNetwork`; the style vector has one number, the photo gate.

    Raises:
        UnknownNameError: no such family.

    Example:
        >>> network = SingleStyleNetwork(SingleStyleConfig("johnson-2016", {"width": 4, "num_blocks": 1}))
        >>> network(torch.rand(1, 3, 20, 30), torch.zeros(1)).shape
        torch.Size([1, 3, 20, 30])
    """

    noise_tiles: Tensor

    def __init__(self, config: SingleStyleConfig, noise_seed: int = 0) -> None:
        if config.family not in GENERATORS:
            raise UnknownNameError("generator", config.family, GENERATORS)
        super().__init__(config, [], first_block=0)
        self.generator = GENERATORS[config.family](**config.options)  # type: ignore[arg-type]
        tiles = torch.zeros(0, 0, _TILE, _TILE)
        if isinstance(self.generator, UlyanovNetwork):
            generator = torch.Generator().manual_seed(noise_seed)
            shape = (self.generator.num_scales, self.generator.noise_channels, _TILE, _TILE)
            tiles = torch.rand(shape, generator=generator)
        self.register_buffer("noise_tiles", tiles)

    @property
    def grid(self) -> int:
        """Sides are made multiples of this."""
        return self.generator.grid

    @property
    def smallest_px(self) -> int:
        """The smallest height and width that it can paint."""
        return self.generator.smallest_px

    def paint(self, photo: Tensor, style: Sequence[tuple[Tensor, Tensor]]) -> Tensor:  # noqa: ARG002
        """Paint photos; there is no style to obey. See `StylizerNetwork`."""
        if not isinstance(self.generator, UlyanovNetwork):
            return self.generator.paint(photo)
        positions = [torch.arange(size, device=photo.device) for size in photo.shape[2:]]
        fields = []
        for scale, tile in enumerate(self.noise_tiles):
            rows, columns = (position // 2**scale % _TILE for position in positions)
            fields.append(tile[:, rows][..., columns])
        noise = torch.cat(fields).expand(photo.shape[0], -1, -1, -1)
        return self.generator.paint(photo, noise)
