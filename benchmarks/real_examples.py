"""Systems on real photos, paintings, facades and scans: what they learn from, and how far they came.

    python benchmarks/real_examples.py domains --photos DIR --paintings DIR -o domains/
    python benchmarks/real_examples.py paintings --run RUN --domains domains/ [--shown FILE ... --picture OUT]
    python benchmarks/real_examples.py labelled --facades DIR -o labelled/
    python benchmarks/real_examples.py labels --run RUN --pairs labelled/ [--other RUN] [--picture OUT]
    python benchmarks/real_examples.py scans --run RUN --cases DIR --held-out N [--picture OUT]

The trainings themselves are commands (`stylenorm train`), which the runs record; docs/translation.md and
docs/volumes.md say where the pictures and scans come from. Each command writes results/real_NAME.json.

- *domains* makes CycleGAN's folders: landscapes among the photos of the Berkeley Segmentation Data Set, of
  which every eighth is held out, and van Gogh's Starry Night, cut into squares of 192 pixels; the squares at
  the right end are held out, and share no pixel with the others.
- *paintings* translates the held-out photos at the size of the training's crops. Frechet distances (of
  VGG-16's features, as `stylenorm score` has them) to the held-out squares, beside those of the untouched
  photos and of other squares of the same painting, which are the least that can be expected.
- *labelled* makes SPADE's folders of LabelMeFacade: its colours become class numbers, ``various`` is the
  unlabelled; photos and maps are brought to the largest size that training cuts from.
- *labels*: L1 and Frechet distance of what SPADE paints from held-out maps, beside those of the mean colours
  (the best that a painter without any shape could do) and of a pix2pix network (``--other``, trained on the
  same photos), which sees the classes' colours. The picture's maps are drawn here, and belong to no photo.
- *scans*: Dice and distance of the surfaces on held-out scans, each on its own grid, by the exported network.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from measured import write_result
from stylenorm.media import find_pictures
from stylenorm.media.scan_layouts import find_labelled_scans
from stylenorm.media.scans import read_labels, read_scan
from stylenorm.models import Segmenter, Translator, dice_scores, surface_distances
from stylenorm.models.translator import shorter_sized
from stylenorm.perceptual import FeatureStatistics, load_features
from stylenorm.training.recipes.volumes import drawn_over

# By their numbers in the data set: of 480 photos those without people or animals in front.
LANDSCAPES = (Path(__file__).parent / "material" / "landscapes.txt").read_text().split()
EVERY = 8  # of the landscapes is held out
PAINTING = "vincent-van-gogh--the-starry-night"
TILE_PX, STRIDE_PX, SIZE_PX = 192, 32, 128
FACADE = {"building": (128, 0, 0), "car": (128, 0, 128), "door": (128, 128, 0), "pavement": (128, 128, 128)}
FACADE |= {"road": (128, 64, 0), "sky": (0, 128, 128), "vegetation": (0, 128, 0), "window": (0, 0, 128)}
CLASSES = tuple(FACADE.values())  # in the order of SPADE's numbers
UNLABELLED = 255
Pixels = NDArray[np.uint8]


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, call, needed in (
        ("domains", domains, ("photos", "paintings", "output")),
        ("paintings", paintings, ("run", "domains")),
        ("labelled", labelled, ("facades", "output")),
        ("labels", labels, ("run", "pairs")),
        ("scans", scans, ("run", "cases")),
    ):
        command = commands.add_parser(name)
        command.set_defaults(call=call)
        for each in needed:
            command.add_argument(*(["-o"] if each == "output" else []), f"--{each}", type=Path, required=True)
        if name not in ("domains", "labelled"):
            command.add_argument("--picture", type=Path)
        if name == "paintings":
            command.add_argument("--shown", type=Path, nargs="+", default=[], help="photos for the picture")
        if name == "labels":
            command.add_argument("--other", type=Path, help="a pix2pix network of the same photos")
        if name == "scans":
            command.add_argument("--held-out", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.call(options)


def domains(options: argparse.Namespace) -> None:
    """Make trainA, testA, trainB and testB."""
    for number, name in enumerate(LANDSCAPES):
        part = "testA" if number % EVERY == EVERY - 1 else "trainA"
        save(options.output / part / f"{name}.png", opened(options.photos / f"{name}.jpg"))
    painting = opened(options.paintings / f"{PAINTING}.jpg")
    parts = {"trainB": painting[:, :-TILE_PX], "testB": painting[:, -TILE_PX:]}
    for part, area in parts.items():
        for y, x in places(area.shape, STRIDE_PX):
            save(options.output / part / f"{y:03d}-{x:03d}.png", area[y : y + TILE_PX, x : x + TILE_PX])


def places(shape: tuple[int, ...], stride: int) -> Iterator[tuple[int, int]]:
    """Corners of squares: one every so many pixels, and one at the end."""
    ys, xs = (sorted({*range(0, side - TILE_PX, stride), side - TILE_PX}) for side in shape[:2])
    return ((y, x) for y in ys for x in xs)


def paintings(options: argparse.Namespace) -> None:
    """Measure a CycleGAN, and show it on some photos."""
    photos = [scaled(opened(path)) for path in find_pictures(options.domains / "testA")]
    wanted, others = (
        [scaled(opened(path)) for path in find_pictures(options.domains / part)]
        for part in ("testB", "trainB")
    )
    there, back = (Translator(options.run, way, threads=1) for way in ("a-to-b", "b-to-a"))
    if options.picture:
        shown = [cropped(scaled(opened(path), 160)) for path in options.shown]
        draw(options.picture, [shown, [there(each) for each in shown]])
    made = [there(photo) for photo in photos]
    returned = [back(each) for each in made]
    networks = load_features("vgg16")
    held_out = statistics(networks, wanted)
    found = {
        "photos": len(photos),
        "frechet_to_held_out_squares": {
            "photos": round(statistics(networks, photos).distance(held_out), 3),
            "translated": round(statistics(networks, made).distance(held_out), 3),
            "other_squares": round(statistics(networks, others[::16]).distance(held_out), 3),
        },
        "l1_of_the_way_there_and_back": l1(photos, returned),
        "l1_between_photo_and_painting": l1(photos, made),
    }
    write_result("real_paintings", __doc__.splitlines()[0], {**recorded(options.run), **found})


def labelled(options: argparse.Namespace) -> None:
    """Make photos and labels."""
    for path in sorted((options.facades / "labels").glob("*.png")):
        numbers = numbered(opened(path))
        photo = opened(options.facades / "images" / f"{path.stem}.jpg")
        largest = round(1.35 * SIZE_PX)
        save(options.output / "labels" / path.name, scaled(numbers, largest, nearest=True))
        save(options.output / "photos" / path.name, scaled(photo, largest))


def labels(options: argparse.Namespace) -> None:
    """Measure SPADE on held-out label maps, and show it on maps that are drawn here."""
    paths = sorted((options.pairs / "labels").iterdir())
    num_held_out = int(json.loads((options.run / "translator.json").read_text())["record"]["num_held_out"])
    networks = {"network": Translator(options.run, threads=1)}
    if options.other:
        networks["pix2pix"] = Translator(options.other, threads=1)

    def painted_by(name: str, map_in_colors: Pixels) -> Pixels:
        """What a network makes of a map: SPADE is given class numbers."""
        by_numbers = networks[name].num_classes is not None
        return networks[name](numbered(map_in_colors) if by_numbers else map_in_colors)

    if options.picture:
        drawn = [drawn_facade(seed) for seed in range(5)]
        draw(options.picture, [drawn, *([painted_by(name, each) for each in drawn] for name in networks)])
    maps = [in_colors(scaled(opened_numbers(path), nearest=True)) for path in paths[:num_held_out]]
    photos = [scaled(opened(options.pairs / "photos" / path.name)) for path in paths]
    colors = mean_colors(
        [in_colors(scaled(opened_numbers(path), nearest=True)) for path in paths[num_held_out:][:60]],
        photos[num_held_out:][:60],
    )
    made = {"mean colour of each class": [painted(each, colors) for each in maps]}
    made |= {name: [painted_by(name, each) for each in maps] for name in networks}
    features = load_features("vgg16")
    true = statistics(features, photos[:num_held_out])
    others = statistics(features, photos[num_held_out::20]).distance(true)
    found = {
        "facades": len(maps),
        "l1": {name: l1(each, photos[:num_held_out]) for name, each in made.items()},
        "frechet": {
            **{name: round(statistics(features, each).distance(true), 3) for name, each in made.items()},
            "other photos": round(others, 3),
        },
    }
    write_result("real_labels", __doc__.splitlines()[0], {**recorded(options.run), **found})


def numbered(map_in_colors: Pixels) -> Pixels:
    """Class numbers (H, W) of a map in the data set's colours."""
    numbers = np.full(map_in_colors.shape[:2], UNLABELLED, np.uint8)
    for number, color in enumerate(CLASSES):
        numbers[(map_in_colors == color).all(axis=2)] = number
    return numbers


