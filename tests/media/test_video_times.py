"""Times that a film says wrongly, or not at all: no frame and no sound is lost for them."""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stylenorm.errors import PictureError
from stylenorm.media.video.film import FilmFrame
from stylenorm.media.video.formats import is_film
from stylenorm.media.video.reading import Damage, FilmReader
from tests.media.test_video import copy, ramp, times_of
from tests.media.tiny_films import decoded, make_film, packets_of
from tests.requirements_met import need

av = need("av")


def shades(path: Path) -> list[int]:
    """Which of `ramp`'s pictures each frame is."""
    return [round((float(f.to_ndarray(format="rgb24").mean()) - 40) / 10) for f in decoded(path)]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("audio", [True, False])
def test_joined_files_go_on(suffix: str, audio: bool, tmp_path: Path) -> None:
    """The clock of the second begins anew; both are kept, in step."""
    part = make_film(tmp_path / "a.ts", ramp(20), audio=audio, options={"qp": "4", "g": "10"})
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    brightness, damage, _ = copy(joined, tmp_path / f"b{suffix}")
    assert damage == []
    assert shades(tmp_path / f"b{suffix}") == [*range(20)] * 2
    np.testing.assert_allclose(brightness, [40 + 10 * i for i in range(20)] * 2, atol=2)
    gaps = np.diff([float(time) for time in times_of(tmp_path / f"b{suffix}")])
    assert gaps.min() > 0.02
    assert gaps.max() < 0.3
    if audio:
        before, after = packets_of(part)["audio"], packets_of(tmp_path / f"b{suffix}")["audio"]
        assert len(after) == 2 * len(before)
        assert max(np.diff([float(time) for time, *_ in after])) < 0.4


def test_a_part_of_joined_files(tmp_path: Path) -> None:
    part = make_film(tmp_path / "a.ts", ramp(20), options={"qp": "4", "g": "5"})
    (tmp_path / "joined.ts").write_bytes(part.read_bytes() * 2)
    copy(tmp_path / "joined.ts", tmp_path / "b.mkv", start_s=1.0)
    assert shades(tmp_path / "b.mkv") == [*range(20 - len(decoded(tmp_path / "b.mkv")), 20)]
    assert 14 <= len(decoded(tmp_path / "b.mkv")) <= 18


def test_guessed_times_of_avi(tmp_path: Path) -> None:
    """AVI has no times of showing, and H.264 decodes in another order."""
    source = tmp_path / "a.avi"
    options = {"qp": "4", "bf": "3", "b-adapt": "0"}
    make_film(source, ramp(20), time_base=Fraction(1, 25), times=range(20), rate=25, options=options)
    _, damage, _ = copy(source, tmp_path / "b.mp4")
    assert damage == []
    assert shades(tmp_path / "b.mp4") == [*range(20)]
    assert set(np.diff(times_of(tmp_path / "b.mp4"))) == {Fraction(1, 25)}


