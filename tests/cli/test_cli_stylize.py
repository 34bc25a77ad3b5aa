"""``stylenorm stylize``, by the fake engine unless said otherwise."""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.cli import stylize as command
from stylenorm.engines import FakeEngine
from stylenorm.media import Picture, read_media, write_picture
from stylenorm.zoo import NetworkFolder
from tests.cli.conftest import Run, hidden_files, write_photo
from tests.engines.tiny_network import STYLES, needs, random_photo


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def exif_of(path: Path) -> Image.Exif:
    with Image.open(path) as image:
        return image.getexif()


def test_one_photo(stylize: Run, photo: Path, tmp_path: Path) -> None:
    done = stylize(photo, "--style", "scream", "-o", tmp_path / "painting.png")
    assert (done.code, done.out, done.err) == (0, b"", "")
    assert np.array_equal(pixels(tmp_path / "painting.png"), 255 - pixels(photo))


def test_beside_the_photo(stylize: Run, photo: Path) -> None:
    assert stylize(photo, "--style", "scream").code == 0
    assert photo.with_name("photo.scream.jpg").is_file()


def test_a_folder_keeps_names_and_sub_folders(stylize: Run, tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.png", "sub/deep/c.webp"):
        write_photo(tmp_path / "holiday" / name)
    (tmp_path / "holiday" / "notes.txt").write_text("no picture")
    done = stylize(tmp_path / "holiday", "--style", "scream", "-o", f"{tmp_path}/painted/")
    assert (done.code, done.err) == (0, "")
    painted = sorted(str(p.relative_to(tmp_path / "painted")) for p in (tmp_path / "painted").rglob("*.*"))
    assert painted == ["a.jpg", "sub/b.png", "sub/deep/c.webp"]


def test_every_style(stylize: Run, photo: Path, tmp_path: Path) -> None:
    other = write_photo(tmp_path / "b.png")
    done = stylize(photo, other, "--style", "all", "-o", f"{tmp_path}/out/")
    assert (done.code, done.err) == (0, "")
    expected = {
        f"{stem}.{style}.{suffix}" for stem, suffix in (("photo", "jpg"), ("b", "png")) for style in STYLES
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected


def test_where_time_goes(stylize: Run, photo: Path, tmp_path: Path) -> None:
    second = write_photo(photo.with_name("b.jpg"), 40, 44)
    out = tmp_path / "out"
    done = stylize(photo, second, "--style", "scream", "--size", "20", "--timing", "-o", f"{out}/")
    assert done.code == 0
    stages = {line.split()[1]: line for line in done.lines}
    for path in sorted(out.iterdir()):
        told = re.findall(r"([a-z]+) \d+ ms", stages[f"{path}:"])
        assert told == ["load", "read", "prepare", "paint", "write"]
    assert stages["paint"].split()[4] == "2"
    assert stages["write"].split()[4] == "2"
    assert "s passed, stages were busy for" in done.lines[-1]
    assert stylize(photo, "--style", "scream", "--timing", "-q", "-o", tmp_path / "q.png").err == ""


def test_several_styles_once_each(stylize: Run, photo: Path, tmp_path: Path) -> None:
    done = stylize(
        photo, "--style", "scream", "--style", "great-wave", "--style", "scream", "-o", f"{tmp_path}/o/"
    )
    assert done.code == 0
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"photo.scream.jpg", "photo.great-wave.jpg"}


def test_a_photo_is_read_once_for_all_styles(
    stylize: Run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stylenorm.batches.painter as painter

    reads = []
    read_media = painter.read_media
    monkeypatch.setattr(
        painter, "read_media", lambda source, **o: (reads.append(source), read_media(source, **o))[1]
    )
    assert stylize(photo, "--style", "all", "-o", f"{tmp_path}/out/").code == 0
    assert reads == [photo]


def test_mixture_strength_and_colors(stylize: Run, photo: Path, tmp_path: Path) -> None:
    needs("openvino")
    mixture = ("--style", "starry-night:0.6,great-wave:0.4")
    whole, half, kept, none = (tmp_path / f"{name}.png" for name in ("whole", "half", "kept", "none"))
    assert stylize(photo, *mixture, "-o", whole, engine="openvino").code == 0
    assert stylize(photo, *mixture, "--strength", "0.5", "-o", half, engine="openvino").code == 0
    assert stylize(photo, *mixture, "--keep-colors", "-o", kept, engine="openvino").code == 0
    assert stylize(photo, *mixture, "--strength", "0", "-o", none, engine="openvino").code == 0
    assert np.array_equal(pixels(none), pixels(photo))
    distance = [np.abs(pixels(p).astype(int) - pixels(photo)).mean() for p in (none, half, whole)]
    assert distance == sorted(set(distance))
    luma = np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(pixels(kept) @ luma, pixels(whole) @ luma, rtol=0, atol=1.1)  # two roundings


@pytest.mark.parametrize("source", ["file", "stdin"])
@pytest.mark.parametrize("target", ["file", "stdout"])
def test_standard_streams(stylize: Run, photo: Path, tmp_path: Path, source: str, target: str) -> None:
    done = stylize(
        photo if source == "file" else "-",
        *("--style", "scream", "-o", "-" if target == "stdout" else tmp_path / "out.png"),
        stdin=photo.read_bytes() if source == "stdin" else b"",
    )
    assert (done.code, done.err) == (0, "")
    painted = done.out if target == "stdout" else (tmp_path / "out.png").read_bytes()
    image = Image.open(io.BytesIO(painted))
    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), 255 - pixels(photo))


