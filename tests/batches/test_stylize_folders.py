"""Folders and data sets by the command line: what is drawn, skipped, listed and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.batches import RandomStyles, Shard, StrengthRange
from stylenorm.engines import FakeEngine
from stylenorm.media import read_picture
from stylenorm.zoo import shipped_network
from tests.cli.conftest import Run, hidden_files, write_photo

STYLES = shipped_network().style_names()
SOME = ("scream", "great-wave", "starry-night")


def photos(folder: Path, count: int, suffix: str = "png") -> list[str]:
    names = [f"{'ab'[i % 2]}/{i}.{suffix}" for i in range(count)]
    for name in names:
        write_photo(folder / name, 12, 16)
    return names


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_random_style_and_strength_for_each(stylize: Run, tmp_path: Path) -> None:
    names = photos(tmp_path / "in", 12)
    listed = tmp_path / "out.jsonl"
    command = (tmp_path / "in", "--style", "random", "--seed", "7", "--strength", "0.2..0.9")
    done = stylize(*command, "-o", f"{tmp_path}/out/", "--manifest", listed)
    assert done.code == 0
    draw, strengths = RandomStyles(STYLES, 7), StrengthRange(0.2, 0.9, 7)
    by_target = {row["target"]: row for row in rows(listed)}
    assert len(by_target) == 12
    for name in names:
        row = by_target[str(tmp_path / "out" / name)]
        (style,) = draw.styles(name)
        assert (row["source"], row["style"]) == (str(tmp_path / "in" / name), style)
        assert row["strength"] == strengths.strength(name, style)
        assert (row["status"], row["error"]) == ("painted", "")
        assert float(str(row["seconds"])) > 0
        assert len(draw.styles(name)) == 1
    assert len({row["style"] for row in by_target.values()}) > 4


def test_no_shard_folder_or_order_changes_a_painting(stylize: Run, tmp_path: Path) -> None:
    names = photos(tmp_path / "in", 10)
    command = ("--style", "random", "--strength", "0.1..0.5", "--styles-per-picture", "2")
    assert stylize(tmp_path / "in", *command, "-o", f"{tmp_path}/whole/").code == 0
    whole = files(tmp_path / "whole")
    assert len(whole) == 20
    for part in ("2/3", "1/3", "3/3"):
        done = stylize(tmp_path / "in", *command, "-o", f"{tmp_path}/parts/", "--shard", part)
        assert (done.code, done.err) == (0, "")
    assert files(tmp_path / "parts") == whole
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    assert stylize(tmp_path / "elsewhere", *command, "-o", f"{tmp_path}/again/").code == 0
    assert files(tmp_path / "again") == whole
    sizes = [sum(Shard(i, 3).has(name) for name in names) for i in (1, 2, 3)]
    assert sum(sizes) == 10
    assert max(sizes) < 10


def test_styles_from_a_folder(stylize: Run, tmp_path: Path) -> None:
    photos(tmp_path / "in", 6)
    shutil.copytree(shipped_network().path / "styles", tmp_path / "own")
    listed = tmp_path / "m.jsonl"
    done = stylize(
        tmp_path / "in", "--style", f"random:{tmp_path}/own", "-o", f"{tmp_path}/out/", "--manifest", listed
    )
    assert done.code == 0
    assert {Path(str(row["style"])).parent for row in rows(listed)} == {tmp_path / "own"}


def test_what_exists_is_skipped_and_no_failure(
    stylize: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos(tmp_path / "in", 5)
    (tmp_path / "in" / "a" / "broken.png").write_text("no picture")
    command = (tmp_path / "in", "--style", "scream", "-o", f"{tmp_path}/out/", "--skip-existing")
    first = stylize(*command)
    assert first.code == 1
    assert first.lines[-1] == "stylenorm: 1 of 6 failed"
    before = files(tmp_path / "out")
    monkeypatch.setattr(FakeEngine, "_paint", lambda *_: pytest.fail("painted again"))
    again = stylize(*command)
    assert again.code == 1
    assert again.lines[-1].startswith("stylenorm: 0 painted, 5 skipped (done before), 1 failed, in ")
    (tmp_path / "in" / "a" / "broken.png").unlink()
    last = stylize(*command)
    assert last.code == 0
    assert len(last.lines) == 1
    assert files(tmp_path / "out") == before


def test_the_manifest_is_gone_on_from(stylize: Run, tmp_path: Path) -> None:
    names = photos(tmp_path / "in", 6)
    listed = tmp_path / "m.jsonl"
    command = (tmp_path / "in", "--style", "random", "-o", f"{tmp_path}/out/", "--manifest", listed)
    done = stylize(*command)
    assert done.code == 0
    assert done.lines[-1].startswith("stylenorm: 6 painted, 0 skipped (done before), 0 failed")
    assert done.lines[-1].endswith(f"pictures a second); {listed} lists them")
    before = files(tmp_path / "out")
    (tmp_path / "out" / names[0]).unlink()  # listed, but gone
    write_photo(tmp_path / "in" / "new.png", 12, 16)
    done = stylize(*command)
    assert done.code == 0
    assert "2 painted, 5 skipped (done before), 0 failed" in done.lines[-1]
    after = files(tmp_path / "out")
    assert set(after) == {*before, "new.png"}
    assert all(after[name] == content for name, content in before.items())
    assert [row["status"] for row in rows(listed)] == ["painted"] * 8


def test_what_is_not_in_the_manifest_is_not_taken_for_its_work(stylize: Run, tmp_path: Path) -> None:
    photos(tmp_path / "in", 2)
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "0.png").write_bytes(b"precious")
    listed = tmp_path / "m.jsonl"
    command = (tmp_path / "in", "--style", "scream", "-o", f"{tmp_path}/out/", "--manifest", listed)
    done = stylize(*command)
    assert done.code == 1
    assert "1 of 2 exist already" in done.err
    assert sorted(str(row["status"]) for row in rows(listed)) == ["failed", "painted"]
    done = stylize(*command, "--skip-existing")
    assert done.code == 0
    assert (tmp_path / "out" / "a" / "0.png").read_bytes() == b"precious"
    assert [row["status"] for row in rows(listed)][2:] == ["skipped"]  # told once
    assert stylize(*command).code == 0
    assert len(rows(listed)) == 3


def test_a_manifest_of_another_seed_is_refused(stylize: Run, tmp_path: Path) -> None:
    photos(tmp_path / "in", 8)
    command = (tmp_path / "in", "--style", "random", "-o", f"{tmp_path}/out/", "--manifest", tmp_path / "m")
    assert stylize(*command).code == 0
    before = files(tmp_path)
    done = stylize(*command, "--seed", "1")
    assert done.code == 2
    assert "give the same styles and the same seed" in done.lines[-1]
    assert files(tmp_path) == before


@pytest.mark.parametrize("size", [(40, 30), (30, 41), (8, 6), (20, 20)])
@pytest.mark.parametrize("kind", ["png", "gif"])
def test_squares_for_data_sets(stylize: Run, tmp_path: Path, size: tuple[int, int], kind: str) -> None:
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3).astype(np.uint8)
    image = Image.fromarray(ramp)
    more = {"save_all": True, "append_images": [image.rotate(180)]} if kind == "gif" else {}
    (tmp_path / "in").mkdir()
    image.save(tmp_path / "in" / f"a.{kind}", **more)
    square = ("--size", "20", "--crop", "--strength", "0")
    done = stylize(tmp_path / "in", "--style", "scream", "-o", f"{tmp_path}/out/", *square)
    assert (done.code, done.err) == (0, "")
    with Image.open(tmp_path / "out" / f"a.{kind}") as painted:
        assert painted.size == (20, 20)
        assert getattr(painted, "n_frames", 1) == (2 if kind == "gif" else 1)
    if kind == "png":
        side = min(size)
        left, top = (size[0] - side) / 2, (size[1] - side) / 2
        box = (left, top, left + side, top + side)
        expected = image.resize((20, 20), Image.Resampling.LANCZOS, box=box)
        got = read_picture(tmp_path / "out" / "a.png").pixels.astype(int)
        assert np.abs(got - np.asarray(expected).astype(int)).max() <= 2  # of two filters' rounding


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--style", "random", "--style", "scream"), "expected it alone"),
        (("--style", "random", "--styles-per-picture", "99"), "expected 1 to 24"),
        (("--style", "scream", "--styles-per-picture", "2"), "expected --style random"),
        (("--style", "scream", "--shard", "0/3"), "counted from 1"),
        (("--style", "scream", "--skip-existing", "--overwrite"), "expected one of them"),
        (("--style", "scream", "--strength", "0.9..0.1"), "smaller strength first"),
        (("--style", "scream", "--strength", "0.5..2"), "expected a number from 0 to 1"),
        (("--style", "random:nowhere"), "unknown style 'nowhere'"),
    ],
)
def test_what_cannot_be_planned(stylize: Run, tmp_path: Path, argv: tuple[str, ...], message: str) -> None:
    photos(tmp_path / "in", 2)
    done = stylize(tmp_path / "in", "-o", f"{tmp_path}/out/", *argv)
    assert done.code in (1, 2)
    assert message in done.err
    assert not (tmp_path / "out").exists()


def test_side_by_side_is_in_order_whole_and_the_same(stylize: Run, tmp_path: Path) -> None:
    photos(tmp_path / "in", 20)
    (tmp_path / "in" / "b" / "3.png").write_text("no picture")
    styles = [word for style in SOME for word in ("--style", style)]
    Image.new("RGB", (1400, 900), "teal").save(tmp_path / "in" / "b" / "5.png")  # not small
    done = stylize(tmp_path / "in", *styles, "-o", f"{tmp_path}/out/", "--threads", "3")
    assert done.code == 1
    assert sum("3.png" in line for line in done.lines) == len(SOME)
    single = tmp_path / "single"
    for name in ("b/5.png", "b/1.png"):
        assert stylize(tmp_path / "in" / name, *styles, "-o", f"{single}/").code == 0
        for style in SOME:
            stem = Path(name).stem
            painted = tmp_path / "out" / Path(name).parent / f"{stem}.{style}.png"
            assert painted.read_bytes() == (single / f"{stem}.{style}.png").read_bytes()
    assert len(files(tmp_path / "out")) == len(SOME) * 19
    assert not hidden_files(tmp_path)
