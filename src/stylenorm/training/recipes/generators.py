"""What the recipes of one style share: a generator that learns one painting from photos.

The losses are those of `stylenorm.perceptual.losses`: each term in units of its own size, so that one weight
serves every painting and every feature network. With VGG the layers are the paper's. Before they are taken,
photo and painting are cropped by the same random 0 to 7 pixels: the feature networks pool by 2 again and
again, and at a fixed phase a generator hides checkerboard artefacts where they do not look.
"""

from __future__ import annotations

import copy
import platform
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations.papers import OnePaintingConfig
from stylenorm.errors import InputError
from stylenorm.export import export_stylizer
from stylenorm.media import write_json
from stylenorm.networks import (
    JohnsonNetwork2016,
    SingleStyleConfig,
    SingleStyleNetwork,
    fold_batch_norm,
)
from stylenorm.perceptual import PerceptualLoss, Vgg, load_features, total_variation
from stylenorm.training.data.paintings import Painting
from stylenorm.training.data.photos import LARGEST_SHIFT_PX, Photos, read_painting, shifted
from stylenorm.training.recipe import Recipe, to_pixels
from stylenorm.zoo import IDENTITY

__all__ = ["GeneratorRecipe", "VggTaps", "load_loss_networks", "remeasured"]

VggTaps = tuple[str, tuple[str, ...]]
"""Of a VGG the layer to compare for content, and those for style: they differ from paper to paper."""

Network = TypeVar("Network", bound=nn.Module)

_NUM_SAMPLES = 4


class GeneratorRecipe(Recipe):
    """Base of `Johnson` and `Ulyanov`; a subclass has a name, layers to compare, and says how to paint.

    Args:
        config: what to learn from.
        network: the generator.
        painting: its style.
        out: folder for the results: a network folder, which ``stylenorm stylize --network`` paints with.
        command: the command that started the training, for the record.
    """

    vgg_taps: VggTaps
    model: SingleStyleNetwork

    def __init__(
        self,
        config: OnePaintingConfig,
        network: SingleStyleConfig,
        painting: Painting,
        out: Path,
        command: str = "",
    ) -> None:
        self.settings = settings = config
        self.painting, self.out, self.command = painting, out, command
        self.loss = PerceptualLoss(load_loss_networks(settings.features, self.vgg_taps), settings.num_scales)
        smallest = max(n.smallest_px for n in self.loss.networks) << (settings.num_scales - 1)
        crop = smallest + LARGEST_SHIFT_PX
        for name, size, least in (
            ("crop_px", settings.crop_px, crop),
            ("painting_px", settings.painting_px, smallest),
        ):
            if size < least:
                raise InputError(
                    f"{name}: expected at least {least} for {settings.num_scales} scales, got {size}"
                )
        self.target = self.loss.style_target(read_painting(painting.path, settings.painting_px))
        self.photos = Photos(
            settings.photos,
            crop_px=settings.crop_px,
            batch_size=settings.batch_size,
            seed=settings.seed,
            num_held_out=settings.num_held_out,
        )
        torch.manual_seed(settings.seed)
        self.model = SingleStyleNetwork(network, settings.seed)

    @abstractmethod
    def paint(self, model: SingleStyleNetwork, photo: Tensor, generator: torch.Generator) -> Tensor:
        """Paint a batch of photos as the generator is trained to."""

    def companions(self) -> Sequence[nn.Module]:
        """Return the feature networks."""
        return self.loss.networks

    def to(self, device: torch.device) -> None:
        """Move the networks, and what the painting measures."""
        super().to(device)
        self.target = self.target.to(device)

    def prefetch(self) -> AbstractContextManager[None]:
        """Batches are made ahead."""
        return self.photos.ahead()

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all must be the same when a checkpoint is resumed."""
        shared = {each.name: getattr(self.settings, each.name) for each in fields(OnePaintingConfig)}
        numbers = {name: value for name, value in shared.items() if isinstance(value, int | float)}
        return {**numbers, **self.model.config.to_dict(), "painting": self.painting.path.name}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step."""
        settings = self.settings
        photo = self.photos.batch(step).to(self.device)
        painted = self.paint(self.model, photo, generator)
        painted, photo = shifted(painted, photo, generator)
        first = torch.zeros(len(photo), dtype=torch.long, device=self.device)
        terms = self.loss(painted, self.loss.content_target(photo), self.target.select(first))
        return {
            "content": settings.content_weight * terms.content.mean(),
            "style": settings.style_weight * terms.style.mean(),
            "variation": settings.tv_weight * total_variation(painted).mean(),
        }

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: held-out photos, and below each its painting."""
        assert isinstance(model, SingleStyleNetwork)  # noqa: S101 (narrows the type; not a user's input)
        photo = self.photos.held_out(_NUM_SAMPLES).to(self.device)
        network = self._evaluated(model)
        painted = network(photo, torch.zeros(1, device=self.device))
        grid = torch.cat([torch.cat(list(row), dim=2) for row in (photo, painted)], dim=1)
        return to_pixels(grid)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the generator, checked against PyTorch, and write the record."""
        assert isinstance(model, SingleStyleNetwork)  # noqa: S101 (narrows the type; not a user's input)
        whole_record = {
            **record,
            "command": self.command,
            "painting": self.painting.path.name,
            "photos": self.photos.counted,
            "unreadable_photos": str(len(self.photos.unreadable)),
            "features": ", ".join(network.name for network in self.loss.networks),
            "machine": f"{platform.machine()}, {self.device.type}",
        }
        about = {key: getattr(self.painting, key) for key in ("artist", "title", "year", "licence")}
        export_stylizer(
            _simplified(self._evaluated(model).cpu()),
            {IDENTITY: np.ones(1, np.float32), self.painting.name: np.zeros(1, np.float32)},
            self.out,
            about={self.painting.name: about},
            record=whole_record,
        )
        write_json(self.out / "record.json", {**whole_record, **self.config()})

    def _evaluated(self, model: SingleStyleNetwork) -> SingleStyleNetwork:
        """A copy for painting: its running statistics are those of its own, averaged, weights."""
        photo = self.photos.held_out(min(self.settings.num_held_out, 4 * self.settings.batch_size))
        batches = photo.to(self.device).split(self.settings.batch_size)  # type: ignore[no-untyped-call]
        generator = torch.Generator().manual_seed(self.settings.seed)
        return remeasured(model, lambda copied: [self.paint(copied, x, generator) for x in batches])


