"""Films in and out: times, turns, aspect, sound, parts, damage. PyAV alone is the oracle."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stylenorm.errors import InputError, MissingExtraError, OutputError, PictureError
from stylenorm.media.video.film import FilmFrame
from stylenorm.media.video.formats import film_format_of, is_film
from stylenorm.media.video.reading import Damage, FilmReader
from stylenorm.media.video.writing import FilmWriter, WritingOptions
from tests.media.tiny_films import decoded, make_film, packets_of
from tests.requirements_met import need

av = need("av")


def ramp(count: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """Grey pictures, each brighter: the frame's number can be read from its brightness."""
    return [np.full((height, width, 3), 40 + 10 * i, np.uint8) for i in range(count)]


def copy(source: Path, target: Path, **part: float) -> tuple[list[float], list[Damage], FilmWriter]:
    """Read and write every frame as it is; the frames' mean brightness, the damage, the writer."""
    brightness, damage = [], []
    with FilmReader(source, **part) as reader, target.open("w+b") as file:  # type: ignore[arg-type]
        writer = FilmWriter(file, film_format_of(target), reader, WritingOptions(speed="ultrafast"))
        for item in reader.items():
            if isinstance(item, FilmFrame):
                brightness.append(float(item.pixels.mean()))
                writer.write_frame(item, item.pixels)
            elif isinstance(item, Damage):
                damage.append(item)
            else:
                writer.write_packet(item)
        writer.close()
    return brightness, damage, writer


def times_of(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in decoded(path)]


def test_variable_frame_rate(tmp_path: Path) -> None:
    times = [0, 20, 25, 100, 101, 160, 400]
    source = make_film(tmp_path / "a.mp4", ramp(7), times=times)
    copy(source, tmp_path / "b.mp4")
    assert times_of(tmp_path / "b.mp4") == [Fraction(t, 600) for t in times]
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert film.duration == round((400 + 25) / 600 * 1e6)  # the last frame is shown as long as before


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_is_not_touched(suffix: str, tmp_path: Path) -> None:
    source = make_film(tmp_path / f"a{suffix}", ramp(12), audio=True)
    copy(source, tmp_path / f"b{suffix}")
    before, after = packets_of(source), packets_of(tmp_path / f"b{suffix}")
    assert len(before["audio"]) > 3
    assert before["audio"] == after["audio"]
    assert [time for time, *_ in sorted(before["video"])] == [time for time, *_ in sorted(after["video"])]


def test_subtitles_are_not_touched(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mkv", ramp(8), audio=True, subtitles=True)
    copy(source, tmp_path / "b.mkv")
    before, after = packets_of(source), packets_of(tmp_path / "b.mkv")
    assert [text for *_, text in before["subtitle"]] == [b"first", b"second"]
    assert before["subtitle"] == after["subtitle"]
    assert before["audio"] == after["audio"]


def corner_marked(rotated: bool = False) -> np.ndarray:
    """32 x 48: red top left, green top right, blue bottom left, white bottom right."""
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :24], picture[:16, 24:] = (255, 0, 0), (0, 255, 0)
    picture[16:, :24], picture[16:, 24:] = (0, 0, 255), (255, 255, 255)
    return picture


@pytest.mark.parametrize(
    ("rotation", "flip", "quarters"),
    [(0, False, 0), (90, False, 1), (180, False, 2), (270, False, 3), (0, True, 0), (90, True, 1)],
)
def test_turned_films_are_painted_upright(rotation: int, flip: bool, quarters: int, tmp_path: Path) -> None:
    source = make_film(
        tmp_path / "a.mp4", [corner_marked()] * 2, rotation=rotation, flip=flip, aspect=Fraction(4, 3)
    )
    with FilmReader(source) as reader:
        film = reader.film
        (frame, *_) = [item for item in reader.items() if isinstance(item, FilmFrame)]
    shown = shown_by_players(source, corner_marked())
    assert frame.pixels.shape == shown.shape == (film.height, film.width, 3)
    assert np.abs(frame.pixels[4:-4:8, 4:-4:8].astype(int) - shown[4:-4:8, 4:-4:8]).max() <= 40  # 4:2:0
    assert film.sample_aspect == (Fraction(3, 4) if quarters % 2 else Fraction(4, 3))
    copy(source, tmp_path / "b.mp4")
    (painted, *_) = decoded(tmp_path / "b.mp4")
    assert painted.rotation == 0
    assert (painted.height, painted.width) == shown.shape[:2]
    with av.open(str(tmp_path / "b.mp4")) as after:
        assert after.streams.video[0].sample_aspect_ratio == film.sample_aspect


def shown_by_players(path: Path, coded: np.ndarray) -> np.ndarray:
    """Move each pixel by the display matrix, as the MP4 standard has it: (x, y) M, then into the quadrant."""
    import struct

    (frame, *_) = decoded(path)
    a, b, c, d = 1, 0, 0, 1
    if "DISPLAYMATRIX" in frame.side_data:
        m = struct.unpack("=9i", bytes(frame.side_data["DISPLAYMATRIX"])[:36])
        a, b, c, d = (round(m[i] / 65536) for i in (0, 1, 3, 4))
    height, width = coded.shape[:2]
    y, x = np.mgrid[:height, :width]
    x_to, y_to = a * x + c * y, b * x + d * y
    x_to, y_to = x_to - x_to.min(), y_to - y_to.min()
    shown = np.zeros((y_to.max() + 1, x_to.max() + 1, 3), np.uint8)
    shown[y_to, x_to] = coded
    return shown


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (2, 3), (32, 33)])
def test_odd_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = 200
    source = make_film(tmp_path / "a.mkv", [picture] * 2, codec="ffv1", options={})
    _, _, writer = copy(source, tmp_path / "b.mp4")
    (painted, *_) = decoded(tmp_path / "b.mp4")
    assert (painted.height, painted.width) == (height + height % 2, width + width % 2)
    assert len(writer.notes) == 1
    seen = painted.to_ndarray(format="rgb24")
    assert np.abs(seen.astype(int) - seen[0, 0]).max() <= 3  # the repeated edge is of the picture's colour


