"""Object stores, by fsspec's store in memory: the same paintings as from a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, write_photo
from tests.requirements_met import need

NAMES = ("a/1.png", "a/2.jpg", "b/deep/3.png", "twin.png", "twin.jpg")


@pytest.fixture
def store() -> Iterator[Any]:
    store = need("fsspec").filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


def fill(store: Any, folder: Path) -> None:
    for name in NAMES:
        write_photo(folder / name, 12, 16)
        store.pipe_file(f"/photos/{name}", (folder / name).read_bytes())
    store.pipe_file("/photos/notes.txt", b"no picture")
    store.pipe_file("/photos/.hidden/x.png", b"no picture")


@pytest.mark.parametrize(
    "more", [(), ("--format", "png"), ("--styles-per-picture", "2", "--size", "8", "--crop")]
)
def test_as_from_a_folder(stylize: Run, tmp_path: Path, store: Any, more: tuple[str, ...]) -> None:
    fill(store, tmp_path / "photos")
    command = ("--style", "random", "--seed", "5", "--strength", "0.2..0.6", *more)
    assert stylize(tmp_path / "photos", *command, "-o", f"{tmp_path}/out/").code == 0
    expected = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*.*")
        if path.is_file()
    }
    done = stylize("memory://photos/", *command, "-o", "memory://painted", "--manifest", tmp_path / "m.jsonl")
    assert done.code == 0
    got = {name.removeprefix("/painted/"): store.cat_file(name) for name in store.find("/painted")}
    assert got == expected
    rows = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert {row["target"] for row in rows} == {f"memory://painted/{name}" for name in expected}
    again = stylize("memory://photos/", *command, "-o", "memory://painted")
    assert again.code == 1
    assert f"{len(expected)} of {len(expected)} exist already" in again.err
    again = stylize("memory://photos/", *command, "-o", "memory://painted", "--skip-existing")
    assert again.code == 0
    assert f"0 painted, {len(expected)} skipped" in again.lines[-1]


def test_several_folders_keep_their_names(stylize: Run, tmp_path: Path, store: Any) -> None:
    fill(store, tmp_path / "photos")
    sources = ("memory://photos/a/", "memory://photos/b", "memory://photos/twin.png")
    assert stylize(*sources, "--style", "scream", "-o", "memory://out").code == 0
    names = [name.removeprefix("/out/") for name in store.find("/out")]
    assert names == ["a/1.png", "a/2.jpg", "b/deep/3.png", "twin.png"]


def test_from_a_store_to_the_disk_and_back(stylize: Run, tmp_path: Path, store: Any) -> None:
    fill(store, tmp_path / "photos")
    assert stylize("memory://photos/a", "--style", "scream", "-o", f"{tmp_path}/out").code == 0
    assert (tmp_path / "out" / "1.png").is_file()
    assert stylize(tmp_path / "photos" / "a", "--style", "scream", "-o", "memory://back").code == 0
    assert store.cat_file("/back/1.png") == (tmp_path / "out" / "1.png").read_bytes()


def test_what_is_not_there(stylize: Run, store: Any) -> None:
    done = stylize("memory://nowhere/", "--style", "scream", "-o", "memory://out")
    assert (done.code, len(done.lines)) == (2, 1)
    assert "found none" in done.err
    done = stylize("nosuch://photos/", "--style", "scream", "-o", "memory://out")
    assert (done.code, len(done.lines)) == (2, 1)
    done = stylize("memory://nowhere/", "--style", "scream")
    assert "expected an output folder" in done.err


def test_a_picture_that_fails_is_told(stylize: Run, tmp_path: Path, store: Any) -> None:
    fill(store, tmp_path / "photos")
    store.pipe_file("/photos/a/broken.png", b"no picture")
    done = stylize("memory://photos/a", "--style", "scream", "-o", "memory://out")
    assert done.code == 1
    assert "memory://photos/a/broken.png" in done.lines[0]
    assert len(store.find("/out")) == 2
