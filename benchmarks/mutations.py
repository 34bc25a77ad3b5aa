"""Does a test notice when one operator, comparison or number of the code is changed?

    python benchmarks/mutations.py [--rooms style colors ...] [--each 9] [--seed 0] [--minutes 60]
                                   [--quick] [--again]

Of each room a sample of mutants is drawn: an operator turned into its opposite, a comparison made strict or
not strict, a number changed, a condition negated, "and" for "or". Each is put into a copy of the sources, and
the room's tests run on it, the quick ones first; a mutant is killed if a test fails, or if they take five
times as long as without it. Survivors that change nothing that could be seen are listed in `EQUIVALENT`, with
the reason; all others ask for a test.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from measured import RESULTS, write_result

ROOT = Path(__file__).parent.parent
SOURCES = Path("src") / "stylenorm"
_LEAST_S = 20.0  # of processor time, that a mutant's tests may take
_BASE_S = 300.0  # that they may take without one
_WAITING = 20  # times as long by the clock, on a busy machine: they may also wait for something for ever
# Loaded once for all runs: they take longer than most tests. Not stylenorm, which each run loads anew, nor
# what pytest rewrites (hypothesis).
_PRELOADED = ("pytest", "numpy", "PIL.Image", "torch", "onnx", "onnxscript")


@dataclass(frozen=True)
class Room:
    """Files below src/stylenorm, and the tests that must notice.

    Attributes:
        files: below src/stylenorm.
        quick: tests that run first.
        slow: tests that run if those do not notice.
        exports: whether each run makes its networks anew: where making them is what is tested.
    """

    files: tuple[str, ...]
    quick: tuple[str, ...]
    slow: tuple[str, ...] = ()
    exports: bool = False


ROOMS = {
    "operator": Room(
        ("functional/_definition.py", "functional/instance_norm.py", "functional/statistics.py"),
        ("tests/functional/test_instance_norm.py", "tests/functional/test_numerics.py"),
        (
            "tests/functional/test_operator.py",
            "tests/nn/test_cases.py",
            "tests/functional/test_inplace.py",
            "tests/functional/test_compilers.py",
        ),
    ),
    "style": Room(("style.py", "style_files.py"), ("tests/test_style.py",), ("tests/zoo",)),
    "colors": Room(("colors.py",), ("tests/test_colors.py",), ("tests/media/test_colors.py",)),
    "metadata": Room(
        ("media/pictures/metadata.py",),
        ("tests/media/test_metadata.py", "tests/media/test_what_files_say.py"),
        ("tests/media/test_write_picture.py", "tests/media/test_odd_pictures.py"),
    ),
    "tiles": Room(
        ("tiles/boxes.py", "tiles/exact.py", "tiles/fast.py", "tiles/strokes.py", "tiles/workspace.py"),
        ("tests/tiles",),
        ("tests/models/test_stylizer.py",),
    ),
    "checkpoints": Room(
        ("training/checkpoints.py", "training/loop.py", "training/recipe.py"),
        (
            "tests/training/test_checkpoints.py",
            "tests/training/test_loop_defaults.py",
            "tests/training/test_journal.py",
        ),
    ),
    "films": Room(
        ("films/light.py", "films/shots.py", "films/steadiness.py", "films/smoothing.py"),
        ("tests/films/test_shots.py", "tests/films/test_smoothing.py"),
        ("tests/films/test_light.py", "tests/films/test_steadiness.py"),
    ),
    "export": Room(
        ("export/checked.py", "export/stylizer.py", "export/onnx_writing.py"),
        ("tests/export/test_checked.py",),
        ("tests/export/test_export_stylizer.py",),
        exports=True,
    ),
}

_CASES = "module: _PARITY_CASES = ((1, 64, 72), (2, 33, 47), (1, 5, 3), (1, 1, 1))  # batch, height, width"
EQUIVALENT = {
    (
        "training/loop.py",
        "_train: if ranks.is_first() and step - first == _TIMED_FROM + _TIMED and step < schedule.steps:: "
        "step < schedule.steps -> step <= schedule.steps",
    ): "nothing is left then, and nothing is said of it",
    ("export/stylizer.py", f"{_CASES}: 47 -> 470"): "compares graph and network on another picture",
    ("export/stylizer.py", f"{_CASES}: 1 -> 10"): "compares graph and network on another picture",
    (
        "export/stylizer.py",
        "stylizer_to_onnx: (torch.rand(1, 3, 64, 72), _random_style(network)),: 64 -> 640",
    ): ("the graph is for any size"),
    ("export/onnx_writing.py", "module: _MOST_FOLDED = 1 << 26  # numbers: 1 -> 10"): (
        "no network has a layer of so many weights"
    ),
    (
        "tiles/strokes.py",
        "_resized: around = int(np.ceil(_REACH * max(1.0, 1 / ratio)))  "
        "# real rows, so that strips fit together: 1.0 -> 10.0",
    ): "reads more rows than the result depends on",
}
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
    parser.add_argument("--each", type=int, default=9, help="mutants of a room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="after which no other mutant is begun")
    parser.add_argument("--quick", action="store_true", help="run the quick tests alone")
    parser.add_argument("--again", action="store_true", help="run only what survived, or was not run")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process with threads must not be forked
    for name in _PRELOADED:
        importlib.import_module(name)
    before = RESULTS / "mutations.json"
    kept = json.loads(before.read_text())["results"] if before.exists() else {"seed": None}
    same = kept["seed"] == options.seed  # then rooms that are not run now stay as they were
    rooms: dict[str, dict[str, str]] = kept["mutants"] if same else {}
    possible: dict[str, int] = kept["possible"] if same else {}
    with tempfile.TemporaryDirectory(prefix="stylenorm-mutations-") as scratch:
        tree = Path(scratch) / "tree"
        os.environ["STYLENORM_TEST_RUN"] = str(Path(scratch))  # what tests export once, they export once
        for part in ("src", "tests", "benchmarks", "docs", "examples"):
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "conftest.py", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
            shutil.copy(ROOT / part, tree / part)
        with contextlib.suppress(KeyboardInterrupt):  # what was found is written
            for name in options.rooms:
                everything = [(file, *each) for file in ROOMS[name].files for each in mutants(tree, file)]
                drawn = random.Random(f"{name} {options.seed}")  # noqa: S311 (no secret)
                sample = drawn.sample(everything, min(options.each, len(everything)))
                possible[name] = len(everything)
                room = replace(ROOMS[name], slow=()) if options.quick else ROOMS[name]
                told = rooms.get(name, {}) if options.again else {}
                done = {mutant: told[mutant] for mutant in told if told[mutant] in ("killed", "equivalent")}
                # What survived is run again, also where the file has changed, and with it the sample.
                lived = [each for each in everything if told.get(f"{each[0]}: {each[1]}") == "survived"]
                sample = [*lived, *(each for each in sample if each not in lived)]
                sample = [each for each in sample if f"{each[0]}: {each[1]}" not in done]
                rooms[name] = done
                for mutant, outcome in run_room(tree, room, sample, end):
                    rooms[name][mutant] = outcome
    outcomes = [outcome for room in rooms.values() for outcome in room.values()]
    killed, survived = outcomes.count("killed"), outcomes.count("survived")
    results = {
        "seed": options.seed,
        "killed of those that are not equivalent": round(killed / max(1, killed + survived), 3),
        **{word: outcomes.count(word) for word in ("killed", "survived", "equivalent", "not run")},
        "survivors": [
            what for room in rooms.values() for what, outcome in room.items() if outcome == "survived"
        ],
        "possible": possible,
        "mutants": rooms,
    }
    write_result("mutations", " ".join(__doc__.split("\n\n", 2)[2].split()), results)


def run_room(
    tree: Path, room: Room, sample: list[tuple[str, str, int, Change]], end: float
) -> Iterator[tuple[str, str]]:
    """Yield of each mutant of a sample its file and change, and what became of it."""
    groups = [Group(tree, tests, room.exports) for tests in (room.quick, room.slow) if tests]
    for file, what, place, change in sample:
        path = tree / SOURCES / file
        whole, name = path.read_text(), f"{file}: {what}"
        if (file, what) in EQUIVALENT:
            yield name, "equivalent"
            continue
        if time.monotonic() > end:
            yield name, "not run"
            continue
        started = time.monotonic()
        outcome = "survived"
        for group in groups:
            group.prepare()
            path.write_text(mutated(whole, place, change))
            # Bytecode is told from its source by its time in seconds and its size.
            for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
                cached.unlink()
            try:
                passed, _ = group.run(group.limit_s)
            finally:
                path.write_text(whole)
            if not passed:
                outcome = "killed"
                break
        print(f"{outcome} ({time.monotonic() - started:.0f} s): {name}", flush=True)
        yield name, outcome


class Group:
    """Tests that run together, in a copy of the sources.

    Args:
        tree: the copy.
        tests: files and folders.
        exports: whether each run makes its networks anew.
    """

    def __init__(self, tree: Path, tests: tuple[str, ...], exports: bool) -> None:
        self.tree, self.tests, self.exports = tree, tests, exports
        self.limit_s = 0.0

    def prepare(self) -> None:
        """Run them once without a mutant: they must pass, and it says how long they may take."""
        if not self.limit_s:
            passed, took_s = self.run(_BASE_S, cache=True)
            if not passed:
                raise SystemExit(f"{' '.join(self.tests)}: tests fail without a mutant")
            self.limit_s = max(_LEAST_S, 5 * took_s)

    def run(self, limit_s: float, *, cache: bool = False) -> tuple[bool, float]:
        """Run them in a process of its own that has the libraries loaded.

        Args:
            limit_s: processor time that they may take.
            cache: keep bytecode.

        Returns:
            Whether they pass, and the processor time that they took.
        """
        sys.stdout.flush()
        if (process := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                os.setsid()
                resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit_s), math.ceil(limit_s) + 5))
                os.chdir(self.tree)
                silence = os.open(os.devnull, os.O_WRONLY)
                os.dup2(silence, 1)
                os.dup2(silence, 2)
                sys.dont_write_bytecode = not cache
                os.environ["PYTHONDONTWRITEBYTECODE"] = "" if cache else "1"
                if self.exports:
                    os.environ["STYLENORM_TEST_RUN"] = tempfile.mkdtemp(dir=self.tree.parent)
                import pytest

                options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow"]
                os._exit(int(pytest.main([*options, *self.tests])))
            os._exit(99)
        end = time.monotonic() + _WAITING * limit_s
        try:
            while time.monotonic() < end:
                ended, status, usage = os.wait4(process, os.WNOHANG)
                if ended:
                    return os.waitstatus_to_exitcode(status) == 0, usage.ru_utime + usage.ru_stime
                time.sleep(0.02)
        except KeyboardInterrupt:
            os.killpg(process, signal.SIGKILL)
            raise
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return False, limit_s


Change = Callable[[ast.AST], None]


def mutants(tree: Path, file: str) -> Iterator[tuple[str, int, Change]]:
    """Yield every mutant of a file: what is changed, the node's place in the walk, and what changes it."""
    source = (tree / SOURCES / file).read_text()
    whole, lines = ast.parse(source), source.splitlines()
    owners = {
        id(node): owner.name
        for owner in ast.walk(whole)  # from the outside to the inside: the innermost one is kept
        if isinstance(owner, ast.FunctionDef | ast.ClassDef)
        for node in ast.walk(owner)
    }
    for place, node in enumerate(ast.walk(whole)):
        for change in changes(node):
            before, then = (text.partition("\n")[0][:80] for text in (ast.unparse(node), after(node, change)))
            where = f"{owners.get(id(node), 'module')}: {lines[node.lineno - 1].strip()}"  # type: ignore[attr-defined]
            yield f"{where}: {before} -> {then}", place, change


