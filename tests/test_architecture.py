"""Imports point down, importing loads nothing heavy, and public means listed."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stylenorm
from stylenorm._moved import MOVED, RENAMED
from stylenorm.graphs import Stage
from stylenorm.tiles import Box

SRC = Path(stylenorm.__file__).parent
INVENTORY = Path(__file__).parent / "public_names.json"
CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"


def floors() -> dict[str, int]:
    """The house as CONTRIBUTING.md tells it: an area imports only areas with lower numbers, and its own."""
    table = re.findall(r"^\| (\d+) \| ([^|]+) \|", CONTRIBUTING.read_text(), re.MULTILINE)
    rows = [(area, int(floor)) for floor, areas in table for area in re.findall(r"`(\w+)`", areas)]
    assert len(dict(rows)) == len(rows), "an area is on one floor"
    return dict(rows)


FLOORS = floors()
# Two areas of one floor that may import each other's public names, in this direction only.
SAME_FLOOR = {
    ("style", "errors"),
    ("style", "style_files"),
    ("style_files", "errors"),
    ("functional", "kernels"),
    ("interrupts", "_moved"),
}
LAZY = {
    "c_library",
    "colors",
    "configurations",
    "media",
    "models",
    "noise",
    "serving",
    "studio",
    "model_folder",
    "engines",
    "zoo",
    "films",
    "cli",
    "errors",
    "style",
    "style_files",
    "_moved",
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


def test_importing_is_light() -> None:
    statement = "from stylenorm import Style, Stylizer; import stylenorm.cli, stylenorm.media, stylenorm.zoo"
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


def test_every_area_is_in_the_inventory() -> None:
    areas = set(FLOORS) - {"__init__", "__main__", "_moved", "cli"}
    assert set(PUBLIC_MODULES) == {"stylenorm"} | {f"stylenorm.{area}" for area in areas}


def test_every_area_has_a_floor_and_every_floor_an_area() -> None:
    assert set(FLOORS) == {area(path) for path in FILES}


def test_old_paths_work_for_one_release() -> None:
    """In one process, since each loads PyTorch anew; the parents of old paths warn, too."""
    code = "import importlib, sys, warnings\n" + "".join(
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        f"    import {old}\n"
        f"old, new = sys.modules[{old!r}], importlib.import_module({MOVED[old]!r})\n"
        "assert all(getattr(old, name) is getattr(new, name) for name in new.__all__)\n"
        f"about = [w for w in told if str(w.message).startswith({old!r} + ' has moved')]\n"
        "assert [(w.category, w.filename) for w in about] == [(DeprecationWarning, '<string>')], about\n"
        for old in sorted(MOVED)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("module", "old"), [(module, old) for module in RENAMED for old in RENAMED[module]])
def test_old_names_work_for_one_release(module: str, old: str) -> None:
    home, new = importlib.import_module(module), RENAMED[module][old]
    assert old not in home.__all__
    assert new in home.__all__
    with pytest.warns(DeprecationWarning, match=rf"{old} is now {new}; .* next release") as told:
        assert getattr(home, old) is getattr(home, new)
    assert told[0].filename == __file__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        home.nothing  # noqa: B018


def test_old_names_of_methods_work_for_one_release() -> None:
    box = Box(2, 3, 5, 7)
    with pytest.warns(DeprecationWarning, match=r"Box\.grown is now padded; .* next release") as told:
        assert box.grown(1, 2) == (1, 2, 7, 9)
    assert told[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"Stage\.leaves is now outputs"):
        assert Stage(b"", ("in",), ("out",), ()).leaves == ("out",)  # type: ignore[arg-type]
