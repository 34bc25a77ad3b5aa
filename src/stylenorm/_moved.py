"""What has moved or has a new name: the old one works for one release, with a `DeprecationWarning`."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "RENAMED", "OldName", "install", "old_names", "warn"]

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
    "stylenorm.graphs": {"told_statistics": "parse_statistics"},
    "stylenorm.graphs.freezing": {"told_statistics": "parse_statistics"},
    "stylenorm.interrupts": {"HeldInterrupt": "DeferredInterrupt"},
    "stylenorm.media": {"look_at": "read_header"},
    "stylenorm.media.pictures.big": {"look_at": "read_header"},
    "stylenorm.perceptual": {"lattice": "checkerboard_loss"},
    "stylenorm.perceptual.losses": {"lattice": "checkerboard_loss"},
    "stylenorm.training.ranks": {
        "alone": "single_process",
        "averaged": "average_gradients",
        "count": "world_size",
        "from_first": "broadcast_result",
        "joined": "process_group",
        "launched": "is_launched",
        "same_as_first": "broadcast_state",
        "share": "shard",
        "summed": "all_reduce",
        "whole": "all_gather",
    },
}
"""Module -> old name -> new name. Such a module says ``__getattr__ = old_names(__name__)``."""


def old_names(module: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` (PEP 562), which gives for old names what the new ones mean."""
    renamed = RENAMED[module]

    def get(name: str) -> Any:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn(f"{module}.{name}", renamed[name])
        return getattr(sys.modules[module], renamed[name])

    return get


def warn(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn the caller's caller that a name is old."""
    text = f"{old} is now {new}; the old name goes with the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=stacklevel)


class OldName:
    """An attribute of a class by its old name: ``grown = OldName("Box.grown", "padded")``."""

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new

    def __get__(self, instance: object, owner: type) -> Any:
        warn(self._old, self._new)
        return getattr(owner if instance is None else instance, self._new)


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
