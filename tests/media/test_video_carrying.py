"""Sound, subtitles, languages, places and shapes from container to container. PyAV is the oracle."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stylenorm.media.video.formats import film_format_of
from stylenorm.media.video.reading import FilmReader
from stylenorm.media.video.writing import FilmWriter, WritingOptions
from tests.media.test_video import copy, ramp
from tests.media.tiny_films import decoded, make_film, packets_of
from tests.requirements_met import need

av = need("av")


def film_with_sound(path: Path, codec: str, *, rate: int = 22050, layout: str = "stereo") -> Path:
    """Ten frames, and half a second of a tone of 440 Hz."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        sound = out.add_stream(codec, rate=rate, layout=layout)
        sound.bit_rate = 64_000
        for i, picture in enumerate(ramp(10)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 20)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        tone = (12000 * np.sin(2 * np.pi * 440 / rate * np.arange(rate // 2))).astype(np.int16)
        channels = 1 if layout == "mono" else 2
        frame = av.AudioFrame.from_ndarray(tone.repeat(channels)[None], format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path


def heard(path: Path) -> tuple[float, float]:
    """Seconds of sound, and its strongest frequency."""
    with av.open(str(path)) as film:
        rate = film.streams.audio[0].sample_rate
        resampler = av.AudioResampler("flt", "mono", rate)
        parts = [r.to_ndarray()[0] for f in film.decode(audio=0) for r in resampler.resample(f)]
    wave = np.concatenate(parts)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return len(wave) / rate, float(np.argmax(spectrum)) * rate / len(wave)


@pytest.mark.parametrize(
    ("source", "codec", "target"),
    [
        ("a.wmv", "wmav2", "b.mkv"),
        ("a.avi", "adpcm_ms", "b.mp4"),
        ("a.avi", "pcm_s16le", "b.webm"),
        ("a.mov", "pcm_alaw", "b.mp4"),
        ("a.mov", "pcm_s16be", "b.mkv"),
        ("a.mkv", "flac", "b.webm"),
    ],
)
def test_sound_that_the_container_cannot_hold_is_encoded_anew(
    source: str, codec: str, target: str, tmp_path: Path
) -> None:
    film_with_sound(tmp_path / source, codec)
    _, _, writer = copy(tmp_path / source, tmp_path / target)
    assert not writer.losses
    seconds, frequency = heard(tmp_path / target)
    assert 0.45 < seconds < 0.65
    assert abs(frequency - 440) < 5
    copied = {p[-1] for p in packets_of(tmp_path / source)["audio"]} == {
        p[-1] for p in packets_of(tmp_path / target)["audio"]
    }
    assert copied or any("its sound" in note and "becomes" in note for note in writer.notes)


@pytest.mark.parametrize(("source", "target"), [("a.mkv", "b.mp4"), ("a.mkv", "b.webm"), ("c.mp4", "d.mkv")])
def test_subtitles_take_the_containers_form(source: str, target: str, tmp_path: Path) -> None:
    made = make_film(tmp_path / "a.mkv", ramp(8), subtitles=True)
    if source == "c.mp4":
        copy(made, tmp_path / source)
    _, _, writer = copy(tmp_path / source, tmp_path / target)
    found = [packet for packet in packets_of(tmp_path / target)["subtitle"] if len(packet[-1]) > 2]
    assert [data[-6:].strip(b"\x00\x05\x06") for *_, data in found] == [b"first", b"second"]
    assert [float(time) for time, *_ in found] == [0.0, 0.1]
    assert any("subtitles" in note for note in writer.notes)


def test_language_and_title_of_every_track(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.metadata.update({"language": "fra", "title": "the picture"})
        sound = out.add_stream("aac", rate=8000, layout="mono")
        sound.metadata.update({"language": "deu"})
        out.mux(stream.encode(av.VideoFrame(48, 32, "yuv420p")))
        out.mux(stream.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    copy(source, tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as film:
        assert film.streams.video[0].metadata["language"] == "fra"
        assert film.streams.video[0].metadata["title"] == "the picture"
        assert film.streams.audio[0].metadata["language"] == "deu"
    copy(source, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert [s.metadata["language"] for s in film.streams] == ["fra", "deu"]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_the_place_of_a_telephones_film(keep: bool, suffix: str, tmp_path: Path) -> None:
    """It is under QuickTime's own keys."""
    key, place = "com.apple.quicktime.location.ISO6709", "+46.5+008.0/"
    source = tmp_path / "a.mov"
    with av.open(str(source), "w", options={"movflags": "use_metadata_tags"}) as out:
        out.metadata.update({key: place, "title": "Lake"})
        stream = out.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        out.mux(stream.encode(av.VideoFrame(48, 32, "yuv420p")))
        out.mux(stream.encode(None))
    target = tmp_path / f"b{suffix}"
    with FilmReader(source) as reader, target.open("w+b") as file:
        writer = FilmWriter(file, film_format_of(target), reader, WritingOptions(keep_gps=keep))
        for item in reader.items():
            writer.write_frame(item, item.pixels)
        writer.close()
    with av.open(str(target)) as film:
        assert (place in film.metadata.values()) == keep
        assert film.metadata["title"] == "Lake"


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(57, 40), (68, 32)), (Fraction(2, 3), (48, 48))])
def test_webm_gets_square_pixels(aspect: Fraction, size: tuple[int, int], tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mkv", ramp(2), aspect=aspect)
    with FilmReader(source, square_pixels=True) as reader, (tmp_path / "b.webm").open("w+b") as file:
        assert any("not square" in note for note in reader.film.notes)
        writer = FilmWriter(file, film_format_of("b.webm"), reader)
        for item in reader.items():
            writer.write_frame(item, item.pixels)
        writer.close()
    (frame, *_) = decoded(tmp_path / "b.webm")
    assert (frame.width, frame.height) == size


@pytest.mark.parametrize(("codec", "pixels"), [("qtrle", "argb"), ("prores_ks", "yuva444p10le")])
def test_transparency_is_noted(codec: str, pixels: str, tmp_path: Path) -> None:
    source = tmp_path / "a.mov"
    with av.open(str(source), "w") as out:
        stream = out.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixels
        out.mux(stream.encode(av.VideoFrame(48, 32, pixels)))
        out.mux(stream.encode(None))
    with FilmReader(source) as reader:
        assert any("transparency" in note for note in reader.film.notes)
    with FilmReader(make_film(tmp_path / "b.mp4", ramp(2))) as reader:
        assert reader.film.notes == ()
