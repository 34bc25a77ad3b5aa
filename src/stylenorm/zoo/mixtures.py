"""How a style is written down: a name, a file, or a mixture of these with weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from stylenorm.errors import InputError, UnknownNameError
from stylenorm.media import is_picture_name, looks_like_picture
from stylenorm.style import Style
from stylenorm.zoo.network_folder import NetworkFolder
from stylenorm.zoo.own import own_style_names

__all__ = ["ALL", "parse_style"]

ALL = "all"
"""Every style of the network; the command line knows it, a style may not be called so."""


Predict = Callable[[Path, NetworkFolder], Style]


def parse_style(text: str, network: NetworkFolder, predict: Predict | None = None) -> Style:
    """Return the style that ``text`` describes.

    ``"scream"`` is a name, ``"my/own.safetensors"`` a file, ``"painting.jpg"`` a picture whose style is
    predicted, and ``"scream:0.6,great-wave:0.4"`` a mixture. Weights are positive; what they add up to is 1
    afterwards, whatever it was; a weight left out is 1.

    Args:
        text: what to parse.
        network: whose styles are meant.
        predict: gives the style of a picture; without it, a picture is an error.

    Raises:
        UnknownNameError: the network has no such style.
        PictureError: a picture cannot be read.
        InputError: the text is empty, a weight is no positive number, or a file is broken.
        StyleMismatchError: a file belongs to another network.
    """
    if not text.strip():
        raise InputError(
            "style: expected a name, a file, or a mixture, got an empty one; is a variable not set?"
        )
    if Path(text).suffix and Path(text).is_file():  # whatever commas are in the path
        return _load(text, network, predict)
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise InputError(
            f"style {text!r}: expected a name, a file, or a mixture such as 'scream:0.6,great-wave:0.4'"
        )
    weighted = [_weighted(part, network, predict) for part in parts]
    if len(weighted) == 1:
        (style, weight), *_ = weighted
        if weight != 1:
            raise InputError(
                f"style {text!r}: a weight needs other styles to weigh against; "
                + (
                    f"for a weaker painting use strength {weight:g} (--strength {weight:g})"
                    if weight < 1
                    else "a single style is painted at strength 1 at most"
                )
            )
        return style
    total = sum(weight for _, weight in weighted)
    mixture, *others = (style * (weight / total) for style, weight in weighted)
    for other in others:
        mixture += other
    return mixture.normalized()


def _weighted(part: str, network: NetworkFolder, predict: Predict | None) -> tuple[Style, float]:
    name, colon, number = part.rpartition(":")
    if not colon or not name or _is_known(part, network):
        return _load(part, network, predict), 1.0
    try:
        weight = float(number)
    except ValueError:
        if Path(part).is_file():
            return _load(part, network, predict), 1.0
        raise InputError(f"style {part!r}: expected a number after the colon, got {number!r}") from None
    if not (math.isfinite(weight) and weight > 0):
        raise InputError(f"style {part!r}: expected a weight greater than 0, got {number}")
    return _load(name.strip(), network, predict), weight


def _is_known(name: str, network: NetworkFolder) -> bool:
    return name in network.style_names()


def _is_picture(name: str) -> bool:
    return is_picture_name(name)


def _load(name: str, network: NetworkFolder, predict: Predict | None) -> Style:
    is_path = name.endswith(".safetensors") or "/" in name or "\\" in name
    if _is_picture(name) and not _is_known(name, network):
        if predict is None:
            raise InputError(f"style {name!r}: expected a style's name or file, got a picture")
        return predict(Path(name), network)
    if is_path and not _is_known(name, network):
        if Path(name).is_dir():
            raise InputError(
                f"style {name!r}: is a folder; name a style file or a picture in it"
                + (" (--network takes a network folder)" if (Path(name) / "network.json").exists() else "")
            )
        return _file(name, network, predict)
    if name == ALL:
        raise UnknownNameError("style", name, network.style_names())
    if not _is_known(name, network) and name not in own_style_names() and Path(name).is_file():
        return _file(name, network, predict)
    return network.style(name)


def _file(name: str, network: NetworkFolder, predict: Predict | None) -> Style:
    """A style from a file whose name does not say what it is: a picture if it begins like one."""
    if not name.endswith(".safetensors") and predict is not None and looks_like_picture(Path(name)):
        return predict(Path(name), network)
    return network.style_file(name)
