"""From one domain of pictures to another and back, without pairs.

Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
ICCV 2017 (arXiv:1703.10593).

As published: networks, least-squares losses, cycle loss with weight 10, identity loss with half of that, the
discriminators' losses halved, a pool of 50 pictures for each, Adam with (0.5, 0.999) and 2e-4, batch 1, the
rate falling linearly over the second half.

Differs from the paper: the result is the running average of the weights (``--average 0`` for the last ones);
pictures are scaled at random by 1 to 1.35 before they are cropped (the paper: by 286/256).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations import CycleGanConfig
from stylenorm.errors import InputError
from stylenorm.export import export_translator
from stylenorm.networks import CycleGanGenerator, PatchDiscriminator
from stylenorm.training.data.layouts import find_domains
from stylenorm.training.data.photos import Photos
from stylenorm.training.recipe import to_pixels
from stylenorm.training.recipes.adversarial import (
    NUM_MEASURED,
    AdversarialRecipe,
    PicturePool,
    least_squares,
    pixel_error,
)

__all__ = ["CycleGan", "CycleGanConfig"]

_NUM_SAMPLES = 4


class _Model(nn.Module):
    """Both generators, both discriminators, and what these saw lately."""

    def __init__(self, config: CycleGanConfig) -> None:
        super().__init__()
        self.a_to_b, self.b_to_a = (
            CycleGanGenerator(
                config.num_blocks, config.width, residual=config.residual, up=config.up, norm=config.norm
            )
            for _ in "ab"
        )
        self.judge_a, self.judge_b = (
            PatchDiscriminator(3, config.judge_width, halvings=config.judge_halvings, norm=config.judge_norm)
            for _ in "ab"
        )
        self.pool_a, self.pool_b = (PicturePool(config.pool_size, config.crop_px) for _ in "ab")


class CycleGan(AdversarialRecipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``a-to-b.onnx``, ``b-to-a.onnx``, ``translator.json``.
        command: the command that started the training, for the record.
    """

    name = "cyclegan"
    loop_defaults = CycleGanConfig.loop
    model: _Model

    def __init__(self, config: CycleGanConfig, out: Path, command: str = "") -> None:
        if config.crop_px < PatchDiscriminator.smallest_px or config.crop_px % 4:
            raise InputError(
                f"crop_px: expected a multiple of 4 of at least {PatchDiscriminator.smallest_px}, "
                f"got {config.crop_px}"
            )
        self.settings, self.out, self.command = config, out, command
        self.a, self.b = (
            Photos(
                folder,
                crop_px=config.crop_px,
                batch_size=config.batch_size,
                seed=config.seed + offset,
                num_held_out=config.num_held_out,
                held_out=held_out,
            )
            for offset, (folder, held_out) in enumerate(_folders(config))
        )
        torch.manual_seed(config.seed)
        self.model = _Model(config)

    def config(self) -> Mapping[str, Any]:
        """Return the settings, those that say of what kind the networks are with them."""
        kinds = {name: getattr(self.settings, name) for name in ("norm", "judge_norm", "up")}
        return {**super().config(), **kinds}

    def param_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the generators with the loop's rate, the discriminators with `judge_rate` times that."""
        m = self.model
        makers = [*m.a_to_b.parameters(), *m.b_to_a.parameters()]
        return [(makers, 1.0), ([*m.judge_a.parameters(), *m.judge_b.parameters()], self.settings.judge_rate)]

    @contextmanager
    def prefetch(self) -> Iterator[None]:
        """Batches are made ahead."""
        with self.a.ahead(), self.b.ahead():
            yield

    def phases(
        self, step: int, generator: torch.Generator
    ) -> Iterator[tuple[list[nn.Parameter], dict[str, Tensor]]]:
        """Yield the generators with their losses, then the discriminators with theirs."""
        m, settings = self.model, self.settings
        a, b = (photos.batch(step).to(self.device) for photos in (self.a, self.b))
        made_b, made_a = m.a_to_b(a), m.b_to_a(b)
        losses = {
            "fool_a": least_squares(m.judge_a(made_a), real=True),
            "fool_b": least_squares(m.judge_b(made_b), real=True),
            "cycle": settings.cycle_weight
            * (pixel_error(m.b_to_a(made_b), a) + pixel_error(m.a_to_b(made_a), b)),
        }
        if settings.identity_weight:
            same = pixel_error(m.a_to_b(b), b) + pixel_error(m.b_to_a(a), a)
            losses["identity"] = settings.identity_weight * same
        yield [*m.a_to_b.parameters(), *m.b_to_a.parameters()], losses
        del losses

        yield (
            [*m.judge_a.parameters(), *m.judge_b.parameters()],
            {
                f"judge_{domain}": 0.5
                * (
                    least_squares(discriminator(real), real=True)
                    + least_squares(discriminator(old), real=False)
                )
                for domain, discriminator, real, old in (
                    ("a", m.judge_a, a, m.pool_a.exchange(made_a, generator)),
                    ("b", m.judge_b, b, m.pool_b.exchange(made_b, generator)),
                )
            },
        )

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: a held-out picture of each domain a row; a, to b, and back; b, to a, and back."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        count = min(_NUM_SAMPLES, self.a.num_held_out, self.b.num_held_out)
        model.eval()
        columns = []
        for photos, there, back in (
            (self.a, model.a_to_b, model.b_to_a),
            (self.b, model.b_to_a, model.a_to_b),
        ):
            columns.append(photos.held_out(count).to(self.device))
            columns.append(there(columns[-1]))
            columns.append(back(columns[-1]))
        grid = torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2)
        return to_pixels(grid)

    @torch.no_grad()
    def metrics(self, model: nn.Module) -> dict[str, float]:
        """Return Frechet distances to the other domain, and L1 of the way there and back, held-out pictures'.

        ``nothing`` is the distance of the untouched pictures, which a translation has to beat.
        """
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        count = min(NUM_MEASURED, self.a.num_held_out, self.b.num_held_out)
        if not count:
            return {}
        a, b = (photos.held_out(count).to(self.device) for photos in (self.a, self.b))
        model.eval()
        found: dict[str, float] = {}
        ways = (("a-to-b", a, b, model.a_to_b, model.b_to_a), ("b-to-a", b, a, model.b_to_a, model.a_to_b))
        for name, given, wanted, there, back in ways:
            made = torch.cat([there(each) for each in torch.split(given, 1)])
            returned = torch.cat([back(each) for each in torch.split(made, 1)])
            far = self.compared(made, wanted, paired=False)
            near = self.compared(given, wanted, paired=False)
            found |= {f"{name} {key}": value for key, value in far.items()}
            found |= {f"{name} {key}, nothing": value for key, value in near.items()}
            found[f"{name} cycle L1"] = 255 * float((returned - given).abs().mean())
        return found

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export both generators, checked against PyTorch, with the record."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        networks = {"a-to-b": model.a_to_b.cpu(), "b-to-a": model.b_to_a.cpu()}
        record = self.whole_record(record, self.command)
        export_translator(networks, self.out, record, scale_px=self.a.scale_px)

    def sources(self) -> Mapping[str, str]:
        """Return the folders' names and sizes."""
        return {"a": self.a.counted, "b": self.b.counted}


def _folders(config: CycleGanConfig) -> list[tuple[Path, Path | None]]:
    """Folder and folder to hold out of each domain."""
    if (config.domains is None) == (config.a is None and config.b is None) or (config.a is None) != (
        config.b is None
    ):
        raise InputError("expected folders a and b, or domains, a folder with trainA and trainB: name either")
    if config.domains is not None:
        found = find_domains(config.domains)
        if found is None:
            raise InputError(
                f"domains: expected a folder with trainA and trainB, found none in {config.domains}"
            )
        return [(found.a, found.held_out_a), (found.b, found.held_out_b)]
    assert config.a is not None and config.b is not None  # noqa: S101, PT018 (narrows the types; refused above)
    for folder in (config.a, config.b):
        if find_domains(folder) is not None:
            raise InputError(
                f"{folder}: has trainA and trainB, so both domains are in it: name it by --domains"
            )
    return [(config.a, None), (config.b, None)]
