"""A decoder that paints any style: adaptive instance norm.

Huang, Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017
(arXiv:1703.06868).

As published: the encoder is frozen and reflects its borders, the decoder is its mirror
(`stylenorm.networks.AdainDecoder`). The content loss compares the result's features with those that it was
painted from, the style loss means and deviations at relu1_1, relu2_1, relu3_1 and relu4_1 of VGG-19. Batches
of 8, crops of 256 pixels, Adam with 1e-4, 160,000 steps.

Differs from the paper:

- Both losses are relative: the content loss in units of the features' mean square, the style loss at each
  layer in units of the painting's squared means and deviations. So layers count alike, and one weight serves
  every encoder.
- The losses are taken on the result less a random 0 to 7 pixels on its sides, and the content features of the
  photo cropped alike are what it is compared with: the encoder pools by 2 again and again, and at the phase
  that it was painted from the decoder hides checkerboard artefacts where the encoder does not look.
- By default the encoder is VGG-16, which ships.
- The rate warms up and falls by a cosine, gradients are clipped, and the result is the running average of the
  weights, as in every recipe here.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations import AdainConfig
from stylenorm.errors import InputError
from stylenorm.export import export_adain
from stylenorm.functional import adaptive_instance_norm
from stylenorm.media import write_json
from stylenorm.networks import ADAIN_GRID, AdainDecoder, AdainNetwork, reflect_borders
from stylenorm.perceptual import FeatureNetwork, content_loss, total_variation
from stylenorm.training.data.photos import Photos
from stylenorm.training.recipe import Recipe, to_pixels
from stylenorm.training.recipes.generators import load_loss_networks

__all__ = ["Adain", "AdainConfig", "statistics_loss"]

_VGG_TAPS = ("relu4_1", ("relu1_1", "relu2_1", "relu3_1", "relu4_1"))
_NUM_SAMPLES = 4
_EPS = 1e-5  # in the deviations, as in adaptive instance norm
_TINY = 1e-8


class Adain(Recipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``encoder.onnx``, ``decoder.onnx``, ``adain.json``, ``record.json``; what
            `stylenorm.models.adain` paints with.
        command: the command that started the training, for the record.
    """

    name = "adain"
    loop_defaults = AdainConfig.loop
    model: AdainDecoder

    def __init__(self, config: AdainConfig, out: Path, command: str = "") -> None:
        for name in ("crop_px", "painting_px"):
            size = getattr(config, name)
            if size < 3 * ADAIN_GRID or size % ADAIN_GRID:
                raise InputError(
                    f"{name}: expected a multiple of {ADAIN_GRID}, from {3 * ADAIN_GRID}, got {size}"
                )
        self.settings, self.out, self.command = config, out, command
        self.encoders = load_loss_networks(config.features, _VGG_TAPS)
        reflect_borders(self.encoders)
        self.photos, self.paintings = (
            Photos(
                folder,
                crop_px=size,
                batch_size=config.batch_size,
                seed=config.seed + offset,
                num_held_out=config.num_held_out,
            )
            for offset, (folder, size) in enumerate(
                ((config.photos, config.crop_px), (config.paintings, config.painting_px))
            )
        )
        blank = torch.zeros(1, 3, 2 * ADAIN_GRID, 2 * ADAIN_GRID)
        with torch.no_grad():
            self.taps = [_taps_up_to_content(encoder, blank) for encoder in self.encoders]
            channels = sum(int(encoder(blank, [encoder.content_tap])[encoder.content_tap].shape[1])
                           for encoder in self.encoders)  # fmt: skip
        torch.manual_seed(config.seed)
        self.model = AdainDecoder(channels, config.width)

    def companions(self) -> Sequence[nn.Module]:
        """Return the encoders."""
        return self.encoders

    @contextmanager
    def prefetch(self) -> Iterator[None]:
        """Batches are made ahead."""
        with self.photos.ahead(), self.paintings.ahead():
            yield

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all must be the same when a checkpoint is resumed."""
        numbers = {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float)}
        return {**numbers, "encoder": ", ".join(encoder.name for encoder in self.encoders)}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step."""
        settings = self.settings
        photo, painting = (source.batch(step).to(self.device) for source in (self.photos, self.paintings))
        with torch.no_grad():
            style = [encoder(painting, taps) for encoder, taps in zip(self.encoders, self.taps, strict=True)]
            features = torch.cat(self._adapted(photo, style), dim=1)
        painted = self.model(features)
        dy, dx = torch.randint(ADAIN_GRID, (2,), generator=generator).tolist()
        painted, photo = (x[..., dy : dy - ADAIN_GRID, dx : dx - ADAIN_GRID] for x in (painted, photo))
        with torch.no_grad():
            wanted = self._adapted(photo, style)
        made = [encoder(painted, taps) for encoder, taps in zip(self.encoders, self.taps, strict=True)]
        content = [
            content_loss(found[encoder.content_tap], target)
            for encoder, found, target in zip(self.encoders, made, wanted, strict=True)
        ]
        styles = [
            statistics_loss(found[tap], target[tap])
            for found, target in zip(made, style, strict=True)
            for tap in found
        ]
        return {
            "content": settings.content_weight * torch.stack(content).mean(),
            "style": settings.style_weight * torch.stack(styles).mean(),
            "variation": settings.tv_weight * total_variation(painted).mean(),
        }

    def _adapted(self, photo: Tensor, style: Sequence[Mapping[str, Tensor]]) -> list[Tensor]:
        """The photo's content features with the style's means and deviations, by encoder."""
        return [
            adaptive_instance_norm(
                encoder(photo, [encoder.content_tap])[encoder.content_tap], found[encoder.content_tap]
            )
            for encoder, found in zip(self.encoders, style, strict=True)
        ]

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: held-out paintings above, below each the held-out photos painted in its style."""
        assert isinstance(model, AdainDecoder)  # noqa: S101 (narrows the type; not a user's input)
        network = AdainNetwork(self.encoders, model)
        count = min(_NUM_SAMPLES, self.settings.num_held_out)
        photo, painting = (x.held_out(count).to(self.device) for x in (self.photos, self.paintings))
        small = nn.functional.interpolate(painting, size=photo.shape[-2:], mode="bilinear", antialias=True)
        columns = [torch.cat([torch.ones_like(photo[0]), *photo], dim=1)]
        for i in range(count):
            painted = network(photo, painting[i : i + 1]).clamp(0, 1)
            columns.append(torch.cat([small[i], *painted], dim=1))
        return to_pixels(torch.cat(columns, dim=2))

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export encoder and decoder, checked against PyTorch, and write the record."""
        assert isinstance(model, AdainDecoder)  # noqa: S101 (narrows the type; not a user's input)
        whole_record = {
            **record,
            "command": self.command,
            "photos": self.photos.counted,
            "paintings": self.paintings.counted,
            "machine": f"{platform.machine()}, {self.device.type}",
        }
        self.to(torch.device("cpu"))
        export_adain(AdainNetwork(self.encoders, model.cpu()), self.out, whole_record)
        write_json(self.out / "record.json", {**whole_record, **self.config()})


