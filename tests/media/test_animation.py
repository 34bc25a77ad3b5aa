"""Animations: composed as Pillow composes them, painted one by one, written frame by frame."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.errors import OutputError, PictureError, ShapeError
from stylenorm.media import (
    Animation,
    Frame,
    Metadata,
    read_animation,
    read_media,
    read_picture,
    write_animation,
    write_media,
)
from tests.media.odd_pictures import ODD_PICTURES, OddPicture, animation, image, photo, saved

# In what a first frame of disposal 3 leaves, Pillow is not as browsers are (test_what_files_say.py).
ANIMATED = [odd for odd in ODD_PICTURES if odd.frames > 1 and "disposal 3" not in odd.name]


def composed(data: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(data)) as opened:
        skip = getattr(opened, "default_image", False)
        frames = []
        for index in range(int(skip), opened.n_frames):
            opened.seek(index)
            frames.append(np.asarray(opened.convert("RGBA")))
    return frames


def made(count: int, width: int = 24, height: int = 18, *, alpha: bool = False, plays: int = 0) -> Animation:
    def frames() -> Iterator[Frame]:
        for index in range(count):
            pixels = np.roll(photo(width, height), index, axis=1)
            holes = np.full((height, width), 255, np.uint8)
            holes[index : index + 5, :7] = 0
            yield Frame(pixels, holes if alpha else None, 40.0 + 10 * index)

    return Animation(frames, width, height, count, plays)


@pytest.mark.parametrize("odd", ANIMATED, ids=lambda odd: odd.name)
def test_frames_are_composed(odd: OddPicture) -> None:
    read = read_animation(odd.data())
    expected = composed(odd.data())
    for _ in range(2):  # it can be read again
        frames = list(read)
        assert len(frames) == len(expected)
        for frame, reference in zip(frames, expected, strict=True):
            alpha = reference[..., 3]
            seen = alpha > 0
            np.testing.assert_array_equal(frame.pixels[seen], reference[..., :3][seen])
            if frame.alpha is None:
                assert (alpha == 255).all()
            else:
                np.testing.assert_array_equal(frame.alpha, alpha)
    durations = [40, 50, 60, 70][: odd.frames]  # Pillow gives another first picture no duration
    assert [frame.duration_ms for frame in read] == durations


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_what_is_written_is_shown(kind: str, alpha: bool, plays: int) -> None:
    source = made(4, alpha=alpha, plays=plays)
    out = io.BytesIO()
    assert write_animation(source, out, format=kind, quality=100) == ()
    shown = composed(out.getvalue())
    assert len(shown) == 4
    # GIF has 255 dithered colors a frame; WebP is lossy, in halved color resolution
    allowed = {"gif": 8, "webp": 12, "png": 0}[kind]
    for frame, reference in zip(source, shown, strict=True):
        holes = np.full((18, 24), 255) if frame.alpha is None else frame.alpha
        np.testing.assert_array_equal(reference[..., 3], holes)
        seen = holes > 0
        assert np.abs(reference[..., :3][seen].astype(int) - frame.pixels[seen]).mean() <= allowed
    again = read_animation(out.getvalue())
    assert [frame.duration_ms for frame in again] == [40, 50, 60, 70]
    assert again.plays == plays


def test_painting_is_lazy_and_keeps_the_rest(tmp_path: Path) -> None:
    data = animation("GIF", "RGBA", disposal=2, loop=0, comment=b"hello")
    (tmp_path / "a.gif").write_bytes(data)
    calls = []

    def invert(pixels: np.ndarray) -> np.ndarray:
        calls.append(pixels.shape)
        return 255 - pixels

    source = read_media(tmp_path / "a.gif")
    assert isinstance(source, Animation)
    painted = source.painted_with(invert)
    assert calls == []
    write_animation(painted, tmp_path / "b.png")
    assert calls == [(14, 20, 3)] * 4
    for before, after in zip(source, read_animation(tmp_path / "b.png"), strict=True):
        np.testing.assert_array_equal(before.alpha, after.alpha)
        seen = before.alpha > 0
        np.testing.assert_array_equal(after.pixels[seen], 255 - before.pixels[seen])
        assert after.duration_ms == before.duration_ms
    write_animation(painted, tmp_path / "b.gif")
    with Image.open(tmp_path / "b.gif") as opened:
        assert opened.info["comment"] == b"hello"
    write_animation(painted, tmp_path / "c.gif", strip=True)
    assert b"hello" not in (tmp_path / "c.gif").read_bytes()


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_one_frame(kind: str, tmp_path: Path) -> None:
    write_animation(made(1), tmp_path / f"a.{kind}")
    picture = read_picture(tmp_path / f"a.{kind}")
    assert np.abs(picture.pixels.astype(int) - photo(24, 18)).mean() <= 12


def test_a_still_is_an_animation_of_one_frame() -> None:
    read = read_animation(saved(image("RGBA"), "PNG"))
    (frame,) = read
    assert (len(read), read.width, read.height) == (1, 23, 17)
    np.testing.assert_array_equal(frame.alpha, np.asarray(image("RGBA"))[..., 3])


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_a_failing_brush_leaves_nothing(kind: str, tmp_path: Path) -> None:
    count = 0

    def fail(pixels: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return pixels

    with pytest.raises(KeyboardInterrupt):
        write_animation(made(5).painted_with(fail), tmp_path / f"a.{kind}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_a_truncated_animation_is_refused_when_its_turn_comes(kind: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(photo(60, 50), 9 * i, 0)) for i in range(4)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    data = data[: len(data) * 6 // 10]
    try:
        read = read_animation(data)
        frames_read = [frame.pixels.shape for frame in read]
    except PictureError as error:
        frames_read = []
        assert "\n" not in str(error)  # noqa: PT017 (a shorter animation may also be what is left)
    assert len(frames_read) < 4


def test_only_the_first_frame_is_a_picture() -> None:
    picture = read_picture(animation("GIF", "RGB"))
    assert "animation of 4 frames" in picture.notes[0]
    np.testing.assert_array_equal(picture.pixels, composed(animation("GIF", "RGB"))[0][..., :3])


def test_too_many_pixels_in_all() -> None:
    data = animation("GIF", "RGB")
    with pytest.raises(PictureError, match="4 frames of 20 x 14"):
        read_animation(data, max_total_megapixels=4 * 20 * 14 / 1e6 - 1e-6)
    assert len(read_animation(data, max_total_megapixels=4 * 20 * 14 / 1e6)) == 4


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_memory_does_not_grow_with_frames(kind: str, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        write_animation(made(count, 120, 90), tmp_path / f"{count}.{kind}")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    few, many = peak(3), peak(30)
    assert many < few * 1.5


def test_formats_without_animation(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.tiff", "a.bmp"):
        with pytest.raises(OutputError, match="holds no animation; write one of"):
            write_animation(made(2), tmp_path / name)
    with pytest.raises(OutputError, match="name a format"):
        write_animation(made(2), io.BytesIO())
    (tmp_path / "a.gif").write_bytes(b"")
    with pytest.raises(OutputError, match="exists already"):
        write_animation(made(2), tmp_path / "a.gif")
    with pytest.raises(OutputError, match="at most 16383"):
        write_animation(made(2, 16384, 1), tmp_path / "a.webp")


def test_media_of_both_kinds(tmp_path: Path) -> None:
    moving = read_media(animation("GIF", "RGB")).painted_with(lambda pixels: 255 - pixels)
    assert write_media(moving, tmp_path / "a.webp") == ()
    assert len(read_media(tmp_path / "a.webp")) == 4
    painted = []
    first = read_media(animation("GIF", "RGB")).painted_with(lambda pixels: painted.append(1) or 255 - pixels)
    notes = write_media(first, tmp_path / "a.bmp")
    assert "first of 4 frames" in notes[0]
    assert len(painted) == 1
    np.testing.assert_array_equal(read_picture(tmp_path / "a.bmp").pixels, next(iter(moving)).pixels)
    with pytest.raises(OutputError, match="exists already"):
        write_media(first, tmp_path / "a.bmp")
    assert len(painted) == 1
    still = read_media(saved(image("RGB"), "PNG")).painted_with(lambda pixels: 255 - pixels)
    out = io.BytesIO()
    write_media(still, out, format="png")
    np.testing.assert_array_equal(read_picture(out.getvalue()).pixels, 255 - np.asarray(image("RGB")))
    with pytest.raises(OutputError, match="name a format"):
        write_media(moving, io.BytesIO())


def test_half_transparency_of_gif_is_noted(tmp_path: Path) -> None:
    soft = np.full((18, 24), 100, np.uint8)
    soft[:, 12:] = 200
    source = Animation(lambda: iter([Frame(photo(24, 18), soft, 50.0)] * 2), 24, 18, 2, metadata=Metadata())
    notes = write_animation(source, tmp_path / "a.gif")
    assert "half transparency" in notes[0]
    np.testing.assert_array_equal(
        composed((tmp_path / "a.gif").read_bytes())[1][..., 3], np.where(soft < 128, 0, 255)
    )


def test_frames_are_checked() -> None:
    with pytest.raises(ShapeError, match="uint8"):
        Frame(photo(5, 4, deep=True), None, 1.0)
    with pytest.raises(ShapeError, match="full size"):
        Frame(photo(5, 4), None, 1.0).repainted(photo(4, 4))
