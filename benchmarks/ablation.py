"""What does each term of the loss do? The same optimisation with one of them taken out or put back.

    python benchmarks/ablation.py --photo FILE --paintings DIR [--pictures docs/pictures/ablation.jpg]

Gatys' way: 60 evaluations from the photo for each of three styles, 192 px, style weight 8, with

- **as now**: nothing changed of `PaintingLoss`;
- **even content**: every place counts alike, not by the photo's detail there;
- **two sizes**: deep layers look at the picture at half its size, fine ones at the whole;
- **Gram**: Gram matrices of features in place of means and covariances apart;
- **plain content**: the photo's features as they are in place of normalized ones;
- **no palette**: without the distance of colours;
- **Gatys**: Gram, plain content, even content and no palette together.

Photo and paintings were not trained on here: nothing is. The judges of ``benchmarks/judges.py`` say what came
of it, and the sheet shows it.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from unittest.mock import patch

import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from judged import painting_of
from judges import Judges
from measured import write_result
from stylenorm.optimize import OptimizeConfig, optimize
from stylenorm.perceptual import LOOKS, Look, PaintingLoss, gram_matrix, load_feature_network
from stylenorm.zoo import shipped_network

EVALUATIONS, SIZE_PX = 60, 192
STYLES = ("starry-night", "scream", "udnie")
TWO_SIZES = (
    Look(0, ("relu1_2", "relu2_1")),
    Look(1, ("relu1_2", "relu2_2", "relu3_3", "relu4_1"), ("relu2_2", "relu3_3")),
)
VARIANTS = {
    "as now": (),
    "even content": ("even",),
    "two sizes": ("two",),
    "Gram": ("gram",),
    "plain content": ("plain",),
    "no palette": ("colorless",),
    "Gatys": ("gram", "plain", "even", "colorless"),
}
_CAPTION_PX = 18


def main() -> None:
    """Optimise, judge, and write results/ablation.json and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    listed = tomllib.loads((shipped_network().path / "styles.toml").read_text())
    square = ImageOps.fit(
        Image.open(options.photo).convert("RGB"), (SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS
    )
    photo = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8)
    photo = photo.reshape(1, SIZE_PX, SIZE_PX, 3).permute(0, 3, 1, 2).float().contiguous() / 255
    judges = Judges([photo])
    network = load_feature_network("vgg16")
    found: dict[str, dict[str, object]] = {}
    rows: list[list[Image.Image]] = []
    for style in STYLES:
        painting = painting_of(listed[style], options.paintings)
        row = [square, ImageOps.fit(as_image(painting), square.size, Image.Resampling.LANCZOS)]
        for name, changes in VARIANTS.items():
            loss = PaintingLoss(network, TWO_SIZES if "two" in changes else LOOKS)
            config = OptimizeConfig(steps=EVALUATIONS, coarse_steps=0, style_weight=8.0)
            if "colorless" in changes:
                config = replace(config, palette_weight=0.0)
            with changed(changes):
                picture, _ = optimize(photo, [painting], loss, config)
            verdict = asdict(judges(0, picture, painting))
            found.setdefault(style, {})[name] = {key: round(value, 3) for key, value in verdict.items()}
            print(style, name, found[style][name], flush=True)
            row.append(as_image(picture))
        rows.append(row)
    write_result("ablation", " ".join(__doc__.split("\n\n", 2)[2].split()), {"styles": found})
    if options.pictures:
        sheet(rows, ["photo", "painting", *VARIANTS]).save(options.pictures, quality=85)


@contextmanager
def changed(changes: tuple[str, ...]) -> Iterator[None]:
    """Let the loss compare in another way."""
    with ExitStack() as stack:
        if "gram" in changes:  # all in the second moment, none in the mean, whose term is then 0
            stack.enter_context(patch("stylenorm.perceptual.painting_loss.moments", grams))
        if "plain" in changes:
            stack.enter_context(patch("stylenorm.perceptual.painting_loss.normalized", plain))
        if "even" in changes:
            stack.enter_context(patch("stylenorm.perceptual.painting_loss.detail_weights", even))
        yield


def grams(features: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """No means, and Gram matrices."""
    return features.new_zeros(features.shape[:2]), gram_matrix(features, weights)


def plain(features: Tensor) -> Tensor:
    """Features as they are, of mean square 1."""
    return features * (features.square().mean(dim=(1, 2, 3), keepdim=True) + 1e-8).rsqrt()


def even(features: Tensor) -> Tensor:
    """Every place counts alike."""
    return features.new_ones(len(features), 1, *features.shape[2:])


def as_image(picture: Tensor) -> Image.Image:
    """Return (1, 3, H, W), 0..1, as an image."""
    return Image.fromarray((picture[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def sheet(rows: list[list[Image.Image]], names: list[str]) -> Image.Image:
    """Return the rows below each other, under the columns' names."""
    whole = Image.new("RGB", (SIZE_PX * len(names), SIZE_PX * len(rows) + _CAPTION_PX), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(13)
    for column, name in enumerate(names):
        draw.text((column * SIZE_PX + 3, 1), name, "black", font)
        for number, row in enumerate(rows):
            whole.paste(row[column], (column * SIZE_PX, _CAPTION_PX + number * SIZE_PX))
    return whole


if __name__ == "__main__":
    main()
