"""Small perceptual networks learned from classifiers, layer by layer, so that losses need no download.

After Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015 (arXiv:1412.6550), and Hinton, Vinyals,
Dean, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531).

Differs from both: what is wanted is not a classifier but a *loss* that moves pictures as the teachers' losses
do, also far from photographs. That asks for features that are equal, not similar: an optimiser finds what a
judge has wrong. A student with one trunk for both teachers, trained by gradient descent on features and on
the losses' gradients, left 4.8 times the teachers' style loss when pictures were optimised on it. So the
students have the teachers' layout, and every layer is a linear regression, solved exactly:

- what goes in is what the student's own layers before it give (so that it makes up for their errors, and for
  the rounding to float16, which is done layer by layer),
- what shall come out is the teacher's answer before its leaky ReLU,
- the pictures are photos, paintings, and what an optimiser meets between them: blends, other colours, noise.

A student that succeeds is the teacher, up to rounding: see the model card for the teachers' licences.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.configurations import DistillConfig
from stylenorm.errors import InputError
from stylenorm.media import atomic_write, write_json
from stylenorm.perceptual import DARKNETS, Darknet, DistilledNetwork, load_darknet
from stylenorm.perceptual.darknet import LEAK
from stylenorm.training.data.photos import Photos

__all__ = ["DistillConfig", "distill"]

_POSITIONS = 4096  # looked at in each batch, at most: neighbours on a fine grid say nearly the same
_RIDGE = 1e-9  # of the mean square of the inputs


def distill(config: DistillConfig, command: str = "") -> Mapping[str, str]:
    """Learn the students, write them and return their record.

    Args:
        config: what to learn from.
        command: the command that started it, for the record.

    Raises:
        InputError: the crops are too small.
        TrainingError: a folder has too few pictures.
    """
    from tqdm import tqdm

    if config.crop_px < 32:
        raise InputError(f"crop_px: expected at least 32, got {config.crop_px}")
    photos, paintings = (
        Photos(
            folder,
            crop_px=config.crop_px,
            batch_size=config.batch_size,
            seed=config.seed + offset,
            num_held_out=config.num_held_out,
        )
        for offset, folder in enumerate((config.photos, config.paintings))
    )
    for source in (photos, paintings):
        for note in source.look_through():
            tqdm.write(f"stylenorm: note: {note}", file=sys.stderr)
    teachers = [load_darknet(name, config.features) for name in DARKNETS]
    students = [DistilledNetwork(name).requires_grad_(False) for name in DARKNETS]
    batches = [
        _pictures(photos.batch(i), paintings.batch(i), config.seed + i) for i in range(config.num_batches)
    ]

    with tqdm(total=sum(len(s.layers()) for s in students), desc="distill", unit="layer") as progress:
        for student, teacher in zip(students, teachers, strict=True):
            for number in range(1, len(student.layers()) + 1):
                _learn_layer(student, teacher, number, batches)
                progress.update()

    held_out = _pictures(
        photos.held_out(config.num_held_out), paintings.held_out(config.num_held_out), config.seed
    )
    errors = {
        f"{student.name} {tap}": error
        for student, teacher in zip(students, teachers, strict=True)
        for tap, error in _errors(student, teacher, held_out).items()
    }
    record = {
        **{k: str(v) for k, v in vars(config).items() if isinstance(v, int | float)},
        "command": command,
        "teachers": ", ".join(DARKNETS),
        "photos": photos.counted,
        "paintings": paintings.counted,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "held_out_error": json.dumps({tap: float(f"{error:.2g}") for tap, error in errors.items()}),
    }
    _write(students, config.out, record)
    return record


def _write(students: Sequence[DistilledNetwork], out: Path, record: Mapping[str, str]) -> None:
    from safetensors.torch import save

    tensors = {
        f"{student.name}.{name}": tensor.half().contiguous()
        for student in students
        for name, tensor in student.state_dict().items()
    }
    with atomic_write(out / "distilled.safetensors", overwrite=True) as file:
        file.write(save(tensors, metadata=dict(record)))
    details: dict[str, Any] = {**record, "held_out_error": json.loads(record["held_out_error"])}
    write_json(out / "record.json", details)


@torch.no_grad()
def _learn_layer(student: DistilledNetwork, teacher: Darknet, number: int, batches: Sequence[Tensor]) -> None:
    """Solve for layer ``number`` (from 1): least squares from what it is given to the teacher's answer."""
    layer = student.layers()[number - 1]
    size = layer.in_channels * 9 + 1
    products = torch.zeros(size, size, dtype=torch.float64)
    answers = torch.zeros(size, layer.out_channels, dtype=torch.float64)
    tap = f"conv{number}"
    for index, pictures in enumerate(batches):
        seen = F.unfold(_input(student, number, pictures), 3, padding=1)  # (N, C * 9, H * W)
        wanted = teacher(pictures, [tap])[tap].flatten(2)  # (N, K, H * W)
        rows = _some(seen, index)
        targets = _some(wanted, index)
        targets = torch.where(targets < 0, targets / LEAK, targets)  # before the leaky ReLU
        rows = F.pad(rows, (0, 1), value=1.0)  # the bias
        # Sums of a thousand products in float32, sums of those in float64.
        for start in range(0, len(rows), 1024):
            some_rows, some_targets = rows[start : start + 1024], targets[start : start + 1024]
            products += (some_rows.T @ some_rows).double()
            answers += (some_rows.T @ some_targets).double()
    products.diagonal().add_(_RIDGE * products.diagonal().mean())
    solution = torch.linalg.solve(products, answers)  # (C * 9 + 1, K)
    rounded = solution.half().float()
    assert layer.bias is not None  # noqa: S101 (narrows the type; not a user's input)
    layer.weight.copy_(rounded[:-1].T.reshape(layer.weight.shape))
    layer.bias.copy_(rounded[-1])


