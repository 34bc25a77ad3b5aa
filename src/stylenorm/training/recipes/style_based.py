"""What the trainings of StyleGAN and StyleGAN2 share: losses, styles that are mixed, samples, results.

The logistic loss that does not saturate is of Goodfellow et al. 2014 (arXiv:1406.2661), R1 of Mescheder,
Geiger, Nowozin, "Which Training Methods for GANs do actually Converge?", ICML 2018 (arXiv:1801.04406).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.export import export_generator
from stylenorm.networks.style_based import StyleGenerator, mixed_styles, truncated
from stylenorm.training import ranks
from stylenorm.training.data.square_crops import Squares
from stylenorm.training.recipe import to_pixels
from stylenorm.training.recipes.adversarial import AdversarialRecipe

__all__ = ["Players", "StyleBased", "gradient_penalty"]

_NUM_MEASURED, _MEASURED_AT_ONCE = 64, 8
_SAMPLE_ROWS, _SAMPLE_COLUMNS, _SAMPLE_TRUNCATION = 4, 8, 0.7


class Players(nn.Module):
    """The generator, its discriminator, and the running mean of the path lengths, 0 where there is none."""

    path_mean: Tensor

    def __init__(self, generator: StyleGenerator, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator, self.judge = generator, discriminator
        self.register_buffer("path_mean", torch.zeros(()))


class StyleBased(AdversarialRecipe):
    """A recipe of the family.

    Args:
        settings: the recipe's configuration; see the recipes.
        players: the networks.
        out: folder for the results: ``mapping.onnx``, ``synthesis.onnx``, ``generator.json``.
        command: the command that started the training, for the record.

    Raises:
        InputError: the settings do not fit together.
        TrainingError: the folder has no pictures.
    """

    betas = (0.0, 0.99)
    model: Players

    def __init__(self, settings: Any, players: Players, out: Path, command: str) -> None:
        check_settings(settings)
        self.settings, self.out, self.command = settings, out, command
        self.photos = Squares(
            settings.photos,
            crop_px=settings.size_px,
            batch_size=settings.batch_size,
            seed=settings.seed,
            fit=settings.fit,
            mirror=settings.mirror,
        )
        self.model = players

    def rate(self, step: int, steps: int) -> float:  # noqa: ARG002 (a recipe's signature)
        """Return the full rate, always: the running average of the weights does what a falling one would."""
        return 1.0

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all but `tunable` must be the same when a checkpoint is resumed."""
        return {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float | str)}

    @contextmanager
    def prefetch(self) -> Iterator[None]:
        """Batches are made ahead.

        Raises:
            InputError: a process's share of the batch is not made of whole groups.
        """
        share = len(ranks.shard(range(self.settings.batch_size)))
        if share % self.settings.group_size:
            raise InputError(
                f"batch_size: expected for each of {ranks.world_size()} processes a multiple of group_size "
                f"({self.settings.group_size}), got {self.settings.batch_size}, a share of {share}"
            )
        with self.photos.ahead():
            yield

    def phases(
        self, step: int, generator: torch.Generator
    ) -> Iterator[tuple[list[nn.Parameter], dict[str, Tensor]]]:
        """Yield the generator with its losses, then the discriminator with its; each may have two phases."""
        m, settings = self.model, self.settings
        real = self.photos.batch(step).to(self.device)
        made = m.generator.synthesize(*self.drawn(settings.batch_size, generator))
        discriminator = list(m.judge.parameters())
        yield list(m.generator.parameters()), {"fool": F.softplus(-m.judge(made)).mean()}
        made = made.detach()
        yield from self.regularized(step, generator)

        losses = {
            "judge_made": F.softplus(m.judge(made)).mean(),
            "judge_real": F.softplus(-m.judge(real)).mean(),
        }
        every = settings.r1_every
        if every > 1 or not settings.r1_weight:
            yield discriminator, losses
            losses = {}
        if settings.r1_weight and step % every == 0:
            losses["r1"] = every * settings.r1_weight / 2 * gradient_penalty(m.judge, real)
            yield discriminator, losses

    def regularized(
        self,
        step: int,  # noqa: ARG002 (for those that have such phases)
        generator: torch.Generator,  # noqa: ARG002
    ) -> Iterator[tuple[list[nn.Parameter], dict[str, Tensor]]]:
        """Yield the generator's second turn in the steps that have one: none here."""
        yield from ()

    def drawn(self, count: int, generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        """Draw styles, some of them mixed, and noise; return this process's share of them."""
        network = self.model.generator
        first, second = torch.randn(2, count, network.style_length, generator=generator)
        crossover = torch.randint(1, network.num_styles, (count,), generator=generator)
        is_mixed = torch.rand(count, generator=generator) < self.settings.mixing
        crossover = torch.where(is_mixed, crossover, network.num_styles)
        noise = [ranks.shard(each).to(self.device) for each in network.draw_noise(count, generator)]
        w, other = (network.mapping(ranks.shard(z).to(self.device)) for z in (first, second))
        return mixed_styles(w, other, ranks.shard(crossover), network.num_styles), noise

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid of pictures, always of the same seeds; the last row is the first, truncated."""
        assert isinstance(model, Players)  # noqa: S101 (narrows the type; not a user's input)
        network, generator = model.generator, torch.Generator().manual_seed(self.settings.seed)
        rows = []
        for _ in range(_SAMPLE_ROWS - 1):
            z = torch.randn(_SAMPLE_COLUMNS, network.style_length, generator=generator).to(self.device)
            noise = [each.to(self.device) for each in network.draw_noise(_SAMPLE_COLUMNS, generator)]
            rows.append((network.spread(network.mapping(z)), noise))
        styles, noise = rows[0]
        rows.append((truncated(styles, network.mean_style(), _SAMPLE_TRUNCATION), noise))
        grid = [torch.cat(list(network.synthesize(*row)), dim=2) for row in rows]
        return to_pixels(torch.cat(grid, dim=1).clamp(0, 1))

    @torch.no_grad()
    def metrics(self, model: nn.Module) -> dict[str, float]:
        """Return the Frechet distance of pictures, of seeds and not truncated, to those of the folder."""
        assert isinstance(model, Players)  # noqa: S101 (narrows the type; not a user's input)
        network, generator = model.generator, torch.Generator().manual_seed(self.settings.seed + 1)
        made = []
        for _ in range(_NUM_MEASURED // _MEASURED_AT_ONCE):
            z = torch.randn(_MEASURED_AT_ONCE, network.style_length, generator=generator).to(self.device)
            noise = [each.to(self.device) for each in network.draw_noise(_MEASURED_AT_ONCE, generator)]
            made.append(network.synthesize(network.spread(network.mapping(z)), noise).clamp(0, 1))
        return self.compared(torch.cat(made), self.photos.some(_NUM_MEASURED), paired=False)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the generator, checked against PyTorch, with the record."""
        assert isinstance(model, Players)  # noqa: S101 (narrows the type; not a user's input)
        export_generator(model.generator.cpu(), self.out, self.whole_record(record, self.command))

    def sources(self) -> Mapping[str, str]:
        """Return the folder's name and size."""
        return {"photos": self.photos.counted}


def check_settings(settings: Any) -> None:
    """Refuse settings that cannot be.

    Raises:
        InputError: a number is out of its range, or the batch is not made of whole groups.
    """
    if settings.group_size < 1 or settings.batch_size < 1 or settings.batch_size % settings.group_size:
        raise InputError(
            f"batch_size: expected a multiple of group_size ({settings.group_size}) of at least 1, "
            f"got {settings.batch_size}"
        )
    if not 0 <= settings.mixing <= 1:
        raise InputError(f"mixing: expected a share from 0 to 1, got {settings.mixing}")
    for name in ("r1_every", "path_every"):
        if getattr(settings, name, 1) < 1:
            raise InputError(f"{name}: expected a number of steps from 1, got {getattr(settings, name)}")


def gradient_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    """Return R1: the mean over pictures of the squared length of the score's gradient.

    Args:
        discriminator: (N, 3, S, S), 0..1, to (N,).
        real: pictures. The gradient is taken in the papers' scale, in which they are -1..1.
    """
    real = real.detach().requires_grad_()
    # `create_graph`: the penalty is itself differentiated
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return (gradient / 2).square().sum((1, 2, 3)).mean()
