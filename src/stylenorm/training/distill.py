"""A small perceptual network learned from larger ones, so that losses need no download.

After Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), and Czarnecki
et al., "Sobolev Training for Neural Networks", NeurIPS 2017 (arXiv:1706.04859).

The student starts with the teachers' first two layers side by side.

Differs from both: what is wanted is not a classifier but a *loss* that moves pictures as the teachers' losses
do. So two things are learned. **Features**: from each tap of the student a linear map must give the teachers'
activations of the same grid; then every Gram matrix of a teacher is a linear image of the student's.
**Gradients**: for a picture between photo and painting, the gradient of the student's style loss with respect
to the pixels must equal the teachers' in direction and length, and so must the content loss's.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.media import atomic_write
from stylenorm.perceptual import (
    DARKNETS,
    DistilledNetwork,
    FeatureNetwork,
    content_loss,
    gram_matrix,
    load_darknet,
    style_loss,
)
from stylenorm.training.data import Photos
from stylenorm.training.loop import Recipe

__all__ = ["Distill", "DistillConfig"]

_GRID = {
    "tiny-darknet": {"conv1": 1, "conv2": 2, "conv4": 4, "conv6": 4, "conv8": 8, "conv10": 8, "conv12": 16},
    "darknet-reference": {"conv1": 1, "conv2": 2, "conv3": 4, "conv4": 8, "conv5": 16},
}
_STUDENT_TAP = {1: "conv1", 2: "conv2", 4: "conv4", 8: "conv6", 16: "conv8"}
_TINY = 1e-12


@dataclass(frozen=True)
class DistillConfig:
    """What the student learns from.

    Attributes:
        photos: folder of photos.
        paintings: folder of paintings.
        features: folder with the teachers' weights.
        crop_px: side of the training crops.
        batch_size: crops a step.
        gradient_weight: weight of the gradients' disagreement (0 if equal, 1 if at right angles); the
            features' error counts 1.
        gradients_from: share of the steps after which gradients are compared; features alone before.
        num_held_out: photos, and as many paintings, that are never trained on.
        seed: what all choices are drawn from.
    """

    photos: Path
    paintings: Path
    features: Path
    crop_px: int = 192
    batch_size: int = 16
    gradient_weight: float = 1.0
    gradients_from: float = 0.4
    num_held_out: int = 24
    seed: int = 0


class _Model(nn.Module):
    """The student, and the linear maps by which its taps give the teachers' activations."""

    def __init__(self, widths: Mapping[tuple[int, str], int]) -> None:
        super().__init__()
        self.student = DistilledNetwork()
        student = {f"conv{i}": conv.out_channels for i, conv in enumerate(self.student.layers(), start=1)}
        self.heads = nn.ModuleDict(
            {
                f"{number}-{tap}": nn.Conv2d(student[_student_tap(number, tap)], width, 1)
                for (number, tap), width in widths.items()
            }
        )


