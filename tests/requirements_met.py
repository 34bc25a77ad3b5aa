"""Optional packages in tests: skipped with a reason, or failed where STYLENORM_REQUIRE names them."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest


def need(module: str, package: str | None = None) -> ModuleType:
    """Import a module; without it skip, or fail where ``STYLENORM_REQUIRE`` lists it (or ``all``)."""
    name = package or module
    required = {n.strip() for n in os.environ.get("STYLENORM_REQUIRE", "").split(",")}
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if name in required or "all" in required:
            pytest.fail(f"STYLENORM_REQUIRE lists {name}, but it cannot be imported: {error}")
        pytest.skip(f"{name} is not installed: pip install {name}", allow_module_level=True)
