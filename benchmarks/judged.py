"""How good are the pictures? Every style, judged by what took no part, beside optimisation.

    python benchmarks/judged.py --photos DIR --paintings DIR [--network DIR] [--optimized N] [--size 512]
        [--stroke-sizes 1 2] [--noise 0] [--result NAME]

Needs the packages of ``benchmarks/judge.py``; ``benchmarks/judges.py`` says what each figure is. Photos
that were not trained on (the held-out ones, by name) are painted in every style; figures are medians over
photos. A painting is the part, at the size, that its style was learned from. **Optimisation**: Gatys' way
on the training's own loss with the style's own weight, 100 evaluations from the photo, one photo a style.
**Steps**: the first evaluation of the same optimisation from noise, as Johnson counted, whose loss is as
low as the network's (with "more" where none was). **Any painting**: styles that the predictor makes of
paintings that it was not trained on (the first by name). **Stroke sizes**: the photos painted with wider
strokes, beside the painting enlarged as much. The figures cannot be compared with those of other judges;
``benchmarks/public_networks.py`` has the same for other people's networks.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import tomllib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from judges import Judges, Verdict, medians
from measured import add_network_argument, network_folder, summary, write_result
from stylenorm import Stylizer
from stylenorm.optimize import Evaluation, OptimizeConfig, optimize
from stylenorm.perceptual import PaintingLoss, load_feature_network, total_variation
from stylenorm.training import Photos, read_painting
from stylenorm.zoo import NetworkFolder

EVALUATIONS = 100
PAINTING_PX = 400  # of those that the network was not trained on


def main() -> None:
    """Measure and write results/judged.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "paintings"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--styles", type=Path, help="the list the network was trained with; default: its own")
    parser.add_argument("--num-photos", type=int, default=24)
    parser.add_argument("--size", type=int, default=256, help="side of the square photos, pixels")
    parser.add_argument("--stroke-sizes", type=float, nargs="*", default=[1.0])
    parser.add_argument("--noise", type=float, help="on the photos; default: as the network was trained")
    parser.add_argument("--optimized", type=int, default=0, help="optimise for so many styles")
    parser.add_argument("--held-out", type=int, default=16, help="paintings that the predictor never saw")
    parser.add_argument("--each", type=int, default=8, help="photos that each of them paints")
    parser.add_argument("--result", default="judged")
    add_network_argument(parser)
    options = parser.parse_args()

    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    listed = tomllib.loads((options.styles or folder.path / "styles.toml").read_text())
    names = [name for name in folder.style_names() if name in listed]
    stylizer = Stylizer(names[0], network=folder, engine="winograd", noise=options.noise)
    photos = Photos(
        options.photos, crop_px=options.size, batch_size=1, seed=0, num_held_out=options.num_photos
    ).held_out(options.num_photos)
    judges = Judges(list(photos.split(1)))

    by_stroke = {}
    for stroke in options.stroke_sizes:
        styles = {}
        for name in names:
            painting = painting_of(listed[name], options.paintings, stroke)
            styles[name] = medians(judged(judges, stylizer.with_style(name), painting, stroke=stroke))
        by_stroke[str(stroke)] = {"overall": overall(styles), "styles": styles}
        print(stroke, json.dumps(by_stroke[str(stroke)]["overall"]), flush=True)

    results: dict[str, object] = {
        "network": about,
        "identity": folder.identity,
        "photos": options.num_photos,
        "size": options.size,
        "noise": stylizer.noise,
        "stroke sizes": by_stroke,
    }
    if options.optimized:
        paintings = {name: painting_of(listed[name], options.paintings) for name in names}
        results["optimisation"] = optimised(judges, stylizer, paintings, names[: options.optimized])
    if folder.predictor and options.held_out:
        unseen = sorted(options.paintings.iterdir())[: options.held_out]
        results["any painting, none of the predictor's training"] = predicted(
            judges, stylizer, unseen, options.each
        )
    write_result(options.result, " ".join(__doc__.split("\n\n", 2)[2].split()), results)


