"""Does a test notice when one operator, comparison or number of the code is changed?

    python benchmarks/mutations.py [--rooms style colors ...] [--each 12] [--seed 0]

Of each room a sample of mutants is drawn: an operator turned into its opposite, a comparison by one, a number
changed, a condition negated, "and" for "or". Each is put into a copy of the sources, and the room's own tests
run on it; a mutant is killed if one fails, or if they take five times as long as without it. Survivors that
change nothing anybody could see are listed in `EQUIVALENT`, with the reason; all others ask for a test.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from measured import write_result

ROOT = Path(__file__).parent.parent
_LEAST_S = 60.0  # that a mutant's tests may take

ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "operator": (
        ("functional/_definition.py", "functional/instance_norm.py", "functional/statistics.py"),
        (
            "tests/functional/test_instance_norm.py",
            "tests/functional/test_numerics.py",
            "tests/nn/test_cases.py",
        ),
    ),
    "in place": (
        ("functional/_fused.py",),
        ("tests/functional/test_inplace.py", "tests/functional/test_operator.py", "tests/nn/test_inplace.py"),
    ),
    "style": (("style.py",), ("tests/test_style.py", "tests/zoo")),
    "colors": (("colors.py",), ("tests/test_colors.py", "tests/media/test_colors.py")),
    "metadata": (
        ("media/pictures/metadata.py",),
        (
            "tests/media/test_metadata.py",
            "tests/media/test_write_picture.py",
            "tests/media/test_odd_pictures.py",
        ),
    ),
    "tiles": (
        ("tiles/boxes.py", "tiles/exact.py", "tiles/fast.py", "tiles/strokes.py", "tiles/workspace.py"),
        ("tests/tiles", "tests/models/test_stylizer.py"),
    ),
    "checkpoints": (
        ("training/checkpoints.py", "training/loop.py", "training/recipe.py"),
        ("tests/training/test_checkpoints.py", "tests/training/test_loop_defaults.py"),
    ),
    "export": (
        ("export/checked.py", "export/stylizer.py", "export/onnx_writing.py"),
        ("tests/export",),
    ),
    "films": (
        ("films/light.py", "films/shots.py", "films/steadiness.py", "films/smoothing.py"),
        ("tests/films",),
    ),
}
"""Name: its files below src/stylenorm, and the tests that must notice."""

EQUIVALENT: dict[tuple[str, str], str] = {}
"""(file, what was changed) of mutants that change nothing that could be seen, and why."""

_SWAPPED: dict[type[ast.AST], Callable[[], ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def main() -> None:
    """Draw, run, and write results/mutations.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", nargs="*", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--each", type=int, default=12, help="mutants of a room")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    told: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(prefix="stylenorm-mutations-") as scratch:
        tree = Path(scratch)
        for part in ("src", "tests", "benchmarks", "docs", "examples"):
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "conftest.py", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
            shutil.copy(ROOT / part, tree / part)
        for name in options.rooms:
            told[name] = run_room(tree, name, options.each, options.seed)
            print(name, {key: told[name][key] for key in ("killed", "equivalent", "of")}, flush=True)
    killed, count = (sum(int(room[key]) for room in told.values()) for key in ("killed", "of"))  # type: ignore[call-overload]
    equivalent = sum(int(room["equivalent"]) for room in told.values())  # type: ignore[call-overload]
    results = {
        "seed": options.seed,
        "killed of those that are not equivalent": round(killed / max(1, count - equivalent), 3),
        "rooms": told,
    }
    write_result("mutations", " ".join(__doc__.split("\n\n", 2)[2].split()), results)


def run_room(tree: Path, name: str, count: int, seed: int) -> dict[str, object]:
    """Run a room's sample; how many were killed, and which survived."""
    files, tests = ROOMS[name]
    everything = [
        (file, *mutant) for file in files for mutant in mutants((tree / "src/stylenorm" / file).read_text())
    ]
    sample = random.Random(f"{name} {seed}").sample(everything, min(count, len(everything)))  # noqa: S311
    started = time.monotonic()
    if not passes(tree, tests, 600):
        raise SystemExit(f"{name}: its tests fail without a mutant")
    limit_s = max(_LEAST_S, 5 * (time.monotonic() - started))
    survived, equivalent = [], 0
    for file, what, mutated in sample:
        path = tree / "src" / "stylenorm" / file
        whole = path.read_text()
        path.write_text(mutated)
        try:
            if passes(tree, tests, limit_s):
                if (file, what) in EQUIVALENT:
                    equivalent += 1
                else:
                    survived.append(f"{file}: {what}")
                    print(f"survived: {file}: {what}", flush=True)
        finally:
            path.write_text(whole)
    return {
        "killed": len(sample) - len(survived) - equivalent,
        "equivalent": equivalent,
        "of": len(sample),
        "possible": len(everything),
        "survived": survived,
    }


def passes(tree: Path, tests: tuple[str, ...], limit_s: float) -> bool:
    """Whether the tests pass in the copy."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield every mutant: what was changed (line and text), and the whole source with it."""
    whole = ast.parse(source)
    for place, node in enumerate(ast.walk(whole)):
        for change in changes(node):
            mutated = copy.deepcopy(whole)
            target = next(other for i, other in enumerate(ast.walk(mutated)) if i == place)
            before = ast.unparse(target)
            change(target)
            yield (
                f"line {getattr(node, 'lineno', 0)}: {before} -> {ast.unparse(target)}",
                ast.unparse(mutated),
            )


def changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    """Yield functions that change a node like this one."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _SWAPPED:
        yield lambda target: setattr(target, "op", _SWAPPED[type(target.op)]())  # type: ignore[attr-defined]
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPPED:
        yield lambda target: target.ops.__setitem__(0, _SWAPPED[type(target.ops[0])]())  # type: ignore[attr-defined]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield lambda target: setattr(target, "value", 10 * target.value if target.value else 1)  # type: ignore[attr-defined]
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield lambda target: setattr(target, "test", ast.UnaryOp(ast.Not(), target.test))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
