"""Do pix2pix and CycleGAN learn to translate? Two renderings of the same scenes tell.

    python benchmarks/translation.py [--recipe pix2pix cyclegan] [--steps N] [--pictures OUT.png]

Scenes by day and by night are drawn (`material.renderings`): for pix2pix pairs, for CycleGAN scenes
of which none is in both folders. The truth is known, then. What is measured is on other scenes: the mean
absolute difference, and the mean of the squares, between the translation of a day and the true night, before
the training and after it, in the running average of the weights, with 0..1 the range of the pictures. Beside
it stands the difference between the day and the night themselves.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from material.renderings import write_renderings
from measured import RESULTS, write_result
from stylenorm.training import CycleGan, CycleGanConfig, LoopConfig, Pairs, Pix2Pix, Pix2PixConfig, fit

SIZE_PX, HELD_OUT = 64, 32
SETTINGS = {
    "pix2pix": {"num_levels": 6, "width": 16, "judge_width": 16, "batch_size": 2},
    "cyclegan": {
        "num_blocks": 2,
        "width": 16,
        "judge_width": 16,
        "batch_size": 2,
        "cycle_weight": 5.0,
        "identity_weight": 2.5,
    },
}
LOOP = {
    "pix2pix": {"steps": 1000, "learning_rate": 1e-3},
    "cyclegan": {"steps": 600, "learning_rate": 1e-3},
}


def main() -> None:
    """Train, measure and write results/translation.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--steps", type=int, help="default: those of the documented size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=Path, help="a grid: day, its translation, true night")
    options = parser.parse_args()
    results = kept_results()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_renderings(folder / "pairs", 400 + HELD_OUT, SIZE_PX, seed=1)
        write_renderings(folder / "loose", 400, SIZE_PX, seed=2, paired=False)
        known = Pairs(
            folder / "pairs", crop_px=SIZE_PX, batch_size=1, seed=0, num_held_out=HELD_OUT
        ).held_out(HELD_OUT)
        day, night = known.chunk(2, dim=1)
        for name in options.recipe:
            loop = {**LOOP[name], **({"steps": options.steps} if options.steps else {})}
            results[name], translated = measured(name, folder, day, night, loop, options.seed)
            if options.pictures:
                columns = [torch.cat(list(x[:6]), dim=1) for x in (day, translated, night)]
                grid = (torch.cat(columns, dim=2) * 255).round().byte().permute(1, 2, 0).numpy()
                path = options.pictures.with_stem(f"{options.pictures.stem}-{name}")
                Image.fromarray(np.asarray(grid)).save(path)
    method = {
        "size_px": SIZE_PX,
        "held_out": HELD_OUT,
        "seed": options.seed,
        "threads": torch.get_num_threads(),
    }
    write_result("translation", __doc__.splitlines()[0], {"method": method, **results})


def kept_results() -> dict[str, object]:
    """Return what was measured before of recipes that are not trained now."""
    path = RESULTS / "translation.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text())["results"]
    return {name: found[name] for name in SETTINGS if name in found}


def measured(
    name: str, folder: Path, day: Tensor, night: Tensor, loop: dict[str, float], seed: int
) -> tuple[dict[str, object], Tensor]:
    """Train one recipe; return the figures and the translations of ``day``."""
    recipe: CycleGan | Pix2Pix
    network: Callable[[nn.Module], nn.Module]
    shared = {"crop_px": SIZE_PX, "seed": seed, **SETTINGS[name]}
    if name == "pix2pix":
        recipe = Pix2Pix(Pix2PixConfig(folder / "pairs", num_held_out=HELD_OUT, **shared), folder / name)
        network = lambda model: model.generator  # noqa: E731
    else:
        loose = folder / "loose"
        recipe = CycleGan(CycleGanConfig(loose / "a", loose / "b", **shared), folder / name)
        network = lambda model: model.a_to_b  # noqa: E731

    @torch.no_grad()
    def error(model: nn.Module) -> tuple[dict[str, float], Tensor]:
        made = network(model)(day)
        return differences(made, night), made

    found = {"before": error(recipe.model)[0]}
    averaged: list[nn.Module] = []
    recipe.finish = lambda model, _: averaged.append(model)  # type: ignore[method-assign]
    started, used = time.perf_counter(), time.process_time()
    fit(recipe, LoopConfig(folder / name, clip=0.0, average=0.99, sample_every=0, seed=seed, **loop))
    seconds = {
        "minutes": (time.perf_counter() - started) / 60,
        "cpu_minutes": (time.process_time() - used) / 60,
    }
    found["after"], made = error(averaged[0])
    fell = {key: round(found["before"][key] / found["after"][key], 2) for key in found["after"]}
    return {
        "settings": {**SETTINGS[name], **loop},
        **found,
        "untranslated": differences(day, night),
        "error_fell_by": fell,
        **{key: round(value, 2) for key, value in seconds.items()},
    }, made


def differences(made: Tensor, truth: Tensor) -> dict[str, float]:
    """Mean absolute difference and mean square."""
    error = made - truth
    return {"absolute": round(float(error.abs().mean()), 4), "square": round(float(error.square().mean()), 5)}


if __name__ == "__main__":
    main()