def statistics_loss(features: Tensor, target: Tensor) -> Tensor:
    r"""Compare means and deviations of each sample's channels; (N, C, H, W) and (N, C, H', W') to (N,).

    .. math::
        \frac{\|\mu(F) - \mu(T)\|^2 + \|\sigma(F) - \sigma(T)\|^2}{\|\mu(T)\|^2 + \|\sigma(T)\|^2}

    Deviations are biased, with 1e-5 inside the root.
    """
    (mean, deviation), (wanted_mean, wanted_deviation) = _moments(features), _moments(target)
    difference = (mean - wanted_mean).square().sum(dim=1) + (deviation - wanted_deviation).square().sum(dim=1)
    size = wanted_mean.square().sum(dim=1) + wanted_deviation.square().sum(dim=1)
    return difference / (size + _TINY)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    mean = features.mean(dim=(2, 3))
    variance = (features - mean[:, :, None, None]).square().mean(dim=(2, 3))
    return mean, torch.sqrt(variance + _EPS)


def _taps_up_to_content(encoder: FeatureNetwork, blank: Tensor) -> list[str]:
    """The style taps that lie no deeper than the content tap, and this one."""
    taps = []
    for tap, _ in encoder.activations(blank):
        if tap in encoder.style_taps or tap == encoder.content_tap:
            taps.append(tap)
        if tap == encoder.content_tap:
            break
    return taps
