"""``stylenorm adain``: a photo like any paintings, by an AdaIN network that was trained (Huang 2017)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stylenorm.cli.usage import (
    UsageError,
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

    from stylenorm.media import Picture
    from stylenorm.models.adain import StylePicture

__all__ = ["HELP", "add_arguments", "run"]

HELP = "paint a photo like any paintings, with a network of 'stylenorm train adain'"
EPILOG = """examples:
  stylenorm adain photo.jpg painting.jpg --network trained/ -o out.png
  stylenorm adain photo.jpg a.jpg b.jpg c.jpg d.jpg --weights 4 3 2 1 --network trained/ -o out.png
  stylenorm adain photo.jpg sky.jpg land.jpg --photo-masks up.png down.png --network trained/ -o out.png
  stylenorm adain photo.jpg painting.jpg --strength 0.6 --keep-colors --network trained/ -o out.png"""
RENAMED = {"--alpha": "--strength", "--colors": "--color-method"}

_NO_MASK = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("photo", type=Path, help="the photo")
    parser.add_argument("paintings", nargs="+", type=Path, metavar="PAINTING", help="one or more")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PATH", help="the result")
    add_network_argument(parser, "'stylenorm train adain'")
    parser.add_argument(
        "--strength",
        type=share,
        default=1.0,
        metavar="0..1",
        help="0: the photo; 1: the full style (default)",
    )
    parser.add_argument("--weights", nargs="+", type=float, metavar="W", help="one a painting")
    parser.add_argument(
        "--photo-masks",
        nargs="+",
        metavar="FILE",
        help="one a painting: white where it paints the photo; none is everywhere; where masks overlap, "
        "paintings are mixed, and where none is white the photo stays",
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
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument(
        "--quality", type=number_from(1, 100), default=95, metavar="1..100", help="of JPEG, WebP and AVIF"
    )


def run(options: argparse.Namespace) -> int:
    """Paint the photo.

    Raises:
        UsageError: network, pictures, masks or settings are not as expected.
    """
    from stylenorm.configurations.optimizing import FREE_COLORS
    from stylenorm.media import check_output, read_picture, write_picture
    from stylenorm.models.adain import AdainPainter

    with as_usage():
        check_output(options.output, overwrite=options.overwrite)
        painter = AdainPainter(options.network)
        picture = read_picture(options.photo)
        photo = _scaled(picture, options.size)
        styles = _styles(options, photo.size)
        colors = options.keep_colors or FREE_COLORS
        painting = painter(_pixels(photo), styles, strength=options.strength, colors=colors)
    notes = write_picture(
        _finished(picture, painting), options.output, quality=options.quality, overwrite=options.overwrite
    )
    if not options.quiet:
        for note in (*picture.notes, *notes):
            print(f"stylenorm: note: {note}", file=sys.stderr)
    return 0


def _styles(options: argparse.Namespace, photo_size: tuple[int, int]) -> list[StylePicture]:
    from stylenorm.media import read_picture
    from stylenorm.models.adain import StylePicture

    count = len(options.paintings)
    weights = options.weights or [1.0] * count
    masks = options.photo_masks or [_NO_MASK] * count
    for name, given in (("--weights", weights), ("--photo-masks", masks)):
        if len(given) != count:
            raise UsageError(f"{name}: expected {count}, one a painting, got {len(given)}")
    styles = []
    for path, weight, mask in zip(options.paintings, weights, masks, strict=True):
        image = _visible(read_picture(path))
        longer_px = round(options.stroke_px * max(image.size) / min(image.size))
        pixels = _pixels(_resized(image, longer_px))
        region = None if mask == _NO_MASK else _mask(Path(mask), photo_size)
        styles.append(StylePicture(pixels, weight, region))
    return styles


def _visible(picture: Picture) -> Image.Image:
    """The picture's colours in 8 bits; what is hidden under alpha gets colours from near."""
    from stylenorm.media import Picture, fill_transparent

    pixels = picture.pixels if picture.alpha is None else fill_transparent(picture.pixels, picture.alpha)
    return Picture(pixels).to_image()


def _scaled(picture: Picture, longer_px: int | None) -> Image.Image:
    image = _visible(picture)
    return image if longer_px is None or longer_px >= max(image.size) else _resized(image, longer_px)


def _resized(image: Image.Image, longer_px: int) -> Image.Image:
    from PIL import Image

    scale = longer_px / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _mask(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W), 0..1: how bright the picture is, scaled to the photo's size."""
    import numpy as np
    from PIL import Image

    from stylenorm.media import read_picture

    grey = read_picture(path).to_image().convert("L")
    image = grey if grey.size == size else grey.resize(size, Image.Resampling.BOX)
    brightness: NDArray[np.float32] = np.divide(np.asarray(image), 255, dtype=np.float32)
    return brightness


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    import numpy as np

    return np.array(image.convert("RGB"), dtype=np.uint8)


def _finished(photo: Picture, pixels: NDArray[np.uint8]) -> Picture:
    """The result with the photo's alpha, and its metadata where the size is still the photo's."""
    import numpy as np
    from PIL import Image

    from stylenorm.media import Metadata, Picture

    height, width = pixels.shape[:2]
    whole = (height, width) == (photo.height, photo.width)
    alpha = None
    if photo.alpha is not None:
        coarse = photo.alpha if photo.bit_depth == 8 else photo.alpha // 257
        image = Image.fromarray(coarse.astype(np.uint8))
        alpha = np.array(image if whole else image.resize((width, height), Image.Resampling.BILINEAR))
    return Picture(pixels, alpha, photo.metadata if whole else Metadata())
