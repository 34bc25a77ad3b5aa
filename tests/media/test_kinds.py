"""Kinds of pictures: those that a plugin reads, and those that are not read and say what they are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from stylenorm.errors import PictureError
from stylenorm.media import find_pictures, is_picture_name, read_picture
from stylenorm.media.pictures.plugins import HEIF

GREEN = (20, 200, 90)


class _Tint(ImageFile.ImageFile):
    """A format of the test's own: a magic word, and one colour for 4 x 2 pixels."""

    format = "TINT"

    def _open(self) -> None:
        assert self.fp is not None
        color = self.fp.read(7)[4:]
        self._mode, self._size = "RGB", (4, 2)
        self.fp = io.BytesIO(color * 8)
        self.tile = [ImageFile._Tile("raw", (0, 0, 4, 2), 0, "RGB")]


@pytest.fixture
def tint() -> Iterator[None]:
    Image.register_open("TINT", _Tint, lambda head: head.startswith(b"TINT"))
    Image.register_extension("TINT", ".tint")
    yield
    del Image.OPEN["TINT"], Image.EXTENSION[".tint"]
    Image.ID.remove("TINT")


def test_a_format_that_the_program_has_registered(tmp_path: Path, tint: None) -> None:
    path = tmp_path / "a.tint"
    path.write_bytes(b"TINT" + bytes(GREEN))
    assert np.array_equal(read_picture(path).pixels, np.full((2, 4, 3), GREEN, np.uint8))
    assert find_pictures(tmp_path) == [path]


def test_a_format_that_nobody_has_registered(tmp_path: Path) -> None:
    path = tmp_path / "a.tint"
    path.write_bytes(b"TINT" + bytes(GREEN))
    with pytest.raises(PictureError):
        read_picture(path)
    assert not is_picture_name(path)


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra heif")
    tall = Image.new("RGB", (64, 96), GREEN)
    tall.paste((250, 250, 250), (0, 0, 64, 24))  # the top is white
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6
    encoded = heif.from_pillow(tall)
    encoded.save(tmp_path / "a.HEIC", quality=90, exif=exif.tobytes())
    picture = read_picture(tmp_path / "a.HEIC")
    assert (picture.height, picture.width) in {(96, 64), (64, 96)}
    assert np.abs(picture.pixels[60:, 5].astype(int).mean(0) - GREEN).max() < 6
    assert b"Maker" in picture.metadata.exif
    assert find_pictures(tmp_path) == [tmp_path / "a.HEIC"]


def test_heic_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("stylenorm.media.pictures.opening.load_plugin", lambda _: False)
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    monkeypatch.setattr("stylenorm.media.pictures.plugins._registered", list)
    assert not is_picture_name(path)
    with pytest.raises(PictureError, match=r"got HEIC, .*pip install 'stylenorm\[heif\]'"):
        read_picture(path)
    assert HEIF.installed is False


@pytest.mark.parametrize(
    ("name", "head", "what"),
    [
        ("a.ico", b"\0\0\x01\0\x01\0", "an icon"),
        ("a.dds", b"DDS \x7c\0\0\0", "DDS"),
        ("a.jxl", b"\xff\x0a\xfa\x1f", "JPEG XL|a broken one"),
        ("b.jxl", b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL|a broken one"),
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0", "EPS"),
        ("a.psd", b"8BPS\0\1", "Photoshop"),
        ("a.xcf", b"gimp xcf v011", "GIMP"),
        ("a.exr", b"\x76\x2f\x31\x01\2\0", "OpenEXR"),
        ("a.hdr", b"#?RADIANCE\n", "Radiance"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1", "raw photo"),
        ("a.nef", b"MM\0*\0\0\0\x08", "raw photo"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201", "raw photo"),
        ("a.txt", b"BMW is a car", "text"),
        ("a.mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "a film"),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "sound"),
    ],
)
def test_what_it_is_is_said(tmp_path: Path, name: str, head: bytes, what: str) -> None:
    path = tmp_path / name
    path.write_bytes(head + bytes(100))
    if what == "text":
        path.write_bytes(head)
    with pytest.raises(PictureError, match=what) as caught:
        read_picture(path)
    assert str(caught.value).isprintable()
