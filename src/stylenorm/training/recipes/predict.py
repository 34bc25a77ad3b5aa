"""The predictor of styles: any picture as a style, for a network that exists.

Ghiasi, Lee, Kudlur, Dumoulin, Shlens, "Exploring the structure of a real-time, arbitrary neural artistic
stylization network", BMVC 2017 (arXiv:1705.06830).

Differs from the paper: the network stays as it is, so that its own styles do; only the predictor's two linear
layers are learned. A hundred paintings are few, so they are varied: crops, sizes and flips, colours turned
around and stretched, and photos in a painting's place.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.checkpoint_files import UNREADABLE
from stylenorm.configurations import PredictConfig
from stylenorm.errors import InputError
from stylenorm.export import export_predictor, load_network
from stylenorm.networks import StylePredictor
from stylenorm.perceptual import (
    PaintingLoss,
    checkerboard_loss,
    load_feature_network,
    load_vgg,
    total_variation,
)
from stylenorm.training import ranks
from stylenorm.training.data.noise import drawn_places, noisy
from stylenorm.training.data.photos import Photos, shifted
from stylenorm.training.recipe import Recipe, to_pixels
from stylenorm.zoo import NetworkFolder

__all__ = ["Predict", "PredictConfig"]

_NUM_SAMPLES = 4
_CALIBRATION_BATCHES = 8
_CALIBRATION_STEP = 1_000_000  # batches that no training comes to


class Predict(Recipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        command: the command that started the training, for the record.
    """

    name = "predict"
    model: StylePredictor

    def __init__(self, config: PredictConfig, command: str = "") -> None:
        if config.painting_px < config.crop_px or config.painting_px % 2:
            raise InputError(
                f"painting_px: expected an even number of at least {config.crop_px}, got {config.painting_px}"
            )
        self.settings, self.command = config, command
        self.folder = NetworkFolder.open(config.network)
        self.network = load_network(config.network).requires_grad_(False)
        self.loss = PaintingLoss(load_feature_network(config.features))

        def pictures(folder: Path, crop_px: int, batch_size: int, seed: int) -> Photos:
            return Photos(
                folder,
                crop_px=crop_px,
                batch_size=batch_size,
                seed=config.seed + seed,
                num_held_out=config.num_held_out,
            )

        self.photos = pictures(config.photos, config.crop_px, config.num_paintings * config.photos_each, 0)
        self.paintings = pictures(config.paintings, config.painting_px, config.num_paintings, 1)
        self.unpainted = pictures(config.photos, config.painting_px, config.num_paintings, 2)
        torch.manual_seed(config.seed)
        self.model = StylePredictor(self.folder.style_length)
        trunk = load_vgg("vgg16").convs.state_dict()
        self.model.convs.load_state_dict({key: trunk[key] for key in self.model.convs.state_dict()})
        if config.start_from is not None:
            self._start_from(config.start_from / "checkpoint.pt")
        self._calibrate()

    def to(self, device: torch.device) -> None:
        """Move predictor, network and feature networks."""
        super().to(device)
        self.network.to(device)
        self.loss.to(device)

    @contextmanager
    def prefetch(self) -> Iterator[None]:
        """Batches are made ahead."""
        with self.photos.ahead(), self.paintings.ahead():
            yield

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all must be the same when a checkpoint is resumed."""
        numbers = {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float)}
        return {**numbers, "network": self.folder.identity}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step."""
        settings = self.settings
        photo = self.photos.batch(step).to(self.device)
        painting = self._paintings(step, generator).to(self.device)
        styles = self.model(F.avg_pool2d(painting, 2)).repeat_interleave(settings.photos_each, dim=0)
        places = drawn_places(settings.num_paintings * settings.photos_each, generator)
        seen = noisy(photo, self.folder.noise, places)
        painted = self.network(seen, styles)
        rows = torch.arange(len(painting), device=self.device).repeat_interleave(settings.photos_each)
        target = self.loss.target(painting).select(rows)
        painted, photo = shifted(painted, photo, generator)
        terms = self.loss(painted, self.loss.content_target(photo), target, generator)
        return {
            "content": terms.content.mean(),
            "style": settings.style_weight * terms.style.mean(),
            "palette": settings.palette_weight * terms.palette.mean(),
            "variation": settings.tv_weight * total_variation(painted).mean(),
            "lattice": settings.lattice_weight * checkerboard_loss(painted).mean(),
        }

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: held-out paintings above, below each the held-out photos painted in its style."""
        photo = self.photos.held_out(_NUM_SAMPLES).to(self.device)
        painting = self.paintings.held_out(min(2 * _NUM_SAMPLES, self.settings.num_held_out)).to(self.device)
        seen = F.avg_pool2d(painting, 2)
        small = F.interpolate(painting, size=photo.shape[-2:], mode="bilinear", antialias=True)
        noisy_photo = noisy(photo, self.folder.noise)
        columns = [torch.cat([torch.ones_like(photo[0]), *photo], dim=1)]
        for i in range(len(painting)):
            style = model(seen[i : i + 1]).expand(len(photo), -1)
            painted = self.network(noisy_photo, style)
            columns.append(torch.cat([small[i], *painted], dim=1))
        grid = torch.cat(columns, dim=2)
        return to_pixels(grid)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the predictor into the network's folder, checked against PyTorch, with its record."""
        assert isinstance(model, StylePredictor)  # noqa: S101 (narrows the type; not a user's input)
        whole_record = {
            **record,
            **{k: str(v) for k, v in self.config().items()},
            "command": self.command,
            "photos": self.photos.counted,
            "paintings": self.paintings.counted,
            "features": self.loss.network.name,
            "machine": f"{platform.machine()}, {self.device.type}",
        }
        export_predictor(model.cpu(), self.settings.network, self.folder.identity, whole_record)

    def _paintings(self, step: int, generator: torch.Generator) -> Tensor:
        """The step's paintings, or photos in their place, some with other colours."""
        as_photo = torch.rand(1, generator=generator).item() < self.settings.photo_share
        x = (self.unpainted if as_photo else self.paintings).batch(step)
        changes = [
            _Recoloring.draw(generator)
            if torch.rand(1, generator=generator).item() < self.settings.recolor_share
            else None
            for _ in range(self.settings.num_paintings)
        ]
        pairs = zip(x, ranks.shard(changes), strict=True)
        return torch.stack([picture if change is None else change(picture) for picture, change in pairs])

    def _start_from(self, path: Path) -> None:
        trained = [name for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        try:
            theirs = torch.load(path, weights_only=True, map_location="cpu")["averaged"]
            self.model.load_state_dict({key: theirs[f"module.{key}"] for key in trained}, strict=False)
        except UNREADABLE as error:
            raise InputError(
                f"start_from: expected the folder of a training of a predictor of {self.folder.style_length} "
                f"numbers, got {path.parent}: {str(error).splitlines()[0]}"
            ) from error

    @torch.no_grad()
    def _calibrate(self) -> None:
        generator = torch.Generator().manual_seed(self.settings.seed)
        batches = [self._paintings(_CALIBRATION_STEP + i, generator) for i in range(_CALIBRATION_BATCHES)]
        measured = [self.model.statistics(F.avg_pool2d(batch, 2)) for batch in batches]
        styles = [self.folder.style(name).vector() for name in self.folder.style_names()]
        if len(styles) < 2:
            raise InputError(
                f"{self.folder.path}: expected a network with two styles or more, got {len(styles)}: a "
                "predictor needs to know how far styles are apart"
            )
        self.model.calibrate(torch.cat(measured), torch.from_numpy(np.stack(styles)))


@dataclass(frozen=True)
class _Recoloring:
    """Channels exchanged, light turned, contrast and gamma changed."""

    order: Tensor
    invert: float
    gamma: float
    contrast: float
    level: float

    @classmethod
    def draw(cls, generator: torch.Generator) -> _Recoloring:
        order = torch.randperm(3, generator=generator)
        return cls(order, *torch.rand(4, generator=generator).tolist())

    def __call__(self, picture: Tensor) -> Tensor:
        """Return ``picture`` (3, H, W), RGB 0..1, with other colours."""
        x = picture[self.order]
        if self.invert < 0.15:
            x = 1 - x
        x = x.clamp(1e-3, 1) ** (2 ** (1.2 * self.gamma - 0.6))
        middle = x.mean(dim=(1, 2), keepdim=True)
        stretched: Tensor = (x - middle) * (0.6 + 0.7 * self.contrast) + middle + 0.2 * (self.level - 0.5)
        return stretched.clamp(0, 1)
