"""Colours of films against the standards' formulas in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stylenorm.media.video.color import ColorConverter, FilmColor, color_of
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


@pytest.mark.parametrize(("matrix", "full"), KINDS)
def test_both_ways_against_float64(matrix: int, full: bool) -> None:
    picture = patches()
    color = FilmColor(matrix, full)
    numbers = np.rint(ycbcr(picture, matrix, full)).clip(0, 255)
    seen = ColorConverter().rgb_from_frame(frame_of(numbers, matrix, full), color)
    expected = rgb(numbers, matrix, full).clip(0, 255)
    assert np.abs(inner(seen) - inner(expected)).max() <= 0.6  # rounding alone is 0.5
    written = ColorConverter().frame_from_rgb(picture, color)
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


def hdr_frame(rgb_codes: np.ndarray, transfer: int) -> object:
    """A 10-bit 4:2:0 frame of (H, W, 3) codes 0..1 in BT.2020."""
    y, cb, cr = np.moveaxis(ycbcr(255 * rgb_codes, 9, True), -1, 0) / 255
    frame = av.VideoFrame(rgb_codes.shape[1], rgb_codes.shape[0], "yuv420p10le")
    values = (64 + 876 * y, 512 + 896 * (cb - 128 / 255)[::2, ::2], 512 + 896 * (cr - 128 / 255)[::2, ::2])
    for plane, value in zip(frame.planes, values, strict=True):
        padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        padded[:, : plane.width] = np.rint(value)
        plane.update(padded.tobytes())
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, 9
    return frame


def test_ten_bits_of_standard_range() -> None:
    picture = patches()
    frame = hdr_frame(picture / 255, 1)
    color = color_of(frame)
    assert not color.hdr
    assert np.abs(inner(ColorConverter().rgb_from_frame(frame, color)) - inner(picture)).max() <= 1


def pq_code(light: np.ndarray) -> np.ndarray:
    """Of light in cd/m2: SMPTE ST 2084's formula, which the code under test inverts."""
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg_code(light: np.ndarray) -> np.ndarray:
    """Of light on a display of 1000 cd/m2: BT.2100's inverse OOTF, then its OETF."""
    shown = light / 1000
    luma = np.maximum(shown @ np.array([0.2627, 0.6780, 0.0593]), 1e-9)
    scene = shown * luma[..., None] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


@pytest.mark.parametrize(("transfer", "name", "code"), [(16, "PQ", pq_code), (18, "HLG", hlg_code)])
def test_high_dynamic_range_becomes_standard(transfer: int, name: str, code: object) -> None:
    """Colours of BT.709 at white 203 cd/m2, encoded by the standards' formulas, come back."""
    to_wide = np.array(  # BT.2087, the other way round
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    picture = patches()
    light = 203 * (picture / 255) ** 2.4 @ to_wide.T
    frame = hdr_frame(code(light), transfer)
    color = color_of(frame)
    assert color.hdr == name
    assert (color.written.matrix, color.written.transfer, color.written.hdr) == (1, 1, "")
    seen = ColorConverter().rgb_from_frame(frame, color)
    # in gamma 2.4 the rounding of 10 bits is 26 levels where a channel is black; 3 levels elsewhere
    difference = np.abs(inner(seen) - inner(picture))
    assert difference[inner(picture) > 24].max() <= 3
    assert difference.max() <= 30
    bright = ColorConverter().rgb_from_frame(hdr_frame(code(np.full((32, 32, 3), 600.0)), transfer), color)
    assert bright.min() >= 254


def blob(centre: tuple[float, float]) -> np.ndarray:
    """(48, 64, 3): a red blob on grey; ``centre`` is its column and row, pixel centres being whole."""
    y, x = np.mgrid[:48, :64]
    weight = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 18)[..., None]
    return 110 + weight * np.array([80.0, -40.0, -40.0])


def redness(picture: np.ndarray) -> tuple[float, float]:
    """Where the red is: the centre of what is redder than the ground."""
    excess = picture[..., 0].astype(float) - picture[..., 1]
    y, x = np.mgrid[: excess.shape[0], : excess.shape[1]]
    return float((excess * x).sum() / excess.sum()), float((excess * y).sum() / excess.sum())


@pytest.mark.parametrize("full", [False, True])
def test_chroma_sits_on_the_left_both_ways(full: bool) -> None:
    """The oracle samples the blob where H.264's chroma is: column 2 i, row 2 j + 1 / 2."""
    color, centre = FilmColor(6, full), (30.6, 22.9)
    exact = ycbcr(blob(centre), 6, full)
    between = ycbcr(blob((centre[0], centre[1] - 0.5)), 6, full)  # the rows of chroma, seen from luma's
    numbers = np.concatenate([exact[..., :1], between[..., 1:]], axis=-1)
    seen = ColorConverter().rgb_from_frame(frame_of(numbers, 6, full), color)
    np.testing.assert_allclose(redness(seen), centre, atol=0.08)
    written = ColorConverter().frame_from_rgb(np.rint(blob(centre)).astype(np.uint8), color)
    planes = planes_of(written)[::2, ::2]
    red = planes[..., 2] - 128.0
    y, x = np.mgrid[: red.shape[0], : red.shape[1]]
    place = 2 * (red * x).sum() / red.sum(), 2 * (red * y).sum() / red.sum() + 0.5
    np.testing.assert_allclose(place, centre, atol=0.08)
    again = ColorConverter().rgb_from_frame(written, color)
    np.testing.assert_allclose(redness(again), centre, atol=0.08)


def test_chroma_of_older_codecs_is_centred() -> None:
    color = color_of(frame_of(ycbcr(blob((30, 22)), 6, False)), "mpeg1video")
    assert color.centred
    assert not color.written.centred
    shifted = ColorConverter().rgb_from_frame(frame_of(ycbcr(blob((30, 22)), 6, False)), color)
    plain = ColorConverter().rgb_from_frame(frame_of(ycbcr(blob((30, 22)), 6, False)), FilmColor(6))
    assert 0.3 < redness(shifted)[0] - redness(plain)[0] < 0.6


def test_rgb_films() -> None:
    picture = patches()
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="gbrp")
    color = color_of(frame)
    assert color.rgb
    assert np.array_equal(ColorConverter().rgb_from_frame(frame, color), picture)
