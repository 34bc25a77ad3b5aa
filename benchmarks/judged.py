"""How many steps of Gatys' optimisation is the network worth, and what does a judge say who took no part?

    python benchmarks/judged.py --photos DIR --paintings DIR [--network DIR]

Needs the packages of ``benchmarks/judge.py``. Photos that were not trained on (the held-out ones, by name)
are painted. **Steps**: each style is given one photo, in turn; the painting's loss, with the weights that its
style was trained with, is compared with the losses along L-BFGS on the same losses, from the photo, and from
noise, as Johnson counted: the figure is the first evaluation at which the optimisation is as good, or how
many there were, marked "more". **Judge**: all styles on all photos; style loss that is left of the photo's on
EfficientNet-Lite0 (geometric mean over layers, then median over photos) and content loss; beside them the
same of the optimisation's pictures after 50, 100 and 200 evaluations. **Any painting**: the same of styles
that the predictor makes of paintings that it was not trained on (the first by name). The judge's figures
cannot be compared with those of another judge.
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

from judge import Judge
from measured import add_network_argument, network_folder, summary, write_result
from style_left import StyleLeft
from stylenorm.engines import Engine, open_engine
from stylenorm.models.predictor import predict_style
from stylenorm.optimize import Evaluation, OptimizeConfig, optimize
from stylenorm.perceptual import PerceptualLoss, load_features, total_variation
from stylenorm.training import Photos, read_painting
from stylenorm.zoo import NetworkFolder

AFTER = (50, 100, 200)


def main() -> None:
    """Measure and write results/judged.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "paintings"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--num-photos", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--painting-px", type=int, default=512)
    parser.add_argument("--optimized", type=int, default=1000, help="optimise for no more styles than this")
    parser.add_argument(
        "--held-out", type=int, default=16, help="paintings, by name, that the predictor never saw"
    )
    parser.add_argument("--each", type=int, default=8, help="photos that each of them paints")
    parser.add_argument("--result", default="judged")
    add_network_argument(parser)
    options = parser.parse_args()

    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    listed = tomllib.loads((folder.path / "styles.toml").read_text())
    weights = json.loads(folder.record["style_weights"])
    photos = Photos(
        options.photos, crop_px=options.size, batch_size=1, seed=0, num_held_out=options.num_photos
    ).held_out(options.num_photos)
    judge, loss = StyleLeft([Judge()], photos), PerceptualLoss(load_features("distilled"), num_scales=2)
    engine = open_engine("openvino", folder.graph, precision="f32")

    styles: dict[str, dict[str, object]] = {}
    for number, name in enumerate(folder.style_names()):
        painting = read_painting(options.paintings / listed[name]["painting"], options.painting_px)
        vector = folder.style(name).vector()
        painted = torch.cat([torch.from_numpy(engine.paint(p[None].numpy(), vector)) for p in photos])
        grams = judge.grams(painting)
        found = [judge(i, painted[i : i + 1], grams) for i in range(len(photos))]
        styles[name] = {
            "style left": summary([style for style, _ in found]),
            "content": summary([content for _, content in found]),
        }
        if number < options.optimized:
            i = number % len(photos)
            photo = photos[i : i + 1].contiguous()
            config = OptimizeConfig(
                steps=max(AFTER), coarse_steps=0, style_weight=weights[name], tv_weight=3.0
            )
            styles[name]["against optimisation"], pictures = against(
                loss, photo, painting, painted[i : i + 1], config
            )
            styles[name]["against optimisation"]["optimised"] = {  # type: ignore[index]
                str(after): dict(zip(("style left", "content"), judge(i, picture, grams), strict=True))
                for after, picture in zip(AFTER, pictures, strict=True)
            }
        print(name, json.dumps(styles[name]), flush=True)

    predicted = {
        path.stem: any_style(judge, engine, photos[: options.each], path, folder, options.painting_px)
        for path in sorted(options.paintings.iterdir())[: options.held_out if folder.predictor else 0]
    }

    compared = [s["against optimisation"] for s in styles.values() if "against optimisation" in s]
    results = {
        "network": about,
        "identity": folder.identity,
        "size": options.size,
        "photos": options.num_photos,
        "style left, median of styles": round(
            float(np.median([s["style left"]["median"] for s in styles.values()])), 3
        ),  # type: ignore[index]
        "content, median of styles": round(
            float(np.median([s["content"]["median"] for s in styles.values()])), 3
        ),  # type: ignore[index]
        **{
            name: summary([c[name] for c in compared]) if compared else None  # type: ignore[index]
            for name in ("steps worth", "steps worth, from noise")
        },
        "optimisation on the judge": {
            str(after): {
                key: summary([c["optimised"][str(after)][key] for c in compared])  # type: ignore[index]
                for key in ("style left", "content")
            }
            for after in AFTER
        }
        if compared
        else None,
        "styles": styles,
        "any painting, none of the predictor's training": {
            key: summary([figures[key] for figures in predicted.values()])
            for key in ("style left", "content")
        }
        if predicted
        else None,
        "paintings": predicted,
    }
    write_result(options.result, " ".join(__doc__.split("\n\n", 2)[2].split()), results)


