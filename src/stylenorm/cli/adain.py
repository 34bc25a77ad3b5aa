"""``stylenorm adain``: a photo like any paintings, by an AdaIN network that was trained (Huang 2017)."""

from __future__ import annotations

import argparse
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
    add_color_arguments,
    add_network_argument,
    add_quiet_argument,
    as_usage,
    number_from,
    share,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from stylenorm.models.adain import StylePicture

__all__ = ["HELP", "add_arguments", "run"]

HELP = "paint a photo like any paintings, with a network of 'stylenorm train adain'"
EPILOG = """examples:
  stylenorm adain photo.jpg painting.jpg --network trained/ -o out.png
  stylenorm adain photo.jpg a.jpg b.jpg c.jpg d.jpg --weights 4 3 2 1 --network trained/ -o out.png
  stylenorm adain photo.jpg sky.jpg land.jpg --photo-masks up.png down.png --network trained/ -o out.png
  stylenorm adain photo.jpg painting.jpg --strength 0.6 --keep-colors --network trained/ -o out.png"""
RENAMED = {"--alpha": "--strength", "--colors": "--color-method"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_photo_arguments(parser)
    add_network_argument(parser, "'stylenorm train adain'")
    parser.add_argument(
        "--strength",
        type=share,
        default=1.0,
        metavar="0..1",
        help="0: the photo; 1: the full style (default)",
    )
    parser.add_argument("--weights", nargs="+", type=float, metavar="W", help="one a painting")
    add_mask_argument(
        parser,
        "--photo-masks",
        "white where it paints the photo; none is everywhere; where masks overlap, paintings are mixed, and "
        "where none is white the photo stays",
    )
    add_color_arguments(parser)
    parser.add_argument(
        "--stroke-px",
        type=number_from(16),
        default=512,
        metavar="PX",
        help="shorter side of the paintings when they are looked at; more gives larger strokes "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--size", type=number_from(1), metavar="PX", help="longer side of the result; default: the photo's"
    )
    add_quiet_argument(parser, "no notes")
    add_writing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Paint the photo.

    Raises:
        UsageError: network, pictures, masks or settings are not as expected.
    """
    from stylenorm.configurations.optimizing import FREE_COLORS
    from stylenorm.media import check_output, read_picture, scaled_image
    from stylenorm.models.adain import AdainPainter

    with as_usage():
        check_output(options.output, overwrite=options.overwrite)
        painter = AdainPainter(options.network)
        picture = read_picture(options.photo)
        photo = scaled_image(picture, options.size)
        styles = _styles(options, photo.size)
        colors = options.keep_colors or FREE_COLORS
        painting = painter(_pixels(photo), styles, strength=options.strength, colors=colors)
    write(options, picture, painting)
    return 0


def _styles(options: argparse.Namespace, photo_size: tuple[int, int]) -> list[StylePicture]:
    from stylenorm.media import read_picture, scaled_image
    from stylenorm.models.adain import StylePicture

    weights = one_each(options, "--weights", 1.0)
    regions = masks(options, "--photo-masks")
    styles = []
    for path, weight, mask in zip(options.paintings, weights, regions, strict=True):
        picture = read_picture(path)
        sides = (picture.width, picture.height)
        longer_px = round(options.stroke_px * max(sides) / min(sides))
        pixels = _pixels(scaled_image(picture, longer_px, enlarge=True))
        styles.append(StylePicture(pixels, weight, mask_named(mask, photo_size)))
    return styles


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    import numpy as np

    return np.array(image.convert("RGB"), dtype=np.uint8)