def _some(x: Tensor, seed: int) -> Tensor:
    """Return (positions, channels) of (N, channels, HW): all, or some drawn by ``seed``."""
    flat = x.transpose(1, 2).flatten(0, 1)
    if len(flat) <= _POSITIONS:
        return flat
    return flat[torch.randperm(len(flat), generator=torch.Generator().manual_seed(seed))[:_POSITIONS]]


def _input(student: DistilledNetwork, number: int, pictures: Tensor) -> Tensor:
    """Return what layer ``number`` is given."""
    if number == 1:
        return pictures
    before = f"conv{number - 1}"
    x = student(pictures, [before])[before]
    return F.avg_pool2d(x, 2) if number - 1 in student.spec.pools_after else x


@torch.no_grad()
def _errors(student: nn.Module, teacher: Darknet, x: Tensor) -> dict[str, float]:
    """Root of the relative squared error at each style tap."""
    found, wanted = student(x, teacher.style_taps), teacher(x, teacher.style_taps)
    return {
        tap: float(((found[tap] - wanted[tap]).square().mean() / wanted[tap].square().mean()).sqrt())
        for tap in teacher.style_taps
    }


def _pictures(photo: Tensor, painting: Tensor, seed: int) -> Tensor:
    """Photos, paintings, and pictures such as an optimiser meets on its way from the one to the other.

    These are photos whose colours move towards the painting's, blended with the painting and with noise of a
    random coarseness, each by a random amount.
    """
    generator = torch.Generator().manual_seed(seed)

    def amounts(high: float) -> Tensor:
        return torch.rand(len(photo), 1, 1, 1, generator=generator) * high

    moments: Sequence[tuple[Tensor, Tensor]] = [
        (p.mean((2, 3), keepdim=True), p.std((2, 3), keepdim=True) + 0.02) for p in (photo, painting)
    ]
    (mean, deviation), (mean_p, deviation_p) = moments
    recoloured = (photo - mean) / deviation * deviation_p + mean_p
    between = torch.lerp(photo, recoloured, amounts(1.0))
    between = torch.lerp(between, painting, amounts(0.7) ** 2)
    side = photo.shape[-1] // int(2 ** torch.randint(0, 4, (1,), generator=generator).item())
    noise = torch.randn(len(photo), 3, side, side, generator=generator)
    noise = F.interpolate(noise, size=photo.shape[-2:], mode="bilinear", align_corners=False)
    between = (between + noise * amounts(0.5) ** 2).clamp(-0.1, 1.1)
    return torch.cat([photo, painting, between])
