"""``stylenorm score``: how far results are from the true ones: pictures, or labels of scans."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.cli.usage import UsageError, as_usage, number_from
from stylenorm.errors import MissingExtraError, StylenormError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HELP", "add_arguments", "run"]

HELP = "compare two folders: pictures (L1, PSNR, Frechet distance) or labels of scans (Dice, surfaces)"
EPILOG = """examples:
  stylenorm score translated/ true/
  stylenorm score made/ photos/ --unpaired
  stylenorm score labels/ labelsTs/ --json"""

_FEW = 20
_SIZE_PX = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("made", type=Path, metavar="MADE", help="folder of results")
    parser.add_argument("true", type=Path, metavar="TRUE", help="folder of what they should be")
    parser.add_argument(
        "--unpaired", action="store_true", help="the files do not match one another: Frechet distance alone"
    )
    parser.add_argument(
        "--size",
        type=number_from(32),
        default=_SIZE_PX,
        metavar="PX",
        help="shorter side at which features are measured (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON for each pair, then the whole")


def run(options: argparse.Namespace) -> int:
    """Compare; a pair that cannot be is reported, and the others are done.

    Raises:
        UsageError: a folder has neither pictures nor scans, or nothing matches.
    """
    with as_usage():
        scans = _scans(options.made), _scans(options.true)
        if all(scans) and not options.unpaired:
            pairs = _matched(scans[0], scans[1], options)
            measure = _compare_labels
        elif options.unpaired:
            return _unpaired(options)
        else:
            pairs = _matched(_pictures(options.made), _pictures(options.true), options)
            measure = _compare_pictures
    rows: list[dict[str, float]] = []
    num_failed = 0
    for name, made, true in pairs:
        try:
            rows.append(measure(made, true))
        except StylenormError as error:
            num_failed += 1
            print(f"stylenorm: {error}", file=sys.stderr)
            continue
        _print(name, rows[-1], options)
    if rows:
        whole = _means(rows)
        if measure is _compare_pictures:
            whole |= _frechet([made for _, made, _ in pairs], [true for _, _, true in pairs], options)
        _print("all", {"count": len(rows), **whole}, options)
    if num_failed:
        print(f"stylenorm: {num_failed} of {len(pairs)} pairs failed", file=sys.stderr)
    return 1 if num_failed else 0


def _unpaired(options: argparse.Namespace) -> int:
    with as_usage():
        made, true = (list(_pictures(folder).values()) for folder in (options.made, options.true))
    _print("all", {"count": len(made), **_frechet(made, true, options)}, options)
    return 0


def _scans(folder: Path) -> dict[str, Path]:
    from stylenorm.media.scans import SUFFIXES

    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found {'a file' if folder.exists() else 'nothing'}")
    paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES))
    return {path.name[: path.name.lower().rindex(".nii")].removesuffix(".labels"): path for path in paths}


def _pictures(folder: Path) -> dict[str, Path]:
    from stylenorm.media import find_pictures

    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in find_pictures(folder)}
    if not found:
        raise UsageError(f"{folder}: expected pictures, or NIfTI files, found neither")
    return found


def _matched(
    made: dict[str, Path], true: dict[str, Path], options: argparse.Namespace
) -> list[tuple[str, Path, Path]]:
    """Pairs of the same name; behind a result's name may stand what was done: photo.a-to-b."""
    pairs = []
    for name, path in made.items():
        partner = true.get(name) or true.get(name.rpartition(".")[0])
        if partner is not None:
            pairs.append((name, path, partner))
    alone = len(made) - len(pairs)
    if not pairs:
        raise UsageError(
            f"{options.made}: expected files of the same names as in {options.true}, found none: "
            "name them alike, or say --unpaired"
        )
    if alone:
        print(
            f"stylenorm: note: {alone} of {len(made)} in {options.made} have no partner in {options.true}",
            file=sys.stderr,
        )
    return pairs


def _compare_labels(made: Path, true: Path) -> dict[str, float]:
    import numpy as np

    from stylenorm.errors import InputError
    from stylenorm.media.scans import read_labels
    from stylenorm.models.agreement import dice_scores, surface_distances

    found, truth = read_labels(made), read_labels(true)
    if found.voxels.shape == truth.voxels.shape and not np.allclose(found.affine, truth.affine, atol=1e-2):
        raise InputError(f"{made}: expected the grid of {true}, got another affine")
    figures = {f"Dice {k}": v for k, v in dice_scores(found.voxels, truth.voxels).items()}
    figures["Dice"] = float(np.mean(list(figures.values()))) if figures else 1.0
    for label, (mean, most) in surface_distances(found.voxels, truth.voxels, truth.spacing_mm).items():
        figures[f"surface mm {label}"], figures[f"surface 95 % mm {label}"] = mean, most
    return figures


def _compare_pictures(made: Path, true: Path) -> dict[str, float]:
    from stylenorm.errors import InputError, ShapeError
    from stylenorm.models.agreement import pixel_errors

    try:
        return pixel_errors(_pixels(made), _pixels(true))
    except ShapeError as error:
        raise InputError(f"{made}: {error}") from error


def _pixels(path: Path) -> NDArray[np.uint8]:
    from stylenorm.media import read_picture, to_uint8

    return to_uint8(read_picture(path).pixels)


def _frechet(made: list[Path], true: list[Path], options: argparse.Namespace) -> dict[str, float]:
    try:
        import torch
    except ImportError as error:
        if options.unpaired:
            raise MissingExtraError("torch", "torch", "the Frechet distance") from error
        return {}
    import numpy as np
    from PIL import Image

    from stylenorm.media import resize_shorter
    from stylenorm.perceptual import FeatureStatistics, load_features

    networks = load_features("vgg16")

    def batches(paths: list[Path]) -> Iterator[Any]:
        for path in paths:
            image = resize_shorter(Image.fromarray(_pixels(path)), options.size)
            yield torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255

    sets = [FeatureStatistics.of(networks, batches(paths)) for paths in (made, true)]
    fewest = min(each.num_pictures for each in sets)
    if fewest < _FEW:
        print(
            f"stylenorm: note: {fewest} pictures are few for a Frechet distance: it is too large",
            file=sys.stderr,
        )
    return {"Frechet": sets[0].distance(sets[1])}


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {
        name: sum(values) / len(values)
        for name in names
        if (values := [row[name] for row in rows if name in row])
    }


def _print(name: str, figures: dict[str, float], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"name": name, **{k: float(f"{v:.6g}") for k, v in figures.items()}}))
    else:
        print(f"{name}: {', '.join(f'{k} {v:.4g}' for k, v in figures.items())}")
