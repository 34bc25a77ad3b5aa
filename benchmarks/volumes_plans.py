"""When do a common spacing and a planned patch help? Bodies drawn of one size in voxels, or in millimetres.

    python benchmarks/volumes_plans.py [--runs DIR]

Two sets of 28 drawn scans (`material.synthetic_volumes`), 8 held out. Voxels measure 0.8 to 1.4 mm, and are
up to one and a half times as thick. In one set bodies are about 48 voxels wide, whatever these measure; in
the other they are about as wide in millimetres, as patients are, so that smaller voxels are more of them. The
network and the training are those of `benchmarks/volumes.py`, with instance norm and one seed:

- by the defaults of ``train volumes``, which bring scans to the median spacing and plan the patch,
- with ``--spacing none --patch cube``.

Dice is on the scans' own grids. ``there and back`` is that of the true labels, brought to the median spacing
and back: what resampling alone costs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from material.synthetic_volumes import SYNTHETIC_LABELS, write_volumes
from measured import mean_dice, write_result
from stylenorm.media.scans import read_labels, read_scan
from stylenorm.models import Segmenter, labels_of_logits, resampled_labels, sides_at
from stylenorm.training import LoopConfig, Volumes, VolumesConfig, fit
from volumes import HELD_OUT, LOOP, SETTINGS, SIZE, TRAINING

PLANS = (("median", "auto"), ("none", "cube"))
Labels = NDArray[np.uint8]


def main() -> None:
    """Train, measure and write results/volumes_plans.json after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, help="folder of runs; what is there is not trained again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for spacing, patch in PLANS:
            for name in ("millimetres", "voxels"):
                scans = Path(scratch) / name
                if not scans.exists():
                    write_volumes(scans, HELD_OUT + TRAINING, SIZE, seed=3, in_mm=name == "millimetres")
                run = (options.runs or Path(scratch) / "runs") / f"{name}-{spacing}-{patch}"
                if not (run / "segmenter.json").exists():
                    trained(scans, run, spacing, patch)
                segmenter, found = Segmenter(run, threads=1), results.setdefault(name, {})
                found[f"{spacing}, {patch}"] = measured(scans, segmenter)
                if segmenter.resamples:
                    found["there and back"] = there_and_back(scans, segmenter.spacing_mm)
                write_result("volumes_plans", __doc__.splitlines()[0], {"loop": LOOP, **SETTINGS, **results})


def trained(scans: Path, run: Path, spacing: str, patch: str) -> None:
    """Train one network."""
    config = VolumesConfig(scans, spacing=spacing, patch=patch, num_held_out=HELD_OUT, **SETTINGS)
    used = time.process_time()
    fit(Volumes(config, run), LoopConfig(run, sample_every=0, **LOOP))
    print(f"{run.name}: {time.process_time() - used:.0f} s of processor time")


def measured(scans: Path, segmenter: Segmenter) -> dict[str, float]:
    """Dice on the held-out scans."""
    pairs = []
    for path in held_out(scans):
        scan = read_scan((path,))
        made = segmenter(scan.voxels, spacing_mm=scan.spacing_mm)
        pairs.append((made, truth_of(scans, path)))
    return by_name(pairs)


def there_and_back(scans: Path, spacing_mm: tuple[float, ...]) -> dict[str, float]:
    """Dice of the true labels that were resampled as in training, and brought back as logits are."""
    pairs = []
    for path in held_out(scans):
        truth = truth_of(scans, path)
        there = resampled_labels(truth, sides_at(truth.shape, read_scan((path,)).spacing_mm, spacing_mm))
        sure = np.stack([(there == label).astype(np.float32) for label in range(len(SYNTHETIC_LABELS))])
        pairs.append((labels_of_logits(sure, truth.shape), truth))
    return by_name(pairs)


def held_out(scans: Path) -> list[Path]:
    """The scans that no network learns from."""
    return sorted((scans / "images").iterdir())[:HELD_OUT]


def truth_of(scans: Path, path: Path) -> Labels:
    """The labels of a scan."""
    labels: Labels = read_labels(scans / "labels" / path.name).voxels
    return labels


def by_name(pairs: list[tuple[Labels, Labels]]) -> dict[str, float]:
    """Dice of each label, mean over the scans, by the labels' names; and the mean of these."""
    named = {str(label): name for label, name in enumerate(SYNTHETIC_LABELS)}
    return {named.get(label, label): round(score, 3) for label, score in mean_dice(pairs).items()}


if __name__ == "__main__":
    main()