def test_nothing_on_stdin(stylize: Run) -> None:
    done = stylize("-", "--style", "scream", "-o", "-")
    assert (done.code, done.out, len(done.lines)) == (1, b"", 1)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_other_engines(stylize: Run, photo: Path, tmp_path: Path, engine: str) -> None:
    needs("openvino", engine)
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    assert stylize(photo, "--style", "scream", "-o", first, engine="openvino").code == 0
    done = stylize(
        photo, "--style", "scream", "--threads", "1", "--precision", "f32", "-o", second, engine=engine
    )
    assert (done.code, done.err) == (0, "")
    assert np.abs(pixels(first).astype(int) - pixels(second)).max() <= 1


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_animations_are_painted_frame_by_frame(stylize: Run, tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ("red", "lime", "blue")]
    source = tmp_path / f"moving.{kind}"
    options = {"lossless": True} if kind == "webp" else {}
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=70, loop=0, **options)
    done = stylize(source, "--style", "scream", "-o", tmp_path / f"out.{kind}")
    assert (done.code, done.err) == (0, "")
    with Image.open(tmp_path / f"out.{kind}") as painted:
        assert painted.n_frames == 3
        for i, color in enumerate([(0, 255, 255), (255, 0, 255), (255, 255, 0)]):
            painted.seek(i)
            assert np.abs(np.asarray(painted.convert("RGB")).astype(int) - color).max() <= 4
            assert painted.info["duration"] == 70  # of a WebP, known once the frame is decoded


def test_metadata_format_and_quality(stylize: Run, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825)[1] = "N"
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "a.jpg", exif=exif)
    out = ("--style", "scream", "-o")
    assert stylize(tmp_path / "a.jpg", *out, tmp_path / "kept.jpg").code == 0
    assert stylize(tmp_path / "a.jpg", *out, tmp_path / "gps.jpg", "--keep-gps").code == 0
    assert stylize(tmp_path / "a.jpg", *out, tmp_path / "bare.jpg", "--strip").code == 0
    kept, gps, bare = (exif_of(tmp_path / f"{name}.jpg") for name in ("kept", "gps", "bare"))
    assert (kept.get(0x010F), gps.get(0x010F), bare.get(0x010F)) == ("Maker", "Maker", None)
    assert (bool(kept.get_ifd(0x8825)), bool(gps.get_ifd(0x8825))) == (False, True)
    assert (
        stylize(tmp_path / "a.jpg", *out, f"{tmp_path}/as/", "--format", "webp", "--quality", "40").code == 0
    )
    with Image.open(tmp_path / "as" / "a.webp") as image:
        assert image.format == "WEBP"


def test_16_bits_stay_16_bits(stylize: Run, tmp_path: Path) -> None:
    from stylenorm.media import Picture, read_picture, write_picture

    deep = random_photo(9, 7, "uint16")
    write_picture(Picture(deep), tmp_path / "deep.png")
    assert stylize(tmp_path / "deep.png", "--style", "scream", "-o", tmp_path / "out.png").code == 0
    assert np.array_equal(read_picture(tmp_path / "out.png").pixels, 65535 - deep)


