"""How a command of a page is run in the tests: as it stands, or smaller, and then by one of these rules.

- What takes long is made small by options that are put behind the page's own (`SMALL`).
- A training makes one step; in place of its export, which has tests of its own, a small result is put there.
- Where a cluster, an object store or a folder that is watched is needed, or a page is served, the command is
  parsed.
- A laboratory's experiment gives its published result.
- In place of weights that others trained, whose import has tests of its own, a small result is put there.
- What installs something, or needs a machine of another kind, is checked and not run (`_CHECKED`).

A command without a rule fails.
"""

from __future__ import annotations

import functools
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from stylenorm.cli import build_parser, main
from tests.docs.desk import stand_in
from tests.docs.pages import ROOT

_STEP = "--steps 1 --sample-every 0 --device cpu"
_PAINTING = "--crop-px 32 --painting-px 32 --num-held-out 2"

# Names of checkpoints that pages speak of: their kind, and the recipe whose result is like them.
_PUBLISHED = {
    "checkpoint_final.pth": ("nnunet", "volumes"),
    "decoder.pth": ("adain", "adain"),
    "latest_net_G.pth": ("cyclegan", "cyclegan"),
}

# Longer beginnings count before shorter ones.
SMALL = {
    "stylize": "--threads 1",
    "live": "--source film.mp4 --frames 1 --port 0 --threads 1",
    "learn": "--steps 1 --crop-px 32 --stroke-px 32 --device cpu --sample preview.png",
    "optimize": "--size 32 --steps 1 --coarse-steps 0 --device cpu",
    "adain": "--size 32 --stroke-px 32",
    "generate": "--threads 1 --seconds 0.1",
    "lab run": "--size tiny --device cpu",
    "score": "--size 32",
    "train adain": f"{_STEP} {_PAINTING} --width 4 --batch-size 2",
    "train cyclegan": f"{_STEP} --width 4 --judge-width 4 --num-blocks 1 --crop-px 32",
    "train ibn": f"{_STEP} --depth 10 --width 8 --crop-px 24 --batch-size 2 --num-held-out 2 --num-unseen 2",
    "train johnson": f"{_STEP} {_PAINTING} --width 4 --num-blocks 1 --batch-size 2",
    "train multistyle": f"{_STEP} {_PAINTING} --batch-size 2",
    "train pix2pix": f"{_STEP} --width 4 --judge-width 4 --num-levels 4 --crop-px 32",
    "train predict": f"{_STEP} {_PAINTING} --num-paintings 1 --photos-each 1",
    "train spade": f"{_STEP} --width 4 --hidden 4 --judge-width 4 --num-doublings 3 --crop-px 32",
    "train stylegan": f"{_STEP} --size-px 8 --channel-max 16 --style-length 16 --batch-size 4",
    "train stylegan2": f"{_STEP} --size-px 8 --channel-max 16 --style-length 16 --batch-size 4",
    "train texture": f"{_STEP} --crop-px 32 --picture-px 32 --pyramid 2 --result-px 32",
    "train ulyanov": f"{_STEP} {_PAINTING} --pyramid 2 --batch-size 2",
    "train volumes": f"{_STEP} --patch-voxels 8 --num-levels 2 --width 4 --num-held-out 1",
}


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Carry a command out in the current folder, by the rules above."""
    words = shlex.split(command)
    if ">" in words:  # what it prints goes into a file
        with Path(words[-1]).open("w") as file, redirect_stdout(file):
            run(shlex.join(words[: words.index(">")]), monkeypatch)
        assert Path(words[-1]).stat().st_size
        return
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # a variable for this command
        name, _, value = words.pop(0).partition("=")
        monkeypatch.setenv(name, value)
    if words[0] == "torchrun":  # of several processes' command the one that each of them runs
        words = words[words.index("-m") + 1 :]
    if words[0] == "uvx":
        words = words[1:] if words[1] != "--from" else words[3:]
    if words[0] == "stylenorm":
        _stylenorm(words[1:])
        return
    for beginning in sorted(_CHECKED, key=len, reverse=True):
        if command == beginning or command.startswith(beginning + " "):
            _CHECKED[beginning](words)
            return
    pytest.fail(f"no rule says how this command is tested: {command}")


_ELSEWHERE = re.compile(r"s3://|ray://|--watch$|--cluster$")


def _stylenorm(words: list[str]) -> None:
    serves = words[0] == "studio" and "--export" not in words  # until it is stopped
    if serves or any(_ELSEWHERE.match(word) for word in words):
        build_parser().parse_args(words)
        return
    names = [name for name in SMALL if " ".join(words[:2]).split()[: len(name.split())] == name.split()]
    more = shlex.split(SMALL[max(names, key=len)]) if names else []
    if "--help" in words:
        more = []
    code = main([*words, *more])
    assert code == 0
    if "--plan-only" in words:
        return
    for flag in ("-o", "--output", "--out", "--export", "--walk", "--sheet"):
        if flag in words:
            path = Path(words[words.index(flag) + 1])
            assert path.exists(), f"{path} was not made"
            assert path.is_dir() or path.suffix not in (".jpg", ".png") or path.stat().st_size


def make_trainings_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop do its steps, and a small result of the kind take the place of the export."""
    pytest.importorskip("torch")
    import stylenorm.export.importing as importing
    import stylenorm.lab
    import stylenorm.training.loop as loop

    fit = loop.fit

    def short(recipe: Any, config: Any) -> None:
        if recipe.name != "learn":
            monkeypatch.setattr(recipe, "finish", lambda *_: stand_in(recipe.name, config.out), raising=False)
        fit(recipe, config)

    def published(bench: object, name: str, size: object) -> stylenorm.lab.Result:
        return stylenorm.lab.read_results(stylenorm.lab.PUBLISHED)[name]

    def imported(path: Path, out: Path, options: Any, kind: str | None) -> str:
        found, recipe = _PUBLISHED[path.name]
        stand_in(recipe, out)
        return found

    monkeypatch.setattr(importing, "import_weights", imported)
    monkeypatch.setattr(loop, "fit", short)
    monkeypatch.setattr(stylenorm.lab, "run_experiment", published)


