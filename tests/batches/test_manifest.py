"""The manifest: whole lines, whoever writes them, and what is read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stylenorm.batches import Manifest, Row, read_manifest
from stylenorm.errors import InputError, OutputError


def row(name: str, status: str = "painted", error: str = "") -> Row:
    return Row(f"in/{name}", f"out/{name}", "scream", 0.5, 0.25, status, error)  # type: ignore[arg-type]


def test_what_is_written_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    with Manifest(path) as manifest:
        assert manifest.done == {}
        manifest.append([row("ä.jpg"), row("b.jpg", "failed", 'no "picture"')])
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert first == {
        "source": "in/ä.jpg",
        "target": "out/ä.jpg",
        "style": "scream",
        "strength": 0.5,
        "seconds": 0.25,
        "status": "painted",
        "error": "",
    }
    assert second["error"] == 'no "picture"'


def test_the_last_row_of_a_target_counts(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.append([row("a", "failed"), row("b"), row("c", "skipped"), row("a"), row("b", "failed")])
    with Manifest(path) as manifest:
        assert set(manifest.done) == {"out/a", "out/c"}


def test_a_line_that_was_cut_off_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.append([row("a"), row("b")])
    path.write_bytes(path.read_bytes()[:-20])
    with Manifest(path) as manifest:
        assert set(manifest.done) == {"out/a"}
        manifest.append([row("c")])
    assert [each.target for each in read_manifest(path)] == ["out/a", "out/c"]


def test_names_that_are_no_characters(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    name = b"\xff.jpg".decode("utf-8", "surrogateescape")
    with Manifest(path) as manifest:
        manifest.append([row(name)])
    assert read_manifest(path)[0].target == f"out/{name}"


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no\nmanifest\n")
    with pytest.raises(InputError, match="expected a manifest"):
        Manifest(path)
    assert path.read_text() == "no\nmanifest\n"
    with pytest.raises(OutputError, match="cannot be written"):
        Manifest(tmp_path)


def test_processes_that_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    code = (
        "import sys\nfrom stylenorm.batches import Manifest, Row\n"
        "with Manifest(sys.argv[1]) as manifest:\n"
        "    for i in range(200):\n"
        "        name = f'{sys.argv[2]}-{i}-' + 'x' * 300\n"
        "        manifest.append([Row(name, name, 'scream', 1.0, None, 'painted', '')] * 3)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    rows = read_manifest(path)
    assert len(rows) == 3 * 200 * 3 == len(path.read_text().splitlines())
    # what is appended at once stays together
    assert all(len({rows[i + k].target for k in range(3)}) == 1 for i in range(0, len(rows), 3))
