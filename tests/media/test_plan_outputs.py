"""Finding pictures, and planning where the paintings go."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stylenorm.errors import InputError, OutputError, PictureError, UnknownNameError
from stylenorm.media import Job, LeftOut, find_pictures, plan_outputs


@pytest.fixture
def holiday(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some files, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "photo.jpg",
        "scan.tga",
        "holiday/b.JPG",
        "holiday/a.png",
        "holiday/day 2/c.webp",
        "holiday/day 2/notes.txt",
        "holiday/.hidden.jpg",
        "holiday/.cache/d.jpg",
        "holiday/day 10/e.TIFF",
        "clash/a.jpg",
        "clash/a.png",
        "other/a.jpg",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def pairs(jobs: list[Job]) -> list[tuple[str, str]]:
    return [(str(job.source or "-"), str(job.target or "-")) for job in jobs]


def test_find(holiday: Path) -> None:
    found = [path.as_posix() for path in find_pictures("holiday")]
    assert found == ["holiday/a.png", "holiday/b.JPG", "holiday/day 10/e.TIFF", "holiday/day 2/c.webp"]
    assert find_pictures(holiday / "holiday", exclude=holiday / "holiday" / "day 2")[-1].name == "e.TIFF"


def test_find_ends_in_loops(holiday: Path) -> None:
    Path("holiday/loop").symlink_to(holiday / "holiday")
    Path("holiday/up").symlink_to("..")
    Path("holiday/self.jpg").symlink_to("self.jpg")
    Path("holiday/dangling.jpg").symlink_to("nowhere.jpg")
    Path("holiday/folder.jpg").mkdir()
    Path("holiday/linked.jpg").symlink_to(holiday / "photo.jpg")
    names = [path.name for path in find_pictures("holiday")]
    assert names.count("a.png") == 2  # the folder's, and clash/a.png by way of "up"
    assert "linked.jpg" in names
    assert not {"self.jpg", "dangling.jpg", "folder.jpg"} & set(names)


def test_find_nothing(holiday: Path) -> None:
    for place in ("missing", "photo.jpg"):
        with pytest.raises(PictureError, match="expected a folder"):
            find_pictures(place)
    Path("bare").mkdir()
    assert find_pictures("bare") == []
    with pytest.raises(PictureError, match="found none"):
        plan_outputs(["bare"], "out", styles=["scream"])


@pytest.mark.parametrize(
    ("inputs", "output", "styles", "kind", "expected"),
    [
        (["photo.jpg"], "painting.png", ["scream"], None, [("photo.jpg", "painting.png")]),
        (["photo.jpg"], "painting", ["scream"], "png", [("photo.jpg", "painting")]),
        (["photo.jpg"], "out/", ["scream"], None, [("photo.jpg", "out/photo.jpg")]),
        (["photo.jpg"], "other", ["scream"], None, [("photo.jpg", "other/photo.jpg")]),
        (["photo.jpg"], None, ["scream"], None, [("photo.jpg", "photo.scream.jpg")]),
        (["photo.jpg"], None, ["scream"], "png", [("photo.jpg", "photo.scream.png")]),
        (["scan.tga"], None, ["scream"], None, [("scan.tga", "scan.scream.png")]),
        (["holiday/b.JPG"], None, ["scream"], None, [("holiday/b.JPG", "holiday/b.scream.JPG")]),
        (
            ["photo.jpg"],
            None,
            ["scream", "great-wave"],
            None,
            [("photo.jpg", "photo.scream.jpg"), ("photo.jpg", "photo.great-wave.jpg")],
        ),
        (
            ["photo.jpg"],
            None,
            ["starry-night:0.6, great-wave:0.4"],
            None,
            [("photo.jpg", "photo.starry-night-0.6+great-wave-0.4.jpg")],
        ),
        (["photo.jpg"], None, ["../styles/mine.safetensors"], None, [("photo.jpg", "photo.mine.jpg")]),
        (
            ["photo.jpg", "holiday/a.png"],
            "out",
            ["scream"],
            None,
            [("photo.jpg", "out/photo.jpg"), ("holiday/a.png", "out/a.png")],
        ),
        (
            ["photo.jpg", "photo.jpg", "./photo.jpg"],
            "out",
            ["scream"],
            None,
            [("photo.jpg", "out/photo.jpg")],
        ),
        (
            ["photo.jpg"],
            "out",
            ["scream", "wave"],
            "webp",
            [("photo.jpg", "out/photo.scream.webp"), ("photo.jpg", "out/photo.wave.webp")],
        ),
        (
            ["holiday"],
            "painted/",
            ["scream"],
            None,
            [
                ("holiday/a.png", "painted/a.png"),
                ("holiday/b.JPG", "painted/b.JPG"),
                ("holiday/day 10/e.TIFF", "painted/day 10/e.TIFF"),
                ("holiday/day 2/c.webp", "painted/day 2/c.webp"),
            ],
        ),
        (
            ["clash"],
            "out",
            ["scream"],
            "png",
            [("clash/a.jpg", "out/a-jpg.png"), ("clash/a.png", "out/a-png.png")],
        ),
        (["clash"], "out", ["scream"], None, [("clash/a.jpg", "out/a.jpg"), ("clash/a.png", "out/a.png")]),
        (
            ["clash", "other"],
            "out",
            ["scream"],
            None,
            [
                ("clash/a.jpg", "out/clash/a.jpg"),
                ("clash/a.png", "out/clash/a.png"),
                ("other/a.jpg", "out/other/a.jpg"),
            ],
        ),
        (["-"], "-", ["scream"], None, [("-", "-")]),
        (["-"], "out.jpg", ["scream"], None, [("-", "out.jpg")]),
        (["photo.jpg"], "-", ["scream"], "jpeg", [("photo.jpg", "-")]),
        (["-"], "out/", ["a", "b"], None, [("-", "out/stdin.a.png"), ("-", "out/stdin.b.png")]),
        (
            ["missing.jpg"],
            "out.png",
            ["scream"],
            None,
            [("missing.jpg", "out.png")],
        ),  # reading it will say so
    ],
)
def test_plan(holiday: Path, inputs, output, styles, kind, expected) -> None:
    assert pairs(plan_outputs(inputs, output, styles=styles, format=kind)) == expected


def test_formats_of_the_plan(holiday: Path) -> None:
    assert plan_outputs(["-"], "-", styles=["a"])[0].format == "PNG"
    assert plan_outputs(["-"], "-", styles=["a"], format="jpg")[0].format == "JPEG"
    assert plan_outputs(["photo.jpg"], "x.webp", styles=["a"])[0].format == "WEBP"
    assert [job.format for job in plan_outputs(["holiday"], "out", styles=["a"])] == [
        "PNG",
        "JPEG",
        "TIFF",
        "WEBP",
    ]


@pytest.mark.parametrize(
    ("inputs", "output", "kind", "error", "words"),
    [
        ([], "out", None, InputError, "at least one picture"),
        (["photo.jpg"], "photo.jpg", None, OutputError, "is one of the photos"),
        (["photo.jpg"], "./other/../photo.jpg", None, OutputError, "is one of the photos"),
        (["holiday"], "holiday", None, OutputError, "is one of the photos"),
        (["holiday"], None, None, OutputError, "needs an output folder"),
        (["holiday"], "photo.jpg", None, OutputError, "is a file"),
        (["holiday"], "new.png", None, OutputError, "names one file"),
        (["holiday"], "-", None, OutputError, "takes one picture"),
        (["-"], None, None, OutputError, "has no name"),
        (["photo.jpg"], "x.png", "jpeg", OutputError, "its suffix says PNG, the format asked for is JPEG"),
        ([""], "out/", None, InputError, "name of a picture, got an empty one"),
        (["photo.jpg", ""], "out/", None, InputError, "name of a picture, got an empty one"),
        (["photo.jpg"], "", None, OutputError, "a file or a folder to write, got an empty one"),
        (["photo.jpg"], "x.xyz", None, OutputError, r"\.jpg"),
        (["photo.jpg"], "x", None, OutputError, "no suffix"),
        (["photo.jpg"], "x.jpg", "heic", UnknownNameError, "picture format"),
    ],
)
def test_what_cannot_be_planned(holiday: Path, inputs, output, kind, error, words) -> None:
    with pytest.raises(error, match=words) as caught:
        plan_outputs(inputs, output, styles=["scream"], format=kind)
    assert "\n" not in str(caught.value)


def test_a_second_run_paints_the_same(holiday: Path) -> None:
    first = plan_outputs(["holiday"], "holiday/painted", styles=["scream"])
    for job in first:
        assert job.target is not None
        job.target.parent.mkdir(parents=True, exist_ok=True)
        job.target.write_bytes(b"")
    assert plan_outputs(["holiday"], "holiday/painted", styles=["scream"]) == first


def targets(jobs: list[Job]) -> list[str]:
    return [str(job.target) for job in jobs]


def write_empty(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["IMG.jpg", "img.jpg"], ["out/IMG.jpg", "out/img-2.jpg"]),
        (["a.JPG", "a.jpg"], ["out/a.JPG", "out/a-2.jpg"]),
        (["A.jpg", "a-2.jpg", "a.jpg"], ["out/a-2.jpg", "out/A.jpg", "out/a-3.jpg"]),
        (["stra\u00dfe.jpg", "STRASSE.jpg"], ["out/STRASSE.jpg", "out/stra\u00dfe-2.jpg"]),
        # an accent as one character, and as a letter with its mark
        (["caf\u00e9.jpg", "cafe\u0301.jpg"], ["out/cafe\u0301.jpg", "out/caf\u00e9-2.jpg"]),
        (["Sub/a.jpg", "sub/A.jpg"], ["out/Sub/a.jpg", "out/sub/A-2.jpg"]),
    ],
)
def test_twins_get_numbers(holiday: Path, names: list[str], expected: list[str]) -> None:
    write_empty(*(f"twins/{name}" for name in names))
    if len(find_pictures("twins")) < len(names):
        pytest.skip("this file system has one name for both")
    assert targets(plan_outputs(["twins"], "out", styles=["scream"])) == expected


def test_twins_of_other_folders_get_numbers(holiday: Path) -> None:
    assert targets(plan_outputs(["clash/a.jpg", "other/a.jpg"], "out", styles=["scream"])) == [
        "out/a.jpg",
        "out/a-2.jpg",
    ]
    write_empty("x/p.tga", "y/p.tga", "x/p.gif")
    planned = plan_outputs(["x/p.tga", "y/p.tga", "x/p.gif"], "out", styles=["scream"], format="png")
    assert targets(planned) == ["out/p-tga.png", "out/p-tga-2.png", "out/p-gif.png"]


def test_twins_beside_the_photos(holiday: Path) -> None:
    write_empty("x/p.tga", "x/p.qoi", "x/p.scream-2.png")
    planned = plan_outputs(["x/p.tga", "x/p.qoi"], styles=["scream"])
    assert targets(planned) == ["x/p-tga.scream.png", "x/p-qoi.scream.png"]


def test_styles_with_one_name(holiday: Path) -> None:
    write_empty("x/p.jpg", "y/p.jpg")
    planned = plan_outputs(["photo.jpg"], styles=["x/p.jpg", "y/p.jpg"])
    assert targets(planned) == ["photo.p.jpg", "photo-2.p.jpg"]
    assert targets(plan_outputs(["photo.jpg"], "out", styles=["a b", "a:b"])) == [
        "out/photo.a-b.jpg",
        "out/photo-2.a-b.jpg",
    ]
    with pytest.raises(InputError, match="at least one style"):
        plan_outputs(["photo.jpg"], "out", styles=[])


@pytest.mark.parametrize(
    ("style", "slug"),
    [
        ("candy.jpg", "candy"),
        ("art/candy.PNG", "candy"),
        ("art/candy.jpg:0.6,scream:0.4", "candy-0.6+scream-0.4"),
        ("x/mine.safetensors, y/other.safetensors", "mine+other"),
        ("v1.2", "v1.2"),
    ],
)
def test_a_style_in_the_name_has_no_suffix(holiday: Path, style: str, slug: str) -> None:
    assert targets(plan_outputs(["photo.jpg"], styles=[style])) == [f"photo.{slug}.jpg"]


def test_what_a_folder_holds_beside_its_pictures(holiday: Path) -> None:
    write_empty("mixed/a.jpg", "mixed/b.PSD", "mixed/c.psd", "mixed/d.cr2", "mixed/e.mp4", "mixed/f.txt")
    write_empty("mixed/sub/g.xcf", "mixed/.hidden.psd", "mixed/h.dib", "mixed/i.avifs", "mixed/j.jpf")
    Path("mixed/IMG_1").write_bytes(b"\xff\xd8\xff\xe0" + bytes(60))
    left_out = LeftOut()
    planned = plan_outputs(["mixed"], "out", styles=["scream"], left_out=left_out)
    assert [path.name for path in (job.source for job in planned) if path] == [
        "a.jpg",
        "h.dib",
        "i.avifs",
        "j.jpf",
    ]
    line = left_out.skipped()
    assert line.startswith("skipped 6 files: 2 .psd (export them as PNG or TIFF), ")
    for part in ("1 .cr2 (export them as JPEG", "1 .xcf", "1 film", "1 without a picture's suffix"):
        assert part in line
    assert left_out.problems() == []


def test_a_folder_without_pictures_says_what_it_holds(holiday: Path) -> None:
    write_empty("raw/a.cr2", "raw/b.nef")
    with pytest.raises(PictureError, match=r"found none.*skipped 2 files: 1 \.cr2"):
        plan_outputs(["raw"], "out", styles=["scream"])
    left_out = LeftOut()
    planned = plan_outputs(["raw", "photo.jpg"], "out", styles=["scream"], left_out=left_out)
    assert targets(planned) == ["out/photo.jpg"]
    assert left_out.problems() == ["raw: expected pictures in the folder, found none by suffix"]


def test_a_folder_that_may_not_be_read(holiday: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str | Path) -> Any:  # root may list any folder, so permissions alone test nothing
        if Path(path).name == "day 2":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    left_out = LeftOut()
    assert [path.name for path in find_pictures("holiday", left_out=left_out)] == ["a.png", "b.JPG", "e.TIFF"]
    assert left_out.problems() == ["holiday/day 2: the folder cannot be listed (Permission denied)"]
    with pytest.raises(PictureError, match="day 2: the folder cannot be listed"):
        find_pictures("holiday")
    with pytest.raises(PictureError, match="cannot be listed"):
        plan_outputs(["holiday"], "out", styles=["scream"])
    left_out = LeftOut()
    plan_outputs(["holiday/day 2", "photo.jpg"], "out", styles=["scream"], left_out=left_out)
    assert len(left_out.problems()) == 1