def after(node: ast.AST, change: Change) -> str:
    """Return what a node becomes."""
    copied = ast.parse(ast.unparse(node)).body[0]
    target = copied.value if isinstance(copied, ast.Expr) and isinstance(node, ast.expr) else copied
    change(target)
    return ast.unparse(copied)


def mutated(source: str, place: int, change: Change) -> str:
    """Return a source with one node changed."""
    whole = ast.parse(source)
    change(next(node for i, node in enumerate(ast.walk(whole)) if i == place))
    return ast.unparse(whole)


def changes(node: ast.AST) -> Iterator[Change]:
    """Yield functions that change a node like this one."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _SWAPPED:
        yield lambda target: setattr(target, "op", _SWAPPED[type(target.op)]())  # type: ignore[attr-defined]
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPPED:
        yield lambda target: target.ops.__setitem__(0, _SWAPPED[type(target.ops[0])]())  # type: ignore[attr-defined]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield lambda target: setattr(target, "value", 10 * target.value if target.value else 1)  # type: ignore[attr-defined]
    elif isinstance(node, ast.If | ast.IfExp | ast.While) and ast.unparse(node.test) != "TYPE_CHECKING":
        yield lambda target: setattr(target, "test", ast.UnaryOp(ast.Not(), target.test))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
