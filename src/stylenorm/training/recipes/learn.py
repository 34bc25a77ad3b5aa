"""One more style for a network that exists: its gamma and beta alone, from one picture.

Dumoulin, Shlens, Kudlur, "A Learned Representation For Artistic Style", ICLR 2017 (arXiv:1610.07629), section
3.3: "the trained network is efficient at learning new styles".

Differs from the paper: it starts from what the network's predictor says of the picture (without one, from the
mean of the styles that there are), and the weight of the style loss is found as in `multistyle`. With
``thorough`` the network is learned too; the result is then a network of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations import LearnConfig
from stylenorm.errors import InputError
from stylenorm.export import export_stylizer, load_network
from stylenorm.media import atomic_write
from stylenorm.models.predictor import predict_style
from stylenorm.networks import StylizerNetwork
from stylenorm.perceptual import PaintingLoss, checkerboard_loss, load_feature_network, total_variation
from stylenorm.style import Style
from stylenorm.training import ranks
from stylenorm.training.data.dead_leaves import DeadLeaves
from stylenorm.training.data.noise import drawn_places, noisy
from stylenorm.training.data.photos import Photos, read_painting, shifted
from stylenorm.training.recipe import Recipe, to_pixels
from stylenorm.zoo import IDENTITY, NetworkFolder, shipped_network

__all__ = ["Learn", "LearnConfig"]

_BALANCE_RATE = 0.03
_STYLE_WEIGHT_RANGE = (0.25, 2.0)  # times the weight asked for


class _Model(nn.Module):
    log_weight: Tensor

    def __init__(self, network: StylizerNetwork, row: Tensor, style_weight: float, *, thorough: bool) -> None:
        super().__init__()
        self.network = network.requires_grad_(thorough)
        self.row = nn.Parameter(row)
        self.register_buffer("log_weight", torch.tensor(float(np.log(style_weight))))

    def vector(self) -> Tensor:
        return torch.cat([self.row, self.row.new_zeros(1)])


class Learn(Recipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        painting: the picture.
        name: kebab-case name of the style.
        destination: the style file to write; with ``thorough`` the network folder.
        network: for which network; None for the one that ships.
        command: the command that started it, for the record.
        on_preview: is given the sample picture (H, W, 3) uint8 whenever there is a new one.
    """

    name = "learn"
    model: _Model

    def __init__(
        self,
        config: LearnConfig,
        painting: Path,
        name: str,
        destination: Path,
        *,
        network: NetworkFolder | None = None,
        command: str = "",
        on_preview: Callable[[NDArray[np.uint8]], None] | None = None,
    ) -> None:
        self.settings, self.painting, self.style_name = config, painting, name
        self.loop_defaults = config.thorough_loop if config.thorough else config.loop
        self.destination, self.command, self.on_preview = destination, command, on_preview
        self.folder = network or shipped_network()
        self.loss = PaintingLoss(load_feature_network(config.features))
        picture = read_painting(painting, config.stroke_px)
        self.target = self.loss.target(picture)
        self.photos: Photos | DeadLeaves
        if config.photos is None:
            self.photos = DeadLeaves(crop_px=config.crop_px, batch_size=config.batch_size, seed=config.seed)
        else:
            self.photos = Photos(
                config.photos,
                crop_px=config.crop_px,
                batch_size=config.batch_size,
                seed=config.seed,
                num_held_out=config.num_held_out,
            )
        torch.manual_seed(config.seed)
        self.model = _Model(
            load_network(self.folder.path),
            torch.from_numpy(self._first_guess().vector()[:-1].copy()),
            config.style_weight,
            thorough=config.thorough,
        )

    def to(self, device: torch.device) -> None:
        """Move network, style, feature networks and what the painting measures."""
        super().to(device)
        self.loss.to(device)
        self.target = self.target.to(device)

    def prefetch(self) -> AbstractContextManager[None]:
        """Photos are made ahead."""
        return self.photos.ahead() if isinstance(self.photos, Photos) else nullcontext()

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all must be the same when a checkpoint is resumed."""
        numbers = {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float)}
        return {**numbers, "network": self.folder.identity, "painting": self.painting.name}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step."""
        settings, model = self.settings, self.model
        photo = self.photos.batch(step).to(self.device)
        seen = noisy(photo, self.folder.noise, drawn_places(settings.batch_size, generator))
        painted = model.network(seen, model.vector())
        painted, photo = shifted(painted, photo, generator)
        first = torch.zeros(len(photo), dtype=torch.long, device=self.device)
        terms = self.loss(painted, self.loss.content_target(photo), self.target.select(first), generator)
        losses = {
            "content": terms.content.mean(),
            "style": model.log_weight.exp() * terms.style.mean(),
            "palette": settings.palette_weight * terms.palette.mean(),
            "variation": settings.tv_weight * total_variation(painted).mean(),
            "lattice": settings.lattice_weight * checkerboard_loss(painted).mean(),
        }
        low, high = (float(np.log(settings.style_weight * factor)) for factor in _STYLE_WEIGHT_RANGE)
        change = _BALANCE_RATE * (settings.content_target - ranks.all_gather(terms.content).mean())
        with torch.no_grad():
            model.log_weight.add_(change).clamp_(low, high)
        return losses

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return two pictures and, below them, how they are painted now."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        is_drawn = isinstance(self.photos, DeadLeaves)
        photo = self.photos.batch(1_000_000)[:2] if is_drawn else self.photos.held_out(2)  # type: ignore[union-attr]
        photo = photo.to(self.device)
        painted = model.network(noisy(photo, self.folder.noise), model.vector())
        grid = torch.cat([torch.cat(list(rows), dim=2) for rows in (photo, painted)], dim=1)
        pixels = to_pixels(grid)
        if self.on_preview is not None:
            self.on_preview(pixels)
        return pixels

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Write the style file, or with ``thorough`` the network folder."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        is_drawn = isinstance(self.photos, DeadLeaves)
        whole_record = {
            **record,
            "command": self.command,
            "painting": self.painting.name,
            "photos": "drawn" if is_drawn else self.photos.counted,  # type: ignore[union-attr]
            "features": self.loss.network.name,
        }
        vector = model.vector().detach().cpu().numpy()
        about = {"title": self.painting.stem}
        if self.settings.thorough:
            identity = self.folder.style(IDENTITY).vector()
            styles = {IDENTITY: identity, self.style_name: vector}
            export_stylizer(
                model.network.cpu(),
                styles,
                self.destination,
                about={self.style_name: about},
                record=whole_record,
                noise=self.folder.noise,
            )
            return
        style = Style.from_vector(
            vector,
            self.folder.norm_sizes,
            record=whole_record,
            name=self.style_name,
            network=self.folder.identity,
            **about,
        )
        with atomic_write(self.destination, overwrite=True) as file:
            file.write(style.to_bytes())

    def _first_guess(self) -> Style:
        if self.folder.predictor is not None:
            return predict_style(self.painting, self.folder)
        names = self.folder.style_names()
        if not names:
            raise InputError(f"{self.folder.path}: expected a network with a style or more to start from")
        styles = [self.folder.style(name) for name in names]
        mixture, *others = (style * (1 / len(styles)) for style in styles)
        for other in others:
            mixture += other
        return mixture.normalized()
