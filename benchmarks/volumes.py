"""Does the volumes recipe learn, why instance norm, and whose statistics? Scans that are drawn tell.

    python benchmarks/volumes.py [--seeds N] [--runs DIR] [--picture OUT.png]

Scans and labels are drawn (`material.synthetic_volumes`): 20 to learn from, 8 that are held out,
about 48 voxels wide. The same small network is trained on patches of 32 in batches of 2 with instance norm
and with batch norm; nothing is resampled. What is measured is on the held-out scans, by windows that overlap
by half: Dice of each label, mean over the scans.

- *Norms*: of the running average of the weights (what `stylenorm train` writes; batch norm's statistics are
  measured anew for it, over 50 batches) and of the last weights, batch norm with its running statistics, as
  one would run a network after training; and batch norm with the statistics of each window, as instance norm.
- *Other scanners*: the networks as written, on the held-out scans with only the middle two thirds of each
  side in view, with 12 voxels of air around, and with another contrast (gamma 2 and 0.5, where training had
  0.75 to 1.35).
- *Statistics*, of the networks with instance norm: of each window (patch), of the whole volume with windows
  (volume), of the whole volume without (whole), and of larger windows than were trained with. Dice, processor
  time of one thread, and the seam: how much logits change from one voxel to the next across the planes where
  windows begin or end, divided by how much they change near these; 1 is no seam. With and without overlap.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from material.synthetic_volumes import SYNTHETIC_LABELS, write_volumes
from measured import write_result
from stylenorm.media.scans import read_labels, read_volume
from stylenorm.models import Segmenter, blended, standardized, window_starts
from stylenorm.networks import UNet3d
from stylenorm.training import LoopConfig, Volumes, VolumesConfig, fit
from stylenorm.training.recipes.volumes import drawn_over

SIZE, HELD_OUT, TRAINING, PATCH = 48, 8, 20, 32
SETTINGS = {"patch_voxels": PATCH, "num_levels": 4, "width": 8, "batch_size": 2}
LOOP = {"steps": 400, "learning_rate": 4e-3, "clip": 12.0, "average": 0.95}
Voxels = NDArray[np.float32]
Labels = NDArray[np.uint8]
Scans = list[tuple[Voxels, Labels]]


def main() -> None:
    """Train, measure and write results/volumes.json after each seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each norm")
    parser.add_argument(
        "--runs", type=Path, help="folder to keep runs in; what is there is not trained again"
    )
    parser.add_argument(
        "--picture",
        type=Path,
        help="slices of three scans, two of other scanners: scan, labels, instance, batch",
    )
    options = parser.parse_args()
    method = {"size": SIZE, "training": TRAINING, "held_out": HELD_OUT, "settings": SETTINGS, "loop": LOOP}
    norms: dict[str, list[object]] = {"instance": [], "batch": []}
    statistics: list[object] = []
    with tempfile.TemporaryDirectory() as scratch:
        drawn, runs = Path(scratch) / "scans", options.runs or Path(scratch)
        write_volumes(drawn, HELD_OUT + TRAINING, SIZE, seed=3)
        scans = held_out(drawn)
        for seed in range(options.seeds):
            for norm, found in norms.items():
                out = runs / f"{norm}-{seed}"
                found.append(trained(drawn, out, norm, seed, scans))
                if norm == "instance":
                    statistics.append(compared(out, scans))
                results = {"method": method, "norms": norms, "statistics": statistics}
                write_result("volumes", __doc__.splitlines()[0], results)
            if options.picture and seed == 0:
                shifted = shifts(scans)
                shown = [scans[0], shifted["middle_in_view"][1], shifted["gamma_0.5"][2]]
                draw(options.picture, [runs / f"{norm}-0" for norm in norms], shown)


def held_out(folder: Path) -> Scans:
    """The held-out scans and their labels."""
    names = sorted(path.name for path in (folder / "images").iterdir())[:HELD_OUT]
    return [
        (read_volume(folder / "images" / name).voxels, read_labels(folder / "labels" / name).voxels)
        for name in names
    ]


def trained(folder: Path, out: Path, norm: str, seed: int, scans: Scans) -> dict[str, object]:
    """Train one network; its Dice as written, with its last weights, and with windows' own statistics."""
    if not (out / "segmenter.json").exists():
        config = VolumesConfig(
            folder, patch="cube", spacing="none", norm=norm, num_held_out=HELD_OUT, seed=seed, **SETTINGS
        )
        used, started = time.process_time(), time.perf_counter()
        fit(Volumes(config, out), LoopConfig(out, seed=seed, sample_every=0, **LOOP))
        spent = [
            round((now - then) / 60, 2)
            for now, then in ((time.process_time(), used), (time.perf_counter(), started))
        ]
        (out / "minutes.json").write_text(
            json.dumps(dict(zip(("cpu_minutes", "minutes"), spent, strict=True)))
        )
    minutes = json.loads((out / "minutes.json").read_text())
    last = UNet3d(len(SYNTHETIC_LABELS), SETTINGS["num_levels"], SETTINGS["width"], norm=norm).eval()
    last.load_state_dict(torch.load(out / "checkpoint.pt", weights_only=True)["model"])
    found = {
        "written": dice_of([Segmenter(out, threads=1)(voxels) for voxels, _ in scans], scans),
        "last_weights": dice_of(by_torch(last, scans), scans),
    }
    for name, shifted in shifts(scans).items():
        segmenter = Segmenter(out, threads=1)
        found[name] = dice_of([segmenter(voxels) for voxels, _ in shifted], shifted)
    if norm == "batch":
        local = copy.deepcopy(last)
        for module in local.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.train()
                module.track_running_stats = False
        found["last_weights_and_each_windows_statistics"] = dice_of(by_torch(local, scans), scans)
    return {"seed": seed, **found, **minutes}


