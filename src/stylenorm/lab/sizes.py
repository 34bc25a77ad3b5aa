"""Experiment 5: the same network at 256, 512 and 1080 pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.lab.bench import Arm, Bench
from stylenorm.lab.drawing import bar_chart, grid, to_pixels
from stylenorm.lab.experiment import Experiment, Figure, Numbers, Size, Verdict
from stylenorm.lab.significance import Part, spread
from stylenorm.models.stylizer import Stylizer
from stylenorm.perceptual import StyleTarget, style_loss
from stylenorm.zoo import shipped_network

__all__ = ["OneNetworkManySizes", "SizesSettings", "texture_distance"]

_NEAREST_SHARE = 0.9
_MARGIN = 0.01
_NUM_SCALES = 2
_ROW_PX = 200


@dataclass(frozen=True)
class SizesSettings:
    """What is painted.

    Attributes:
        sizes_px: shorter sides; the first is what the network was trained near.
        num_photos: painted.
        num_styles: of the network's.
        engine: of the stylizer.
    """

    sizes_px: tuple[int, ...] = (256, 512, 1080)
    num_photos: int = 3
    num_styles: int = 3
    engine: str = "openvino"


class OneNetworkManySizes(Experiment):
    """The network that ships paints the same photos at several sizes."""

    name: ClassVar[str] = "sizes"
    title: ClassVar[str] = "The same network at 256, 512 and 1080"
    question: ClassVar[str] = (
        "Does a network that was trained on small crops paint large photos in the same texture?"
    )
    claim: ClassVar[str] = (
        "The same generator paints photos of other sizes than it was trained on; strokes keep their size in "
        "pixels, so a large photo gets finer ones."
    )
    paper: ClassVar[str] = (
        "Ulyanov, Vedaldi, Lempitsky 2016, Instance Normalization, figure 6 (arXiv:1607.08022)"
    )
    method: ClassVar[str] = (
        "The network that ships paints each photo at each size in some of its styles. The distance of two "
        "pictures' textures is the relative difference of their Gram matrices (two scales). Each result "
        "is compared with the results of all styles at the smallest size, and with its own at the "
        "smallest size, enlarged. The paper shows pictures; the measure is ours."
    )
    rule: ClassVar[str] = (
        "At the largest size, in at least 9 of 10 cases the nearest texture is that of the same style at "
        "the smallest size; and it is nearer to that than that is to itself enlarged: t-tests over photos, "
        "each the mean of its styles, 5 %. A difference surely below 0.01 is none."
    )
    sizes: ClassVar[Mapping[Size, Any]] = {
        Size.TINY: SizesSettings((32, 48), 1, 2),
        Size.CPU: SizesSettings(),
        Size.GPU: SizesSettings(num_photos=12, num_styles=6),
    }

    def run(self, bench: Bench, settings: SizesSettings) -> dict[str, Any]:
        """Paint and compare."""
        network = shipped_network()
        styles = network.style_names()[: settings.num_styles]
        bench.expect(settings.num_photos)
        cases: dict[str, list[dict[str, float]]] = {str(px): [] for px in settings.sizes_px}
        for index in range(settings.num_photos):
            about = {
                "sizes": asdict(settings), "network": network.identity, "photo": index, "styles": styles,
                "material": bench.material.identity(), "shown": bench.material.shown_names(),
            }  # fmt: skip
            found = bench.arm(f"sizes-photo{index}", about, lambda: _measure(bench, settings, index, styles))  # noqa: B023
            for size, rows in found.numbers["cases"].items():
                cases[size] += rows
        _show(bench, settings, styles[0])
        return {"cases": cases, "styles": list(styles), "network": network.identity}

    def judge(self, numbers: Numbers) -> Verdict:
        """Is it the same texture, and of the same size in pixels?"""
        sizes = list(numbers["cases"])
        rows = numbers["cases"][sizes[-1]]
        right = sum(row["own"] < row["other"] for row in rows)
        # Styles of one photo share that photo, so a photo is the unit: its mean over styles.
        by_photo = [rows[i : i + len(numbers["styles"])] for i in range(0, len(rows), len(numbers["styles"]))]
        parts = (
            Part(
                "nearest to the same style",
                [fmean(row["own"] < row["other"] for row in photo) - _NEAREST_SHARE for photo in by_photo],
            ),
            Part(
                "nearer than enlarged",
                [fmean(row["enlarged"] - row["own"] for row in photo) for photo in by_photo],
                _MARGIN,
            ),
        )
        own, enlarged = [row["own"] for row in rows], [row["enlarged"] for row in rows]
        text = (
            f"at {sizes[-1]} pixels the nearest texture at {sizes[0]} is the same style's in {right} of "
            f"{len(rows)} cases; its distance is {spread(own)}, that of the nearest other style "
            f"{spread([row['other'] for row in rows])}, that of the enlarged result {spread(enlarged)}, "
            f"that of the photo {spread([row['photo'] for row in rows])}."
        )
        return Verdict(parts, text)

    def figures(self, numbers: Numbers) -> list[Figure]:
        """Distances at each size."""
        names = {
            "own": "the same style",
            "other": "nearest other style",
            "enlarged": "enlarged",
            "photo": "photo",
        }
        first, *larger = numbers["cases"]
        groups = {}
        for size in larger:
            summaries = [spread([row[key] for row in numbers["cases"][size]]) for key in names]
            groups[f"{size} pixels"] = [(s.mean, s.deviation) for s in summaries]
        svg = bar_chart(groups, list(names.values()), f"distance to the texture at {first} pixels")
        caption = (
            f"How far the textures of larger results are from those at {first} pixels, and what else is."
        )
        return [Figure("distances", svg, caption)]


def texture_distance(a: StyleTarget, b: StyleTarget) -> float:
    """Relative difference of two pictures' Gram matrices from the second's, over all taps."""
    found = [
        style_loss(gram, b.grams[key][tap]) for key, taps in a.grams.items() for tap, gram in taps.items()
    ]
    return float(torch.cat(found).mean())


def _measure(bench: Bench, settings: SizesSettings, index: int, styles: Sequence[str]) -> Arm:
    loss = bench.material.loss(_NUM_SCALES, bench.device)
    smallest = settings.sizes_px[0]

    def texture(picture: Tensor) -> StyleTarget:
        return loss.style_target(picture.to(bench.device))

    photos = {px: bench.material.shown(px, settings.num_photos)[index] for px in settings.sizes_px}
    unpainted = {px: texture(photo) for px, photo in photos.items()}
    small = {style: _paint(settings, style, photos[smallest]) for style in styles}
    references = {style: texture(painted) for style, painted in small.items()}
    cases: dict[str, list[dict[str, float]]] = {str(px): [] for px in settings.sizes_px}
    for style in styles:
        for px in settings.sizes_px:
            result = texture(_paint(settings, style, photos[px]))
            size = photos[px].shape[-2:]
            enlarged = F.interpolate(small[style], size, mode="bicubic", antialias=True).clamp(0, 1)
            row = {
                "own": texture_distance(result, references[style]),
                "other": min(texture_distance(result, references[s]) for s in styles if s != style),
                "enlarged": texture_distance(texture(enlarged), references[style]),
                "photo": texture_distance(unpainted[px], references[style]),
            }
            cases[str(px)].append({key: round(value, 5) for key, value in row.items()})
            bench.tell(f"{style}, {px} pixels")
    return Arm({"cases": cases})


def _paint(settings: SizesSettings, style: str, photo: Tensor) -> Tensor:
    stylizer = Stylizer(style, engine=settings.engine, precision="f32")
    painted = stylizer(to_pixels(photo))
    return torch.from_numpy(np.ascontiguousarray(painted)).permute(2, 0, 1)[None].float() / 255


def _show(bench: Bench, settings: SizesSettings, style: str) -> None:
    """The whole picture at each size, and a detail of the same number of pixels."""
    whole, details = [], []
    for px in settings.sizes_px:
        painted = to_pixels(_paint(settings, style, bench.material.shown(px, settings.num_photos)[0]))
        whole.append((painted, f"{style}, {px} pixels"))
        side = min(settings.sizes_px[0], *painted.shape[:2])
        y, x = (painted.shape[0] - side) // 2, (painted.shape[1] - side) // 2
        details.append((painted[y : y + side, x : x + side], f"{side} pixels of it"))
    bench.show("sizes", grid([whole, details], _ROW_PX))
