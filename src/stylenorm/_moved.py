"""What has moved or has a new name: the old one works for one release, with a `DeprecationWarning`."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "RENAMED", "install", "old_names"]

MOVED = {
    "stylenorm.adapting": "stylenorm.models.adain",
    "stylenorm.classifying": "stylenorm.models.classifier",
    "stylenorm.generating": "stylenorm.models.generator",
    "stylenorm.predicting": "stylenorm.models.predictor",
    "stylenorm.segmenting": "stylenorm.models",
    "stylenorm.segmenting.segmenter": "stylenorm.models.segmenter",
    "stylenorm.segmenting.windows": "stylenorm.models.windows",
    "stylenorm.stylizer": "stylenorm.models.stylizer",
    "stylenorm.translating": "stylenorm.models.translator",
    "stylenorm.volumes": "stylenorm.media.scans",
}
"""Old path -> new path."""

RENAMED = {
    "stylenorm.films": {"faded_statistics": "ema_statistics"},
    "stylenorm.films.overlapping": {"Ahead": "Prefetcher", "Behind": "AsyncWriter"},
    "stylenorm.films.sources": {"Newest": "LatestFrame"},
    "stylenorm.films.steadiness": {"faded_statistics": "ema_statistics"},
    "stylenorm.interrupts": {"HeldInterrupt": "DeferredInterrupt"},
}
"""Module -> old name -> new name. Such a module says ``__getattr__ = old_names(__name__)``."""


def old_names(module: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` (PEP 562), which gives for old names what the new ones mean."""
    renamed = RENAMED[module]

    def get(name: str) -> Any:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = renamed[name]
        warnings.warn(
            f"{module}.{name} is now {new}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(sys.modules[module], new)

    return get


class _MovedFinder:
    """Gives the module at the new path for an import of the old one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname not in MOVED:
            return None
        loader: Any = self  # it is one by its methods; the base class would cost a millisecond at each start
        # A package, so that the old paths of its modules are looked for too.
        return importlib.machinery.ModuleSpec(fullname, loader, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Make an empty module, which asks the new one for every name."""
        new = MOVED[spec.name]
        warnings.warn(
            f"{spec.name} has moved to {new}; the old path goes with the next release",
            DeprecationWarning,
            stacklevel=2,  # the line with the import: the frames of the import system are not counted
        )
        module = ModuleType(spec.name)
        module.__dict__.update(
            __path__=[],  # its own, and not the new module's, whose modules would be loaded a second time
            __getattr__=lambda name: getattr(importlib.import_module(new), name),
        )
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""


def install() -> None:
    """Let old paths be found, after everything else has been asked."""
    if not any(isinstance(finder, _MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(_MovedFinder())