def load_loss_networks(features: str, vgg_taps: VggTaps) -> list[Vgg]:
    """Load feature networks (`stylenorm.perceptual.load_features`), with a paper's layers.

    Of VGG-16 only what ships is there: layers beyond relu4_1 are compared at relu4_1.
    """
    content_tap, style_taps = vgg_taps
    networks = load_features(features)
    for network in networks:
        nearest = network.spec.nearest
        network.content_tap = nearest(content_tap)
        network.style_taps = tuple(dict.fromkeys(nearest(tap) for tap in style_taps))
    return networks


def remeasured(model: Network, run: Callable[[Network], object]) -> Network:
    """Return a copy in evaluation mode whose batch norms' running statistics are measured anew by ``run``.

    The running average of the weights (`stylenorm.training.loop`) is another network than the one whose
    statistics ran along, and batch norms know nothing of it. Other norms have nothing to measure.
    """
    copied = copy.deepcopy(model)
    norms = [module for module in copied.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average of all batches
    if norms:
        with torch.no_grad():
            run(copied.train())
    return copied.eval()


def _simplified(network: SingleStyleNetwork) -> SingleStyleNetwork:
    """Johnson's "freeze and simplify": the same network without batch norms, where it has any to fold."""
    if network.config.to_dict().get("norm") != "batch" or not isinstance(
        network.generator, JohnsonNetwork2016
    ):
        return network
    options = {k: v for k, v in network.config.to_dict().items() if k != "family"}
    simple = SingleStyleNetwork(SingleStyleConfig("johnson-2016", {**options, "norm": "none"}))
    simple.generator.load_state_dict(fold_batch_norm(network.generator).state_dict())
    return simple.eval()
