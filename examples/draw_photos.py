"""Draw pictures that could pass for photographs, so that the project can ship some without anyone's rights.

    python examples/draw_photos.py --out DIR [--size 960x640] [mountain-lake harbour still-life]

numpy computes the light, Pillow writes the JPEGs. The same command always draws the same pixels.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scenes import common

# name: (module, exposure, seed of the grain)
SCENES = {
    "mountain-lake": ("scenes.mountain_lake", 0.8, 1),
    "harbour": ("scenes.harbour", 0.54, 2),
    "still-life": ("scenes.still_life", 1.15, 3),
}
QUALITY = 92


def picture(name: str, width: int, height: int) -> NDArray[np.uint8]:
    """One scene as an (H, W, 3) uint8 sRGB image."""
    module, exposure, seed = SCENES[name]
    factor = common.SUPERSAMPLE
    light = importlib.import_module(module).draw(height * factor, width * factor)
    return common.develop(light, seed, exposure)


def size(text: str) -> tuple[int, int]:
    """Parse WIDTHxHEIGHT, at least 32 either way: below that the scenes have no pixel a feature."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdigit() and int(p) >= 32 for p in parts):
        raise argparse.ArgumentTypeError(
            f"expected WIDTHxHEIGHT with both at least 32, such as 960x640; got {text!r}"
        )
    return int(parts[0]), int(parts[1])


def main(arguments: list[str] | None = None) -> int:
    """Draw the scenes that were asked for; all of them if none was named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "scenes", nargs="*", metavar="SCENE", help=f"any of {', '.join(SCENES)} (default: all)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the JPEGs go")
    parser.add_argument(
        "--size", type=size, default=(960, 640), metavar="WxH", help="pixels (default: 960x640)"
    )
    options = parser.parse_args(arguments)
    for name in options.scenes:
        if name not in SCENES:
            parser.error(f"no scene is called {name!r}; there are {', '.join(SCENES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.scenes or SCENES:
        start = time.perf_counter()
        path = options.out / f"{name}.jpg"
        Image.fromarray(picture(name, *options.size)).save(path, quality=QUALITY)
        sys.stdout.write(f"{path}: {time.perf_counter() - start:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