def shifts(scans: Scans) -> dict[str, Scans]:
    """The scans as other scanners would have given them."""
    middle = [tuple(slice(side // 6, side - side // 6) for side in voxels.shape) for voxels, _ in scans]
    air = [(12, 12)] * 3
    return {
        "middle_in_view": [(v[at], labels[at]) for (v, labels), at in zip(scans, middle, strict=True)],
        "air_around": [
            (np.pad(v, air, constant_values=np.percentile(v, 2)), np.pad(labels, air)) for v, labels in scans
        ],
        "gamma_2": [(bent(v, 2.0), labels) for v, labels in scans],
        "gamma_0.5": [(bent(v, 0.5), labels) for v, labels in scans],
    }


def bent(voxels: Voxels, gamma: float) -> Voxels:
    """Another contrast."""
    low, high = np.percentile(voxels, [0.1, 99.9])
    made: Voxels = (np.clip((voxels - low) / (high - low), 0, None) ** gamma).astype(np.float32)
    return made


@torch.no_grad()
def by_torch(network: UNet3d, scans: Scans) -> list[Labels]:
    """Labels by windows, in PyTorch."""

    def run(window: Voxels) -> Voxels:
        made: Voxels = network(torch.from_numpy(window)).numpy()
        return made

    return [
        np.concatenate(list(blended(run, standardized(voxels), (PATCH,) * 3, len(SYNTHETIC_LABELS))), axis=1)
        .argmax(0)
        .astype(np.uint8)
        for voxels, _ in scans
    ]


def compared(out: Path, scans: Scans) -> dict[str, object]:
    """The methods on one network."""
    found: dict[str, object] = {}
    for name, method, overlap, window in cases():
        segmenter = Segmenter(out, method, overlap=overlap, threads=1)
        segmenter.window = (window,) * 3
        segmenter(scans[0][0][:PATCH, :PATCH, :PATCH])  # compiles what it can beforehand
        seams, labels = [], []
        used = time.process_time()
        logits = [np.concatenate(list(segmenter.logits(voxels)), axis=1) for voxels, _ in scans]
        seconds = (time.process_time() - used) / len(scans)
        for each in logits:
            labels.append(each.argmax(0).astype(np.uint8))
            seams.append(seam(each, window, overlap))
        found[name] = {
            "dice": dice_of(labels, scans),
            "seam": round(float(np.mean(seams)), 3),
            "cpu_s_a_scan": round(seconds, 3),
        }
    return found


def cases() -> Iterator[tuple[str, str, float, int]]:
    """Name, method, overlap, window."""
    for overlap in (0.5, 0.0):
        for method in ("patch", "volume"):
            yield f"{method}, overlap {overlap:g}", method, overlap, PATCH
    yield "whole", "whole", 0.5, PATCH  # no windows; the seam is measured where the others have theirs
    for window in (40, 48):
        yield f"patch of {window}, overlap 0.5", "patch", 0.5, window


def seam(logits: Voxels, window: int, overlap: float) -> float:
    """How much more logits change across window borders than near them; 1 if there are none."""
    at, elsewhere = [], []
    for axis in (1, 2, 3):
        side = logits.shape[axis]
        change = np.abs(np.diff(logits, axis=axis)).mean(tuple(i for i in range(4) if i != axis))
        borders = {b for s in window_starts(max(side, window), window, overlap) for b in (s, s + window)}
        inside = sorted(b - 1 for b in borders if 0 < b < side)
        at += list(change[inside])
        # Beside the borders, where anatomy changes as much as at them.
        beside = {i for b in inside for i in (b - 3, b - 2, b + 2, b + 3)} - set(inside)
        elsewhere += list(change[sorted(i for i in beside if 0 <= i < len(change))])
    return float(np.mean(at) / np.mean(elsewhere)) if at else 1.0


def dice_of(found: Sequence[Labels], scans: Scans) -> dict[str, float]:
    """Dice of each label but the background, mean over the scans; and the mean of these."""
    scores = {}
    for label, name in enumerate(SYNTHETIC_LABELS[1:], start=1):
        each = [
            2 * ((made == label) & (truth == label)).sum() / ((made == label).sum() + (truth == label).sum())
            for made, (_, truth) in zip(found, scans, strict=True)
        ]
        scores[name] = round(float(np.mean(each)), 4)
    return {**scores, "mean": round(float(np.mean(list(scores.values()))), 4)}


def draw(path: Path, folders: list[Path], scans: Scans) -> None:
    """Write a picture: a scan a row; its slice, the truth, what each network says."""
    rows = []
    for voxels, truth in scans:
        grey, middle = np.clip((standardized(voxels) + 2) / 5, 0, 1).astype(np.float32), truth.shape[2] // 2
        made = [Segmenter(folder, threads=1)(voxels) for folder in folders]
        shown = [drawn_over(grey[..., middle], each[..., middle]) for each in (truth * 0, truth, *made)]
        # Front up, the patient's right on the left; all rows of one size.
        tiles = [np.rot90(each) for each in shown]
        rows.append(np.concatenate([resized(tile, 200) for tile in tiles], axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path)


def resized(tile: Voxels, size: int) -> NDArray[np.uint8]:
    """A slice (H, W, 3), 0..1, as a square with a border."""
    image = Image.fromarray((tile * 255).round().astype(np.uint8))
    return np.pad(
        np.asarray(image.resize((size - 8, size - 8), Image.Resampling.NEAREST)), [(4, 4), (4, 4), (0, 0)]
    )


if __name__ == "__main__":
    main()