@functools.cache
def _whole_parser() -> Any:
    return build_parser(whole=True)


def options_of(words: Sequence[str]) -> set[str] | None:
    """All options of a command such as ``["train", "johnson"]``; None where there is no such command."""
    parser = _whole_parser()
    for word in words:
        choices = [a.choices for a in parser._actions if isinstance(a.choices, dict)]
        if not choices:
            break
        if word not in choices[0]:
            return None
        parser = choices[0][word]
    return {option for action in parser._actions for option in action.option_strings}


_OTHERS = ("pillow-jxl-plugin", "playwright", "s3fs")  # what pages recommend beside ours


def _requirements(words: list[str]) -> None:
    """What pip is to install: our extras exist, constraints are files, and others are few."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    given = iter(words[words.index("install") + 1 :])
    for word in given:
        if word in ("-c", "-r"):
            assert (ROOT / next(given)).is_file()
        elif not word.startswith("-"):
            name, _, named = word.partition("[")
            assert name in ("stylenorm", ".", *_OTHERS), word
            for extra in filter(None, named.removesuffix("]").split(",")):
                assert extra in extras, f"{word}: there is no extra {extra}"


def _script(words: list[str]) -> None:
    """A script of ours is there, and knows the options; what it measures takes minutes."""
    path = ROOT / words[1]
    assert path.is_file(), path
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), "--help"])
        patch.syspath_prepend(str(path.parent))
        written: list[str] = []
        patch.setattr(sys, "stdout", _Written(written))
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(path), run_name="__main__")
    assert stop.value.code in (0, None)
    known = set(re.findall(r"--[a-z][a-z-]*", "".join(written)))
    assert {word for word in words if word.startswith("--")} <= known, known


class _Written:
    """A file that keeps what is written."""

    def __init__(self, parts: list[str]) -> None:
        self.write = parts.append

    def flush(self) -> None:
        """There is nothing to flush."""


def _files(words: list[str]) -> None:
    """What is named is there."""
    for word in words[1:]:
        assert word.startswith("-") or not re.search(r"[/.]", word) or (ROOT / word).exists(), word


def _container(words: list[str]) -> None:
    """What a container is built of is there, and what is run in it is a command of ours."""
    assert (ROOT / "Containerfile").is_file()
    if words[1] == "run":
        ours = words[words.index("stylenorm") + 1 :]
        assert options_of(ours[:1]) is not None


def _ours(words: list[str]) -> None:
    assert (ROOT / words[0]).is_file() or words[0] in ("pre-commit", "python3", ".", "cd", "git")


_CHECKED: dict[str, Callable[[list[str]], None]] = {
    "pip install": _requirements,
    "pip install -e": _requirements,
    "pipx install": _requirements,
    "podman build": _container,
    "podman run": _container,
    "python": _script,
    "pytest": _files,
    "python hatch_build.py": _files,
    "python3 -m venv": _ours,
    ". .venv/bin/activate": _ours,
    "pre-commit install": _ours,
    ".ci/run": _ours,
    ".ci/site": _ours,
}
