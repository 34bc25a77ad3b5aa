"""What a user calls a style as a `Style`; any picture becomes one in one pass, by the network's predictor.

The predictor itself is `stylenorm.networks.StylePredictor`; what runs here is its exported graph, by NumPy
and our own convolutions, which every installation has: whatever engine paints, the style is the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from stylenorm.engines.engine import num_cores
from stylenorm.engines.numpy_graph import NumpyGraph
from stylenorm.errors import EngineError, InputError
from stylenorm.media import (
    fill_transparent,
    is_picture_name,
    looks_like_picture,
    read_picture,
    to_uint8,
)
from stylenorm.style import Style
from stylenorm.zoo import NetworkFolder, parse_style

__all__ = ["predict_style", "style_for"]

_SHORTER_PX = 200  # half of what the predictor was trained to take strokes from
_LONGER_PX = 1024
_SMALLEST_PX = 16


def predict_style(path: Path, network: NetworkFolder) -> Style:
    """Return the style of a picture.

    Args:
        path: the picture.
        network: for which network; its folder must have a predictor.

    Raises:
        PictureError: the picture cannot be read.
        InputError: the network has no predictor, or the picture is smaller than 16 pixels.
    """
    graph = network.predictor
    if graph is None:
        raise InputError(
            f"style {str(path)!r} is a picture, and the network {network.path} has no predictor: expected a "
            "style's name or file; 'stylenorm learn' makes a style of a picture"
        )
    picture = read_picture(path)
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = fill_transparent(pixels, picture.alpha)
    if min(pixels.shape[:2]) < _SMALLEST_PX:
        raise InputError(
            f"{path}: expected a picture of at least {_SMALLEST_PX} x {_SMALLEST_PX} pixels to take a style "
            f"from, got {pixels.shape[1]} x {pixels.shape[0]}"
        )
    image = Image.fromarray(to_uint8(pixels))
    scale = _SHORTER_PX / min(image.size)
    size = [min(_LONGER_PX, max(_SHORTER_PX, round(side * scale))) for side in image.size]
    image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    painting = np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None] / 255  # (1, 3, H, W)
    try:
        (vectors,) = NumpyGraph(graph.read_bytes(), threads=num_cores())(painting)
        if vectors.shape != (1, network.style_length) or not np.isfinite(vectors).all():
            raise InputError(f"it gives {vectors.shape}, not {(1, network.style_length)} finite numbers")
    except (InputError, EngineError, OSError, ValueError) as error:
        raise InputError(f"{graph}: expected the network's predictor, got another graph: {error}") from error
    name = path.stem
    return Style.from_vector(vectors[0], network.norm_sizes, name=name, title=name, network=network.identity)


def style_for(style: str | Path | Style, network: NetworkFolder) -> Style:
    """Return the style that a name, a file, a mixture, a picture or a style itself stands for.

    Args:
        style: as `stylenorm.models.Stylizer` takes it.
        network: for which network.

    Raises:
        UnknownNameError: no such style.
        StyleMismatchError: the style belongs to another network.
        InputError: it is none of these, or cannot be read.
    """
    if isinstance(style, str):
        return parse_style(style, network, predict_style)
    if isinstance(style, Path):
        if is_picture_name(style) or (style.suffix != ".safetensors" and looks_like_picture(style)):
            return predict_style(style, network)
        return network.style_file(style)
    if not isinstance(style, Style):
        raise InputError(f"style: expected a name, a path or a Style, got {type(style).__name__}")
    style.check_network(network.identity, network.norm_sizes)
    style.vector()  # a mixture that does not add up fails here, not at the first picture
    return style
