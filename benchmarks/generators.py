"""Do StyleGAN and StyleGAN2 learn to make pictures like those that they are shown?

    python benchmarks/generators.py [--recipe stylegan stylegan2] [--steps N] [--pictures OUT] [--keep DIR]

Scenes of shapes by day are drawn (`material.renderings`), 32 pixels wide; each recipe learns from
2000 of them, in a small size. What is measured is the Frechet distance between what is made, of seeds and
without truncation, and 2000 other scenes: of the normal distributions with the means and covariances of
simple features of both. Features are thumbnails of 8 x 8 pixels (192 numbers: where which colours are) and,
for what thumbnails do not see, the spectrum: the logarithm of the power at each of 16 frequencies in each
colour (48 numbers). Beside it stand the distance before the training, that of yet other scenes (the floor,
which is not 0, since 2000 pictures are finitely many), and that of the scenes' mean (2000 times the same
picture). 0..1 is the range of the pictures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from material.renderings import write_renderings
from measured import RESULTS, write_result
from stylenorm.networks.style_based import StyleGenerator
from stylenorm.training import LoopConfig, StyleGan, StyleGan2, StyleGan2Config, StyleGanConfig, fit

SIZE_PX, COUNT = 32, 2000
SMALL = {
    "channel_base": 512,
    "channel_max": 64,
    "style_length": 64,
    "num_mapping_layers": 4,
    "batch_size": 16,
}
SETTINGS = {
    "stylegan": {**SMALL, "r1_weight": 1.0, "r1_every": 4},
    "stylegan2": {**SMALL, "r1_weight": 0.2, "r1_every": 4, "path_weight": 0.0},
}
STEPS = {"stylegan": 4500, "stylegan2": 3200}
AVERAGE = 0.99
RATES = {"stylegan": 3e-3, "stylegan2": 2.5e-3}

Floats = NDArray[np.float64]


def main() -> None:
    """Train, measure and write results/generators.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--steps", type=int, help="default: those of the documented size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=Path, help="scenes, and what each network makes, in a grid")
    parser.add_argument(
        "--keep", type=Path, help="a folder that keeps the trained networks; goes on from there"
    )
    options = parser.parse_args()
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_renderings(folder / "shown", COUNT, SIZE_PX, seed=0)
        write_renderings(folder / "others", 2 * COUNT, SIZE_PX, seed=2)
        others = read(folder / "others" / "a")
        judge, floor = others[:COUNT], others[COUNT:]
        same = np.broadcast_to(judge.mean(axis=0), judge.shape)
        results["other scenes"], results["the mean scene"] = distances(floor, judge), distances(same, judge)
        grids = [floor[:32]]
        for name in options.recipe:
            out = (options.keep or folder) / name
            results[name], made = trained(name, folder / "shown" / "a", out, judge, options)
            grids.append(made[:32])
        if options.pictures:
            write_grids(options.pictures, grids)
    method = {"size_px": SIZE_PX, "pictures": COUNT, "seed": options.seed, "threads": torch.get_num_threads()}
    kept = RESULTS / "generators.json"
    before = json.loads(kept.read_text())["results"] if kept.exists() else {}
    if before.get("method") == method:  # the other recipe's, where one alone was asked for
        results = {**before, **results}
    write_result("generators", __doc__.splitlines()[0], {"method": method, **results})


def trained(
    name: str, photos: Path, out: Path, judge: Floats, options: argparse.Namespace
) -> tuple[dict[str, object], Floats]:
    """Train one recipe; return the figures and pictures that it makes."""
    settings = {"size_px": SIZE_PX, "seed": options.seed, **SETTINGS[name]}
    recipe: StyleGan | StyleGan2
    if name == "stylegan":
        recipe = StyleGan(StyleGanConfig(photos, **settings), out)
    else:
        recipe = StyleGan2(StyleGan2Config(photos, **settings), out)
    found = {"before": distances(make(recipe.model.generator), judge)}
    averaged: list[nn.Module] = []
    recipe.finish = lambda model, _: averaged.append(model)  # type: ignore[method-assign]
    used = Counted(recipe)
    steps = options.steps or STEPS[name]
    loop = {"steps": steps, "learning_rate": RATES[name], "average": AVERAGE}
    fit(recipe, LoopConfig(out, clip=0.0, sample_every=250, seed=options.seed, resume=True, **loop))
    made = make(averaged[0].generator)
    found["after"] = distances(made, judge)
    fell = {key: round(found["before"][key] / found["after"][key], 1) for key in found["after"]}
    return {
        "settings": {**SETTINGS[name], **loop},
        "parameters": {
            part: sum(parameter.numel() for parameter in network.parameters())
            for part, network in (("generator", recipe.model.generator), ("judge", recipe.model.judge))
        },
        **found,
        "distance_fell_by": fell,
        "cpu_minutes": round(used.seconds_a_step(out) * steps / 60, 1),
    }, made


