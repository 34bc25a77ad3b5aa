"""Is a style that `stylenorm learn` makes in two minutes as good as one that the network was trained with?

    python benchmarks/learned.py --photos DIR --paintings DIR [--styles NAME ...] [--with-photos]

A built-in style is taken out of a copy of the network and learned again from its painting by the command with
its defaults (drawn pictures in place of photos; ``--with-photos`` gives it the folder), starting from the
predictor's answer. Then both paint photos that were not trained on (the held-out ones, by name), and their
losses are compared: content + weight x style with the weight that the built-in style was trained with. Ratio
above 1: the learned one is worse. The predictor had this painting in its training, a user's it has not.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import torch
from torch import Tensor

from measured import add_network_argument, network_folder, summary, write_result
from stylenorm.engines import Engine, open_engine
from stylenorm.perceptual import PaintingLoss, load_feature_network
from stylenorm.style import Style
from stylenorm.training import Photos, read_painting
from stylenorm.training.data.noise import noisy
from stylenorm.zoo import NetworkFolder


def main() -> None:
    """Measure and write results/learned.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "paintings"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument(
        "--styles", nargs="*", default=["scream", "great-wave", "udnie", "mondrian-composition"]
    )
    parser.add_argument("--num-photos", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--with-photos", action="store_true")
    add_network_argument(parser)
    options = parser.parse_args()

    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    listed = tomllib.loads((folder.path / "styles.toml").read_text())
    weights = json.loads(folder.record["style_weights"])
    photos = Photos(
        options.photos, crop_px=options.size, batch_size=1, seed=0, num_held_out=options.num_photos
    ).held_out(options.num_photos)
    loss = PaintingLoss(load_feature_network("vgg16"))
    engine = open_engine("openvino", folder.graph, precision="f32")
    found: dict[str, dict[str, object]] = {}
    for name in options.styles:
        painting = options.paintings / listed[name]["painting"]
        with tempfile.TemporaryDirectory(prefix="stylenorm-learned-") as scratch:
            copy = Path(scratch) / "network"
            shutil.copytree(folder.path, copy)
            (copy / "styles" / f"{name}.safetensors").unlink()
            result = Path(scratch) / "learned.safetensors"
            command = ["learn", str(painting), "--name", name, "--network", str(copy), "-o", str(result)]
            if options.with_photos:
                command += ["--photos", str(options.photos), "--num-held-out", str(options.num_photos)]
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([sys.executable, "-m", "stylenorm", *command], check=True, capture_output=True)
            seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
            learned = Style.load(result)
        asked = listed[name]
        pixels = read_painting(painting, asked.get("size_px", 400), tuple(asked.get("crop", (0, 0, 1, 1))))
        target = loss.target(pixels)
        built_in, ours = (
            measure(loss, engine, (photos, noisy(photos, folder.noise)), style, target, weights[name])
            for style in (folder.style(name), learned)
        )
        found[name] = {
            "built in": built_in,
            "learned": ours,
            "ratio": round(ours["loss"] / built_in["loss"], 3),
            "seconds": round(seconds, 1),
            "CPU seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        }
        print(name, json.dumps(found[name]), flush=True)
    results = {
        "network": about,
        "identity": folder.identity,
        "practised on": "photos" if options.with_photos else "drawn pictures",
        "ratio": summary([float(f["ratio"]) for f in found.values()]),  # type: ignore[arg-type]
        "styles": found,
    }
    write_result("learned", " ".join(__doc__.split("\n\n", 2)[2].split()), results)


@torch.no_grad()
def measure(
    loss: PaintingLoss,
    engine: Engine,
    photos: tuple[Tensor, Tensor],
    style: Style,
    target: object,
    weight: float,
) -> dict[str, float]:
    """Return mean content, style and weighted loss over the photos: as they are, and as they are painted."""
    vector = style.vector()
    terms = []
    for photo, seen in zip(*(each.split(1) for each in photos), strict=True):
        painted = torch.from_numpy(engine.paint(seen.numpy(), vector))
        both = loss(painted, loss.content_target(photo), target)  # type: ignore[arg-type]
        terms.append((float(both.content), float(both.style)))
    content, of_style = (sum(values) / len(terms) for values in zip(*terms, strict=True))
    return {
        "content": round(content, 4),
        "style": round(of_style, 4),
        "loss": round(content + weight * of_style, 4),
    }


if __name__ == "__main__":
    main()
