"""Many styles in one network: trunk, identity style and N styles learned together.

Dumoulin, Shlens, Kudlur, "A Learned Representation For Artistic Style", ICLR 2017 (arXiv:1610.07629).

Differs from the paper:

- Style 0 is the identity: for its samples the network is trained to return the photo, so that a mixture
  with it weakens a style (the photo gate, see `stylenorm.networks.stylizer`, restores what the norms took
  out).
- Each painting's style weight is found while training: it rises while the photo is more recognisable than
  asked for, and falls while it is less (``content_target``). So a painting whose texture is hard to match
  does not swallow the photo, and none needs tuning by hand.
- It learns to see before it paints: the first samples are all the identity's, and over ``warmup_steps``
  their share falls and the style weight rises. Trained on everything at once, the style losses' larger
  gradients win, and the network draws streaks in which the photo cannot be recognised.
- Before the losses, photo and painting are cropped by the same random 0 to 7 pixels: the feature networks
  pool by 2 again and again, and a fixed phase lets the generator hide checkerboard artefacts from
  them.
- What depends on the place in a grid of 4 pixels is punished (`stylenorm.perceptual.checkerboard_loss`): the
  network works on such a grid, and Gram matrices hardly see the grain that it leaves.
- The loss is `stylenorm.perceptual.PaintingLoss`, on VGG-16.
- Photos get faint smooth noise before they are painted (`stylenorm.noise`), from which motifs begin in flat
  skies. A part of the samples goes without, so that the network can be used without.
- A painting may be cropped, so that frames and figures are not learned, and has a size of its own, which
  sets the size of its strokes.
- A trained network is widened (``start_from`` with a greater width) without changing what it does: new
  channels see what they were initialised to see, and nothing listens to them yet (after Chen, Goodfellow,
  Shlens, "Net2Net", ICLR 2016, arXiv:1511.05641, who copy channels).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations import MultistyleConfig
from stylenorm.errors import InputError
from stylenorm.export import export_stylizer, load_network
from stylenorm.media import write_json
from stylenorm.networks import NetworkConfig, build_network, widen, widened_style
from stylenorm.perceptual import (
    PaintingLoss,
    PaintingTarget,
    checkerboard_loss,
    load_feature_network,
    total_variation,
)
from stylenorm.training import ranks
from stylenorm.training.data.noise import drawn_places, noisy
from stylenorm.training.data.paintings import Painting
from stylenorm.training.data.photos import LARGEST_SHIFT_PX, Photos, read_painting, shifted
from stylenorm.training.recipe import Recipe, to_pixels
from stylenorm.zoo import IDENTITY, NetworkFolder

__all__ = ["Multistyle", "MultistyleConfig"]

_NUM_SAMPLES = 4
_STYLE_RATE = 8.0  # gammas and betas are moved by their own style's samples alone
_BALANCE_RATE = 0.02
_PLAIN_SHARE = 0.2  # of the samples that get no noise
_STYLE_WEIGHT_RANGE = (0.25, 2.0)  # times the weight asked for


class _Model(nn.Module):
    """Network and styles; row 0 of ``styles`` is the identity."""

    log_weights: Tensor

    def __init__(self, config: NetworkConfig, num_styles: int, style_weight: float) -> None:
        super().__init__()
        self.network = build_network(config)
        self.styles = nn.Parameter(self.network.initial_style()[:-1].repeat(num_styles + 1, 1))
        self.register_buffer("log_weights", torch.full((num_styles + 1,), style_weight).log())

    def style_vectors(self, index: Tensor, gate: float = 0.0) -> Tensor:
        """Return the network's style input for rows ``index`` (N,): (N, L)."""
        rows = self.styles[index.to(self.styles.device)]
        return torch.cat([rows, rows.new_full((len(index), 1), gate)], dim=1)