def painting_of(entry: dict[str, object], paintings: Path, stroke: float = 1.0) -> Tensor:
    """Return the part of a painting that its style was learned from, at that size times ``stroke``."""
    crop = tuple(entry.get("crop", (0.0, 0.0, 1.0, 1.0)))  # type: ignore[arg-type]
    size = round(int(entry.get("size_px", PAINTING_PX)) * stroke)  # type: ignore[call-overload]
    return read_painting(paintings / str(entry["painting"]), size, crop)


def judged(
    judges: Judges, stylizer: Stylizer, painting: Tensor, each: int | None = None, stroke: float = 1.0
) -> list[Verdict]:
    """Judge all photos, or the first ``each``, painted by a stylizer."""
    return [
        judges(number, painted_by(stylizer, photo, stroke), painting)
        for number, photo in enumerate(judges.photos[:each])
    ]


def painted_by(stylizer: Stylizer, photo: Tensor, stroke: float = 1.0) -> Tensor:
    """Paint (1, 3, H, W), 0..1."""
    picture = np.ascontiguousarray(photo[0].permute(1, 2, 0).numpy())
    return torch.from_numpy(stylizer(picture, stroke_size=stroke)).permute(2, 0, 1)[None]


def overall(styles: dict[str, dict[str, object]]) -> dict[str, object]:
    """Median over styles of each figure's median; of what is recognised, the mean."""
    keys = [key for key in next(iter(styles.values())) if key != "recognised"]
    found = {key: summary([style[key]["median"] for style in styles.values()]) for key in keys}  # type: ignore[index]
    return found | {"recognised": round(float(np.mean([s["recognised"] for s in styles.values()])), 3)}  # type: ignore[list-item]


def predicted(judges: Judges, stylizer: Stylizer, paths: list[Path], each: int) -> dict[str, object]:
    """Judge styles that the predictor makes of paintings."""
    styles = {}
    for path in paths:
        painting = read_painting(path, PAINTING_PX)
        styles[path.stem] = medians(judged(judges, stylizer.with_style(path), painting, each))
    return {"overall": overall(styles), "styles": styles}


def optimised(
    judges: Judges, stylizer: Stylizer, paintings: dict[str, Tensor], names: list[str]
) -> dict[str, object]:
    """Judge optimisation, one photo a style, and count the evaluations that the network is worth."""
    loss = PaintingLoss(load_feature_network("vgg16"))
    weights = json.loads(stylizer.network.record["style_weights"])
    verdicts, networks, worth = [], [], {}
    for number, name in enumerate(names):
        index = number % len(judges.photos)
        photo, painting = judges.photos[index], paintings[name]
        painted = painted_by(stylizer.with_style(name), photo)
        config = OptimizeConfig(steps=EVALUATIONS, coarse_steps=0, style_weight=weights[name], tv_weight=1.0)
        picture, _ = optimize(photo, [painting], loss, config)
        verdicts.append(judges(index, picture, painting))
        networks.append(judges(index, painted, painting))
        worth[name] = steps_worth(loss, photo, painting, painted, config)
        print(name, verdicts[-1], networks[-1], worth[name], flush=True)
    return {
        "optimised": medians(verdicts),
        "network on the same": medians(networks),
        "steps from noise": worth,
    }


def steps_worth(
    loss: PaintingLoss, photo: Tensor, painting: Tensor, painted: Tensor, config: OptimizeConfig
) -> dict[str, object]:
    """Count the evaluations from noise until the loss is as low as that of ``painted``."""
    with torch.no_grad():
        terms = loss(painted, loss.content_target(photo), loss.target(painting))
        ours = float(
            terms.content
            + config.style_weight * terms.style
            + config.palette_weight * terms.palette
            + config.tv_weight * total_variation(painted)
        )

    class ReachedError(Exception):
        pass

    curve: list[float] = []

    def watch(evaluation: Evaluation, _: Tensor) -> None:
        curve.append(evaluation.total)
        if evaluation.total <= ours:
            raise ReachedError

    with contextlib.suppress(ReachedError):
        optimize(photo, [painting], loss, dataclasses.replace(config, start="noise"), watch=watch)
    return {"loss": round(ours, 4), "steps": len(curve), "more": min(curve) > ours}


if __name__ == "__main__":
    main()