def test_webm(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(6))
    copy(source, tmp_path / "b.webm")
    with av.open(str(tmp_path / "b.webm")) as film:
        assert film.streams.video[0].codec_context.name == "vp9"
    assert len(decoded(tmp_path / "b.webm")) == 6


@pytest.mark.parametrize(("start", "end", "kept"), [(0.25, 0.5, range(6, 12)), (0.3, None, range(8, 20))])
def test_a_part(start: float, end: float | None, kept: Sequence[int], tmp_path: Path) -> None:
    """24 frames a second. The times begin at 0 anew, sound is cut alike and stays in step."""
    source = make_film(tmp_path / "a.mp4", ramp(20), audio=True, options={"qp": "1", "g": "5"})
    brightness, _, _ = copy(source, tmp_path / "b.mp4", start_s=start, end_s=end)  # type: ignore[arg-type]
    np.testing.assert_allclose(brightness, [40 + 10 * i for i in kept], rtol=0, atol=2)
    begin = Fraction(start).limit_denominator(1000)
    tick = Fraction(1, 600)  # the film's time base, in which its beginning is rounded
    for time, i in zip(times_of(tmp_path / "b.mp4"), kept, strict=True):
        assert abs(time - (Fraction(i, 24) - begin)) < tick
    sound = [time for time, *_ in packets_of(tmp_path / "b.mp4")["audio"]]
    whole = {data: time for time, _, data in packets_of(source)["audio"]}
    for time, _, data in packets_of(tmp_path / "b.mp4")["audio"]:
        assert abs(whole[data] - begin - time) <= Fraction(1, 8000)
    assert min(sound) < 0.2


@pytest.mark.parametrize("part", [{"start_s": 5.0}, {"start_s": 0.5, "end_s": 0.2}, {"start_s": -1.0}])
def test_a_part_that_is_not_there(part: dict[str, float], tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(20))
    with pytest.raises(InputError):
        FilmReader(source, **part)  # type: ignore[arg-type]


def test_a_corrupt_packet(tmp_path: Path) -> None:
    """What is behind it is read on; what is broken is reported."""
    source = make_film(tmp_path / "a.mp4", ramp(20), options={"qp": "1", "g": "1", "bf": "0"}, audio=True)
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as film:
        packets = [packet for packet in film.demux(video=0) if packet.size]
        at, size = packets[7].pos, packets[7].size
    data[at + 4 : at + size] = bytes(size - 4)
    source.write_bytes(data)
    brightness, damage, _ = copy(source, tmp_path / "b.mp4")
    assert damage
    assert not damage[0].final
    assert abs(damage[0].time_s - 7 / 24) < 0.1
    np.testing.assert_allclose(brightness[-5:], [40 + 10 * i for i in range(15, 20)], rtol=0, atol=2)
    assert packets_of(source)["audio"] == packets_of(tmp_path / "b.mp4")["audio"]
    assert len(decoded(tmp_path / "b.mp4")) == len(brightness) >= 18


def test_a_film_cut_short(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(24)]
    source = make_film(tmp_path / "a.mkv", pictures, options={"qp": "10", "g": "4"})
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    brightness, _, _ = copy(source, tmp_path / "b.mkv")
    assert 8 <= len(decoded(tmp_path / "b.mkv")) == len(brightness) < 24


def test_no_film(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name, words in (
        ("text.mp4", "got something else"),
        ("empty.mp4", "empty file"),
        ("none.mp4", "no such file"),
        ("", "folder"),
    ):
        with pytest.raises(PictureError, match=words) as caught:
            FilmReader(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(PictureError, match="without moving pictures"):
        FilmReader(path)


@pytest.mark.parametrize("keep", [False, True])
def test_where_it_was_taken_is_left_out(keep: bool, tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mov", ramp(3), metadata={"title": "Lake", "location": "+46.5+008.0/"})
    with FilmReader(source) as reader, (tmp_path / "b.mov").open("w+b") as file:
        assert "location" in reader.container.metadata
        writer = FilmWriter(
            file, film_format_of("b.mov"), reader, WritingOptions(speed="ultrafast", keep_gps=keep)
        )
        for item in reader.items():
            writer.write_frame(item, item.pixels)
        writer.close()
    with av.open(str(tmp_path / "b.mov")) as film:
        assert film.metadata["title"] == "Lake"
        assert ("location" in film.metadata) == keep


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"films needs av: pip install 'stylenorm\[video\]'"):
        FilmReader(tmp_path / "a.mp4")


def test_suffixes() -> None:
    assert is_film("a.MP4")
    assert is_film("b.avi")
    assert not is_film("a.gif")
    assert film_format_of("x.m4v").name == "MP4"
    with pytest.raises(OutputError, match=r"\.avi; give one of \.mp4"):
        film_format_of("x.avi")