def any_style(
    judge: StyleLeft, engine: Engine, photos: Tensor, path: Path, folder: NetworkFolder, painting_px: int
) -> dict[str, float]:
    """Return the medians over photos of a painting whose style is predicted."""
    vector = predict_style(path, folder).vector()
    grams = judge.grams(read_painting(path, painting_px))
    found = [
        judge(i, torch.from_numpy(engine.paint(photo.numpy(), vector)), grams)
        for i, photo in enumerate(photos.split(1))
    ]
    style, content = (round(float(np.median(values)), 4) for values in zip(*found, strict=True))
    return {"style left": style, "content": content}


def against(
    loss: PerceptualLoss,
    photo: Tensor,
    painting: Tensor,
    painted: Tensor,
    config: OptimizeConfig,
) -> tuple[dict[str, object], list[Tensor]]:
    """Compare one painting of the network with an optimisation: figures, and the optimisation's pictures."""
    content, style = loss.content_target(photo), loss.style_target(painting)
    with torch.no_grad():
        terms = loss(painted, content, style)
        ours = float(
            terms.content + config.style_weight * terms.style + config.tv_weight * total_variation(painted)
        )
    curve: list[float] = []
    kept: dict[int, Tensor] = {}

    def watch(evaluation: Evaluation, best: Tensor) -> None:
        curve.append(evaluation.total)
        if len(curve) in AFTER:
            kept[len(curve)] = best.detach().clone().clamp(0, 1)

    last, _ = optimize(photo, [painting], loss, config, watch=watch)
    pictures = [kept.get(after, last) for after in AFTER]
    lowest = np.minimum.accumulate(curve)
    figures: dict[str, object] = {
        "loss": round(ours, 4),
        **worth(curve, ours, "steps worth"),
        **worth(curve_from_noise(loss, photo, painting, config, ours), ours, "steps worth, from noise"),
        "loss of the optimisation": {str(a): round(float(lowest[min(a, len(curve)) - 1]), 4) for a in AFTER},
    }
    return figures, pictures


def worth(curve: list[float], ours: float, name: str) -> dict[str, object]:
    """Return the first evaluation that is as good as ``ours``, or how many there were and that it is more."""
    reached = np.flatnonzero(np.array(curve) <= ours)
    return {name: int(reached[0]) + 1 if len(reached) else len(curve), f"{name}: more": not len(reached)}


def curve_from_noise(
    loss: PerceptualLoss, photo: Tensor, painting: Tensor, config: OptimizeConfig, ours: float
) -> list[float]:
    """Return the losses of the optimisation that starts from noise, until one is as good as ``ours``."""

    class ReachedError(Exception):
        pass

    curve: list[float] = []

    def watch(evaluation: Evaluation, _: Tensor) -> None:
        curve.append(evaluation.total)
        if evaluation.total <= ours:
            raise ReachedError

    with contextlib.suppress(ReachedError):
        optimize(photo, [painting], loss, dataclasses.replace(config, start="noise"), watch=watch)
    return curve


if __name__ == "__main__":
    main()