class Multistyle(Recipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        paintings: one style each.
        others: paintings that are learned beside them and not exported: they make the network answer to more
            gammas and betas than those of its own styles, which is what a predictor of styles needs.
        out: folder for the results: ``network.onnx``, ``styles/*.safetensors``, ``record.json``.
        command: the command that started the training, for the record.
    """

    name = "multistyle"
    model: _Model

    def __init__(
        self,
        config: MultistyleConfig,
        paintings: Sequence[Painting],
        out: Path,
        command: str = "",
        others: Sequence[Painting] = (),
    ) -> None:
        if not paintings:
            raise InputError("paintings: expected at least one, got none; name a folder by --paintings")
        self.loss = PaintingLoss(load_feature_network(config.features))
        smallest = self.loss.smallest_px + LARGEST_SHIFT_PX
        if config.crop_px < smallest:
            raise InputError(f"crop_px: expected at least {smallest}, got {config.crop_px}")
        self.settings, self.paintings, self.out, self.command = config, list(paintings), out, command
        self.others = list(others)
        self.photos = Photos(
            config.photos,
            crop_px=config.crop_px,
            batch_size=config.batch_size,
            seed=config.seed,
            num_held_out=config.num_held_out,
        )
        self.target = PaintingTarget.stack(
            [
                self.loss.target(read_painting(p.path, p.size_px or config.painting_px, p.crop))
                for p in (*self.paintings, *self.others)
            ]
        )
        listed = [p.style_weight for p in (*self.paintings, *self.others)]
        self.listed_weights = torch.tensor([1.0, *listed])  # of the identity, and of each style
        torch.manual_seed(config.seed)
        self.model = _Model(config.network, len(self.paintings) + len(self.others), config.style_weight)
        if config.start_from is not None:
            self._start_from(NetworkFolder.open(config.start_from))

    def to(self, device: torch.device) -> None:
        """Move network, styles, feature networks and what the paintings measure."""
        super().to(device)
        self.loss.to(device)
        self.target = self.target.to(device)
        self.listed_weights = self.listed_weights.to(device)

    def prefetch(self) -> AbstractContextManager[None]:
        """Batches are made ahead."""
        return self.photos.ahead()

    def param_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Styles move faster than the network."""
        return [(list(self.model.network.parameters()), 1.0), ([self.model.styles], _STYLE_RATE)]

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all but `tunable` must be the same when a checkpoint is resumed."""
        numbers = {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float)}
        names = {"styles": [p.name for p in self.paintings], "others": [p.name for p in self.others]}
        return {**numbers, **self.settings.network.to_dict(), **names}

    def tunable(self) -> Collection[str]:
        """Return the weights of the losses: what one wants to change having seen the samples."""
        return (
            "style_weight",
            "content_target",
            "palette_weight",
            "tv_weight",
            "lattice_weight",
            "identity_weight",
            "identity_share",
            "noise",
        )

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step."""
        settings, model = self.settings, self.model
        photo = self.photos.batch(step).to(self.device)
        # on the CPU, so that nothing waits for a GPU
        whole_index = self._draw_styles(step, settings.batch_size, generator)
        index = ranks.shard(whole_index)
        is_identity = index == 0
        seen = self._with_noise(photo, is_identity, generator)
        painted = model.network(seen, model.style_vectors(index))
        error = (painted - photo).square().mean(dim=(1, 2, 3))
        painted, photo = shifted(painted, photo, generator)

        styled = ~is_identity
        zero = error.new_zeros(())
        off_target = error.new_zeros(len(index))
        losses = {
            "content": zero,
            "style": zero,
            "palette": zero,
            "variation": zero,
            "lattice": zero,
            "identity": settings.identity_weight * (error * is_identity.to(self.device)).sum() / len(index),
        }
        if styled.any():
            chosen = styled.nonzero().flatten().to(self.device)
            painted, photo, rows = painted[chosen], photo[chosen], index[styled].to(self.device)
            terms = self.loss(
                painted, self.loss.content_target(photo), self.target.select(rows - 1), generator
            )
            ramp = min(1.0, step / max(1, settings.warmup_steps)) ** 2
            weights = ramp * self.listed_weights[rows] * model.log_weights[rows].exp()
            losses["content"] = terms.content.sum() / len(index)
            losses["style"] = (weights * terms.style).sum() / len(index)
            losses["palette"] = ramp * settings.palette_weight * terms.palette.sum() / len(index)
            losses["variation"] = settings.tv_weight * total_variation(painted).sum() / len(index)
            losses["lattice"] = settings.lattice_weight * checkerboard_loss(painted).sum() / len(index)
            off_target[chosen] = settings.content_target - terms.content.detach()
        self._balance(whole_index.to(self.device), ranks.all_gather(off_target))
        return losses

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: a row a held-out photo; photo, identity without the gate, then every style."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        photo = self.photos.held_out(_NUM_SAMPLES).to(self.device)
        noisy_photo = noisy(photo, self.settings.noise)
        columns = [photo]
        for row in range(len(self.paintings) + 1):
            index = torch.full((len(photo),), row)
            columns.append(model.network(noisy_photo if row else photo, model.style_vectors(index)))
        grid = torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2)
        return to_pixels(grid)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the network, checked against PyTorch, and write the style files and the record."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        whole_record = {
            **record,
            "command": self.command,
            "photos": self.photos.counted,
            "unreadable_photos": str(len(self.photos.unreadable)),
            "features": self.loss.network.name,
            "machine": _machine(self.device),
            "style_weights": json.dumps(self._style_weights()),
        }
        export_stylizer(
            model.network.cpu(),
            {
                "identity": model.style_vectors(torch.tensor([0]), gate=1.0)[0].numpy(force=True),
                **{
                    painting.name: model.style_vectors(torch.tensor([row]))[0].numpy(force=True)
                    for row, painting in enumerate(self.paintings, start=1)
                },
            },
            self.out,
            about={p.name: _about(p) for p in self.paintings},
            record=whole_record,
            noise=self.settings.noise,
        )
        details = {**whole_record, **self.config(), "style_weights": self._style_weights()}
        write_json(self.out / "record.json", details)

    def _style_weights(self) -> dict[str, float]:
        """Return the weight of each style's loss: what it was found to need, times what the list says."""
        found = self.listed_weights.cpu() * self.model.log_weights.exp().cpu()
        weights = found[1 : len(self.paintings) + 1].tolist()
        return {p.name: round(weight, 3) for p, weight in zip(self.paintings, weights, strict=True)}

    @torch.no_grad()
    def _start_from(self, folder: NetworkFolder) -> None:
        ours, theirs = self.model.network, load_network(folder.path)
        if len(theirs.norm_sizes) != len(ours.norm_sizes) or any(
            them > us for them, us in zip(theirs.norm_sizes, ours.norm_sizes, strict=True)
        ):
            raise InputError(
                f"start_from: expected a network with norms of at most {ours.norm_sizes} channels, "
                f"got {folder.path} with {theirs.norm_sizes}"
            )
        widen(ours, theirs.state_dict())
        rows = {name: torch.from_numpy(folder.style(name).vector()) for name in folder.style_names()}
        rows = {name: widened_style(row, theirs.norm_sizes, ours)[:-1] for name, row in rows.items()}
        mean = torch.stack(list(rows.values())).mean(dim=0)
        identity = torch.from_numpy(folder.style(IDENTITY).vector())
        self.model.styles[0] = widened_style(identity, theirs.norm_sizes, ours)[:-1]
        for number, painting in enumerate((*self.paintings, *self.others), start=1):
            self.model.styles[number] = rows.get(painting.name, mean)

    def _with_noise(self, photo: Tensor, is_identity: Tensor, generator: torch.Generator) -> Tensor:
        """Return the photos as the network sees them, each with a window of the noise of its own."""
        count = self.settings.batch_size
        places = drawn_places(count, generator)
        amplitude = (torch.rand(count, generator=generator) >= _PLAIN_SHARE) * self.settings.noise
        amplitude = ranks.shard(amplitude).where(~is_identity, 0)
        return noisy(photo, amplitude, places)

    def _draw_styles(self, step: int, count: int, generator: torch.Generator) -> Tensor:
        share = max(self.settings.identity_share, 1 - step / max(1, self.settings.warmup_steps))
        index = torch.randint(1, len(self.paintings) + 1, (count,), generator=generator)
        if self.others:
            first, last = len(self.paintings) + 1, len(self.paintings) + len(self.others) + 1
            other = torch.randint(first, last, (count,), generator=generator)
            is_other = torch.rand(count, generator=generator) < self.settings.others_share
            index = torch.where(is_other, other, index)
        is_identity = torch.rand(count, generator=generator) < share
        return torch.where(is_identity, 0, index)

    @torch.no_grad()
    def _balance(self, rows: Tensor, off_target: Tensor) -> None:
        """Move style weights by how far each sample's content is from what is wanted, (N,) of the batch."""
        start = np.log(self.settings.style_weight)
        low, high = (start + float(np.log(factor)) for factor in _STYLE_WEIGHT_RANGE)
        self.model.log_weights.index_add_(0, rows, _BALANCE_RATE * off_target).clamp_(low, high)


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{platform.machine()}, {torch.cuda.get_device_name(device)}"
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def _about(painting: Painting) -> dict[str, str]:
    return {key: getattr(painting, key) for key in ("artist", "title", "year", "licence")}
