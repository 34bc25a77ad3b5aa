"""Folders as the fields publish them, and pictures that cannot be used: what is trained on, what is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.errors import InputError, TrainingError
from stylenorm.media import numbered_from_0
from stylenorm.training import (
    ClassFolders,
    CycleGan,
    CycleGanConfig,
    LabelledPhotos,
    LoopConfig,
    Pairs,
    Photos,
    Pix2Pix,
    Pix2PixConfig,
    fit,
)


def save(path: Path, color: tuple[int, int, int] = (90, 90, 90), size: tuple[int, int] = (24, 24)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def fill(folder: Path, count: int, color: tuple[int, int, int] = (90, 90, 90), **options: object) -> None:
    for i in range(count):
        save(folder / f"{i:02d}.png", color, **options)  # type: ignore[arg-type]


def pairs(folder: Path, num_held_out: int = 1, **options: object) -> Pairs:
    return Pairs(folder, crop_px=8, batch_size=1, seed=0, num_held_out=num_held_out, **options)  # type: ignore[arg-type]


def names(source: Photos) -> list[str]:
    return [path.relative_to(source.folder).as_posix() for path in source.paths]


RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("A/train", "B/train"),
        ("a", "b"),
        ("train/a", "train/b"),
        ("train/A", "train/B"),
        ("trainA", "trainB"),
    ],
)
def test_pairs_in_two_folders(a: str, b: str, tmp_path: Path) -> None:
    fill(tmp_path / a, 3, RED)
    fill(tmp_path / b, 3, BLUE)
    has_parts = "train" in a
    if has_parts:
        for each, color in ((a, RED), (b, BLUE)):
            fill(tmp_path / each.replace("train", "test"), 2, color)
    found = pairs(tmp_path, 2)
    assert (len(found.paths), found.num_held_out) == (5, 2) if has_parts else (3, 2)
    first, second = found.batch(0).chunk(2, dim=1)
    assert first.amin((2, 3)).tolist() == [[1, 0, 0]]
    assert second.amin((2, 3)).tolist() == [[0, 0, 1]]
    if has_parts:
        assert all("test" in name for name in names(found)[:2])
        assert not any("test" in name for name in names(found)[2:])
        assert any("held out" in note for note in found.look_through())
    else:
        assert found.look_through() == []


def test_halves_in_parts_and_near_squares(tmp_path: Path) -> None:
    fill(tmp_path / "train", 4, size=(48, 24))
    fill(tmp_path / "val", 3, size=(48, 24))
    fill(tmp_path / "test", 5, size=(48, 47))
    found = pairs(tmp_path, 8)
    assert [name.split("/")[0] for name in names(found)] == ["val"] * 3 + ["train"] * 4
    assert "train/ is trained on, val/ is held out" in found.look_through()[0]
    squares = pairs(tmp_path / "test")
    with pytest.raises(TrainingError, match=r"5 of the 5 read so far.*side by side, got 48 x 47"):
        squares.look_through()
    assert pairs(tmp_path / "test", layout="sides").look_through() == []


def test_what_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    fill(tmp_path / "inputs", 2)
    fill(tmp_path / "targets", 2)
    with pytest.raises(TrainingError, match=r"found inputs, targets; name them so, or say --layout sides"):
        pairs(tmp_path)
    with pytest.raises(TrainingError, match="expected sub-folders a and b, found inputs, targets"):
        pairs(tmp_path, layout="folders")
    fill(tmp_path / "half" / "A" / "train", 2)
    fill(tmp_path / "half" / "A" / "val", 2)
    fill(tmp_path / "half" / "B", 2)
    with pytest.raises(TrainingError, match="expected train/ in both of a and b"):
        pairs(tmp_path / "half")
    with pytest.raises(InputError, match="unknown direction 'b2a'"):
        Pix2Pix(Pix2PixConfig(tmp_path, direction="b2a"), tmp_path)  # type: ignore[arg-type]


def test_the_other_direction_swaps_what_is_given(tmp_path: Path) -> None:
    fill(tmp_path / "a", 3, RED, size=(32, 32))
    fill(tmp_path / "b", 3, BLUE, size=(32, 32))
    for direction, given in (("a-to-b", [1, 0, 0]), ("b-to-a", [0, 0, 1])):
        config = Pix2PixConfig(
            tmp_path, num_levels=4, width=4, judge_width=4, crop_px=32, num_held_out=1, direction=direction
        )  # type: ignore[arg-type]
        recipe = Pix2Pix(config, tmp_path / "run")
        a, _ = recipe._directed(recipe.pairs.batch(0))
        assert a[0, :, 0, 0].tolist() == given
        assert recipe.config()["direction"] == direction


def test_domains_of_the_authors(tmp_path: Path) -> None:
    for name, count in (("trainA", 3), ("trainB", 2), ("testA", 2), ("testB", 2)):
        fill(tmp_path / name, count, size=(32, 32))
    small = {"num_blocks": 0, "width": 4, "judge_width": 4, "crop_px": 24, "num_held_out": 1}
    recipe = CycleGan(CycleGanConfig(domains=tmp_path, **small), tmp_path / "run")
    assert [[path.parent.name for path in each.paths] for each in (recipe.a, recipe.b)] == [
        ["testA", "trainA", "trainA", "trainA"],
        ["testB", "trainB", "trainB"],
    ]
    with pytest.raises(InputError, match="both domains are in it: name it by --domains"):
        CycleGan(CycleGanConfig(tmp_path, tmp_path / "trainB", **small), tmp_path / "run")
    for config in (CycleGanConfig(**small), CycleGanConfig(tmp_path, **small)):
        with pytest.raises(InputError, match="expected folders a and b, or domains"):
            CycleGan(config, tmp_path / "run")
    with pytest.raises(TrainingError, match="stylenorm train cyclegan --domains"):
        pairs(tmp_path)


@pytest.mark.parametrize(
    ("photos", "maps", "held_out", "first_class"),
    [
        ("photos", "labels", None, 0),
        ("train_img", "train_label", "val_img", 0),
        ("images/train2017", "annotations/train2017", "images/val2017", 0),
        ("images/training", "annotations/training", "images/validation", 1),
        ("leftImg8bit/train/ulm", "gtFine/train/ulm", "leftImg8bit/val/ulm", 0),
    ],
)
def test_labelled_photos(
    photos: str, maps: str, held_out: str | None, first_class: int, tmp_path: Path
) -> None:
    numbers = np.zeros((24, 24), np.uint8)
    numbers[:12], numbers[12:18] = 3, 1
    there = [(photos, maps)]
    if held_out:
        there.append((held_out, maps.replace("training", "validation").replace("train", "val")))
    for photo, label in there:
        fill(tmp_path / photo, 2)
        (tmp_path / label).mkdir(parents=True, exist_ok=True)
        for i in range(2):
            Image.fromarray(numbers).save(tmp_path / label / f"{i:02d}.png")
            if "gtFine" in maps:  # one map of several kinds
                end = (tmp_path / label / f"{i:02d}.png").replace(
                    tmp_path / label / f"{i:02d}_gtFine_labelIds.png"
                )
                Image.new("RGB", (24, 24)).save(end.with_name(f"{i:02d}_gtFine_color.png"))
                (tmp_path / photo / f"{i:02d}.png").rename(tmp_path / photo / f"{i:02d}_leftImg8bit.png")
    found = LabelledPhotos(tmp_path, crop_px=24, batch_size=1, seed=0, num_held_out=1)
    assert (found.first_class, found.num_classes) == (first_class, 4 - first_class)
    assert (found.paths[0].parent == tmp_path / (held_out or photos)) is True
    assert len(found.paths) == (3 if held_out else 2)
    classes = (found.held_out(1)[0, 3] * 255).round()
    assert sorted(set(classes.flatten().tolist())) == ([0, 2, 255] if first_class else [0, 1, 3])


def test_classes_in_parts(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for name in ("cat", "dog"):
            fill(tmp_path / part / name, count, RED if name == "cat" else BLUE)
    found = ClassFolders(tmp_path, crop_px=8, batch_size=4, seed=0, num_held_out=10)
    assert found.classes == ("cat", "dog")
    assert (found.num_held_out, len(found.paths)) == (4, 12)
    squares, classes = found.squares(4)
    assert np.array_equal(squares[:, 0, 0, 2] > 0, classes == 1)
    assert "val/ is held out" in found.look_through()[0]
    x, y = found.labelled(0)
    assert ((x[:, 2, 0, 0] > 0).long() == y).all()


def test_what_cannot_be_read_is_counted_and_too_much_of_it_refused(tmp_path: Path) -> None:
    fill(tmp_path / "few", 29, size=(48, 24))
    for i in (3, 20):
        path = tmp_path / "few" / f"{i:02d}.png"
        path.write_bytes(path.read_bytes()[:60])
    found = pairs(tmp_path / "few", 4)
    (note,) = found.look_through()
    assert "few: skipped 2 of 29 photos; the first: " in note
    assert "03.png" in note
    assert found.counted == "27 of 29 (few)"
    assert len(found.held_out(3)) == 3  # of those that can be read

    for i in range(9, 14):
        (tmp_path / "few" / f"{i:02d}.png").write_bytes(b"no picture")
    config = Pix2PixConfig(tmp_path / "few", num_levels=4, width=4, judge_width=4, crop_px=32, num_held_out=4)
    with pytest.raises(TrainingError, match=r"at most one photo in ten .* got 7 of the 29 read so far"):
        fit(Pix2Pix(config, tmp_path / "run"), LoopConfig(tmp_path / "run", steps=1))
    assert not (tmp_path / "run").exists()


def test_pictures_without_partner_are_skipped_and_too_many_of_them_refused(tmp_path: Path) -> None:
    for name in ("a", "b", "photos", "labels"):
        fill(tmp_path / name, 20)
    for i in range(20):
        Image.new("L", (24, 24), i % 3).save(tmp_path / "labels" / f"{i:02d}.png")
    for alone in ("b/04.png", "b/05.png", "labels/07.png"):
        (tmp_path / alone).unlink()
    (tmp_path / "labels" / "08.png").write_bytes(b"no map")  # while classes are counted
    labelled = LabelledPhotos(tmp_path, crop_px=8, batch_size=1, seed=0, num_held_out=1)
    for found, first in ((pairs(tmp_path), "a/04.png"), (labelled, "photos/07.png")):
        (note,) = found.look_through()
        assert "skipped 2 of 20 photos; the first: " in note
        assert f"{first}: expected a picture of the same name in " in note
        assert found.counted.startswith("18 of 20")
    assert labelled.num_classes == 3
    for alone in ("b/06.png", "labels/08.png", "labels/09.png"):
        (tmp_path / alone).unlink()
    with pytest.raises(TrainingError, match=r"04\.png: expected a picture .* got none; 3 of 20 have none"):
        pairs(tmp_path)
    with pytest.raises(TrainingError, match=r"07\.png: expected a picture .* got none; 3 of 20 have none"):
        LabelledPhotos(tmp_path, crop_px=8, batch_size=1, seed=0, num_held_out=1)


def test_pictures_that_are_enlarged_are_told(tmp_path: Path) -> None:
    fill(tmp_path / "photos", 3, size=(60, 50))
    Image.new("RGB", (70, 19)).save(tmp_path / "photos" / "small.png")
    options = {"batch_size": 1, "seed": 0, "num_held_out": 1}
    assert Photos(tmp_path / "photos", crop_px=16, **options).look_through() == []
    (note,) = Photos(tmp_path / "photos", crop_px=32, **options).look_through()
    assert note.endswith(
        "1 of 4 photos are smaller than the crops of 32 pixels, and enlarged; the smallest has 19"
    )


def test_maps_of_another_size_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "photos", 6)
    (tmp_path / "labels").mkdir()
    for i in range(6):
        Image.new("L", (12, 12) if i > 1 else (24, 24), i).save(tmp_path / "labels" / f"{i:02d}.png")
    found = LabelledPhotos(tmp_path, crop_px=8, batch_size=1, seed=0, num_held_out=1)
    with pytest.raises(TrainingError, match=r"got 4 of the 6 .*24 x 24, got 12 x 12"):
        found.look_through()


def test_classes_from_1() -> None:
    labels = np.array([[0, 1, 254, 255]], np.uint8)
    assert numbered_from_0(labels, 1).tolist() == [[255, 0, 253, 255]]
    assert numbered_from_0(labels, 0) is labels
