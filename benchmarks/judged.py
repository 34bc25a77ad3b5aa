"""How good are the pictures? Every style, judged by what took no part, beside optimisation and others.

    python benchmarks/judged.py --photos DIR --paintings DIR [--network DIR] [--optimized N] [--sizes 256 512]

Needs the packages of ``benchmarks/judge.py``; ``benchmarks/judges.py`` says what each figure is. Photos
that were not trained on (the held-out ones, by name) are painted in every style; figures are medians over
photos. A painting is the part, at the size, that its style was learned from. **Optimisation**: Gatys' way
on the training's own loss with the style's own weight, 100 evaluations from the photo, one photo a style.
**Steps**: the first evaluation of the same optimisation from noise, as Johnson counted, whose loss is as
low as the network's (with "more" where none was). **Any painting**: styles that the predictor makes of
paintings that it was not trained on (the first by name). **Others**: other people's pictures of the same
photos, ``--others DIR`` with ``NAME/STYLE/0.png`` for the first photo. The figures cannot be compared with
those of other judges.
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
from stylenorm.engines import Engine, open_engine
from stylenorm.models.predictor import predict_style
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
    parser.add_argument("--sizes", type=int, nargs="+", default=[256])
    parser.add_argument("--optimized", type=int, default=0, help="optimise for so many styles")
    parser.add_argument("--held-out", type=int, default=16, help="paintings that the predictor never saw")
    parser.add_argument("--each", type=int, default=8, help="photos that each of them paints")
    parser.add_argument("--others", type=Path, help="other people's pictures of the same photos")
    parser.add_argument("--result", default="judged")
    add_network_argument(parser)
    options = parser.parse_args()

    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    listed = tomllib.loads((options.styles or folder.path / "styles.toml").read_text())
    engine = open_engine("openvino", folder.graph, precision="f32")
    names = [name for name in folder.style_names() if name in listed]
    paintings = {name: painting_of(listed[name], options.paintings) for name in names}

    by_size = {}
    for size in options.sizes:
        photos = list(
            Photos(options.photos, crop_px=size, batch_size=1, seed=0, num_held_out=options.num_photos)
            .held_out(options.num_photos)
            .split(1)
        )
        judges = Judges(photos)
        styles = {
            name: medians(judged(judges, engine, folder.style(name).vector(), paintings[name]))
            for name in names
        }
        by_size[str(size)] = {"overall": overall(styles), "styles": styles}
        print(size, json.dumps(by_size[str(size)]["overall"]), flush=True)
        if size == options.sizes[0]:
            beside = (judges, engine, folder, paintings)

    judges, engine, folder, paintings = beside
    results = {
        "network": about,
        "identity": folder.identity,
        "photos": options.num_photos,
        "sizes": by_size,
        "optimisation": optimised(judges, engine, folder, paintings, names[: options.optimized]),
        "any painting, none of the predictor's training": predicted(
            judges, engine, folder, sorted(options.paintings.iterdir())[: options.held_out], options.each
        )
        if folder.predictor and options.held_out
        else None,
        "others": others(judges, options.others, paintings) if options.others else None,
    }
    write_result(options.result, " ".join(__doc__.split("\n\n", 2)[2].split()), results)


def painting_of(entry: dict[str, object], paintings: Path) -> Tensor:
    """Return the part of a painting that its style was learned from, at that size."""
    crop = tuple(entry.get("crop", (0.0, 0.0, 1.0, 1.0)))  # type: ignore[arg-type]
    return read_painting(paintings / str(entry["painting"]), int(entry.get("size_px", PAINTING_PX)), crop)  # type: ignore[call-overload]


def judged(
    judges: Judges, engine: Engine, vector: np.ndarray, painting: Tensor, each: int = 10**9
) -> list[Verdict]:
    """Judge all photos, or the first ``each``, painted with a style vector."""
    found = []
    for number, photo in enumerate(judges.photos[:each]):
        painted = torch.from_numpy(np.array(engine.paint(photo.numpy(), vector)))
        found.append(judges(number, painted, painting))
    return found


def overall(styles: dict[str, dict[str, object]]) -> dict[str, object]:
    """Median over styles of each figure's median; of what is recognised, the mean."""
    keys = [key for key in next(iter(styles.values())) if key != "recognised"]
    found = {key: summary([style[key]["median"] for style in styles.values()]) for key in keys}  # type: ignore[index]
    return found | {"recognised": round(float(np.mean([s["recognised"] for s in styles.values()])), 3)}  # type: ignore[list-item]


def predicted(
    judges: Judges, engine: Engine, folder: NetworkFolder, paths: list[Path], each: int
) -> dict[str, object]:
    """Judge styles that the predictor makes of paintings."""
    styles = {}
    for path in paths:
        painting = read_painting(path, PAINTING_PX)
        styles[path.stem] = medians(
            judged(judges, engine, predict_style(path, folder).vector(), painting, each)
        )
    return {"overall": overall(styles), "styles": styles}


def optimised(
    judges: Judges, engine: Engine, folder: NetworkFolder, paintings: dict[str, Tensor], names: list[str]
) -> dict[str, object] | None:
    """Judge optimisation, one photo a style, and count the evaluations that the network is worth."""
    if not names:
        return None
    loss = PaintingLoss(load_feature_network("vgg16"))
    weights = json.loads(folder.record["style_weights"])
    verdicts, networks, worth = [], [], {}
    for number, name in enumerate(names):
        index = number % len(judges.photos)
        photo, painting = judges.photos[index], paintings[name]
        painted = torch.from_numpy(np.array(engine.paint(photo.numpy(), folder.style(name).vector())))
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


def others(judges: Judges, folder: Path, paintings: dict[str, Tensor]) -> dict[str, object]:
    """Judge other people's pictures: NAME/STYLE/INDEX.png."""
    found: dict[str, object] = {}
    for path in sorted(folder.glob("*/*")):
        verdicts = [
            judges(int(picture.stem), read_painting(picture, judges.photos[0].shape[2]), paintings[path.name])
            for picture in sorted(path.glob("*.png"))
        ]
        found[f"{path.parent.name}: {path.name}"] = medians(verdicts)
    return found


if __name__ == "__main__":
    main()
