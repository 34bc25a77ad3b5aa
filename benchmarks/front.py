"""Looks against time: both families of stylizer networks, at several sizes, trained alike.

    python benchmarks/front.py --photos DIR --paintings DIR --out DIR [--styles NAME ...] [--steps N]

Every network learns the same styles from the same photos by `stylenorm train multistyle` with the same
settings and as many steps, on the distilled feature networks; a run in ``--out`` that is finished is not
repeated. Then each paints photos that were not trained on (the held-out ones, by name). Medians over photos
and styles: style loss left of the photo's (`benchmarks/style_left.py`) and content loss, on the networks that
trained it and, where the packages of `benchmarks/judge.py` are, on a judge that took no part; the lattice, as
trainings measure it; and the milliseconds that OpenVINO takes for 1280 x 720, networks in turn. Equal steps
favour what learns fast: large networks have more to gain from a longer training.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from measured import alternate, summary, write_result
from style_left import StyleLeft
from stylenorm.engines import open_engine
from stylenorm.export import load_network
from stylenorm.perceptual import lattice, load_features
from stylenorm.training import Photos, read_painting
from stylenorm.zoo import NetworkFolder, shipped_network

NETWORKS = [
    ("quarter-nearest", 24, 3),
    ("quarter-nearest", 48, 5),
    ("quarter-nearest", 80, 5),
    ("johnson", 8, 3),
    ("johnson", 16, 5),
    ("johnson", 32, 5),
]
STYLES = ("starry-night", "scream", "udnie", "mondrian-composition")


def main() -> None:
    """Train, measure and write results/front.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "paintings", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--styles", nargs="+", default=list(STYLES))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--crop-px", type=int, default=160)
    parser.add_argument("--num-photos", type=int, default=24)
    parser.add_argument("--pictures", type=Path, help="a row a network: photos in every style")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    listed = tomllib.loads((shipped_network().path / "styles.toml").read_text())
    paintings = {name: options.paintings / listed[name]["painting"] for name in options.styles}
    chosen = options.out / "styles.toml"
    chosen.write_text("\n".join(f'[{n}]\npainting = "{path.name}"' for n, path in paintings.items()) + "\n")
    minutes = {network: train(network, chosen, options) for network in NETWORKS}

    photos = Photos(options.photos, crop_px=256, batch_size=1, seed=0, num_held_out=24).held_out(
        options.num_photos
    )
    judges = {"seen": StyleLeft(load_features("distilled"), photos)}
    if find_spec("efficientnet_lite_pytorch"):
        from judge import Judge

        judges["judge"] = StyleLeft([Judge()], photos)
    grams = {
        name: {who: judge.grams(read_painting(path, 512)) for who, judge in judges.items()}
        for name, path in paintings.items()
    }

    results: dict[str, dict[str, object]] = {}
    calls, rows = {}, []
    film = np.random.default_rng(0).random((1, 3, 720, 1280), dtype=np.float32)
    for network in NETWORKS:
        folder = NetworkFolder.open(run_of(network, options.out))
        engine = open_engine("openvino", folder.graph, precision="f32")
        measured: dict[str, list[float]] = {}
        shown = [photos[:2]] if not rows else []
        for name in options.styles:
            vector = folder.style(name).vector()
            painted = torch.cat([torch.from_numpy(engine.paint(p.numpy(), vector)) for p in photos.split(1)])
            measured.setdefault("lattice", []).extend(lattice(painted).tolist())
            for who, judge in judges.items():
                found = [judge(i, each, grams[name][who]) for i, each in enumerate(painted.split(1))]
                left, content = zip(*found, strict=True)
                measured.setdefault(f"{who}: style left", []).extend(left)
                measured.setdefault(f"{who}: content", []).extend(content)
            shown.append(painted[:2])
        rows.append(torch.cat([torch.cat(list(each), dim=2) for each in shown], dim=2))
        calls[label(network)] = lambda engine=engine, vector=vector: engine.paint(film, vector)
        results[label(network)] = {
            "parameters": sum(p.numel() for p in load_network(folder.path).parameters()),
            **{key: summary(values) for key, values in measured.items()},
            "minutes of training": minutes[network],
        }
    for name, seconds in alternate(calls, warmup=1, repeats=7).items():
        results[name]["milliseconds for 1280 x 720"] = summary([1000 * s for s in seconds], digits=1)
    settings = {key: getattr(options, key) for key in ("styles", "steps", "crop_px", "num_photos")}
    method = " ".join(__doc__.split("\n\n", 2)[2].split())
    write_result("front", method, {"settings": settings, "networks": results})
    if options.pictures:
        widest = max(row.shape[2] for row in rows)
        rows = [torch.nn.functional.pad(row, (widest - row.shape[2], 0), value=1.0) for row in rows]
        grid = torch.cat(rows, dim=1).permute(1, 2, 0)
        Image.fromarray((grid.clamp(0, 1) * 255).round().byte().numpy()).save(options.pictures)


def train(network: tuple[str, int, int], styles: Path, options: argparse.Namespace) -> float | None:
    """Train one network by the command; return its minutes, or None if it was finished before."""
    family, width, blocks = network
    run = run_of(network, options.out)
    if (run / "network.json").exists():
        return None
    command = f"train multistyle --family {family} --width {width} --num-blocks {blocks} --batch-size 4"
    command += f" --crop-px {options.crop_px} --steps {options.steps} --warmup-steps {options.steps // 4}"
    command += " --content-target 0.6 --average 0.98 --sample-every 0 --resume"
    folders = ["--photos", options.photos, "--paintings", options.paintings, "--styles", styles, "--out", run]
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "stylenorm", *command.split(), *(str(each) for each in folders)], check=True
    )
    return round((time.perf_counter() - started) / 60, 1)


def run_of(network: tuple[str, int, int], out: Path) -> Path:
    """Return the folder of a training."""
    return out / label(network)


def label(network: tuple[str, int, int]) -> str:
    """Return family, width and blocks as one word."""
    return "{}-{}x{}".format(*network)


if __name__ == "__main__":
    main()