def test_nothing_is_overwritten_unasked(stylize: Run, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    done = stylize(photo, "--style", "scream", "-o", target)
    assert done.code == 1
    assert len(done.lines) == 1
    assert "exists already" in done.err
    assert "--overwrite" in done.err
    assert target.read_bytes() == b"precious"
    assert stylize(photo, "--style", "scream", "-o", target, "--overwrite").code == 0
    assert np.array_equal(pixels(target), 255 - pixels(photo))


def test_an_output_that_exists_is_found_before_painting(
    stylize: Run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.png").touch()
    monkeypatch.setattr(FakeEngine, "_paint", lambda *_: pytest.fail("painted for nothing"))
    assert stylize(photo, "--style", "scream", "-o", tmp_path / "out.png").code == 1


def test_a_folder_goes_on_after_a_failure(stylize: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("a.jpg", "c.jpg"):
        write_photo(folder / name)
    (folder / "b.jpg").write_text("no picture")
    (folder / "d.jpg").write_bytes(b"")
    done = stylize(folder, "--style", "scream", "-o", f"{tmp_path}/out/")
    assert done.code == 1
    assert [line.split(":")[0] for line in done.lines] == ["stylenorm"] * 3
    assert "b.jpg" in done.lines[0]
    assert "d.jpg" in done.lines[1]
    assert done.lines[2] == "stylenorm: 2 of 4 failed"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.jpg", "c.jpg"}


def test_a_second_run_over_a_folder_says_so_once(stylize: Run, tmp_path: Path) -> None:
    for name in "abcdefg":
        write_photo(tmp_path / "in" / f"{name}.png")
    command = (tmp_path / "in", "--style", "scream", "-o", f"{tmp_path}/out/")
    assert stylize(*command).lines == []
    write_photo(tmp_path / "in" / "h.png")
    done = stylize(*command)
    assert done.code == 1
    (line,) = done.lines
    assert line.startswith("stylenorm: 7 of 8 exist already and were left as they are (--overwrite")
    assert line.endswith("e.png, ...")
    assert (tmp_path / "out" / "h.png").exists()


def test_what_a_folder_holds_beside_its_pictures_is_said(stylize: Run, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "b.psd").touch()
    (tmp_path / "empty").mkdir()
    done = stylize(tmp_path / "in", "--style", "scream", "-o", f"{tmp_path}/out/")
    assert (done.code, done.lines) == (
        0,
        ["stylenorm: note: skipped 1 file: 1 .psd (export them as PNG or TIFF)"],
    )
    done = stylize(tmp_path / "in", tmp_path / "empty", "--style", "scream", "-o", f"{tmp_path}/new/", "-q")
    assert (done.code, len(done.lines)) == (1, 1)
    assert "empty: expected pictures in the folder" in done.lines[0]
    assert (tmp_path / "new" / "in" / "a.jpg").exists()


def test_control_characters_do_not_reach_the_terminal(stylize: Run, tmp_path: Path) -> None:
    name = "a\x1b]0;title\x07\n  b\x9b31m.jpg"
    (tmp_path / name).write_text("no picture")
    done = stylize(tmp_path / name, "--style", "scream")
    assert done.code == 1
    (line,) = done.lines
    assert line.isprintable()
    assert line.count("title") == 1
    assert "a\\x1b]0;title\\x07\\n  b\\x9b31m.jpg" in line
    write_photo(tmp_path / name)
    assert stylize(tmp_path / name, "--style", "scream", "-o", tmp_path / name).err.strip().isprintable()


@pytest.mark.parametrize("word", [[""], ["-o", ""], ["--output="], ["--network", ""], ["--style", ""]])
def test_empty_words_are_refused(stylize: Run, photo: Path, word: list[str], tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    done = stylize(photo, "--style", "scream", *word)
    assert done.code == 2
    assert "got an empty one" in done.lines[-1]
    assert sorted(tmp_path.iterdir()) == before


def test_both_spellings_of_colour(stylize: Run, photo: Path, tmp_path: Path) -> None:
    for i, words in enumerate((["--keep-colors"], ["--keep-colours"], ["--colour-method", "luminance"])):
        assert stylize(photo, "--style", "scream", *words, "-o", tmp_path / f"{i}.png").code == 0
    first, *others = (pixels(tmp_path / f"{i}.png") for i in range(3))
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize(
    ("strength", "same_as"), [("50%", "0.5"), ("100 %", "1"), ("0%", "0")], ids=["half", "full", "none"]
)
def test_strength_as_a_percentage(
    stylize: Run, photo: Path, tmp_path: Path, strength: str, same_as: str
) -> None:
    assert stylize(photo, "--style", "scream", "--strength", strength, "-o", tmp_path / "a.png").code == 0
    assert stylize(photo, "--style", "scream", "--strength", same_as, "-o", tmp_path / "b.png").code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("strength", ["strong", "150%", "nan", "-1"])
def test_a_strength_that_is_none(stylize: Run, photo: Path, strength: str) -> None:
    done = stylize(photo, "--style", "scream", f"--strength={strength}")
    assert done.code == 2
    assert f"expected a number from 0 to 1, as 0.5 or 50%, got {strength}" in done.lines[-1]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(28, "No space left on device")],
    ids=["memory", "disk"],
)
def test_one_line_and_nothing_left_behind(
    stylize: Run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: object) -> None:
        raise error

    if isinstance(error, MemoryError):
        monkeypatch.setattr(FakeEngine, "_paint", fail)
    else:
        monkeypatch.setattr(os, "fsync", fail)
    done = stylize(photo, "--style", "scream", "-o", tmp_path / "new" / "out.png")
    assert done.code == 1
    assert len(done.lines) == 1
    assert ("out of memory" if isinstance(error, MemoryError) else "no space left") in done.err
    assert str(photo) in done.err or "out.png" in done.err
    assert not (tmp_path / "new").exists()
    assert not hidden_files(tmp_path)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--style", "scraem"), "unknown style 'scraem': did you mean 'scream'"),
        (("--style", "scream:0.5"), "use strength 0.5"),
        (("--style", "own.safetensors"), "cannot read it"),
        (("--style", "scream", "-o", "out.xyz"), "suffix"),
        (("--style", "scream", "--format", "xyz"), "unknown picture format 'xyz'"),
        (("--style", "all", "-o", "-"), "standard output takes one picture"),
        (("--style", "all", "-o", "one.png"), "several paintings"),
    ],
)
def test_what_cannot_be_planned_is_a_usage_error(
    stylize: Run, photo: Path, argv: tuple[str, ...], message: str
) -> None:
    done = stylize(photo, *argv)
    assert done.code == 2
    assert len(done.lines) == 1
    assert message in done.err


