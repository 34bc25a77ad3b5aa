"""docs/folders.md: its commands are understood, its Python runs, and its line of a manifest is one."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from stylenorm.batches import Row
from stylenorm.cli import build_parser
from tests.cli.conftest import write_photo
from tests.engines.tiny_network import needs

PAGE = (Path(__file__).parents[2] / "docs" / "folders.md").read_text()
COMMANDS = re.findall(r"stylenorm (?:stylize|train) (?:[^\n\"`]|\\\n)+", PAGE.replace("\\\n", " "))


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    words = command.partition(" :::")[0].replace("$((JOB_COMPLETION_INDEX + 1))", "1")
    options = build_parser().parse_args(shlex.split(words)[1:])
    assert options.command is not None


def test_the_line_of_a_manifest() -> None:
    (line,) = re.findall(r"^ +(\{.*\})$", PAGE, re.MULTILINE)
    row = Row(**json.loads(line))
    assert (row.status, row.error) == ("painted", "")


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    needs("openvino")
    for name in ("a.jpg", "b/c.jpg"):
        write_photo(tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {})  # noqa: S102 (the page is ours)
    assert capsys.readouterr().out.split() == ["out/a.jpg", "painted", "out/b/c.jpg", "painted"]
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