class Distill(Recipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        steps: how many the training will have, for ``gradients_from``.
        out: folder for the results: ``distilled.safetensors``, ``record.json``.
        command: the command that started the training, for the record.
    """

    name = "distill"
    model: _Model

    def __init__(self, config: DistillConfig, steps: int, out: Path, command: str = "") -> None:
        if config.crop_px < 32:
            raise InputError(f"crop_px: expected at least 32, got {config.crop_px}")
        self.settings, self.steps, self.out, self.command = config, steps, out, command
        self.device = torch.device("cpu")
        self.photos, self.paintings = (
            Photos(
                folder,
                crop_px=config.crop_px,
                batch_size=config.batch_size,
                seed=config.seed + offset,
                num_held_out=config.num_held_out,
            )
            for offset, folder in enumerate((config.photos, config.paintings))
        )
        self.teachers = [load_darknet(name, config.features) for name in DARKNETS]
        torch.manual_seed(config.seed)
        widths = {
            (number, tap): teacher.layers()[int(tap.removeprefix("conv")) - 1].out_channels
            for number, teacher in enumerate(self.teachers)
            for tap in teacher.style_taps
        }
        self.model = _Model(widths)
        self._start_from_teachers()

    def to(self, device: torch.device) -> None:
        """Move model and teachers."""
        self.model.to(device)
        for teacher in self.teachers:
            teacher.to(device)
        self.device = device

    @contextmanager
    def running(self) -> Iterator[None]:
        """Batches are made ahead."""
        with self.photos.ahead(), self.paintings.ahead():
            yield

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all must be the same when a checkpoint is resumed."""
        return {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float)}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step."""
        photo, painting = (source.batch(step).to(self.device) for source in (self.photos, self.paintings))
        between = _between(photo, painting, generator)
        losses = {"features": self._features_error(torch.cat([between, photo[::2], painting[::2]]))}
        if step >= self.settings.gradients_from * self.steps:
            style, content = self._gradients_error(between, photo, painting)
            losses["style_gradient"] = self.settings.gradient_weight * style
            losses["content_gradient"] = self.settings.gradient_weight * content
        return losses

    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return the student's first filters, enlarged: what can be seen of a network at a glance."""
        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        filters = model.student.layers()[0].weight.detach().cpu()
        low, high = filters.amin((1, 2, 3), keepdim=True), filters.amax((1, 2, 3), keepdim=True)
        tiles = F.pad((filters - low) / (high - low + _TINY), (0, 1, 0, 1), value=1.0)
        grid = tiles.reshape(4, 8, 3, 4, 4).permute(0, 3, 1, 4, 2).reshape(16, 32, 3)
        return np.repeat(np.repeat((grid * 255).byte().numpy(), 12, axis=0), 12, axis=1)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Write the weights in float16, and the record with the errors on what was held out."""
        from safetensors.torch import save

        assert isinstance(model, _Model)  # noqa: S101 (narrows the type; not a user's input)
        tensors = {k: v.detach().cpu().half().contiguous() for k, v in model.student.state_dict().items()}
        self.model = model
        size = self.settings.num_held_out
        photo, painting = (s.held_out(size).to(self.device) for s in (self.photos, self.paintings))
        between = _between(photo, painting, torch.Generator().manual_seed(0))
        style, content = self._gradients_error(between, photo, painting)
        whole_record = {
            **record,
            **{k: str(v) for k, v in self.config().items()},
            "command": self.command,
            "teachers": ", ".join(DARKNETS),
            "photos": f"{len(self.photos.paths)} ({self.settings.photos.name})",
            "paintings": f"{len(self.paintings.paths)} ({self.settings.paintings.name})",
            "machine": f"{platform.machine()}, {self.device.type}",
            "held_out_features_error": f"{self._features_error(between).item():.4f}",
            "held_out_style_gradient_error": f"{style.item():.4f}",
            "held_out_content_gradient_error": f"{content.item():.4f}",
        }
        with atomic_write(self.out / "distilled.safetensors", overwrite=True) as file:
            file.write(save(tensors, metadata=whole_record))
        with atomic_write(self.out / "record.json", overwrite=True) as file:
            file.write((json.dumps(whole_record, indent=2) + "\n").encode())

    @torch.no_grad()
    def _start_from_teachers(self) -> None:
        """Put the teachers' first two layers side by side: there the student can be exact from the start."""
        filled = [0, 0]
        for teacher in self.teachers:
            read_from = 0
            for i, (theirs, ours) in enumerate(
                zip(teacher.layers()[:2], self.model.student.layers()[:2], strict=True)
            ):
                rows = slice(filled[i], filled[i] + theirs.out_channels)
                ours.weight[rows] = 0
                ours.weight[rows, read_from : read_from + theirs.in_channels] = theirs.weight
                ours.bias[rows] = theirs.bias  # type: ignore[index, assignment]  # both have one
                read_from, filled[i] = rows.start, rows.stop

    def _features_error(self, x: Tensor) -> Tensor:
        """Relative squared error of the teachers' activations, as a whole and channel by channel."""
        taps = self.model.student(x)
        errors = []
        for number, teacher in enumerate(self.teachers):
            with torch.no_grad():
                wanted = teacher(x, teacher.style_taps)
            for tap, target in wanted.items():
                got = self.model.heads[f"{number}-{tap}"](taps[_student_tap(number, tap)])
                error = (got - target).square().mean(dim=(0, 2, 3))
                size = target.square().mean(dim=(0, 2, 3))
                errors += [error.mean() / size.mean(), (error / (size + 0.01 * size.mean())).mean()]
        return torch.stack(errors).mean()

    def _gradients_error(self, x: Tensor, photo: Tensor, painting: Tensor) -> tuple[Tensor, Tensor]:
        """Disagreement of student's and teachers' gradients, of the style loss and of the content loss."""
        x = x.detach().requires_grad_()
        found = []
        for networks, is_student in ((self.teachers, False), ([self.model.student], True)):
            found.append(
                [
                    torch.autograd.grad(term.sum(), x, create_graph=is_student, retain_graph=True)[0].flatten(
                        1
                    )
                    for term in _terms(networks, x, photo, painting)
                ]
            )
        style, content = (_disagreement(a.detach(), b) for a, b in zip(*found, strict=True))
        return style, content


