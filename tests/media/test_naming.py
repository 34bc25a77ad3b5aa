"""Real paths of many files are those that the operating system gives, one by one."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from stylenorm.media.naming import RealPaths, name_key, split_suffix


def test_real_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    for i in range(12):
        (tmp_path / "real" / f"{i}.jpg").touch()
        (tmp_path / "real" / f"to-{i}.jpg").symlink_to(f"deep/{i}.jpg")
    (tmp_path / "real" / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    names = [f"{i}.jpg" for i in range(12)] + [f"to-{i}.jpg" for i in range(12)]
    names += ["loop", "not-there.jpg", "deep", "deep/..", "", "."]
    folders = ["real", "link", str(tmp_path / "link"), "missing", "link/../real", "/", ""]
    real = RealPaths()
    for folder in folders:
        for name in names:
            text = os.path.join(folder, name)  # noqa: PTH118 (of texts that a Path would tidy)
            if text:
                assert real(text) == os.path.realpath(text), text


@pytest.mark.parametrize("name", ["a.jpg", "a", ".jpg", "a.", "..jpg", "a.tar.gz", ".a.b", "a b.JPG"])
def test_suffixes_are_pathlibs(name: str) -> None:
    assert split_suffix(name) == (PurePath(name).stem, PurePath(name).suffix)


def test_keys() -> None:
    assert name_key("/A/B.jpg") == name_key("/a/b.JPG")
    assert name_key("/e\u0301.jpg") == name_key("/\u00c9.jpg")
    assert name_key("/a.jpg") != name_key("/b.jpg")
