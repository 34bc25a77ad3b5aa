"""Films painted whole, by the fake engine (negatives) unless said otherwise; PyAV alone is the oracle."""

from __future__ import annotations

import signal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stylenorm import Stylizer
from stylenorm.errors import OutputError, PictureError
from stylenorm.films import FilmInterruptedError, FilmOptions, SteadyOptions, paint_film
from stylenorm.media import WritingOptions
from tests.engines.tiny_network import needs, tiny_network
from tests.media.tiny_films import decoded, make_film, packets_of
from tests.requirements_met import need

av = need("av")
need("cv2")
QUICK = FilmOptions(writing=WritingOptions(speed="ultrafast"))


@pytest.fixture(scope="module")
def fake() -> Stylizer:
    return Stylizer("scream", network=tiny_network(), engine="fake")


def ramp(count: int) -> list[np.ndarray]:
    return [np.full((32, 48, 3), 40 + 8 * i, np.uint8) for i in range(count)]


def means(path: Path) -> list[float]:
    return [float(frame.to_ndarray(format="rgb24").mean()) for frame in decoded(path)]


@pytest.mark.parametrize("steady", ["shot", "running", "off"])
def test_every_frame_once_at_its_time(steady: str, fake: Stylizer, tmp_path: Path) -> None:
    times = [0, 25, 30, 90, 91, 200, 225, 250]
    source = make_film(tmp_path / "a.mp4", ramp(8), times=times, audio=True)
    steps: list[int] = []
    options = FilmOptions(steady=SteadyOptions(steady, smooth=0), writing=QUICK.writing)
    report = paint_film(
        source, tmp_path / "b.mp4", fake, options, on_start=steps.append, on_frame=lambda: steps.append(0)
    )
    assert (report.num_frames, report.damages, steps) == (8, (), [8] + [0] * 8)
    np.testing.assert_allclose(means(tmp_path / "b.mp4"), [215 - 8 * i for i in range(8)], atol=3)
    assert [frame.pts * frame.time_base for frame in decoded(tmp_path / "b.mp4")] == [
        Fraction(time, 600) for time in times
    ]
    assert packets_of(source)["audio"] == packets_of(tmp_path / "b.mp4")["audio"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_smaller(fake: Stylizer, tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(3))
    options = FilmOptions(max_side_px=24, writing=QUICK.writing)
    paint_film(source, tmp_path / "b.mp4", fake, options)
    (frame, *_) = decoded(tmp_path / "b.mp4")
    assert (frame.width, frame.height) == (24, 16)


def test_a_format_overrules_the_suffix(fake: Stylizer, tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(3))
    paint_film(source, tmp_path / "b.mp4", fake, FilmOptions(format="mkv", writing=QUICK.writing))
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert "matroska" in film.format.name


def test_nothing_is_overwritten(fake: Stylizer, tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(3))
    (tmp_path / "b.mp4").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        paint_film(source, tmp_path / "b.mp4", fake, QUICK)
    assert (tmp_path / "b.mp4").read_bytes() == b"mine"


def test_ctrl_c_keeps_what_was_painted(fake: Stylizer, tmp_path: Path) -> None:
    """A real signal, at the fifth frame; the second time the name of the first part is taken."""
    source = make_film(tmp_path / "a.mp4", ramp(20), audio=True)
    for name in ("b.partial.mp4", "b.partial-2.mp4"):
        count: list[int] = []

        def interrupt(count: list[int] = count) -> None:
            count.append(1)
            if len(count) == 5:
                signal.raise_signal(signal.SIGINT)

        with pytest.raises(FilmInterruptedError) as caught:
            paint_film(source, tmp_path / "b.mp4", fake, QUICK, on_frame=interrupt)
        assert caught.value.report.path == tmp_path / name
        assert len(decoded(tmp_path / name)) == caught.value.report.num_frames == 5
        assert not (tmp_path / "b.mp4").exists()
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_ctrl_c_before_the_first_frame_leaves_nothing(fake: Stylizer, tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(4))
    with pytest.raises(KeyboardInterrupt) as caught:
        paint_film(
            source, tmp_path / "b.mp4", fake, QUICK, on_start=lambda _: signal.raise_signal(signal.SIGINT)
        )
    assert not isinstance(caught.value, FilmInterruptedError)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_errors_while_painting_leave_nothing(fake: Stylizer, tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(6))

    def fail() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        paint_film(source, tmp_path / "b.mp4", fake, QUICK, on_frame=fail)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_damage_is_reported_and_the_rest_painted(fake: Stylizer, tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(20), options={"qp": "1", "g": "1", "bf": "0"})
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as film:
        packet = [packet for packet in film.demux(video=0) if packet.size][7]
        data[packet.pos + 4 : packet.pos + packet.size] = bytes(packet.size - 4)
    source.write_bytes(data)
    report = paint_film(source, tmp_path / "b.mp4", fake, QUICK)
    assert len(report.damages) == 1
    assert len(decoded(tmp_path / "b.mp4")) == report.num_frames == 19


def test_a_part_without_frames(fake: Stylizer, tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", ramp(3), times=[0, 300, 600])
    with pytest.raises(PictureError, match="expected frames to paint, found none"):
        paint_film(
            source, tmp_path / "b.mp4", fake, FilmOptions(start_s=0.1, end_s=0.4, writing=QUICK.writing)
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_real_network_does_not_flicker(tmp_path: Path) -> None:
    """A still scene into which white comes from the right: its left quarter must stand still."""
    needs("openvino")
    scene = np.random.default_rng(0).integers(40, 160, (4, 8, 3), dtype=np.uint8)
    scene = np.repeat(np.repeat(scene, 8, axis=0), 8, axis=1)
    frames = []
    for i in range(6):
        frame = scene.copy()
        frame[:, 64 - 5 * i :] = 250
        frames.append(frame)
    source = make_film(tmp_path / "a.mp4", frames)
    stylizer = Stylizer("scream", network=tiny_network(), threads=1)
    changes = {}
    for steady in ("shot", "off"):
        target = tmp_path / f"{steady}.mp4"
        paint_film(source, target, stylizer, FilmOptions(steady=SteadyOptions(steady, smooth=0)))
        left = np.stack([f.to_ndarray(format="rgb24")[:, :16].astype(float) for f in decoded(target)])
        changes[steady] = float(np.abs(np.diff(left, axis=0)).mean())
    assert changes["shot"] < 0.4 * changes["off"]  # what is left is the encoder's
