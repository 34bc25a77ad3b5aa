"""One thing has one spelling in all commands; old spellings work for one release, with a note."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylenorm.cli import build_parser, classify, learn
from stylenorm.models.adain import AdainPainter, StylePicture
from tests.cli.conftest import Run
from tests.requirements_met import need


def every_option() -> Iterator[tuple[str, argparse.Action]]:
    def walk(parser: Any, name: str) -> Iterator[tuple[str, argparse.Action]]:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, command in action.choices.items():
                    yield from walk(command, f"{name} {word}".strip())
            elif action.option_strings and action.help is not argparse.SUPPRESS:
                yield name, action

    yield from walk(build_parser(whole=True), "")


OPTIONS = list(every_option())
OLD = {"--alpha", "--model", "--colors", "--style-scale", "--out"}


def test_no_command_shows_an_old_spelling() -> None:
    assert not [(name, a.option_strings) for name, a in OPTIONS if OLD & set(a.option_strings)]


def test_short_and_long_names_go_together() -> None:
    for short, long in (("-o", "--output"), ("-q", "--quiet")):
        for name, action in OPTIONS:
            assert (short in action.option_strings) == (long in action.option_strings), name


def test_a_word_is_a_switch_everywhere_or_takes_a_value_everywhere() -> None:
    kinds: dict[str, dict[bool, list[str]]] = {}
    for name, action in OPTIONS:
        for option in action.option_strings:
            kinds.setdefault(option, {}).setdefault(action.nargs == 0, []).append(name)
    assert not {option: found for option, found in kinds.items() if len(found) > 1}


@pytest.mark.parametrize(
    ("words", "dest", "old", "new"),
    [
        (
            ["adain", "p", "a", "-o", "x", "--network", "n"],
            "strength",
            ["--alpha", "0.5"],
            ["--strength", "0.5"],
        ),
        (
            ["adain", "p", "a", "-o", "x", "--network", "n"],
            "keep_colors",
            ["--colors=histogram"],
            ["--color-method", "histogram"],
        ),
        (
            ["optimize", "p", "a", "-o", "x"],
            "keep_colors",
            ["--colors", "painting"],
            ["--color-method", "painting"],
        ),
        (["optimize", "p", "a", "-o", "x"], "stroke_size", ["--style-scale", "2"], ["--stroke-size", "2"]),
        (["translate", "p"], "network", ["--model", "n"], ["--network", "n"]),
        (["classify", "p"], "network", ["--model", "n"], ["--network", "n"]),
        (["segment", "p"], "network", ["--model", "n"], ["--network", "n"]),
        (["generate"], "network", ["--model", "n"], ["--network", "n"]),
        (["train", "pix2pix", "--pairs", "d"], "out", ["--out", "r"], ["-o", "r"]),
        (["lab", "run", "padding"], "results", ["--out", "r"], ["--results", "r"]),
        (["lab", "report"], "results", ["--out", "r"], ["--results", "r"]),
        (["learn", "p"], "sample", ["--preview", "x.png"], ["--sample", "x.png"]),
        (["learn", "p"], "checkpoints", ["--resume", "r"], ["--checkpoints", "r", "--resume"]),
        (["learn", "p"], "resume", ["--resume", "r"], ["--checkpoints", "r", "--resume"]),
    ],
)
def test_an_old_spelling_means_the_new_one_and_says_so(
    words: list[str], dest: str, old: list[str], new: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parsed = build_parser().parse_args([*words, *new])
    assert capsys.readouterr().err == ""
    again = build_parser().parse_args([*words, *old])
    (line,) = capsys.readouterr().err.splitlines()
    option = old[0].partition("=")[0]
    assert line.startswith(f"stylenorm: note: {option} ")
    assert "next release" in line
    assert (
        getattr(again, dest)
        == getattr(parsed, dest)
        != getattr(build_parser().parse_args([*words, *_less(new)]), dest)
    )


def _less(new: list[str]) -> list[str]:
    """What is given when the option is not; a required one has another value."""
    return [new[0], "other"] if new[0] in ("--network", "-o") else []


def test_a_picture_behind_resume_is_the_picture(tmp_path: Path) -> None:
    picture = tmp_path / "painting.jpg"
    picture.write_bytes(b"")
    assert learn.respelled(["--resume", str(picture)]) == ["--resume", str(picture)]


def test_resume_needs_a_folder(run: Run, tmp_path: Path) -> None:
    need("torch")
    done = run("learn", tmp_path / "painting.jpg", "--resume")
    assert (done.code, len(done.lines)) == (2, 1)
    assert "--resume: expected --checkpoints DIR too" in done.err


def test_every_old_spelling_is_tested() -> None:
    assert classify.RENAMED.keys() <= OLD


def test_alpha_in_python() -> None:
    need("torch")
    from tests.tiny_adain import tiny_adain_folder

    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    style = [StylePicture(photo // 3)]
    with AdainPainter(tiny_adain_folder()) as painter:
        with pytest.warns(DeprecationWarning, match="alpha is now strength"):
            old = painter(photo, style, alpha=0.3)
        np.testing.assert_array_equal(old, painter(photo, style, strength=0.3))
        assert (old != painter(photo, style)).any()
