"""Is the shipped feature network as good a judge as its teachers? Gatys' optimisation on each tells.

    python benchmarks/distilled.py --photos DIR --paintings DIR --features DIR [--pictures OUT.jpg]

Photos that were not trained on (the held-out ones, by name), each with another painting, are optimised from
the photo, at one size, with the same number of steps of L-BFGS and the same weights: once on the teachers and
once on the distilled network. Both results are then measured on the teachers, with the losses of training.
The figure is the style loss of the one divided by that of the other, geometric mean over the pairs; content
losses stand beside it, since a lower style loss can be bought with them. ``--pictures`` writes the photo and
both results side by side.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from measured import summary, write_result
from stylenorm.optimize import OptimizeConfig, optimize
from stylenorm.perceptual import PerceptualLoss, load_features
from stylenorm.training import Photos, read_painting

PAINTINGS = (
    "vincent-van-gogh--the-starry-night.jpg",
    "edvard-munch--the-scream.jpg",
    "wassily-kandinsky--composition-vii.jpg",
    "katsushika-hokusai--the-great-wave.jpg",
    "gustav-klimt--the-kiss.jpg",
    "piet-mondrian--gray-tree.jpg",
    "georges-seurat--port-en-bessin.jpg",
    "francis-picabia--udnie.jpg",
)


def main() -> None:
    """Measure and write results/distilled.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "paintings", "features"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--painting-px", type=int, default=384)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=len(PAINTINGS))
    parser.add_argument("--distilled", default="distilled", help="another set of feature networks to compare")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()

    held_out = Photos(options.photos, crop_px=options.size, batch_size=1, seed=0, num_held_out=24).held_out(
        options.pairs
    )
    teachers = PerceptualLoss(load_features(str(options.features)), num_scales=1)
    distilled = PerceptualLoss(load_features(options.distilled), num_scales=1)
    config = OptimizeConfig(steps=options.steps, coarse_steps=0, tv_weight=0.0)
    pairs, rows = {}, []
    for name, photo in zip(PAINTINGS, held_out.split(1), strict=False):
        painting = read_painting(options.paintings / name, options.painting_px)
        photo = photo.contiguous()
        found: dict[str, tuple[float, float, float]] = {}
        pictures = [photo]
        for judge, loss in (("teachers", teachers), ("distilled", distilled)):
            started = time.perf_counter()
            result, _ = optimize(photo, [painting], loss, config)
            seconds = time.perf_counter() - started
            found[judge] = (*measure(teachers, result, photo, painting), seconds)
            pictures.append(result)
        rows.append(torch.cat(pictures, dim=3))
        pairs[Path(name).stem] = {
            judge: {"style": round(style, 4), "content": round(content, 3), "seconds": round(seconds, 1)}
            for judge, (style, content, seconds) in found.items()
        }
        print(name, pairs[Path(name).stem], flush=True)
    ratios = [pair["distilled"]["style"] / pair["teachers"]["style"] for pair in pairs.values()]
    results = {
        "size": options.size,
        "steps": options.steps,
        "style on the distilled network over style on the teachers, geometric mean": round(
            float(np.exp(np.log(ratios).mean())), 3
        ),
        "ratios": summary(ratios),
        "pairs": pairs,
    }
    write_result("distilled", " ".join(__doc__.split("\n\n", 2)[2].split()), results)
    if options.pictures:
        grid = torch.cat(rows, dim=2)[0].permute(1, 2, 0)
        Image.fromarray((grid * 255).round().byte().numpy()).save(options.pictures, quality=90)


@torch.no_grad()
def measure(loss: PerceptualLoss, x: Tensor, photo: Tensor, painting: Tensor) -> tuple[float, float]:
    """Style and content loss."""
    terms = loss(x, loss.content_target(photo), loss.style_target(painting))
    return float(terms.style), float(terms.content)


if __name__ == "__main__":
    main()
