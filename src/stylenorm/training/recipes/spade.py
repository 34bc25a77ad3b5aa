"""Photos from label maps, learned from labelled photos.

Park, Liu, Wang, Zhu, "Semantic Image Synthesis with Spatially-Adaptive Normalization", CVPR 2019
(arXiv:1903.07291).

As published: networks; hinge losses (Lim & Ye 2017, arXiv:1705.02894), feature matching with weight 10 and a
perceptual loss with weight 10; Adam with (0, 0.9), 1e-4 for the generator and 4e-4 for the discriminators
(Heusel et al. 2017, arXiv:1706.08500), the rates falling linearly over the second half; an encoder of the
photo's look with a divergence loss of weight 0.05, if ``latent`` asks for it.

Differs from the paper: the norm inside SPADE is instance norm unless ``norm`` is ``"batch"``, which measures
the batch of all processes, as the paper's does; the perceptual loss looks through VGG-16, which ships
(``--features vgg19`` for the paper's), and its differences are relative, so that one weight fits both; the
divergence is a mean over the batch, not a sum; there are no maps of the edges between instances; the
discriminators see the pictures that the generator's phase scored, not such as are made anew after it; the
result is the running average of the weights (``--average 0`` for the last ones); pictures are scaled at
random by 1 to 1.35 before they are cropped. The paper trains with 32 photos at a time, on 8 GPUs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations import SpadeConfig
from stylenorm.errors import InputError, UnknownNameError
from stylenorm.export import export_label_painter
from stylenorm.networks import MultiscaleDiscriminator, SpadeEncoder, SpadeGenerator
from stylenorm.perceptual import FeatureNetwork, load_features
from stylenorm.training import ranks
from stylenorm.training.data.labels import LabelledPhotos, colored, one_channel_a_class
from stylenorm.training.recipe import to_pixels
from stylenorm.training.recipes.adversarial import NUM_MEASURED, AdversarialRecipe, hinge

__all__ = ["Spade", "SpadeConfig", "feature_difference", "feature_matching"]

_NUM_SAMPLES = 4
_DISCRIMINATOR_RATE = 4.0  # of the discriminators, in units of the generator's
_NORMS = ("instance", "batch")


class _Model(nn.Module):
    def __init__(self, config: SpadeConfig) -> None:
        super().__init__()
        channels = config.num_classes + 1
        self.generator = SpadeGenerator(
            channels,
            config.width,
            config.hidden,
            num_doublings=config.num_doublings,
            norm=config.norm,
            latent=config.latent,
            start_px=config.crop_px >> config.num_doublings,
        )
        self.judge = MultiscaleDiscriminator(channels, config.judge_width)
        self.encoder: SpadeEncoder | None = None
        if config.latent:
            size_px = 1 << (config.crop_px.bit_length() - 1)
            self.encoder = SpadeEncoder(config.latent, config.width, size_px)


class Spade(AdversarialRecipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``labels-to-photo.onnx``, ``translator.json``.
        command: the command that started the training, for the record.
    """

    name = "spade"
    loop_defaults = SpadeConfig.loop
    betas = (0.0, 0.9)
    model: _Model

    def __init__(self, config: SpadeConfig, out: Path, command: str = "") -> None:
        if config.norm not in _NORMS:
            raise UnknownNameError("norm", config.norm, _NORMS)
        self.features: Sequence[FeatureNetwork] = []
        if config.perceptual_weight:
            self.features = load_features(config.features)
        smallest = max(1 << config.num_doublings, *(each.smallest_px for each in self.features), 8)
        if config.crop_px < smallest:
            raise InputError(
                f"crop_px: expected at least {smallest} for {config.num_doublings} doublings and these "
                f"features, got {config.crop_px}"
            )
        self.pairs = LabelledPhotos(
            config.pairs,
            crop_px=config.crop_px,
            batch_size=config.batch_size,
            seed=config.seed,
            num_held_out=config.num_held_out,
            num_classes=config.num_classes,
            first_class=config.first_class,
        )
        self.settings = replace(
            config, num_classes=self.pairs.num_classes, first_class=self.pairs.first_class
        )
        self.out, self.command = out, command
        torch.manual_seed(config.seed)
        self.model = _Model(self.settings)

    def companions(self) -> Sequence[nn.Module]:
        """Return the feature networks."""
        return self.features

    def param_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return generator and encoder with the loop's rate, the discriminators with four times that."""
        return [(self._makers(), 1.0), (list(self.model.judge.parameters()), _DISCRIMINATOR_RATE)]

    def config(self) -> Mapping[str, Any]:
        """Return the settings; the norm and the features are among those that must be the same."""
        return {**super().config(), "norm": self.settings.norm, "features": self.settings.features}

    def prefetch(self) -> AbstractContextManager[None]:
        """Batches are made ahead."""
        return self.pairs.ahead()

    def phases(
        self, step: int, generator: torch.Generator
    ) -> Iterator[tuple[list[nn.Parameter], dict[str, Tensor]]]:
        """Yield the generator (and the encoder) with its losses, then the discriminators with theirs."""
        settings, model = self.settings, self.model
        labels, photo = self._split(self.pairs.batch(step))
        losses: dict[str, Tensor] = {}
        z = None
        if model.encoder is not None:
            noise = torch.randn(settings.batch_size, settings.latent, generator=generator)
            mean, log_variance = model.encoder(photo)
            z = mean + (0.5 * log_variance).exp() * ranks.shard(noise).to(self.device)
            losses["divergence"] = settings.divergence_weight * divergence(mean, log_variance)
        made = model.generator(labels, z)
        on_made, on_photo = self._scored(labels, made, photo)
        losses["fool"] = -torch.stack([scale[-1].mean() for scale in on_made]).mean()
        losses["matching"] = settings.feature_weight * feature_matching(on_made, on_photo)
        if self.features:
            difference = feature_difference(self.features, made, photo)
            losses["perceptual"] = settings.perceptual_weight * difference
        yield self._makers(), losses
        del losses

        on_made, on_photo = self._scored(labels, made.detach(), photo)
        mistakes = [
            hinge(fake[-1], real=False) + hinge(true[-1], real=True)
            for fake, true in zip(on_made, on_photo, strict=True)
        ]
        yield list(model.judge.parameters()), {"judge": torch.stack(mistakes).mean()}

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: a held-out pair a row; labels in colours, the picture made, the photo."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        both = self.pairs.held_out(min(_NUM_SAMPLES, self.pairs.num_held_out))
        labels, photo = self._split(both)
        made = model.generator.eval()(labels)
        colors = colored((both[:, 3:] * 255).round().to(self.device), self.settings.num_classes)
        return to_pixels(torch.cat([torch.cat(list(x), dim=1) for x in (colors, made, photo)], dim=2))

    @torch.no_grad()
    def metrics(self, model: nn.Module) -> dict[str, float]:
        """Return L1 to the true photos and the Frechet distance, of held-out pairs."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        if not self.pairs.num_held_out:
            return {}
        labels, photos = self._split(self.pairs.held_out(min(NUM_MEASURED, self.pairs.num_held_out)))
        made = torch.cat([model.generator.eval()(each) for each in torch.split(labels, 1)])
        return self.compared(made, photos, paired=True)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the generator, checked against PyTorch, with the record."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        export_label_painter(
            model.generator.cpu(),
            self.out,
            self.whole_record(record, self.command),
            scale_px=self.pairs.scale_px,
            first_class=self.pairs.first_class,
        )

    def sources(self) -> Mapping[str, str]:
        """Return the folder's name and size."""
        return {"pairs": self.pairs.counted}

    def _makers(self) -> list[nn.Parameter]:
        encoder = self.model.encoder
        return [*self.model.generator.parameters(), *(encoder.parameters() if encoder else ())]

    def _split(self, both: Tensor) -> tuple[Tensor, Tensor]:
        both = both.to(self.device)
        numbers = (both[:, 3:] * 255).round().long()
        return one_channel_a_class(numbers, self.settings.num_classes), both[:, :3]

    def _scored(
        self, labels: Tensor, made: Tensor, photo: Tensor
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Both in one batch: one step of spectral norm's power iteration, as in the authors' code."""
        seen = self.model.judge(torch.cat([labels, labels]), torch.cat([made, photo]))
        halves = [[layer.chunk(2) for layer in scale] for scale in seen]
        return tuple([[layer[i] for layer in scale] for scale in halves] for i in (0, 1))  # type: ignore[return-value]


def feature_matching(made: list[list[Tensor]], photo: list[list[Tensor]]) -> Tensor:
    """Return how far a discriminator's layers tell made from true: mean over scales of sums over layers.

    Args:
        made: by scale and layer, as `MultiscaleDiscriminator` gives them; the last layer does not count.
        photo: the same of the photos; no gradient goes there.
    """
    scales = [
        torch.stack([(a - b.detach()).abs().mean() for a, b in zip(x[:-1], y[:-1], strict=True)]).sum()
        for x, y in zip(made, photo, strict=True)
    ]
    return torch.stack(scales).mean()


def feature_difference(networks: Sequence[FeatureNetwork], made: Tensor, photo: Tensor) -> Tensor:
    """Return the mean over samples and networks of the relative L1 difference, a weighted mean of style taps.

    As in the paper, a tap counts twice as much as the next finer one. Pictures (N, 3, H, W), RGB, 0..1.
    """
    differences = []
    for network in networks:
        with torch.no_grad():
            wanted = network(photo, network.style_taps)
        found = network(made, network.style_taps)
        taps = [
            2.0**i * _mean(found[tap] - wanted[tap]) / _mean(wanted[tap]).clamp(min=1e-6)
            for i, tap in enumerate(network.style_taps)
        ]
        differences.append(torch.stack(taps).sum(dim=0) / (2 ** len(taps) - 1))
    return torch.stack(differences).mean()


def _mean(features: Tensor) -> Tensor:
    return features.abs().mean(dim=(1, 2, 3))  # of each sample, whoever shares the batch with it


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from standard normal numbers; (N, K) each, mean over N."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
