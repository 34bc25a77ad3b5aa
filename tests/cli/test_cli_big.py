"""Big pictures by the command line: tiles, little memory, files instead of memory, kill and resume."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.cli import main
from stylenorm.media import read_picture, write_picture
from stylenorm.media.pictures.picture import Metadata, Picture
from tests.engines.tiny_network import needs, random_photo, tiny_network
from tests.requirements_met import need

LITTLE = ("--memory", "50kB")  # even the smallest picture goes by way of files


@pytest.fixture(scope="module", autouse=True)
def backends() -> None:
    needs("openvino")


def painted(*arguments: str | Path) -> int:
    network = tiny_network().path
    return main(["stylize", *map(str, arguments), "--style", "scream", "--network", str(network), "-q"])


def pixels(path: Path) -> np.ndarray:
    picture = read_picture(path)
    if picture.alpha is None:
        return picture.pixels.astype(int)
    return np.dstack([picture.pixels, picture.alpha]).astype(int)


def photo_file(
    path: Path, dtype: str = "uint8", channels: int = 3, size: tuple[int, int] = (90, 130)
) -> Path:
    image = random_photo(*size, dtype, channels)
    alpha = None if channels == 3 else image[..., 3] | 1
    write_picture(Picture(image[..., :3], alpha, metadata=Metadata(dpi=(300, 300))), path)
    return path


@pytest.mark.parametrize("options", [("--tile", "48"), ("--tile", "off"), ("--memory", "200MB"), ("--fast",)])
def test_tiles_paint_the_same(tmp_path: Path, options: tuple[str, ...]) -> None:
    photo = photo_file(tmp_path / "photo.png")
    assert painted(photo, "-o", tmp_path / "whole.png") == 0
    assert painted(photo, "-o", tmp_path / "tiled.png", *options) == 0
    assert np.abs(pixels(tmp_path / "tiled.png") - pixels(tmp_path / "whole.png")).max() <= 1


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [
        ("photo.png", "uint8", 3),
        ("photo.png", "uint16", 4),
        ("photo.tif", "uint16", 3),
        ("photo.tif", "uint8", 4),
        ("photo.jpg", "uint8", 3),
    ],
)
@pytest.mark.parametrize("target", ["out.png", "out.tif", "out.jpg"])
def test_by_way_of_files(tmp_path: Path, name: str, dtype: str, channels: int, target: str) -> None:
    need("pyvips")
    photo = photo_file(tmp_path / name, dtype, channels)
    assert painted(photo, "-o", tmp_path / target, *LITTLE) == 0
    assert painted(photo, "-o", tmp_path / f"whole-{target}") == 0
    got, expected = pixels(tmp_path / target), pixels(tmp_path / f"whole-{target}")
    if target.endswith("jpg"):  # two encoders, and maybe two decoders: a few levels, on noise
        assert np.abs(got - expected).mean() < 3
    else:
        assert got.shape == expected.shape
        # JPEG: libvips and Pillow decode by the same rules, to a level or two
        allowed = 2 if name.endswith("jpg") else (1 if dtype == "uint8" else 40)
        assert np.abs(got - expected).max() <= allowed
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, target, f"whole-{target}"])
    with Image.open(tmp_path / target) as image:
        assert image.info.get("icc_profile")
        assert round(float(image.info["dpi"][0])) == 300


def test_turned_profiled_and_grey_photos(tmp_path: Path) -> None:
    need("pyvips")
    image = Image.fromarray(random_photo(60, 90))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    image.convert("L").save(tmp_path / "grey.png")
    image.convert("CMYK").save(tmp_path / "inks.tif")
    for name in ("turned.png", "grey.png"):
        assert painted(tmp_path / name, "-o", tmp_path / "big.png", "--overwrite", *LITTLE) == 0
        assert painted(tmp_path / name, "-o", tmp_path / "whole.png", "--overwrite") == 0
        assert np.abs(pixels(tmp_path / "big.png") - pixels(tmp_path / "whole.png")).max() <= 1
    assert painted(tmp_path / "inks.tif", "-o", tmp_path / "inks.png", *LITTLE) == 0
    assert pixels(tmp_path / "inks.png").shape == (60, 90, 3)


def test_tiled_bigtiff(tmp_path: Path) -> None:
    pyvips = need("pyvips")
    image = random_photo(300, 280)
    pyvips.Image.new_from_array(image).tiffsave(str(tmp_path / "a.tif"), tile=True, bigtiff=True)
    Image.fromarray(image).save(tmp_path / "a.png")
    assert (tmp_path / "a.tif").read_bytes()[2] == 43, "is no BigTIFF"
    assert painted(tmp_path / "a.tif", "-o", tmp_path / "big.png", *LITTLE) == 0
    assert painted(tmp_path / "a.png", "-o", tmp_path / "whole.png") == 0
    assert np.abs(pixels(tmp_path / "big.png") - pixels(tmp_path / "whole.png")).max() <= 1


@pytest.mark.parametrize("extra", [("--color-method", "covariance"), ("--keep-colors", "--stroke-size", "2")])
def test_options_reach_the_tiles(tmp_path: Path, extra: tuple[str, ...]) -> None:
    need("pyvips")
    photo = photo_file(tmp_path / "photo.png", channels=4)
    more = ("--strength", "0.6", *extra)
    assert painted(photo, "-o", tmp_path / "big.png", *LITTLE, *more) == 0
    assert painted(photo, "-o", tmp_path / "whole.png", *more) == 0
    assert np.abs(pixels(tmp_path / "big.png") - pixels(tmp_path / "whole.png")).max() <= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"text", "text"), (None, "no such file"), ("half", "broken")],
)
def test_bad_files(tmp_path: Path, content: object, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    need("pyvips")
    photo = tmp_path / "photo.png"
    if content == "half":
        photo_file(photo)
        photo.write_bytes(photo.read_bytes()[:20_000])
    elif isinstance(content, bytes):
        photo.write_bytes(content)
    assert painted(photo, "-o", tmp_path / "out.png", *LITTLE) != 0
    assert message in capsys.readouterr().err
    assert not [p for p in tmp_path.iterdir() if p != photo]


def test_what_cannot_be_written_in_parts_is_said_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = photo_file(tmp_path / "photo.png")
    assert painted(photo, "-o", tmp_path / "out.webp", *LITTLE) == 1
    assert "write PNG, JPEG or TIFF" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--memory", "much"), ("--tile", "big"), ("--tile", "3")])
def test_bad_options(tmp_path: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = photo_file(tmp_path / "photo.png")
    try:
        code = painted(photo, option, value)
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    assert "expected" in capsys.readouterr().err


def test_too_large_says_how_to_allow_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = photo_file(tmp_path / "photo.png")
    assert painted(photo, "--max-megapixels", "0.001") == 1
    assert "(--max-megapixels N)" in capsys.readouterr().err


def damage(folder: Path, how: str) -> None:
    """Cut every map off, change a byte in every map, or in the photo."""
    for file in (folder / ("pictures" if how == "photo" else "maps")).glob("*.map"):
        content = bytearray(file.read_bytes())
        if how == "cut":
            content = content[: len(content) // 3]
        else:
            content[len(content) // 50 :: 1000] = b"\x5a" * len(content[len(content) // 50 :: 1000])
        file.write_bytes(bytes(content))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT", "SIGTERM", "SIGHUP", "cut", "changed", "photo"])
def test_kill_and_resume(tmp_path: Path, how: str) -> None:
    need("pyvips")
    photo = photo_file(tmp_path / "photo.png", size=(320, 400))
    target = tmp_path / "out.png"
    command = [
        *(sys.executable, "-m", "stylenorm", "stylize", str(photo), "-o", str(target), "--style", "scream"),
        *("--network", str(tiny_network().path), "--tile", "16", "--memory", "50kB", "--threads", "1"),
    ]
    journal = tmp_path / ".out.png.stylenorm" / "maps" / "journal.json"
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "80"})
    deadline = time.monotonic() + 120
    while not journal.exists():  # the first stage is done, or some seconds of it
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(getattr(signal, how if how.startswith("SIG") else "SIGKILL"))
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert not target.exists()
    state = json.loads(journal.read_text())["state"]
    assert state["stage"] >= 1 or state["tiles"] > 0
    if how in ("SIGINT", "SIGTERM", "SIGHUP"):
        assert b"will go on" in said
    if how in ("SIGTERM", "SIGHUP"):  # what is left is as after Ctrl-C
        return
    if not how.startswith("SIG"):
        damage(journal.parent.parent, how)
    again = subprocess.run(command, capture_output=True, timeout=200, check=True)
    assert (b"going on" in again.stderr) == (how != "photo")
    assert not journal.parent.parent.exists()
    assert painted(photo, "-o", tmp_path / "whole.png") == 0
    assert np.abs(pixels(target) - pixels(tmp_path / "whole.png")).max() <= 1
    assert io.BytesIO(target.read_bytes()).read(4) == b"\x89PNG"


@pytest.mark.parametrize(
    ("name", "size"), [("a.jpg", (65501, 2)), ("a.webp", (3, 16384)), ("a.gif", (65536, 1))]
)
@pytest.mark.parametrize("extra", [(), LITTLE], ids=["whole", "in parts"])
def test_a_size_that_the_format_does_not_hold_is_said_before_painting(
    tmp_path: Path,
    name: str,
    size: tuple[int, int],
    extra: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Image.new("RGB", size).save(tmp_path / "photo.png")
    monkeypatch.setattr(
        "stylenorm.models.stylizer.Stylizer.__call__", lambda *_, **__: pytest.fail("painted")
    )
    monkeypatch.setattr("stylenorm.media.BigPicture.decode", lambda *_, **__: pytest.fail("decoded"))
    assert painted(tmp_path / "photo.png", "-o", tmp_path / name, *extra) == 1
    said = capsys.readouterr().err
    assert "holds at most" in said or "write PNG, JPEG or TIFF" in said
