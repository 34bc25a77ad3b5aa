"""Volumes: our recipe against MONAI's DynUNet, transforms and loss, on the same scans for the same time.

    python benchmarks/volumes_monai.py [--minutes M] [--seeds N] [--sides 48 ...] [--cases DIR [--held-out N]]

Both train the same network (a U-Net of 4 levels, width 8, instance norm) on patches of 32 in batches of 2 on
one thread, by Adam with the same learning rate, which falls by (1 - t)^0.9 over the time. They take turns of
some seconds, so that what else the machine does slows both down alike, and each stops after ``--minutes`` of
processor time (reading the scans is not counted). What is measured is Dice on scans that were held out, each
on its own grid.

- *Ours*: `stylenorm train volumes` step by step: its patches and their changes, Dice loss and cross entropy,
  gradients clipped at 12, the running average of the weights.
- *MONAI*: ``DynUNet``; Orientationd, Spacingd (to the same spacing), NormalizeIntensityd; SpatialPadd,
  RandCropByPosNegLabeld, RandFlipd along each axis, RandScaleIntensityd, RandShiftIntensityd,
  RandGaussianNoised; DiceCELoss without the background; the last weights and, beside them, their running
  average; sliding_window_inference and Invertd.

The scans are drawn (`material.synthetic_volumes`), of several widths, 20 to learn from and 8 held out;
``--cases`` takes a folder of real ones instead, of which the first by name are held out. Each seed is another
beginning, and another order of the patches, of both.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset, decollate_batch, list_data_collate
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import DynUNet
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    NormalizeIntensityd,
    Orientationd,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandGaussianNoised,
    RandScaleIntensityd,
    RandShiftIntensityd,
    Spacingd,
    SpatialPadd,
)
from torch import nn

from material.synthetic_volumes import write_volumes
from measured import mean_dice, write_result
from stylenorm.export import export_segmenter
from stylenorm.media.scan_layouts import ScanCase, find_labelled_scans
from stylenorm.media.scans import read_labels, read_scan
from stylenorm.models import Segmenter
from stylenorm.training import Volumes, VolumesConfig

TRAINING, HELD_OUT, PATCH, LEVELS, WIDTH, BATCH = 20, 8, 32, 4, 8, 2
RATE, CLIP, AVERAGE, OVERLAP = 4e-3, 12.0, 0.98, 0.5
TURN_S = 5.0
Step = Callable[[int], torch.Tensor]


class Learner:
    """A network that is trained for some processor time, in turns.

    Args:
        network: what is trained.
        step: the loss of a step.
        budget_s: processor time.
    """

    def __init__(self, network: nn.Module, step: Step, budget_s: float) -> None:
        self.network, self.step, self.budget_s = network, step, budget_s
        self.averaged = copy.deepcopy(network)
        self.adam = torch.optim.Adam(network.parameters(), RATE)
        self.steps, self.used_s = 0, 0.0

    def turn(self) -> bool:
        """Train for a turn; return whether there is time left."""
        begun = time.process_time()
        while (spent := time.process_time() - begun) < TURN_S and self.used_s + spent < self.budget_s:
            for group in self.adam.param_groups:
                group["lr"] = RATE * (1 - (self.used_s + spent) / self.budget_s) ** 0.9
            self.adam.zero_grad(set_to_none=True)
            self.step(self.steps).backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.adam.step()
            for mean, now in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                mean.data.lerp_(now.data, 1 - AVERAGE)
            self.steps += 1
        self.used_s += time.process_time() - begun
        return self.used_s < self.budget_s


def main() -> None:
    """Compare on each set of scans; write results/volumes_monai.json after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="processor time of each")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each")
    parser.add_argument("--sides", type=int, nargs="+", default=[48], help="widths of drawn scans, in voxels")
    parser.add_argument(
        "--cases", type=Path, help="real scans instead, as stylenorm train volumes takes them"
    )
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="real scans to measure on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    name_of_results = "volumes_monai_scans" if options.cases else "volumes_monai"
    method = {"minutes": options.minutes, "patch": PATCH, "levels": LEVELS, "width": WIDTH}
    method |= {"batch": BATCH, "rate": RATE, "average": AVERAGE, "turn_s": TURN_S, "held_out": HELD_OUT}
    found: dict[str, list[dict[str, object]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folders = {f"{side} voxels": Path(scratch) / str(side) for side in options.sides}
        if options.cases:
            folders = {options.cases.name: options.cases}
            method["held_out"] = options.held_out
        for seed in range(options.seeds):
            for name, folder in folders.items():
                if not options.cases and not folder.exists():
                    write_volumes(folder, HELD_OUT + TRAINING, int(folder.name), seed=3)
                out = Path(scratch) / f"ours-{name}-{seed}"
                each = compared(folder, out, 60 * options.minutes, method["held_out"], seed)
                found.setdefault(name, []).append({"seed": seed, **each})
                results = {"method": method, "scans": found, "means": overall(found)}
                write_result(name_of_results, __doc__.splitlines()[0], results)


def overall(found: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Mean Dice of each, over the seeds, and how far apart these are."""
    ways = {"ours": ("ours", "dice"), "monai": ("monai", "dice")}
    ways["monai_averaged_weights"] = ("monai", "dice_of_averaged_weights")
    told: dict[str, dict[str, float]] = {}
    for name, trainings in found.items():
        told[name] = {}
        for way, (who, what) in ways.items():
            scores = [each[who][what]["mean"] for each in trainings]
            told[name] |= {way: round(float(np.mean(scores)), 4), f"{way}_range": round(np.ptp(scores), 4)}
    return told


def compared(folder: Path, out: Path, budget_s: float, num_held_out: int, seed: int) -> dict[str, object]:
    """Train both on a folder's scans; steps, seconds a step and Dice of each."""
    config = VolumesConfig(
        folder,
        patch="cube",
        patch_voxels=PATCH,
        num_levels=LEVELS,
        width=WIDTH,
        num_held_out=num_held_out,
        seed=seed,
    )
    recipe = Volumes(config, out)
    recipe.to(torch.device("cpu"))
    ours = Learner(
        recipe.model,
        lambda step: sum(recipe.losses(step, torch.Generator()).values()),
        budget_s,  # type: ignore[arg-type]
    )
    cases = find_labelled_scans(folder).cases
    monai = Monai(cases[num_held_out:], recipe, seed)
    theirs = Learner(monai.network, monai.step, budget_s)
    learners = [ours, theirs]
    while learners:  # in turns
        learners = [learner for learner in learners if learner.turn()]
    held_out = cases[:num_held_out]
    return {
        "ours": {"dice": dice_of_ours(recipe, ours.averaged, out, held_out), **told(ours)},
        "monai": {
            "dice": monai.dice(theirs.network, held_out),
            "dice_of_averaged_weights": monai.dice(theirs.averaged, held_out),
            **told(theirs),
        },
    }


def told(learner: Learner) -> dict[str, float]:
    """How far it came."""
    return {"steps": learner.steps, "cpu_s_a_step": round(learner.used_s / learner.steps, 3)}


def dice_of_ours(
    recipe: Volumes, network: nn.Module, out: Path, held_out: tuple[ScanCase, ...]
) -> dict[str, float]:
    """Dice of the exported network, as `stylenorm segment` runs it."""
    cases = recipe.cases
    export_segmenter(
        network,  # type: ignore[arg-type]  # a copy of the recipe's
        out,
        window=cases.patch,
        spacing_mm=cases.spacing_mm,
        record={},
        interpolation=recipe.settings.interpolation,
        intensities=cases.intensities,
    )
    segmenter = Segmenter(out, overlap=OVERLAP, threads=1)
    found = []
    for case in held_out:
        scan = read_scan(case.images)
        found.append(segmenter(scan.voxels, spacing_mm=scan.spacing_mm))
    return mean_dice(
        [(made, read_labels(case.labels).voxels) for made, case in zip(found, held_out, strict=True)]
    )  # type: ignore[arg-type]


class Monai:
    """MONAI's way with the same scans.

    Args:
        cases: what is learned from.
        recipe: ours, for classes and spacing.
        seed: of weights, patches and changes.
    """

    def __init__(self, cases: tuple[ScanCase, ...], recipe: Volumes, seed: int) -> None:
        both = ["image", "label"]
        spacing = recipe.cases.spacing_mm
        self.before = [
            LoadImaged(both),
            EnsureChannelFirstd(both),
            Orientationd(both, axcodes="RAS", labels=None),
            Spacingd(both, pixdim=spacing, mode=("bilinear", "nearest")),
            NormalizeIntensityd("image"),
        ]
        changes = [
            SpatialPadd(both, (PATCH,) * 3),
            RandCropByPosNegLabeld(
                both, "label", (PATCH,) * 3, pos=1, neg=1, num_samples=1, allow_smaller=False
            ),
            *(RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)),
            RandScaleIntensityd("image", factors=0.25, prob=0.15),
            RandShiftIntensityd("image", offsets=0.25, prob=0.15),
            RandGaussianNoised("image", prob=0.1),
        ]
        items = [{"image": str(case.images[0]), "label": str(case.labels)} for case in cases]
        every = Compose([*self.before, *changes])
        every.set_random_state(seed)
        self.data = CacheDataset(items, every, num_workers=0, progress=False)
        torch.manual_seed(seed)
        strides = [1] + [2] * (LEVELS - 1)
        self.network = DynUNet(
            3,
            recipe.cases.num_channels,
            recipe.cases.num_classes,
            [3] * LEVELS,
            strides,
            strides[1:],
            filters=[WIDTH << level for level in range(LEVELS)],
            norm_name=("INSTANCE", {"affine": True}),
        )
        self._loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
        self._batches = self._drawn()

    def step(self, _: int) -> torch.Tensor:
        """The loss of a batch."""
        batch = next(self._batches)
        loss: torch.Tensor = self._loss(self.network(batch["image"].as_tensor()), batch["label"].as_tensor())
        return loss

    def _drawn(self) -> Iterator[dict[str, Any]]:
        while True:
            loader = torch.utils.data.DataLoader(
                self.data, BATCH, shuffle=True, drop_last=True, collate_fn=list_data_collate
            )
            yield from loader

    @torch.no_grad()
    def dice(self, network: nn.Module, held_out: tuple[ScanCase, ...]) -> dict[str, float]:
        """Dice on each scan's own grid."""
        network.eval()
        before = Compose([*(copy.deepcopy(each) for each in self.before)])
        after = Invertd("pred", before, orig_keys="image", nearest_interp=False, to_tensor=True)
        pairs = []
        for case in held_out:
            read = before({"image": str(case.images[0]), "label": str(case.labels)})
            batch = list_data_collate([read])
            batch["pred"] = sliding_window_inference(
                batch["image"], (PATCH,) * 3, 1, network, overlap=OVERLAP, mode="gaussian"
            )
            made = after(decollate_batch(batch)[0])["pred"].argmax(0).numpy().astype(np.uint8)
            (truth,) = EnsureChannelFirstd("label")(LoadImaged("label")({"label": str(case.labels)}))["label"]
            pairs.append((made, truth.numpy().astype(np.uint8)))
        network.train()
        return mean_dice(pairs)


if __name__ == "__main__":
    main()
