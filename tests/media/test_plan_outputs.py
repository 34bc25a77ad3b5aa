"""Finding pictures, and planning where the paintings go."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylenorm.errors import InputError, OutputError, PictureError, UnknownNameError
from stylenorm.media import Job, find_pictures, plan_outputs


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
        (["clash/a.jpg", "other/a.jpg"], "out", None, OutputError, "would both be written"),
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


def test_names_that_differ_in_case_only_collide(holiday: Path) -> None:
    Path("case").mkdir()
    Path("case/A.jpg").write_bytes(b"")
    if Path("case/a.jpg").exists():
        pytest.skip("this file system has one name for both")
    Path("case/a.jpg").write_bytes(b"")
    with pytest.raises(OutputError, match="would both be written"):
        plan_outputs(["case"], "out", styles=["scream"])


def test_styles_that_slug_alike_collide(holiday: Path) -> None:
    with pytest.raises(OutputError, match="would both be written"):
        plan_outputs(["photo.jpg"], "out", styles=["a b", "a:b"])
    with pytest.raises(InputError, match="at least one style"):
        plan_outputs(["photo.jpg"], "out", styles=[])