@pytest.mark.parametrize("rate", [2000, 5000])
def test_equal_stamps(rate: int, tmp_path: Path) -> None:
    """MKV counts milliseconds, so two or five frames have one time."""
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for i, picture in enumerate(ramp(20)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert len({time for time, *_ in packets_of(source)["video"]}) < 20
    _, damage, _ = copy(source, tmp_path / "b.mp4")
    assert damage == []
    assert shades(tmp_path / "b.mp4") == [*range(20)]
    times = times_of(tmp_path / "b.mp4")
    assert all(a < b for a, b in itertools.pairwise(times))
    assert abs(times[-1] - times[0] - Fraction(19, rate)) < Fraction(2, 1000)


def test_bare_streams_have_no_times(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.h264", ramp(12), options={"qp": "4"})
    copy(source, tmp_path / "b.mp4")
    assert shades(tmp_path / "b.mp4") == [*range(12)]


def test_equal_times_of_sound(tmp_path: Path) -> None:
    """A packet that has the time of the one before is written all the same."""
    source = make_film(tmp_path / "a.mkv", ramp(12), audio=True)
    copy_with_twins = tmp_path / "twins.mkv"
    with av.open(str(source)) as film, av.open(str(copy_with_twins), "w") as out:
        targets = {s.index: out.add_stream_from_template(s) for s in film.streams}
        last = None
        for packet in film.demux():
            if not packet.size:
                continue
            if packet.stream.type == "audio":
                if last is not None and packet.pts > 200:
                    packet.pts = packet.dts = last
                last = packet.pts if packet.pts < 300 else None
            packet.stream = targets[packet.stream.index]
            out.mux(packet)
    before = packets_of(copy_with_twins)["audio"]
    assert len({time for time, *_ in before}) < len(before)
    _, _, writer = copy(copy_with_twins, tmp_path / "b.mp4")
    after = packets_of(tmp_path / "b.mp4")["audio"]
    assert sorted(data for *_, data in after) == sorted(data for *_, data in before)
    assert not writer.losses


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".mkv", ".mp4"])
@pytest.mark.parametrize("gop", [10, 250])
def test_a_part_begins_at_its_first_frame(suffix: str, gop: int, tmp_path: Path) -> None:
    """However few frames can be decoded by themselves, and wherever seeking lands."""
    codec = "mpeg2video" if suffix == ".mpg" else "libx264"
    options = {"g": str(gop), **({"qp": "4"} if codec == "libx264" else {"qmax": "3"})}
    source = tmp_path / f"a{suffix}"
    pictures = [np.full((48, 64, 3), 40 + 3 * i, np.uint8) for i in range(60)]
    make_film(
        source, pictures, codec=codec, options=options, times=range(60), time_base=Fraction(1, 25), rate=25
    )
    for start in (0.6, 1.4, 2.0):
        with FilmReader(source, start_s=start) as reader:
            frames = [item for item in reader.items() if isinstance(item, FilmFrame)]
        assert len(frames) == 60 - round(start * 25)
        assert abs(frames[0].time_s - start) < 0.021
        assert abs(float(frames[0].pixels.mean()) - (40 + 3 * round(start * 25))) < 2


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi"])
def test_a_film_cut_in_half_is_noticed(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(40)]
    whole = make_film(tmp_path / f"a{suffix}", pictures, options={"qp": "20"}, codec="mpeg4")
    data = whole.read_bytes()
    half = tmp_path / f"half{suffix}"
    half.write_bytes(data[: len(data) // 2 // 188 * 188 + 100])
    damages = []
    for path in (whole, half):
        with FilmReader(path) as reader:
            damages.append([item for item in reader.items() if isinstance(item, Damage)])
    assert damages[0] == []
    assert damages[1]
    assert suffix == ".avi" or damages[1][-1].final


def test_only_files_are_opened(tmp_path: Path) -> None:
    """A list of files, named as a film, would open others; a pipe would wait for ever."""
    make_film(tmp_path / "a.mp4", ramp(3))
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    (tmp_path / "list.mkv").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n"
    )
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, words in (
        ("list.mp4", "expected a film"),
        ("list.mkv", "expected a film"),
        ("pipe.mp4", "got a pipe"),
    ):
        with pytest.raises(PictureError, match=words):
            FilmReader(tmp_path / name)


def test_names_that_look_like_addresses_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_film(tmp_path / "a.mp4", ramp(3)).rename(tmp_path / "concat:a.mp4")
    monkeypatch.chdir(tmp_path)
    with FilmReader("concat:a.mp4") as reader:
        assert sum(isinstance(item, FilmFrame) for item in reader.items()) == 3


def test_what_ffmpeg_reads_is_a_film() -> None:
    for suffix in (
        "dv",
        "m2v",
        "f4v",
        "3g2",
        "divx",
        "h264",
        "asf",
        "265",
        "hevc",
        "m2t",
        "mpe",
        "rm",
        "nut",
    ):
        assert is_film(f"a.{suffix}"), suffix
