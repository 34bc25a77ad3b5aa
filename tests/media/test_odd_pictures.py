"""Each odd picture ends in a picture that can be written everywhere, or in one clear line."""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.errors import PictureError
from stylenorm.media import Animation, Picture, encode_picture, read_animation, read_media, read_picture
from tests.media.odd_pictures import ODD_PICTURES, OddPicture

GOOD = [odd for odd in ODD_PICTURES if odd.size is not None]
WRONG = [odd for odd in ODD_PICTURES if odd.size is None]
STILL = [odd for odd in GOOD if odd.frames == 1]


def test_there_are_enough() -> None:
    assert len(ODD_PICTURES) >= 80
    assert len({odd.file_name for odd in ODD_PICTURES}) == len(ODD_PICTURES)


@pytest.fixture(autouse=True)
def _nothing_leaks(capfd: pytest.CaptureFixture[str]):
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    yield
    assert limit == Image.MAX_IMAGE_PIXELS
    assert list(warnings.filters) == filters
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


@pytest.mark.parametrize("odd", GOOD, ids=lambda odd: odd.name)
def test_is_read(odd: OddPicture, tmp_path: Path) -> None:
    path = tmp_path / odd.file_name
    path.write_bytes(odd.data())
    media = read_media(path)
    assert (media.width, media.height) == odd.size
    assert isinstance(media, Animation) == (odd.frames > 1)
    if isinstance(media, Animation):
        frames = list(media)
        assert len(frames) == len(media) == odd.frames
        assert any(frame.alpha is not None for frame in frames) == odd.alpha
    else:
        assert media.bit_depth == odd.bits
        assert (media.alpha is not None) == odd.alpha
    path.unlink()  # nothing holds it open


@pytest.mark.parametrize("odd", STILL, ids=lambda odd: odd.name)
def test_is_written_in_every_format(odd: OddPicture) -> None:
    picture = read_picture(odd.data())
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"):
        data = encode_picture(picture, kind)
        with Image.open(io.BytesIO(data)) as again:
            assert again.format == kind
            assert again.size == odd.size
            again.load()


@pytest.mark.parametrize("odd", [odd for odd in GOOD if odd.bits == 16], ids=lambda odd: odd.name)
def test_sixteen_bits_survive(odd: OddPicture) -> None:
    picture = read_picture(odd.data())
    for kind in ("PNG", "TIFF"):
        again = read_picture(encode_picture(picture, kind))
        np.testing.assert_array_equal(again.pixels, picture.pixels)
        assert again.pixels.dtype == np.uint16
        if picture.alpha is not None:
            np.testing.assert_array_equal(again.alpha, picture.alpha)


@pytest.mark.parametrize("read", [read_media, read_picture, lambda data: list(read_animation(data))])
@pytest.mark.parametrize("odd", WRONG, ids=lambda odd: odd.name)
def test_is_refused_in_one_line(odd: OddPicture, read) -> None:
    with pytest.raises(PictureError) as caught:
        read(odd.data())
    message = str(caught.value)
    assert odd.error in message
    assert "\n" not in message
    assert len(message) < 400


def read_or_none(data: bytes) -> Picture | None:
    """The picture, or None if it was refused in one line; any other error fails the test."""
    message = ""
    try:
        media = read_media(data, max_megapixels=1)
        frames = list(media) if isinstance(media, Animation) else []
    except PictureError as error:
        message = str(error)
        frames = []
        media = None
    assert "\n" not in message
    assert (media is None) == bool(message)
    return Picture(frames[0].pixels) if frames else media


def cut_everywhere() -> list[tuple[str, int]]:
    return [
        (kind, at)
        for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "QOI", "TGA")
        for at in range(0, 100, 5)
    ]


@pytest.mark.parametrize(("kind", "percent"), cut_everywhere())
def test_cut_anywhere_never_crashes(kind: str, percent: int) -> None:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (12, 9, 3), dtype=np.uint8)).save(out, kind)
    data = out.getvalue()
    picture = read_or_none(data[: len(data) * percent // 100])
    if picture is not None:  # only metadata was cut off
        assert picture.pixels.shape == (12, 9, 3)


def test_many_threads_read_at_once() -> None:
    some = GOOD[::6] + WRONG[::6]

    def read(odd: OddPicture) -> tuple[int, int] | None:
        try:
            media = read_media(odd.data())
        except PictureError:
            return None
        return media.width, media.height

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(read, some * 3)) == [odd.size for odd in some * 3]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damaged_anywhere_never_crashes(kind: str) -> None:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (12, 9, 3), dtype=np.uint8)).save(out, kind)
    data = out.getvalue()
    rng = np.random.default_rng(2)
    for _ in range(60):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            damaged[at] = rng.integers(0, 256)
        read_or_none(bytes(damaged))
