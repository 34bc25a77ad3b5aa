"""From one domain of pictures to another, learned from pairs.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017
(arXiv:1611.07004).

As published: networks, a discriminator that sees photo and translation together, L1 loss with weight 100, the
discriminator's loss halved, dropout, Adam with (0.5, 0.999) and 2e-4, batch 1, the rate falling linearly over
the second half (the authors' code).

Differs from the paper: least-squares losses in place of the cross entropy; the result is the running average
of the weights (``--average 0`` for the last ones) and drops nothing out; pictures are scaled at random by 1
to 1.35 before they are cropped (the paper: by 286/256).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations import Pix2PixConfig
from stylenorm.errors import InputError, UnknownNameError
from stylenorm.export import export_translator
from stylenorm.networks import PatchDiscriminator, UNetGenerator
from stylenorm.training import ranks
from stylenorm.training.data.pairs import Pairs
from stylenorm.training.recipe import to_pixels
from stylenorm.training.recipes.adversarial import NUM_MEASURED, AdversarialRecipe, least_squares, pixel_error

__all__ = ["Pix2Pix", "Pix2PixConfig"]

_NUM_SAMPLES = 4
_DIRECTIONS = ("a-to-b", "b-to-a")
_LAYOUTS = ("auto", "folders", "sides")


class _Model(nn.Module):
    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__()
        self.generator = UNetGenerator(config.num_levels, config.width)
        self.judge = PatchDiscriminator(6, config.judge_width, affine=True)


class Pix2Pix(AdversarialRecipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``a-to-b.onnx``, ``translator.json``.
        command: the command that started the training, for the record.
    """

    name = "pix2pix"
    loop_defaults = Pix2PixConfig.loop
    model: _Model

    def __init__(self, config: Pix2PixConfig, out: Path, command: str = "") -> None:
        for name, known in (("direction", _DIRECTIONS), ("layout", _LAYOUTS)):
            if getattr(config, name) not in known:
                raise UnknownNameError(name, getattr(config, name), known)
        torch.manual_seed(config.seed)
        self.model = _Model(config)
        smallest = max(PatchDiscriminator.smallest_px, self.model.generator.multiple)
        if config.crop_px < smallest:
            raise InputError(
                f"crop_px: expected at least {smallest} for {config.num_levels} levels, got {config.crop_px}"
            )
        self.settings, self.out, self.command = config, out, command
        self.pairs = Pairs(
            config.pairs,
            crop_px=config.crop_px,
            batch_size=config.batch_size,
            seed=config.seed,
            num_held_out=config.num_held_out,
            layout=config.layout,
        )

    def prefetch(self) -> AbstractContextManager[None]:
        """Batches are made ahead."""
        return self.pairs.ahead()

    def phases(
        self, step: int, generator: torch.Generator
    ) -> Iterator[tuple[list[nn.Parameter], dict[str, Tensor]]]:
        """Yield the generator with its losses, then the discriminator with its."""
        settings, discriminator = self.settings, self.model.judge
        a, b = self._directed(self.pairs.batch(step))
        network = self.model.generator
        masks = network.dropout(settings.batch_size, settings.crop_px, settings.crop_px, generator)
        made = network(a, [ranks.shard(mask).to(self.device) for mask in masks])
        yield (
            list(network.parameters()),
            {
                "fool": least_squares(discriminator(torch.cat([a, made], dim=1)), real=True),
                "pixels": settings.pixel_weight * pixel_error(made, b),
            },
        )
        seen = torch.cat([a, made.detach()], dim=1)
        mistakes = least_squares(discriminator(torch.cat([a, b], dim=1)), real=True) + least_squares(
            discriminator(seen), real=False
        )
        yield list(discriminator.parameters()), {"judge": 0.5 * mistakes}

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: a held-out pair a row; a, its translation, b."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        a, b = self._directed(self.pairs.held_out(min(_NUM_SAMPLES, self.pairs.num_held_out)))
        columns = (a, model.generator(a), b)
        grid = torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2)
        return to_pixels(grid)

    @torch.no_grad()
    def metrics(self, model: nn.Module) -> dict[str, float]:
        """Return L1 to the true pictures and the Frechet distance, of held-out pairs."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        if not self.pairs.num_held_out:
            return {}
        a, b = self._directed(self.pairs.held_out(min(NUM_MEASURED, self.pairs.num_held_out)))
        made = torch.cat([model.generator(each) for each in torch.split(a, 1)])
        return self.compared(made, b, paired=True)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the generator, checked against PyTorch, with the record."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        record = self.whole_record(record, self.command)
        networks = {self.settings.direction: model.generator.cpu()}
        export_translator(networks, self.out, record, scale_px=self.pairs.scale_px)

    def config(self) -> Mapping[str, Any]:
        """Return the settings; the direction is among those that must be the same."""
        return {**super().config(), "direction": self.settings.direction}

    def _directed(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """What is given, and what shall come out."""
        a, b = pairs.to(self.device).chunk(2, dim=1)
        return (a, b) if self.settings.direction == "a-to-b" else (b, a)

    def sources(self) -> Mapping[str, str]:
        """Return the folder's name and size."""
        return {"pairs": self.pairs.counted}
