"""Segmentation of volumes, learned from scans with labels: nnU-Net's plain recipe.

Isensee, Jaeger, Kohl, Petersen, Maier-Hein, "nnU-Net: a self-configuring method for deep learning-based
biomedical image segmentation", Nature Methods 18, 2021 (arXiv:1904.08128). Dice loss: Milletari, Navab,
Ahmadi, "V-Net", 3DV 2016 (arXiv:1606.04797), as Drozdzal 2016 puts it for several classes.

As published: network, patches in batches of 2 of which a third (the second) has foreground in its middle,
soft Dice over the classes but the background plus cross entropy, the learning rate by (1 - t)^0.9, gradients
clipped at 12, each scan resampled to one spacing and normalized to mean 0 and deviation 1, or as CT by the
percentiles of the foreground; patch, kernels and strides after the spacing (`segmentation_plan`).

Differs from the paper: Adam with 3e-4, as nnU-Net had it in 2018 (arXiv:1809.10486), where it now has SGD
with Nesterov momentum and 1e-2; deep supervision is an option; the result is the running average of the
weights (``--average 0`` for the last ones); less augmentation (`labelled_scans.augmented`).
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations import VolumesConfig
from stylenorm.export import export_segmenter
from stylenorm.models import blended, dice_scores, surface_distances
from stylenorm.networks import UNet3d
from stylenorm.training.data.labelled_scans import Cases
from stylenorm.training.recipe import Recipe, to_pixels
from stylenorm.training.recipes.generators import remeasured
from stylenorm.training.segmentation_plan import by

__all__ = ["Volumes", "VolumesConfig", "dice_loss", "segmentation_losses"]

_SMOOTH = 1e-5
_NUM_REMEASURED = 50  # batches
_NUM_SAMPLES = 4
_MEASURED_OVERLAP = 0.25
_SAMPLE_PX = 128  # slices are enlarged to about that
_COLORS = np.array(
    [[0.9, 0.25, 0.2], [0.2, 0.65, 0.95], [0.95, 0.8, 0.2], [0.3, 0.8, 0.4], [0.75, 0.4, 0.9]], np.float32
)


class Volumes(Recipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``segmenter.onnx``, ``segmenter.json``.
        command: the command that started the training, for the record.
    """

    name = "volumes"
    loop_defaults = VolumesConfig.loop
    model: UNet3d

    def __init__(self, config: VolumesConfig, out: Path, command: str = "") -> None:
        self.settings, self.out, self.command = config, out, command
        self.cases = Cases(config)
        plan = self.cases.plan
        torch.manual_seed(config.seed)
        self.model = UNet3d(
            self.cases.num_classes,
            plan.num_levels,
            config.width,
            in_channels=self.cases.num_channels,
            norm=config.norm,
            # As published, the coarsest map of the way up does not take part.
            num_heads=max(1, plan.num_levels - 2) if config.deep_supervision else 1,
            kernels=plan.kernels,
            strides=plan.strides,
        )
        self.device, self._format = torch.device("cpu"), torch.contiguous_format

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.device = device
        # On CPUs a step takes two thirds of the time in channels_last.
        self._format = torch.channels_last_3d if device.type == "cpu" else torch.contiguous_format
        self.model.to(device, memory_format=self._format)  # type: ignore[call-overload]

    def plan(self) -> list[str]:
        """Return in words what is going to be trained on what."""
        cases, settings = self.cases, self.settings
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        held_out = f"{len(cases.held_out)} held out"
        if settings.fold is not None:
            held_out += f" (fold {settings.fold} of {settings.folds})"
        what = "resampled to" if cases.resamples else "not resampled, median"
        channels = ", ".join(cases.channels) or f"{cases.num_channels}"
        ways = "; ".join(dict.fromkeys(str(way) for way in cases.intensities))
        return [
            f"plan: {len(cases.training)} scans to train on, {held_out}; channels: {channels}; "
            f"{cases.num_classes} classes",
            f"plan: voxels {what} {by(cases.spacing_mm)} mm; intensities: {ways}",
            f"plan: {settings.batch_size} {'; '.join(cases.plan.lines())}",
            f"plan: {cases.plan.num_levels} levels, {settings.norm} norm, {parameters / 1e6:.1f} M "
            "parameters, "
            f"deep supervision {'on' if settings.deep_supervision else 'off'}",
        ]

    def notes(self) -> list[str]:
        """Return the plan, and what is not used or differs among the scans."""
        return [*self.plan(), *self.cases.notes()]

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, as a share of the first's."""
        return float((1 - step / steps) ** 0.9)

    def config(self) -> Mapping[str, Any]:
        """Return the settings; all but the weights must be the same when a checkpoint is resumed."""
        settings = {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float | str)}
        held_out = ",".join(case.name for case in self.cases.held_out)
        return {**settings, "num_classes": self.cases.num_classes, "held_out_cases": held_out}

    def tunable(self) -> Sequence[str]:
        """Return the weights of the losses."""
        return ["dice_weight", "entropy_weight"]

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the losses of a step, whose patches are drawn from (seed, step)."""
        images, labels = (each.to(self.device) for each in self.cases.batch(step))
        images = images.contiguous(memory_format=self._format)
        losses = segmentation_losses(self.model.supervised(images), labels)
        settings = self.settings
        return {
            "dice": settings.dice_weight * losses["dice"],
            "entropy": settings.entropy_weight * losses["entropy"],
        }

    @torch.no_grad()
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: a patch of a held-out scan a row; a slice, its labels, what the network says."""
        network = model.eval()
        rows = []
        for case in self.cases.held_out[:_NUM_SAMPLES]:
            places = np.concatenate([*case.places.values(), [[side // 2 for side in case.labels.shape]]])
            image, labels = self.cases.cut(case, np.median(places, axis=0).astype(int))
            logits = network(torch.from_numpy(image)[None].to(self.device))
            found = logits[0].argmax(0).cpu().numpy()
            middle = labels.shape[2] // 2
            grey = np.clip((image[0, ..., middle] + 2.5) / 5, 0, 1).astype(np.float32)
            shown = [drawn_over(grey, each[..., middle]) for each in (np.zeros_like(labels), labels, found)]
            rows.append(np.concatenate(shown, axis=1))
        model.train()
        grid = np.concatenate(rows)
        times = max(1, _SAMPLE_PX // max(self.cases.patch[:2]))
        return to_pixels(torch.from_numpy(grid.repeat(times, 0).repeat(times, 1)).permute(2, 0, 1))

    @torch.no_grad()
    def metrics(self, model: nn.Module) -> dict[str, float]:
        """Return Dice and, where SciPy is installed, the surfaces' mean distance by label, of held-out scans.

        On the grid that scans were brought to. Windows overlap by a quarter here, and by half where
        `stylenorm segment` uses the result.
        """
        network = model.eval()
        found: dict[str, list[float]] = {}

        def run(window: NDArray[np.float32]) -> NDArray[np.float32]:
            logits: NDArray[np.float32] = network(torch.from_numpy(window).to(self.device)).cpu().numpy()
            return logits

        for case in self.cases.held_out:
            sides = case.labels.shape
            lacking = [(0, max(0, p - side)) for side, p in zip(sides, self.cases.patch, strict=True)]
            volume = np.pad(case.image, [(0, 0), *lacking])
            rows = blended(run, volume, self.cases.patch, self.cases.num_classes, _MEASURED_OVERLAP)
            labels = np.concatenate([each.argmax(axis=0).astype(np.uint8) for each in rows])
            labels = labels[: sides[0], : sides[1], : sides[2]]
            spacing = self.cases.spacing_mm if self.cases.resamples else case.spacing_mm
            for label, score in dice_scores(labels, case.labels).items():
                found.setdefault(f"Dice {label}", []).append(score)
            if importlib.util.find_spec("scipy"):
                for label, (mean, _) in surface_distances(labels, case.labels, spacing).items():
                    found.setdefault(f"surface mm {label}", []).append(mean)
        model.train()
        means = {name: float(np.mean(values)) for name, values in sorted(found.items())}
        scores = [value for name, value in means.items() if name.startswith("Dice")]
        return {**({"Dice": float(np.mean(scores))} if scores else {}), **means}

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the network, checked against PyTorch, with the record."""
        assert isinstance(model, UNet3d)  # noqa: S101 (narrows the type; not a user's input)

        def run(network: UNet3d) -> None:
            for step in range(_NUM_REMEASURED):
                network(self.cases.batch(step)[0].to(self.device))

        whole = {
            **record,
            **{key: str(value) for key, value in self.config().items()},
            "cases": f"{len(self.cases.training)} + {len(self.cases.held_out)} ({self.settings.cases.name})",
            "command": self.command,
            "machine": f"{platform.machine()}, {self.device.type}",
        }
        export_segmenter(
            remeasured(model, run).cpu(),
            self.out,
            window=self.cases.patch,
            spacing_mm=self.cases.spacing_mm,
            record=whole,
            interpolation=self.settings.interpolation if self.cases.resamples else None,
            intensities=self.cases.intensities,
            channels=self.cases.channels,
        )


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Return 1 minus the soft Dice of each sample and class but the background, averaged.

    .. math:: 1 - \frac{2 \sum p\,t + \epsilon}{\sum p + \sum t + \epsilon}

    Args:
        logits: (N, K, *S); p is their softmax.
        labels: (N, *S), whole numbers below K; t is 1 where they are the class.
    """
    p = logits.float().softmax(1)[:, 1:].flatten(2)
    t = F.one_hot(labels.flatten(1), logits.shape[1]).transpose(1, 2)[:, 1:].to(p.dtype)  # (N, K - 1, L)
    both, total = (p * t).sum(2), p.sum(2) + t.sum(2)
    return 1 - ((2 * both + _SMOOTH) / (total + _SMOOTH)).mean()


def segmentation_losses(logits: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
    """Return Dice loss and cross entropy, of several levels weighted 1, 1/2, 1/4, ..., divided by their sum.

    Args:
        logits: (N, K, *grid) of each level, the finest first.
        labels: (N, X, Y, Z); coarser levels see every second voxel along the axes that they halve.
    """
    weights = [0.5**level for level in range(len(logits))]
    totals = {"dice": logits[0].new_zeros(()), "entropy": logits[0].new_zeros(())}
    for each, weight in zip(logits, weights, strict=True):
        x, y, z = (whole // side for whole, side in zip(labels.shape[1:], each.shape[2:], strict=True))
        truth = labels[:, ::x, ::y, ::z]
        share = weight / sum(weights)
        totals["dice"] = totals["dice"] + share * dice_loss(each, truth)
        totals["entropy"] = totals["entropy"] + share * F.cross_entropy(each.float(), truth)
    return totals


def drawn_over(grey: NDArray[np.float32], labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return a slice (H, W, 3) in 0..1 with its labels in colour over it.

    Args:
        grey: (H, W), 0..1.
        labels: (H, W), 0 for none.
    """
    picture = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    color = _COLORS[(labels.astype(int) - 1) % len(_COLORS)]
    shown: NDArray[np.float32] = np.where(labels[..., None] > 0, 0.45 * picture + 0.55 * color, picture)
    return shown