def _disagreement(wanted: Tensor, got: Tensor) -> Tensor:
    """1 - cosine, and more if the lengths differ: 0 for equal vectors; (N, K) each."""
    cosine = F.cosine_similarity(wanted, got, dim=1)
    ratio = (got.norm(dim=1) + _TINY) / (wanted.norm(dim=1) + _TINY)
    disagreement: Tensor = (ratio + 1 / ratio) / 2 - cosine
    return disagreement.mean()


def _student_tap(number: int, tap: str) -> str:
    return _STUDENT_TAP[_GRID[list(DARKNETS)[number]][tap]]


def _terms(
    networks: Sequence[FeatureNetwork], x: Tensor, photo: Tensor, painting: Tensor
) -> tuple[Tensor, Tensor]:
    """Style and content loss of each sample, (N,) each.

    As `PerceptualLoss` has them, but what is aimed at depends on the network's weights here, too.
    """
    style, content = [], []
    for network in networks:
        found, wanted = network(x), network(painting, network.style_taps)
        of_photo = network(photo, [network.content_tap])[network.content_tap]
        content.append(content_loss(found[network.content_tap], of_photo))
        per_tap = [
            style_loss(gram_matrix(found[tap]), gram_matrix(wanted[tap])) for tap in network.style_taps
        ]
        style.append(torch.stack(per_tap).mean(dim=0))
    return torch.stack(style).mean(dim=0), torch.stack(content).mean(dim=0)


def _between(photo: Tensor, painting: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures such as an optimiser meets on its way from a photo to its painting.

    A photo whose colours move towards the painting's, blended with the painting and with noise of a random
    coarseness, each by a random amount.
    """

    def amounts(high: float) -> Tensor:
        return (torch.rand(len(photo), 1, 1, 1, generator=generator) * high).to(photo.device)

    moments: Sequence[tuple[Tensor, Tensor]] = [
        (p.mean((2, 3), keepdim=True), p.std((2, 3), keepdim=True) + 0.02) for p in (photo, painting)
    ]
    (mean, deviation), (mean_p, deviation_p) = moments
    recoloured = (photo - mean) / deviation * deviation_p + mean_p
    x = torch.lerp(photo, recoloured, amounts(1.0))
    x = torch.lerp(x, painting, amounts(0.7) ** 2)
    side = photo.shape[-1] // int(2 ** torch.randint(0, 4, (1,), generator=generator).item())
    noise = torch.randn(len(photo), 3, side, side, generator=generator).to(photo.device)
    noise = F.interpolate(noise, size=photo.shape[-2:], mode="bilinear", align_corners=False)
    return (x + noise * amounts(0.5) ** 2).clamp(-0.1, 1.1)
