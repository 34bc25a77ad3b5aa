"""What is written is what other programs read: Pillow is the reader here."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.errors import InputError, OutputError, UnknownNameError
from stylenorm.media import Metadata, Picture, encode_picture, write_picture
from tests.media.odd_pictures import photo


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png_rows(data: bytes) -> tuple[tuple[int, ...], np.ndarray]:
    """Header and samples of a PNG, decoded by hand from the standard."""
    at, parts, header = 8, b"", ()
    while at < len(data):
        (length,), name = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(name + body) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0]
        if name == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        parts += body if name == b"IDAT" else b""
        at += 12 + length
    width, height, bits, color = header[:4]
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    rows = np.frombuffer(zlib.decompress(parts), np.uint8).reshape(height, -1)
    assert set(rows[:, 0]) <= {0, 2}  # filters: none, and the row above
    values = np.zeros((height + 1, rows.shape[1] - 1), np.uint8)
    for y in range(height):
        values[y + 1] = rows[y, 1:] + (values[y] if rows[y, 0] == 2 else 0)
    return header, values[1:].reshape(-1).view(f">u{bits // 8}").reshape(height, width, channels)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (23, 17), (700, 1100)])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_png_of_16_bits(size: tuple[int, int], alpha: bool, grey: bool) -> None:
    values = photo(*size, 4, deep=True)
    pixels = np.repeat(values[..., :1], 3, 2) if grey else values[..., :3]
    data = encode_picture(Picture(pixels, values[..., 3] if alpha else None, grey=grey), "png")
    header, samples = png_rows(data)
    assert header[2] == 16
    color = pixels[..., :1] if grey else pixels
    np.testing.assert_array_equal(samples, np.dstack([color, values[..., 3:]]) if alpha else color)
    assert opened(data).size == size


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (23, 17), (700, 1100)])
@pytest.mark.parametrize("alpha", [False, True])
def test_tiff_of_16_bits(size: tuple[int, int], alpha: bool) -> None:
    values = photo(*size, 4, deep=True)
    image = opened(encode_picture(Picture(values[..., :3], values[..., 3] if alpha else None), "tiff"))
    # Pillow keeps the high byte of each channel
    np.testing.assert_array_equal(np.asarray(image), (values if alpha else values[..., :3]) >> 8)
    assert image.tag_v2[258] == (16,) * (4 if alpha else 3)


def test_grey_tiff_of_16_bits() -> None:
    values = photo(23, 17, 1, deep=True)
    image = opened(encode_picture(Picture(np.repeat(values, 3, 2), grey=True), "tiff"))
    np.testing.assert_array_equal(np.asarray(image), values[..., 0])


@pytest.mark.parametrize("kind", ["png", "tiff", "bmp"])
def test_8_bits_are_exact(kind: str) -> None:
    values = photo(23, 17)
    np.testing.assert_array_equal(np.asarray(opened(encode_picture(Picture(values), kind))), values)


@pytest.mark.parametrize(
    ("kind", "mode"), [("png", "LA"), ("tiff", "LA"), ("jpeg", "L"), ("webp", "RGBA"), ("gif", "P")]
)
def test_grey_stays_grey(kind: str, mode: str) -> None:
    grey = np.repeat(photo(23, 17, 1), 3, 2)
    picture = Picture(grey, photo(23, 17, 1)[..., 0], grey=True)
    assert opened(encode_picture(picture, kind)).mode == mode
    assert opened(encode_picture(picture.repainted(photo(23, 17)), "png")).mode == "RGBA"


def test_jpeg_keeps_color_edges() -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (255, 0, 0), (0, 0, 255)
    data = encode_picture(Picture(stripes), "jpeg")
    assert opened(data).layer[0][1:3] == (1, 1)  # no channel is sampled less than another
    assert np.abs(np.asarray(opened(data), int) - stripes).max() < 60
    smaller = encode_picture(Picture(photo(99, 99)), "jpeg", quality=50)
    assert len(smaller) < len(encode_picture(Picture(photo(99, 99)), "jpeg"))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "gif", "bmp", "avif"])
def test_noise_is_encoded_at_the_highest_quality(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert opened(encode_picture(Picture(noise), kind, quality=100)).size == (200, 200)


def test_alpha_is_flattened_on_white_with_a_note(tmp_path: Path) -> None:
    values, alpha = photo(23, 17), photo(23, 17, 1)[..., 0]
    notes = write_picture(Picture(values, alpha), tmp_path / "a.bmp")
    expected = values * (alpha[..., None] / 255) + 255 * (1 - alpha[..., None] / 255)
    with Image.open(tmp_path / "a.bmp") as image:
        assert np.abs(np.asarray(image) - expected).max() <= 0.51
    assert "white" in notes[0]


def test_16_bits_are_rounded_with_a_note(tmp_path: Path) -> None:
    values = photo(23, 17, deep=True)
    notes = write_picture(Picture(values), tmp_path / "a.bmp")
    with Image.open(tmp_path / "a.bmp") as image:
        assert np.abs(np.asarray(image) - values / 257).max() <= 0.501
    assert "16 bits" in notes[0]


def test_gif_keeps_holes() -> None:
    values = np.full((8, 8, 3), (200, 30, 90), np.uint8)
    alpha = np.zeros((8, 8), np.uint8)
    alpha[2:5, 3:6] = 255
    image = opened(encode_picture(Picture(values, alpha), "gif")).convert("RGBA")
    np.testing.assert_array_equal(np.asarray(image)[..., 3], alpha)
    assert np.abs(np.asarray(image, int)[3, 4, :3] - values[3, 4]).max() <= 8


def test_suffix_and_format(tmp_path: Path) -> None:
    picture = Picture(photo(5, 4))
    for name, kind in [("a.PNG", "PNG"), ("b.JPeG", "JPEG"), ("c.tif", "TIFF"), ("d.webp", "WEBP")]:
        write_picture(picture, tmp_path / "deep" / "er" / name)
        assert opened((tmp_path / "deep" / "er" / name).read_bytes()).format == kind
    write_picture(picture, tmp_path / "e.dat", format="png")
    assert opened((tmp_path / "e.dat").read_bytes()).format == "PNG"
    for name in ("f", "f.xyz", "f.psd"):
        with pytest.raises(OutputError, match=r"\.jpg.*\.png"):
            write_picture(picture, tmp_path / name)
    with pytest.raises(UnknownNameError, match="did you mean 'jpeg'"):
        write_picture(picture, tmp_path / "g.jpg", format="jpge")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "e.dat"]


@pytest.mark.parametrize("quality", [0, 101, -5, True, 9.5])
def test_quality_is_checked(quality: int) -> None:
    with pytest.raises(InputError, match="1 to 100"):
        encode_picture(Picture(photo(5, 4)), "jpeg", quality=quality)


def test_too_long_for_the_format() -> None:
    with pytest.raises(OutputError, match=r"at most 16383 .* 16384 x 1; write PNG"):
        encode_picture(Picture(photo(16384, 1)), "webp")
    assert opened(encode_picture(Picture(photo(16384, 1)), "png")).size == (16384, 1)


def test_streams() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def writable(self) -> bool:
            return True

        def write(self, data: memoryview) -> int:  # an unbuffered pipe takes what it can
            self.parts.append(bytes(data[:100]))
            return len(self.parts[-1])

    pipe = Pipe()
    write_picture(Picture(photo(23, 17)), pipe, format="png")
    np.testing.assert_array_equal(np.asarray(opened(b"".join(pipe.parts))), photo(23, 17))
    with pytest.raises(OutputError, match="name a format"):
        write_picture(Picture(photo(5, 4)), io.BytesIO())
    with pytest.raises(OutputError, match="stream"):
        write_picture(Picture(photo(5, 4)), io.StringIO(), format="png")


def test_a_reader_that_went_away() -> None:
    class Gone(io.BytesIO):
        def write(self, _data: object) -> int:
            raise BrokenPipeError

    with pytest.raises(OutputError, match="reader went away"):
        write_picture(Picture(photo(5, 4)), Gone(), format="png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a Linux device")
def test_a_full_disk_on_a_stream() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OutputError, match="No space"):
        write_picture(Picture(photo(5, 4)), full, format="png")


def test_long_metadata_does_not_break_jpeg() -> None:
    metadata = Metadata(exif=b"Exif\0\0" + bytes(70000), xmp=b"<x/>" + b" " * 70000, comment="c" * 70000)
    assert opened(encode_picture(Picture(photo(5, 4), metadata=metadata), "jpeg")).size == (5, 4)


def test_speed_of_a_small_png() -> None:
    picture = Picture(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8))
    start = time.perf_counter()
    encode_picture(picture, "png")
    assert time.perf_counter() - start < 2.0  # 35 ms when nothing else runs
