"""What is read is what the file says: against Pillow, and against arrays that were never ours."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from stylenorm.errors import PictureError, ShapeError
from stylenorm.media import Picture, picture_from_image, read_media, read_picture
from tests.media.odd_pictures import ODD_PICTURES, YCBCR, exif_with, image, photo, png_file, raw_tiff, saved


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 4]), st.booleans())
def test_png_of_any_size_is_exact(width: int, height: int, channels: int, deep: bool) -> None:
    values = photo(width, height, channels, deep=deep)
    values[..., -1] = np.maximum(values[..., -1], 1)  # nothing fully transparent: colors must be exact
    picture = read_picture(png_file(values, bits=16 if deep else 8))
    color = np.repeat(values[..., :1], 3, 2) if channels < 3 else values[..., :3]
    np.testing.assert_array_equal(picture.pixels, color)
    assert picture.pixels.dtype == values.dtype
    assert picture.grey == (channels < 3)
    if channels in (2, 4):
        np.testing.assert_array_equal(picture.alpha, values[..., -1])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_keeps_16_bits(order: str, channels: int) -> None:
    values = np.maximum(photo(31, 18, channels, deep=True), 1)
    picture = read_picture(raw_tiff(values, order=order))
    np.testing.assert_array_equal(
        picture.pixels, values[..., :3] if channels > 1 else np.repeat(values, 3, 2)
    )
    if channels == 4:
        np.testing.assert_array_equal(picture.alpha, values[..., 3])


def test_premultiplied_alpha_becomes_straight() -> None:
    straight = photo(31, 18, 3, deep=True)
    alpha = np.linspace(20000, 65535, 31 * 18).astype(np.uint16).reshape(18, 31)
    stored = np.round(straight * (alpha[..., None] / 65535)).astype(np.uint16)
    picture = read_picture(raw_tiff(np.dstack([stored, alpha]), extra_kind=1))
    assert np.abs(picture.pixels.astype(int) - straight).max() <= 2  # a rounding, divided by alpha >= 0.3
    np.testing.assert_array_equal(picture.alpha, alpha)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", *YCBCR])
def test_modes_agree_with_pillow(mode: str) -> None:
    source = image(mode)
    picture = read_picture(saved(source, "TIFF"))
    np.testing.assert_array_equal(picture.pixels, np.asarray(source.convert("RGB")))
    assert picture.grey == (mode in ("1", "L"))


def test_palette_transparency() -> None:
    source = image("P")
    picture = read_picture(saved(source, "PNG", transparency=3))
    np.testing.assert_array_equal(picture.alpha, np.where(np.asarray(source) == 3, 0, 255))


def test_one_16_bit_color_is_transparent() -> None:
    values = photo(9, 9, 3, deep=True)
    key = b"tRNS" + values[4, 4].astype(">u2").tobytes()
    extra = (6).to_bytes(4, "big") + key + zlib.crc32(key).to_bytes(4, "big")
    picture = read_picture(png_file(values, bits=16, extra=extra))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha == 0, (values == values[4, 4]).all(2))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_agrees_with_pillow(orientation: int, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(image("RGB"), kind, exif=exif_with(orientation), **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.pixels, np.asarray(expected))
    exif = Image.Exif()
    exif.load(picture.metadata.exif)
    assert exif.get(0x0112, 1) == 1


def test_orientation_moves_alpha_along() -> None:
    data = saved(image("RGBA"), "PNG", exif=exif_with(6))
    expected = np.asarray(image("RGBA").rotate(-90, expand=True))
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.alpha, expected[..., 3])
    seen = expected[..., 3] > 0
    np.testing.assert_array_equal(picture.pixels[seen], expected[..., :3][seen])


def test_ranges_of_32_bits() -> None:
    ints = np.array([[0, 65535], [30000, 7]], np.int32)
    np.testing.assert_array_equal(read_picture(saved(Image.fromarray(ints), "TIFF")).pixels[..., 0], ints)
    floats = np.array([[0.0, 1.0], [0.5, 0.25]], np.float32)
    expected = np.round(floats * 65535)
    np.testing.assert_array_equal(
        read_picture(saved(Image.fromarray(floats), "TIFF")).pixels[..., 1], expected
    )
    wide = read_picture(saved(Image.fromarray(floats * 300 - 100), "TIFF"))
    np.testing.assert_array_equal(wide.pixels[..., 1], expected)
    assert "stretched" in wide.notes[0]


def test_white_is_zero() -> None:
    values = photo(9, 9, 1, deep=True)
    pixels = read_picture(raw_tiff(values, photometric=0)).pixels
    np.testing.assert_array_equal(pixels[..., 0], 65535 - values[..., 0])


def test_hidden_pixels_take_their_neighbours_color() -> None:
    values = np.zeros((16, 16, 4), np.uint8)
    values[4:12, 4:12] = (200, 100, 50, 255)
    picture = read_picture(png_file(values))
    np.testing.assert_allclose(picture.pixels, np.broadcast_to([200, 100, 50], (16, 16, 3)), atol=2)
    np.testing.assert_array_equal(picture.pixels[4:12, 4:12], values[4:12, 4:12, :3])
    np.testing.assert_array_equal(picture.alpha, values[..., 3])


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10**6))
def test_hidden_colors_stay_within_the_visible(width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    values[..., 3] *= rng.random((height, width)) < 0.2
    picture = read_picture(png_file(values))
    seen = values[..., 3] > 0
    np.testing.assert_array_equal(picture.pixels[seen], values[..., :3][seen])
    if seen.any():
        visible = values[..., :3][seen]
        # a rounding of each halving
        assert (picture.pixels >= visible.min(0) - 6.0).all()
        assert (picture.pixels <= visible.max(0) + 6.0).all()


def test_every_kind_of_source(tmp_path: Path) -> None:
    data = png_file(photo(5, 4))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (
        path,
        str(path),
        data,
        bytearray(data),
        memoryview(data),
        io.BytesIO(data),
        path.open("rb"),
    ):
        np.testing.assert_array_equal(read_picture(source).pixels, photo(5, 4))
        if hasattr(source, "close"):
            source.close()


def test_a_pipe(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as end:
        end.write(png_file(photo(5, 4)))
    with os.fdopen(read, "rb") as stream:
        np.testing.assert_array_equal(read_media(stream).pixels, photo(5, 4))
    code = "import sys; from stylenorm.media import read_picture; print(read_picture(sys.stdin.buffer).width)"
    done = subprocess.run(
        [sys.executable, "-c", code], input=png_file(photo(5, 4)), capture_output=True, check=True
    )
    assert done.stdout.strip() == b"5"


def test_a_stream_without_end() -> None:
    class Endless(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            return bytes(2**20)

    with pytest.raises(PictureError, match="no end"):
        read_picture(Endless(), max_megapixels=0.1)


@pytest.mark.parametrize("source", [io.StringIO("text"), 7, None])
def test_no_binary_stream(source: object) -> None:
    with pytest.raises(PictureError, match="binary stream"):
        read_picture(source)


def test_places_without_a_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"no such file; check the path"):
        read_picture(tmp_path / "missing.jpg")
    with pytest.raises(PictureError, match="a folder"):
        read_picture(tmp_path)
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture("a\0b.jpg")
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture(loop)


def test_names_with_line_breaks_stay_on_one_line(tmp_path: Path) -> None:
    for name in (b"a\nb.png", b"caf\xe9.png"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.write_bytes(b"")
        with pytest.raises(PictureError, match=r"\\(nb|xe9)\.png: expected") as caught:
            read_picture(path)
        assert "\n" not in str(caught.value)
        str(caught.value).encode()
        path.write_bytes(png_file(photo(5, 4)))
        assert read_picture(path).width == 5


def test_no_permission(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # by hand: tests may run as root, who may read everything
    def refuse(self: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    (tmp_path / "a.png").write_bytes(png_file(photo(2, 2)))
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PictureError, match="no permission"):
        read_picture(tmp_path / "a.png")


def test_limit_can_be_raised_and_lowered() -> None:
    data = png_file(photo(20, 20))
    with pytest.raises(PictureError, match="20 x 20 pixels"):
        read_picture(data, max_megapixels=399e-6)
    assert read_picture(data, max_megapixels=400e-6).width == 20


def test_more_than_pillow_allows_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert read_picture(png_file(photo(20, 20))).width == 20
    assert Image.MAX_IMAGE_PIXELS == 50


def test_images_of_pillow() -> None:
    for odd in ODD_PICTURES[:40]:
        with Image.open(io.BytesIO(odd.data())) as opened:
            picture = picture_from_image(opened)
        expected = read_picture(odd.data())
        assert picture.pixels.shape == expected.pixels.shape
        assert (
            np.abs(
                picture.to_image().convert("RGB") - np.asarray(expected.to_image().convert("RGB"), int)
            ).max()
            <= 1
        )


def test_pictures_are_checked() -> None:
    good = photo(5, 4)
    for pixels, alpha in [
        (good[..., 0], None),
        (np.zeros((0, 4, 3), np.uint8), None),
        (good.astype(np.float32), None),
        (good.tolist(), None),
        (good, good),
        (good, np.zeros((4, 5), np.uint16)),
    ]:
        with pytest.raises(ShapeError, match="expected"):
            Picture(pixels, alpha)
    with pytest.raises(ShapeError, match="full size"):
        Picture(good).repainted(good[:2])


def test_repainted_keeps_everything_else() -> None:
    deep = Picture(
        photo(5, 4, 3, deep=True), photo(5, 4, 1, deep=True)[..., 0], grey=True, source_format="PNG"
    )
    painted = deep.repainted(photo(5, 4))
    assert painted.alpha is not None
    assert painted.alpha.dtype == np.uint8
    assert np.abs(painted.alpha * 257.0 - deep.alpha).max() <= 129
    assert not painted.grey
    assert painted.metadata is deep.metadata
