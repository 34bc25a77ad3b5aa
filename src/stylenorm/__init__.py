"""stylenorm: instance normalization and what it made possible.

The names below are imported when they are first used, so that ``import stylenorm`` stays fast and loads
neither torch nor an inference engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stylenorm import _moved

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stylenorm.errors import StylenormError
    from stylenorm.models.stylizer import Stylizer
    from stylenorm.style import Statistics, Style

__all__ = ["Statistics", "Style", "StylenormError", "Stylizer", "__version__"]

_HOMES = {
    "Statistics": "stylenorm.style",
    "Style": "stylenorm.style",
    "Stylizer": "stylenorm.models.stylizer",
    "StylenormError": "stylenorm.errors",
}
_moved.install()


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stylenorm' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
