"""Paint a sheet: every style beside Gatys' optimisation of the same photo and painting.

    python benchmarks/beside.py PHOTO ... --paintings DIR [-o docs/pictures/beside-gatys.jpg]

The photos are taken in turn; they must be free to show, which those of the trainings are not. Each row:
photo, painting, the network, the optimisation from the photo after 100 evaluations, on the losses and with
the weights that the style was trained with.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps

from stylenorm.engines import open_engine
from stylenorm.media import read_picture, to_uint8
from stylenorm.optimize import OptimizeConfig, optimize
from stylenorm.perceptual import PerceptualLoss, load_features
from stylenorm.training import read_painting
from stylenorm.zoo import shipped_network

SHEET = Path(__file__).parent.parent / "docs" / "pictures" / "beside-gatys.jpg"
_SIZE_PX, _EVALUATIONS = 256, 100
_CELL_PX, _CAPTION_PX, _SIDE_BY_SIDE = 176, 18, 2


def main() -> None:
    """Paint, optimise, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, default=SHEET)
    options = parser.parse_args()

    folder = shipped_network()
    listed = tomllib.loads((folder.path / "styles.toml").read_text())
    weights = json.loads(folder.record["style_weights"])
    engine = open_engine("openvino", folder.graph, precision="f32")
    loss = PerceptualLoss(load_features("distilled"), num_scales=2)
    photos = [cropped(path) for path in options.photos]
    rows = []
    for number, name in enumerate(folder.style_names()):
        photo, path = photos[number % len(photos)], options.paintings / listed[name]["painting"]
        x = torch.from_numpy(np.array(photo, np.float32)).permute(2, 0, 1)[None] / 255
        painted = torch.from_numpy(engine.paint(x.numpy(), folder.style(name).vector()))
        config = OptimizeConfig(steps=_EVALUATIONS, coarse_steps=0, style_weight=weights[name], tv_weight=3.0)
        optimised, _ = optimize(x, [read_painting(path, 2 * _SIZE_PX)], loss, config)
        rows.append((name, [photo, cropped(path), *(as_image(each) for each in (painted, optimised))]))
        print(name, flush=True)
    sheet(rows).save(options.output, quality=82)


def cropped(path: Path) -> Image.Image:
    """Return the middle of a picture, square."""
    picture = Image.fromarray(to_uint8(read_picture(path).pixels))
    return ImageOps.fit(picture, (_SIZE_PX, _SIZE_PX), Image.Resampling.LANCZOS)


def as_image(picture: torch.Tensor) -> Image.Image:
    """Return (1, 3, H, W), 0..1, as an image."""
    return Image.fromarray((picture[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def sheet(rows: list[tuple[str, list[Image.Image]]]) -> Image.Image:
    """Return the rows side by side and below each other, each under its name."""
    width, height = _CELL_PX * len(rows[0][1]), _CELL_PX + _CAPTION_PX
    whole = Image.new(
        "RGB",
        (_SIDE_BY_SIDE * (width + _CAPTION_PX) - _CAPTION_PX, height * -(-len(rows) // _SIDE_BY_SIDE)),
        "white",
    )
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(13)
    for number, (name, pictures) in enumerate(rows):
        left = number % _SIDE_BY_SIDE * (width + _CAPTION_PX)
        top = number // _SIDE_BY_SIDE * height
        draw.text((left + 2, top + 1), name, "black", font)
        for column, picture in enumerate(pictures):
            cell = picture.resize((_CELL_PX, _CELL_PX), Image.Resampling.LANCZOS)
            whole.paste(cell, (left + column * _CELL_PX, top + _CAPTION_PX))
    return whole


if __name__ == "__main__":
    main()
