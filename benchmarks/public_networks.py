"""Our styles beside public networks of the same paintings.

    python benchmarks/public_networks.py --photos DIR --paintings DIR --public DIR [--size 512]
        [--network DIR] [--sheet beside.png] [--result NAME]

Needs the packages of ``benchmarks/judge.py``; ``benchmarks/judges.py`` says what each figure is. The public
networks are Logan Engstrom's (``lengstrom/fast-style-transfer``), one for each painting: Johnson's network
with 1.7 M parameters, trained on VGG-19 with two epochs of COCO. ``--public`` is the folder ``src/ckpts`` of
``reiinakano/fast-style-transfer-deeplearnjs``, which has their weights as raw float32. Photos are those that
we hold out; theirs may have seen anything. A network is compared with the whole painting, at the size (of
several) at which it is nearest to it in the median, since each was trained with a size of its own.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from judged import painted_by
from judges import Judges, medians
from measured import add_network_argument, network_folder, write_result
from stylenorm import Stylizer
from stylenorm.training import Photos, read_painting
from stylenorm.zoo import NetworkFolder

STYLES = {"great-wave": "wave", "scream": "scream", "udnie": "udnie"}  # ours: theirs
PAINTING_PX = (256, 384, 512, 768)
EPS = 1e-3  # of their instance norm


def main() -> None:
    """Measure and write results/public_networks.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "paintings", "public"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--num-photos", type=int, default=8)
    parser.add_argument("--size", type=int, default=256, help="side of the square photos, pixels")
    parser.add_argument("--sheet", type=Path, help="a picture of all: photo, theirs, ours")
    parser.add_argument("--result", default="public_networks")
    add_network_argument(parser)
    options = parser.parse_args()

    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    listed = tomllib.loads((folder.path / "styles.toml").read_text())
    stylizer = Stylizer("scream", network=folder, engine="winograd")
    photos = Photos(
        options.photos, crop_px=options.size, batch_size=1, seed=0, num_held_out=options.num_photos
    ).held_out(options.num_photos)
    judges = Judges(list(photos.split(1)))
    rows, found = [], {}
    for ours, theirs in STYLES.items():
        paintings = [read_painting(options.paintings / listed[ours]["painting"], px) for px in PAINTING_PX]
        own, public = stylizer.with_style(ours), PublicNetwork(options.public / theirs)
        painted = {
            "public": [public(photo) for photo in judges.photos],
            "ours": [painted_by(own, photo) for photo in judges.photos],
        }
        found[ours] = {name: nearest(judges, pictures, paintings) for name, pictures in painted.items()}
        print(ours, json.dumps(found[ours]), flush=True)
        rows += [judges.photos, painted["public"], painted["ours"]]
    if options.sheet:
        sheet = torch.cat([torch.cat(row, dim=3) for row in rows], dim=2)[0].permute(1, 2, 0)
        Image.fromarray((sheet * 255).round().byte().numpy()).save(options.sheet)
    results = {
        "network": about,
        "identity": folder.identity,
        "photos": options.num_photos,
        "size": options.size,
        "styles": found,
    }
    write_result(options.result, " ".join(__doc__.split("\n\n", 2)[2].split()), results)


def nearest(judges: Judges, painted: list[Tensor], paintings: list[Tensor]) -> dict[str, object]:
    """Judge pictures beside each size of the painting; the size where the least of the style is left."""
    found = [
        medians([judges(number, picture, painting) for number, picture in enumerate(painted)])
        for painting in paintings
    ]
    best = min(range(len(found)), key=lambda i: found[i]["style_left"]["median"])  # type: ignore[index]
    return {"painting_px": PAINTING_PX[best]} | found[best]


class PublicNetwork:
    """Johnson's network as the public implementation stores it: variables in the order of the layers.

    Three convolutions (9 x 9, then two of stride 2), five residual blocks, two transposed convolutions and a
    last convolution, each followed by instance norm (shift, then scale). The range is 150 tanh(x) + 127.5,
    cut to 0..255. Borders are zeros, as TensorFlow's "same" sets them.

    Args:
        folder: has ``manifest.json``, which names each variable's file and shape.
    """

    def __init__(self, folder: Path) -> None:
        listed = json.loads((folder / "manifest.json").read_text())
        names = ["Variable", *(f"Variable_{number}" for number in range(1, 48))]
        self._variables = [
            torch.from_numpy(
                np.fromfile(folder / listed[name]["filename"], np.float32).reshape(listed[name]["shape"])
            )
            for name in names
        ]

    @torch.no_grad()
    def __call__(self, photo: Tensor) -> Tensor:
        """Paint (1, 3, H, W), RGB, 0..1, with sides that 4 divides."""
        layers = (self._variables[at : at + 3] for at in range(0, len(self._variables), 3))

        def layer(x: Tensor, apply: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
            weight, shift, scale = next(layers)
            x = apply(x, weight)
            x = x - x.mean(dim=(2, 3), keepdim=True)
            x = x / (x.square().mean(dim=(2, 3), keepdim=True) + EPS).sqrt()
            return x * scale[:, None, None] + shift[:, None, None]

        x = photo
        for apply in (_plain, _halved, _halved):
            x = F.relu(layer(x, apply))
        for _ in range(5):
            x = x + layer(F.relu(layer(x, _plain)), _plain)
        for _ in range(2):
            x = F.relu(layer(x, _doubled))
        return ((150 * torch.tanh(layer(x, _plain)) + 127.5) / 255).clamp(0, 1)


def _plain(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight.permute(3, 2, 0, 1), padding=weight.shape[0] // 2)


def _halved(x: Tensor, weight: Tensor) -> Tensor:
    # With even sides, "same" pads below and to the right only.
    return F.conv2d(F.pad(x, (0, 1, 0, 1)), weight.permute(3, 2, 0, 1), stride=2)


def _doubled(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(x, weight.permute(3, 2, 0, 1), stride=2)[
        :, :, : 2 * x.shape[2], : 2 * x.shape[3]
    ]


if __name__ == "__main__":
    main()
