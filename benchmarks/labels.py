"""Does SPADE learn to paint label maps? Drawn scenes, whose true picture is known, tell.

    python benchmarks/labels.py [--steps N] [--norm instance batch] [--pictures OUT.png]

Scenes with their label maps are drawn (`material.scenes`): sky, ground, disc, square, triangle;
all that is in the picture follows from the map. What is measured is on other scenes: the mean absolute
difference, and the mean of the squares, between what is painted from a map and the true picture, before the
training and after it, in the running average of the weights, with 0..1 the range of the pictures. Beside it
stands the best that one colour a class can do (its mean over the training scenes).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from material.scenes import SCENE_CLASSES, write_scenes
from measured import write_result
from stylenorm.training import LoopConfig, Spade, SpadeConfig, fit
from stylenorm.training.data.labels import colored, one_channel_a_class

SIZE_PX, NUM_SCENES, HELD_OUT = 64, 400, 32
SETTINGS = {"width": 16, "hidden": 16, "judge_width": 16, "num_doublings": 4, "batch_size": 4}
LOOP = {"steps": 800, "learning_rate": 2e-3, "average": 0.99}
_ROWS = 6  # of the grid of pictures


def main() -> None:
    """Train, measure and write results/labels.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--norm", nargs="+", default=["instance"], choices=["instance", "batch"])
    parser.add_argument("--steps", type=int, help="default: those of the documented size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=Path, help="a grid: labels, what is painted by each norm, truth")
    options = parser.parse_args()
    loop = {**LOOP, **({"steps": options.steps} if options.steps else {})}
    results: dict[str, object] = {}
    columns: list[Tensor] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_scenes(folder / "scenes", NUM_SCENES + HELD_OUT, SIZE_PX, seed=1)
        for norm in options.norm:
            config = SpadeConfig(
                folder / "scenes",
                norm=norm,
                crop_px=SIZE_PX,
                num_held_out=HELD_OUT,
                seed=options.seed,
                **SETTINGS,
            )
            recipe = Spade(config, folder / norm)
            held_out = recipe.pairs.held_out(HELD_OUT)
            numbers, truth = (held_out[:, 3:] * 255).round(), held_out[:, :3]
            if not columns:
                columns.append(colored(numbers, len(SCENE_CLASSES)))
                results["one colour a class"] = differences(by_class(recipe, numbers), truth)
            results[norm], painted = measured(recipe, numbers, truth, loop, options.seed)
            columns.append(painted)
        columns.append(truth)
    if options.pictures:
        rows = [torch.cat(list(x[:_ROWS]), dim=2) for x in columns]
        grid = (torch.cat(rows, dim=1) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(np.asarray(grid)).save(options.pictures)
    method = {
        "size_px": SIZE_PX,
        "scenes": NUM_SCENES,
        "held_out": HELD_OUT,
        "seed": options.seed,
        "threads": torch.get_num_threads(),
    }
    settings = {**SETTINGS, **loop}
    write_result("labels", __doc__.splitlines()[0], {"method": method, "settings": settings, **results})


def measured(
    recipe: Spade, numbers: Tensor, truth: Tensor, loop: dict[str, float], seed: int
) -> tuple[dict[str, object], Tensor]:
    """Train; return the figures and what is painted."""
    labels = one_channel_a_class(numbers, len(SCENE_CLASSES))

    @torch.no_grad()
    def painted(model: nn.Module) -> Tensor:
        made: Tensor = model.generator.eval()(labels)  # type: ignore[operator, union-attr]
        return made

    before = differences(painted(recipe.model), truth)
    recipe.model.train()
    averaged: list[nn.Module] = []
    recipe.finish = lambda model, _: averaged.append(model)  # type: ignore[method-assign]
    started, used = time.perf_counter(), time.process_time()
    fit(recipe, LoopConfig(recipe.out, clip=0.0, sample_every=0, seed=seed, **loop))
    seconds = {
        "minutes": (time.perf_counter() - started) / 60,
        "cpu_minutes": (time.process_time() - used) / 60,
    }
    made = painted(averaged[0])
    after = differences(made, truth)
    fell = {key: round(before[key] / after[key], 2) for key in after}
    return {
        "before": before,
        "after": after,
        "error_fell_by": fell,
        **{key: round(value, 2) for key, value in seconds.items()},
    }, made


def by_class(recipe: Spade, numbers: Tensor) -> Tensor:
    """Every class in its mean colour over the first training scenes."""
    batches = torch.cat([recipe.pairs.batch(step) for step in range(50)])
    seen = one_channel_a_class((batches[:, 3:] * 255).round(), len(SCENE_CLASSES))
    sums = torch.einsum("nkhw,nchw->kc", seen, batches[:, :3])
    colors = sums / seen.sum(dim=(0, 2, 3)).clamp(min=1)[:, None]
    return torch.einsum("nkhw,kc->nchw", one_channel_a_class(numbers, len(SCENE_CLASSES)), colors)


def differences(made: Tensor, truth: Tensor) -> dict[str, float]:
    """Mean absolute difference and mean square."""
    error = made - truth
    return {"absolute": round(float(error.abs().mean()), 4), "square": round(float(error.square().mean()), 5)}


if __name__ == "__main__":
    main()