def test_a_missing_photo(stylize: Run, tmp_path: Path) -> None:
    done = stylize(tmp_path / "nowhere.jpg", "--style", "scream")
    assert done.code == 1
    assert len(done.lines) == 1
    assert "nowhere.jpg" in done.err


def test_a_bomb_is_refused_in_one_line(stylize: Run, photo: Path) -> None:
    done = stylize(photo, "--style", "scream", "--max-megapixels", "0.0001")
    assert done.code == 1
    assert len(done.lines) == 1


def test_notes_are_shown_unless_quiet(stylize: Run, tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (10, 20, 30, 128)).save(tmp_path / "a.png")
    noted = stylize(tmp_path / "a.png", "--style", "scream", "-o", tmp_path / "a.jpg")
    assert noted.code == 0
    assert noted.err.startswith("stylenorm: note: ")
    quiet = stylize(tmp_path / "a.png", "--style", "scream", "-o", tmp_path / "b.jpg", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")


def test_a_style_file(stylize: Run, network: NetworkFolder, photo: Path, tmp_path: Path) -> None:
    own = shutil.copy(network.path / "styles" / "scream.safetensors", tmp_path / "own.safetensors")
    assert stylize(photo, "--style", own, "-o", tmp_path / "o.png").code == 0


def test_the_options_are_the_fields_of_the_dataclass() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    command.add_arguments(parser)
    assert {action.dest for action in parser._actions} == {
        field.name for field in fields(command.StylizeOptions)
    }


@pytest.mark.parametrize(("asked", "expected"), [("16", (16, 12)), ("31", (31, 23)), ("5000", (32, 24))])
@pytest.mark.parametrize("name", ["photo.jpg", "deep.png", "moving.gif"])
def test_size(stylize: Run, tmp_path: Path, name: str, asked: str, expected: tuple[int, int]) -> None:
    image = random_photo(24, 32, "uint16" if name == "deep.png" else "uint8")
    if name == "moving.gif":
        frames = [Image.fromarray(np.roll(image, 5 * i, axis=1)) for i in range(3)]
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=40)
    else:
        write_picture(Picture(image), tmp_path / name)
    done = stylize(tmp_path / name, "--style", "scream", "--size", asked, "-o", f"{tmp_path}/out/")
    assert (done.code, done.err) == (0, "")
    painted = read_media(tmp_path / "out" / name)
    assert (painted.width, painted.height) == expected
    if name == "deep.png":
        assert isinstance(painted, Picture)
        negative = 65535 - painted.pixels.astype(int)
        # a picture of half the size is near the means of 2 x 2
        if asked == "16":
            means = image.reshape(12, 2, 16, 2, 3).mean(axis=(1, 3))
            assert np.corrcoef(negative.ravel(), means.ravel())[0, 1] > 0.85
    else:
        assert isinstance(painted, Picture) == (name == "photo.jpg")


def test_help_is_short_and_help_all_is_not(run: Run) -> None:
    short, whole = run("stylize", "--help"), run("stylize", "--help-all")
    assert (short.code, whole.code) == (0, 0)
    for word in (b"--stroke-size", b"--steady", b"--precision"):
        assert word not in short.out
        assert word in whole.out
    assert b"--help-all" in short.out
    assert b"fake" not in whole.out
    assert run("learn", "--help").out.count(b"lattice") == 0
    assert b"--lattice-weight" in run("learn", "--help-all").out
    assert run("styles", "--help-all").out == run("styles", "--help").out


def test_a_style_heavier_than_itself(stylize: Run, photo: Path) -> None:
    done = stylize(photo, "--style", "scream:2")
    assert done.code == 2
    assert "painted at strength 1 at most" in done.lines[-1]
