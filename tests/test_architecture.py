"""Imports point down, importing loads nothing heavy, and public means listed."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import stylenorm

SRC = Path(stylenorm.__file__).parent
INVENTORY = Path(__file__).parent / "public_names.json"

# The house: an area may import only areas with a lower number, and its own.
FLOORS = {
    "__init__": 0,
    "errors": 0,
    "interrupts": 0,
    "style": 0,
    "winograd": 0,
    "colors": 1,
    "media": 1,
    "functional": 1,
    "graphs": 1,
    "kernels": 1,
    "nn": 2,
    "engines": 2,
    "zoo": 2,
    "tiles": 3,
    "networks": 3,
    "perceptual": 3,
    "optimize": 4,
    "adapting": 3,
    "predicting": 3,
    "translating": 3,
    "classifying": 3,
    "volumes": 2,
    "segmenting": 4,  # its layers run as tiles do
    "generating": 3,
    "training": 5,  # a recipe ends with its exported network
    "export": 4,
    "stylizer": 5,
    "films": 6,
    "lab": 6,
    "cluster": 6,
    "studio": 6,
    "cli": 7,
    "__main__": 8,
}
# Two areas of one floor that may import each other's public names, in this direction only.
SAME_FLOOR = {("style", "errors"), ("functional", "kernels"), ("export", "segmenting")}
LAZY = {
    "colors",
    "media",
    "adapting",
    "predicting",
    "translating",
    "classifying",
    "generating",
    "segmenting",
    "volumes",
    "engines",
    "zoo",
    "stylizer",
    "films",
    "cli",
    "studio",
    "errors",
    "style",
    "winograd",
    "__init__",
    "__main__",
}
HEAVY = {"torch", "openvino", "onnxruntime", "onnx", "triton", "av", "cv2", "pyvips", "nibabel"}

FILES = sorted(SRC.rglob("*.py"))


def area(path: Path) -> str:
    first = path.relative_to(SRC).parts[0]
    return first.removesuffix(".py")


def imported_areas(path: Path) -> set[str]:
    """The areas of stylenorm that a file imports, anywhere in it (lazily too)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            if node.module == "stylenorm":
                names |= {f"stylenorm.{alias.name}" for alias in node.names}
            elif node.module:
                names.add(node.module)
    areas = set()
    for name in names:
        if name == "stylenorm" or name.startswith("stylenorm."):
            parts = name.split(".")
            is_area = (len(parts) > 1 and (SRC / parts[1]).exists()) or (SRC / f"{parts[-1]}.py").exists()
            areas.add(parts[1] if len(parts) > 1 and is_area else "__init__")
    return areas


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_down(path: Path) -> None:
    here = area(path)
    assert here in FLOORS, f"{path}: a new area needs a floor"
    if here == "__init__":  # the lazy public names; test_importing_is_light holds it to that
        return
    for there in imported_areas(path):
        if there == here or there == "__init__" or (here, there) in SAME_FLOOR:
            continue
        assert FLOORS[there] < FLOORS[here], f"{path.relative_to(SRC)} ({FLOORS[here]}) imports {there}"


@pytest.mark.parametrize("path", [p for p in FILES if area(p) in LAZY], ids=lambda p: str(p.relative_to(SRC)))
def test_no_engine_at_module_level(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        roots: set[str] = set()
        if isinstance(node, ast.Import):
            roots = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots = {node.module.split(".")[0]}
        assert not roots & HEAVY, f"{path}:{node.lineno} imports {roots & HEAVY} at module level"


@pytest.mark.parametrize(
    "statement",
    [
        "import stylenorm",
        "from stylenorm import Style, Stylizer",
        "import stylenorm.cli, stylenorm.media, stylenorm.zoo",
    ],
)
def test_importing_is_light(statement: str) -> None:
    code = f"import sys; {statement}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not HEAVY & set(loaded)


PUBLIC_MODULES = json.loads(INVENTORY.read_text())


def public_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that the linter sorts by, too."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("name", sorted(PUBLIC_MODULES))
def test_inventory_of_public_names(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__, key=public_order), f"{name}.__all__ is not sorted"
    assert PUBLIC_MODULES[name] == list(module.__all__), f"update {INVENTORY.name} in the same commit"
    for public in module.__all__:
        assert hasattr(module, public)


def test_every_package_is_in_the_inventory() -> None:
    packages = {f"stylenorm.{p.parent.name}" for p in SRC.glob("*/__init__.py")} - {"stylenorm.cli"}
    modules = {"stylenorm", "stylenorm.colors", "stylenorm.errors", "stylenorm.style", "stylenorm.stylizer"}
    assert set(PUBLIC_MODULES) == packages | modules