def in_colors(numbers: Pixels) -> Pixels:
    """Class numbers in the data set's colours, black where there is none."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(CLASSES)] = CLASSES
    colored: Pixels = table[numbers]
    return colored


def opened_numbers(path: Path) -> Pixels:
    """Class numbers of a file."""
    with Image.open(path) as image:
        return np.asarray(image)


def mean_colors(
    maps: Sequence[Pixels], photos: Sequence[Pixels]
) -> dict[tuple[int, ...], NDArray[np.float64]]:
    """The mean colour of each class, of maps in colours."""
    sums: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for labels, photo in zip(maps, photos, strict=True):
        for color in np.unique(labels.reshape(-1, 3), axis=0):
            there = (labels == color).all(axis=2)
            total = np.append(photo[there].sum(axis=0), there.sum())
            sums[tuple(color)] = sums.get(tuple(color), np.zeros(4)) + total
    return {color: total[:3] / total[3] for color, total in sums.items()}


def painted(labels: Pixels, colors: dict[tuple[int, ...], NDArray[np.float64]]) -> Pixels:
    """Labels in the mean colours."""
    made = np.full(labels.shape, 128.0)
    for color, mean in colors.items():
        made[(labels == color).all(axis=2)] = mean
    return made.round().astype(np.uint8)


def drawn_facade(seed: int) -> Pixels:
    """Labels of a house by a street (160, 160, 3), in the colours of the data set."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((160, 160, 3), np.uint8)
    labels[:] = FACADE["sky"]
    roof, left, right = rng.integers(12, 44), rng.integers(0, 24), rng.integers(136, 161)
    labels[roof:132, left:right] = FACADE["building"]
    labels[132:140], labels[140:] = FACADE["pavement"], FACADE["road"]
    columns, rows = rng.integers(3, 6), rng.integers(2, 4)
    wide, high = (right - left) / columns, (104 - roof) / rows
    for row in range(rows):
        for column in range(columns):
            y, x = round(roof + (row + 0.25) * high), round(left + (column + 0.28) * wide)
            labels[y : y + round(0.55 * high), x : x + round(0.44 * wide)] = FACADE["window"]
    door = round(left + (int(columns) // 2 + 0.3) * wide)
    labels[108:132, door : door + 14] = FACADE["door"]
    ys, xs = np.mgrid[:160, :160]
    middle = rng.integers(left, right)
    labels[((ys - 128) / 1.4) ** 2 + (xs - middle) ** 2 < 15**2] = FACADE["vegetation"]
    return labels


def scans(options: argparse.Namespace) -> None:
    """Measure a segmenter on the first scans by name, and show some of them."""
    cases = find_labelled_scans(options.cases).cases[: options.held_out]
    segmenter = Segmenter(options.run, threads=1)
    dice: dict[str, list[float]] = {}
    surfaces: dict[str, list[tuple[float, float]]] = {}
    shown = []
    seconds = 0.0
    for number, case in enumerate(cases):
        scan, truth = read_scan(case.images), read_labels(case.labels).voxels  # type: ignore[arg-type]
        started = time.process_time()
        made = segmenter(scan.voxels, spacing_mm=scan.spacing_mm)
        seconds += time.process_time() - started
        for label, score in dice_scores(made, truth).items():
            dice.setdefault(str(label), []).append(score)
        for label, distances in surface_distances(made, truth, scan.spacing_mm).items():
            surfaces.setdefault(str(label), []).append(distances)
        if number % max(1, len(cases) // 4) == 0 and len(shown) < 4:
            shown.append((scan.voxels[0], truth, made))
    found = {
        "scans": len(cases),
        "dice": {label: spread(scores) for label, scores in sorted(dice.items())},
        "surface_mean_mm": {k: spread([mean for mean, _ in each]) for k, each in sorted(surfaces.items())},
        "surface_95_mm": {k: spread([far for _, far in each]) for k, each in sorted(surfaces.items())},
        "cpu_s_a_scan": round(seconds / len(cases), 3),
    }
    write_result("real_scans", __doc__.splitlines()[0], {**recorded(options.run), **found})
    if options.picture:
        rows = [[slices(*each)[row] for each in shown] for row in range(3)]
        draw(options.picture, rows)


def slices(voxels: NDArray[np.float32], truth: Pixels, made: Pixels) -> list[Pixels]:
    """The slice with most foreground: the scan, its labels, what was found; 160 pixels a side."""
    at = int((truth > 0).sum(axis=(1, 2)).argmax())  # seen from the side
    low, high = np.percentile(voxels, [0.5, 99.5])
    grey = np.clip((voxels[at] - low) / (high - low), 0, 1).astype(np.float32)
    tiles = []
    for labels in (truth * 0, truth, made):
        tile = np.rot90(drawn_over(grey, labels[at]))
        image = Image.fromarray((tile * 255).round().astype(np.uint8))
        tiles.append(np.asarray(image.resize((160, 160), Image.Resampling.NEAREST)))
    return tiles


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, median, least and largest."""
    numbers = {
        "mean": np.mean(values),
        "median": np.median(values),
        "least": min(values),
        "most": max(values),
    }
    return {name: round(float(value), 3) for name, value in numbers.items()}


def recorded(run: Path) -> dict[str, object]:
    """What the run says of itself."""
    for name in ("translator.json", "segmenter.json"):
        if (run / name).exists():
            record = json.loads((run / name).read_text())["record"]
            kept = ("recipe", "steps", "history", "seed", "a", "b", "pairs", "cases", "torch", "machine")
            return {"run": {key: record[key] for key in kept if key in record}}
    raise SystemExit(f"{run}: expected a finished training, found none")


def statistics(networks: object, pictures: Sequence[Pixels]) -> FeatureStatistics:
    """Features of pictures, each at its own size."""
    batches = (torch.from_numpy(each.copy()).permute(2, 0, 1)[None].float() / 255 for each in pictures)
    return FeatureStatistics.of(networks, batches)  # type: ignore[arg-type]


def l1(a: Sequence[Pixels], b: Sequence[Pixels]) -> float:
    """Mean absolute difference in grey levels, mean over the pictures."""
    each = [np.abs(x.astype(float) - y.astype(float)).mean() for x, y in zip(a, b, strict=True)]
    return round(float(np.mean(each)), 2)


def opened(path: Path) -> Pixels:
    """A picture's pixels."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def scaled(pixels: Pixels, shorter_px: int = SIZE_PX, *, nearest: bool = False) -> Pixels:
    """A picture whose shorter side has so many pixels."""
    size = shorter_sized(pixels.shape[1], pixels.shape[0], shorter_px)
    how = Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(pixels).resize(size, how))


def cropped(pixels: Pixels) -> Pixels:
    """The middle: a square."""
    side = min(pixels.shape[:2])
    y, x = ((each - side) // 2 for each in pixels.shape[:2])
    return np.ascontiguousarray(pixels[y : y + side, x : x + side])


def save(path: Path, pixels: Pixels) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)


def draw(path: Path, rows: Sequence[Sequence[Pixels]]) -> None:
    """Write rows of pictures of one size."""
    tiles = [[np.pad(each, [(2, 2), (2, 2), (0, 0)], constant_values=255) for each in row] for row in rows]
    grid = np.concatenate([np.concatenate(row, axis=1) for row in tiles])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).save(path, quality=90)


if __name__ == "__main__":
    main()
