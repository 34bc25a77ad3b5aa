"""The user's own styles: where ``stylenorm learn`` puts them, and where every command finds them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["OWN_STYLES_VARIABLE", "own_style", "own_style_names", "own_styles_folder"]

OWN_STYLES_VARIABLE = "STYLENORM_STYLES"
"""Environment variable that names another folder for the user's own styles."""


def own_styles_folder() -> Path:
    """Return the folder of the user's own styles; it need not exist."""
    named = os.environ.get(OWN_STYLES_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_data_path  # here, since most commands never look

    return user_data_path("stylenorm", appauthor=False) / "styles"


def own_style_names() -> tuple[str, ...]:
    """Return the names of the user's own styles, sorted, of whatever network."""
    stems = (file.stem for file in own_styles_folder().glob("*.safetensors"))
    return tuple(sorted(stem for stem in stems if not stem.startswith(".")))


def own_style(name: str) -> Path:
    """Return the path of the user's own style of that name, whether there is one or not."""
    return own_styles_folder() / f"{name}.safetensors"
