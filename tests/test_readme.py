"""What the README shows is run: its commands on small pictures, its Python as it stands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SHELL = re.compile(r"    .*stylenorm (stylize|styles|doctor)")
COMMANDS = [line.strip() for line in README.splitlines() if SHELL.match(line)]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures that the README speaks of."""
    rng = np.random.default_rng(0)
    names = ["photo.jpg", "painting.jpg", "a.jpg", "b.png", "holiday/one.jpg", "holiday/day 2/two.png"]
    names.append("examples/photo.jpg")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)).save(path)
    # the style that `learn` would have made; making it takes two minutes, and has tests of its own
    (tmp_path / "own-styles").mkdir()
    shipped = ROOT / "src" / "stylenorm" / "zoo" / "data" / "styles" / "scream.safetensors"
    shutil.copy(shipped, tmp_path / "own-styles" / "mine.safetensors")
    monkeypatch.setenv("STYLENORM_STYLES", str(tmp_path / "own-styles"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(command: str) -> subprocess.CompletedProcess[str]:
    here = shlex.quote(str(Path(sys.executable).parent))
    return subprocess.run(
        ["bash", "-c", f"PATH={here}:$PATH; set -eo pipefail; {command}"], capture_output=True, text=True
    )


def test_the_two_commands_are_there() -> None:
    first = "    pip install . && stylenorm stylize examples/photo.jpg --style starry-night -o painting.png\n"
    assert first in README
    assert "    pip install -c constraints.txt '.[dev]' && pytest\n" in README
    assert (ROOT / "examples" / "photo.jpg").is_file()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, desk: Path) -> None:
    before = {p for p in desk.rglob("*") if p.is_file()}
    done = shell(command.removeprefix("pip install . && "))
    assert done.returncode == 0, done.stderr
    new = {p for p in desk.rglob("*") if p.is_file()} - before
    if "stylize" in command or "--sheet" in command:
        assert new
        for path in new:
            with Image.open(path) as picture:
                picture.load()
    else:
        assert done.stdout
    if "holiday" in command:
        assert {str(p.relative_to(desk / "painted")) for p in new} == {"one.jpg", "day 2/two.png"}


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_python(block: str, desk: Path) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pictures_and_links_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        if not target.startswith("http"):
            assert (ROOT / target).is_file(), target
