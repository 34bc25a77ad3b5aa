"""How much of a photo's style loss does each style leave, and how much of its content does it change?

    python benchmarks/looks.py --photos DIR --paintings DIR --features DIR

Photos that were not trained on (the held-out ones, by name) are painted in every style at the training size.
The style loss that is left of the photo's, and the content loss (`benchmarks/style_left.py`), are medians
over photos. Both networks took part in the training: a third one is needed to judge what they do not see. The
lattice is the variation of the mean absolute difference between neighbouring rows over the phases of a grid
of 4 (0 is none), of the photos and of the paintings; it is not the measure that trainings punish.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

import torch
from torch import Tensor

from measured import add_network_argument, network_folder, summary, write_result
from style_left import StyleLeft
from stylenorm.engines import open_engine
from stylenorm.perceptual import DARKNETS, load_darknet
from stylenorm.training import Photos, read_painting
from stylenorm.zoo import NetworkFolder


def main() -> None:
    """Measure and write results/looks.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "paintings", "features"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--num-photos", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--painting-px", type=int, default=512)
    add_network_argument(parser)
    options = parser.parse_args()

    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    listed = tomllib.loads((folder.path / "styles.toml").read_text())
    photos = Photos(
        options.photos, crop_px=options.size, batch_size=1, seed=0, num_held_out=options.num_photos
    ).held_out(options.num_photos)
    measure = StyleLeft([load_darknet(name, options.features) for name in DARKNETS], photos)
    engine = open_engine("openvino", folder.graph, precision="f32")

    results: dict[str, object] = {
        "network": about,
        "identity": folder.identity,
        "photos": options.num_photos,
        "size": options.size,
        "lattice of the photos": summary([lattice(photo) for photo in photos]),
        "styles": {},
    }
    for name in folder.style_names():
        painting = read_painting(options.paintings / listed[name]["painting"], options.painting_px)
        vector = folder.style(name).vector()
        painted = [torch.from_numpy(engine.paint(photo[None].numpy(), vector)) for photo in photos]
        target = measure.grams(painting)
        measured = [measure(i, result, target) for i, result in enumerate(painted)]
        results["styles"][name] = {  # type: ignore[index]
            "style left": summary([style for style, _ in measured]),
            "content": summary([content for _, content in measured]),
            "lattice": summary([lattice(result[0]) for result in painted]),
        }
    method = " ".join(__doc__.split("\n\n", 2)[2].split())
    write_result("looks", method, results)


def lattice(picture: Tensor) -> float:
    """Variation of the gradient over the phases of rows, (3, H, W): 0 where every row is like every other."""
    difference = (picture[:, 1:] - picture[:, :-1]).abs().mean(dim=(0, 2))  # (H - 1,)
    phases = torch.stack([difference[phase::4].mean() for phase in range(4)])
    return float((phases.max() - phases.min()) / phases.mean())


if __name__ == "__main__":
    main()