class Counted:
    """Processor time of a step, also of those that an earlier call made."""

    def __init__(self, recipe: StyleGan | StyleGan2) -> None:
        self.started, self.steps, self.phases = time.process_time(), 0, recipe.phases
        recipe.phases = self._counted  # type: ignore[method-assign]

    def _counted(self, step: int, generator: torch.Generator) -> object:
        self.steps += 1
        return self.phases(step, generator)

    def seconds_a_step(self, out: Path) -> float:
        """Seconds; of an earlier call where this one made no step."""
        kept = out / "seconds_a_step.txt"
        if self.steps:
            kept.write_text(str((time.process_time() - self.started) / self.steps))
        return float(kept.read_text())


@torch.no_grad()
def make(network: StyleGenerator) -> Floats:
    """Pictures (COUNT, S, S, 3), 0..1, as they are written: in 8 bits."""
    generator = torch.Generator().manual_seed(7)
    made = []
    for _ in range(COUNT // 100):
        z = torch.randn(100, network.style_length, generator=generator)
        made.append(network(z, network.draw_noise(100, generator)).clamp(0, 1))
    return (torch.cat(made).permute(0, 2, 3, 1) * 255).round().double().numpy() / 255


def read(folder: Path) -> Floats:
    """Pictures (N, S, S, 3), 0..1."""
    return np.stack([np.asarray(Image.open(path), np.float64) for path in sorted(folder.iterdir())]) / 255


def distances(a: Floats, b: Floats) -> dict[str, float]:
    """Frechet distances of the features."""
    return {
        name: round(frechet(features(a), features(b)), 4)
        for name, features in (("thumbnails", thumbnails), ("spectrum", spectrum))
    }


def thumbnails(pixels: Floats) -> Floats:
    """Means of 4 x 4 pixels: (N, 192)."""
    n, size = pixels.shape[:2]
    return pixels.reshape(n, 8, size // 8, 8, size // 8, 3).mean((2, 4)).reshape(n, -1)


def spectrum(pixels: Floats) -> Floats:
    """Logarithm of the power at each frequency, over all directions: (N, 48)."""
    size = pixels.shape[1]
    power = np.square(np.abs(np.fft.fft2(pixels, axes=(1, 2), norm="ortho")))
    cycles = np.abs(np.fft.fftfreq(size, 1 / size))
    ring = np.hypot(cycles[:, None], cycles).round().astype(int)
    rings = [power[:, ring == i].mean(axis=1) for i in range(1, size // 2 + 1)]
    return np.log10(np.concatenate(rings, axis=1) + 1e-6)


def frechet(a: Floats, b: Floats) -> float:
    """Distance of the normal distributions with the means and covariances of (N, D) each."""
    first, second = np.cov(a.T), np.cov(b.T)
    root = np.sqrt(np.linalg.eigvals(first @ second).real.clip(0)).sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * root)


def write_grids(path: Path, grids: list[Floats]) -> None:
    """Grids of 4 x 8 pictures side by side, twice as large as they are."""
    blocks = []
    for grid in grids:
        rows = [np.concatenate(list(grid[i : i + 4]), axis=1) for i in range(0, len(grid), 4)]
        blocks += [np.concatenate(rows, axis=0), np.ones((len(rows) * SIZE_PX, SIZE_PX // 4, 3))]
    whole = (np.concatenate(blocks[:-1], axis=1) * 255).round().astype(np.uint8)
    image = Image.fromarray(whole)
    image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST).save(path)


if __name__ == "__main__":
    main()
