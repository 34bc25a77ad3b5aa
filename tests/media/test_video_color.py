"""Colours of films against the standards' formulas in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stylenorm.media.video.color import FilmColor, color_of, frame_from_rgb, rgb_from_frame
from stylenorm.media.video.film import FilmFrame
from stylenorm.media.video.formats import film_format_of
from stylenorm.media.video.reading import FilmReader
from stylenorm.media.video.writing import FilmWriter, WritingOptions
from tests.media.tiny_films import decoded, frame_of, make_film, patches, planes_of, rgb, ycbcr
from tests.requirements_met import need

av = need("av")
KINDS = [(matrix, full) for matrix in (1, 6, 9) for full in (False, True)]


def inner(picture: np.ndarray, side: int = 16) -> np.ndarray:
    """The middle of each patch, where chroma of neighbours does not reach."""
    return picture[side // 2 :: side, side // 2 :: side].astype(np.float64)


def reformatter() -> object:
    return av.video.reformatter.VideoReformatter()


@pytest.mark.parametrize(("matrix", "full"), KINDS)
def test_both_ways_against_float64(matrix: int, full: bool) -> None:
    picture = patches()
    color = FilmColor(matrix, full)
    numbers = np.rint(ycbcr(picture, matrix, full)).clip(0, 255)
    seen = rgb_from_frame(frame_of(numbers, matrix, full), color, reformatter())
    expected = rgb(numbers, matrix, full).clip(0, 255)
    assert np.abs(inner(seen) - inner(expected)).max() <= 0.6  # rounding alone is 0.5
    written = frame_from_rgb(picture, color, reformatter())
    exact = ycbcr(picture, matrix, full).clip(0, 255)
    assert np.abs(inner(planes_of(written)) - inner(exact)).max() <= 0.6
    assert np.abs(inner(rgb(planes_of(written), matrix, full)) - inner(picture)).max() <= 2
    assert color_of(written) == color


@pytest.mark.parametrize(("matrix", "full"), KINDS)
def test_a_film_through_and_back(matrix: int, full: bool, tmp_path: Path) -> None:
    picture = patches()
    source = make_film(tmp_path / "a.mp4", [picture] * 2, matrix=matrix, full_range=full)
    target = tmp_path / "b.mp4"
    with FilmReader(source) as reader, target.open("w+b") as file:
        frames = [item for item in reader.items() if isinstance(item, FilmFrame)]
        assert (reader.film.color.matrix, reader.film.color.full_range) == (matrix, full)
        assert np.abs(inner(frames[0].pixels) - inner(picture)).max() <= 2
        writer = FilmWriter(file, film_format_of(target), reader, WritingOptions(quality=100))
        for frame in frames:
            writer.write_frame(frame, picture)
        writer.close()
    (frame, *_) = decoded(target)
    assert (int(frame.colorspace), int(frame.color_range)) == (matrix, 2 if full else 1)
    seen = rgb(planes_of(frame), matrix, full).clip(0, 255)
    # crf 16.75 is lossy: it changes flat patches by up to one number, and one of chroma is 2 levels of RGB
    numbers = np.abs(inner(planes_of(frame)) - inner(ycbcr(picture, matrix, full).clip(0, 255)))
    assert numbers.max() <= 1.6
    assert np.percentile(np.abs(inner(seen) - inner(picture)), 90) <= 2


@pytest.mark.parametrize(("height", "matrix"), [(48, 6), (720, 1)])
def test_what_is_not_said_is_what_players_assume(height: int, matrix: int) -> None:
    frame = av.VideoFrame(64, height, "yuv420p")
    frame.colorspace, frame.color_range = 2, 0
    color = color_of(frame)
    assert (color.matrix, color.full_range) == (matrix, False)


def test_the_old_names_of_full_range() -> None:
    assert color_of(av.VideoFrame(16, 16, "yuvj420p")).full_range


@pytest.mark.parametrize(("transfer", "name", "white"), [(18, "HLG", 0.75)])  # swscale's tables take 4 s
def test_high_dynamic_range_becomes_standard(transfer: int, name: str, white: float) -> None:
    """Diffuse white, 203 cd/m2, is 75 % of HLG (ITU-R BT.2408, table 1)."""
    frame = av.VideoFrame(32, 32, "yuv420p10le")
    for plane, value in zip(frame.planes, (64 + 876 * white, 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, round(value), np.uint16).tobytes())
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, 9
    color = color_of(frame)
    assert color.hdr == name
    assert (color.written.matrix, color.written.transfer, color.written.hdr) == (1, 1, "")
    seen = rgb_from_frame(frame, color, reformatter())
    np.testing.assert_allclose(seen[16, 16], 255, rtol=0, atol=3)


def test_rgb_films() -> None:
    picture = patches()
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="gbrp")
    color = color_of(frame)
    assert color.rgb
    assert np.array_equal(rgb_from_frame(frame, color, reformatter()), picture)
