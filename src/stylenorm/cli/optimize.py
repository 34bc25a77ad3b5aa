"""``stylenorm optimize``: a painting by optimizing the picture itself (Gatys 2016)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stylenorm.cli.one_photo import (
    add_mask_argument,
    add_photo_arguments,
    add_writing_arguments,
    mask_named,
    masks,
    one_each,
    write,
)
from stylenorm.cli.usage import (
    UsageError,
    add_color_arguments,
    add_fields,
    add_quiet_argument,
    as_usage,
    number_from,
    positive_number,
    values_of,
)
from stylenorm.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL import Image

    from stylenorm.optimize import StyleSource

__all__ = ["HELP", "add_arguments", "run"]

HELP = "paint one photo by optimizing it, as Gatys did: minutes, any painting (needs torch)"
EPILOG = """examples:
  stylenorm optimize photo.jpg painting.jpg -o out.png
  stylenorm optimize photo.jpg a.jpg b.jpg --weights 0.7 0.3 -o out.png
  stylenorm optimize photo.jpg sky.jpg land.jpg --photo-masks up.png down.png -o out.png
  stylenorm optimize photo.jpg painting.jpg --keep-colors --record steps/ -o out.png"""
RENAMED = {"--colors": "--color-method", "--style-scale": "--stroke-size"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from stylenorm.configurations import OptimizeConfig, config_fields

    add_photo_arguments(parser)
    parser.add_argument(
        "--size",
        type=number_from(1),
        default=512,
        metavar="PX",
        help="longer side of the result, at most the photo's (default: %(default)s)",
    )
    parser.add_argument(
        "--stroke-size",
        type=positive_number,
        default=1.0,
        metavar="X",
        help="longer side of the paintings in that of the result; larger gives larger strokes (default: 1)",
    )
    add_color_arguments(parser)
    parser.add_argument("--weights", nargs="+", type=positive_number, metavar="W", help="one a painting")
    add_mask_argument(
        parser,
        "--photo-masks",
        "white where it paints the photo; none is everywhere; paintings that name the same mask share the "
        "region",
    )
    add_mask_argument(parser, "--painting-masks", "white where it is looked at; none is all of it")
    features = parser.add_argument_group("features")
    features.add_argument(
        "--features",
        default="vgg16",
        metavar="NAME",
        help="the network that compares: vgg16 (ships) or vgg19 (downloaded once); default: %(default)s",
    )
    features.add_argument("--device", default="cpu", help="cpu (default), cuda, ...")
    keeping = parser.add_argument_group("while it runs")
    keeping.add_argument(
        "--record", type=Path, metavar="DIR", help="keep previews, a curve and a table of the losses there"
    )
    keeping.add_argument(
        "--preview-every", type=number_from(1), default=10, metavar="N", help="steps (default: %(default)s)"
    )
    keeping.add_argument("--resume", action="store_true", help="go on where the same command was stopped")
    add_quiet_argument(keeping, "no progress and no notes")
    add_writing_arguments(parser)
    fields = [field for field in config_fields(OptimizeConfig) if field.name != "colors"]
    add_fields(parser.add_argument_group("optimization"), fields)


def run(options: argparse.Namespace) -> int:
    """Paint the photo.

    Raises:
        MissingExtraError: torch is not installed.
        UsageError: pictures, masks, weights or settings are not as expected.
        TrainingError: the loss is no longer finite.
    """
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "torch", "optimizing a picture")
    from stylenorm.configurations import OptimizeConfig
    from stylenorm.configurations.optimizing import FREE_COLORS
    from stylenorm.media import check_output, read_picture, scaled_image
    from stylenorm.optimize import Optimization, Session, run_session
    from stylenorm.perceptual import PaintingLoss, load_feature_network

    with as_usage():
        check_output(options.output, overwrite=options.overwrite)
        options.colors = options.keep_colors or FREE_COLORS
        config = OptimizeConfig(**values_of(OptimizeConfig, options))
        device = _device(options.device)
        picture = read_picture(options.photo)
        photo = scaled_image(picture, options.size)
        sources = _sources(options, photo.size, device)
        loss = PaintingLoss(load_feature_network(options.features))
        loss.to(device)
        job = Optimization(_tensor(photo).to(device), sources, loss, config)
        checkpoint = options.output.with_name(f"{options.output.name}.checkpoint")
        session = Session(
            checkpoint=checkpoint,
            resume=options.resume,
            record=options.record,
            preview_every=options.preview_every,
            quiet=options.quiet,
        )
    try:
        result = run_session(job, session, about=options.features)
    except KeyboardInterrupt:
        if not checkpoint.exists():
            raise
        print("stylenorm: interrupted; the same command with --resume goes on from here", file=sys.stderr)
        return 130
    write(options, picture, _pixels(result))
    checkpoint.unlink(missing_ok=True)
    return 0


def _sources(
    options: argparse.Namespace, photo_size: tuple[int, int], device: torch.device
) -> list[StyleSource]:
    import torch

    from stylenorm.media import read_picture, scaled_image
    from stylenorm.optimize import StyleSource

    def mask_of(name: str, size: tuple[int, int]) -> torch.Tensor | None:
        mask = mask_named(name, size)
        return None if mask is None else torch.from_numpy(mask)[None, None].to(device)  # (1, 1, H, W)

    weights = one_each(options, "--weights", 1.0)
    photo_masks, painting_masks = masks(options, "--photo-masks"), masks(options, "--painting-masks")
    regions = {name: mask_of(name, photo_size) for name in photo_masks}
    sources = []
    for path, weight, photo_mask, painting_mask in zip(
        options.paintings, weights, photo_masks, painting_masks, strict=True
    ):
        longer_px = round(options.size * options.stroke_size)
        painting = scaled_image(read_picture(path), longer_px, enlarge=True)
        mask = mask_of(painting_mask, painting.size)
        sources.append(StyleSource(_tensor(painting).to(device), weight, mask, regions[photo_mask]))
    return sources


def _tensor(image: Image.Image) -> torch.Tensor:
    import numpy as np
    import torch

    pixels = np.array(image.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def _pixels(result: torch.Tensor) -> NDArray[np.uint8]:
    """(H, W, 3) of (1, 3, H, W), 0..1."""
    pixels: NDArray[np.uint8] = (result[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return pixels


def _device(name: str) -> torch.device:
    import torch

    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise UsageError(f"--device: {name!r} is not there ({error})") from error
    return device
