"""``stylenorm stylize`` on films and animations, and ``stylenorm live``; by the fake engine."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from stylenorm.cli import live as live_command
from stylenorm.cli.films import _seconds, add_film_arguments
from stylenorm.films import PRESETS, STEADY
from stylenorm.zoo import NetworkFolder
from tests.cli.conftest import Run
from tests.media.tiny_films import decoded, make_film
from tests.requirements_met import need

av = need("av")
need("cv2")
PLAIN = ("--style", "scream", "--smooth", "0")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    pictures = [np.full((32, 48, 3), 40 + 8 * i, np.uint8) for i in range(12)]
    return make_film(tmp_path / "film.mp4", pictures, audio=True)


def means(path: Path) -> list[float]:
    return [float(frame.to_ndarray(format="rgb24").mean()) for frame in decoded(path)]


def test_a_film(stylize: Run, film: Path, tmp_path: Path) -> None:
    done = stylize(film, *PLAIN, "-o", tmp_path / "out.mp4")
    assert (done.code, done.out, done.err) == (0, b"", "")
    np.testing.assert_allclose(means(tmp_path / "out.mp4"), [215 - 8 * i for i in range(12)], atol=3)


def test_where_time_goes(stylize: Run, film: Path, tmp_path: Path) -> None:
    done = stylize(film, *PLAIN, "--timing", "-o", tmp_path / "out.mp4")
    stages = {line.split()[1]: line for line in done.lines[1:-1]}
    assert done.code == 0
    assert {"load", "read", "look", "paint", "write", "wait"} <= set(stages)
    assert stages["paint"].split()[4] == "12", "a painting a frame"
    assert "at the same time: reading " in done.lines[-1]
    assert done.lines[-1].endswith(" is the bottleneck")
    assert stylize(film, *PLAIN, "--timing", "--quiet", "-o", tmp_path / "quiet.mp4").err == ""


def test_beside_the_film_and_part_of_it(stylize: Run, film: Path) -> None:
    done = stylize(film, *PLAIN, "--from", "0.25", "--to", "0:00.4")
    assert (done.code, done.err) == (0, "")
    painted = film.with_name("film.scream.mp4")
    np.testing.assert_allclose(means(painted), [215 - 8 * i for i in range(6, 10)], atol=3)


def test_preview(stylize: Run, tmp_path: Path) -> None:
    long = make_film(
        tmp_path / "long.mp4", [np.zeros((48, 1000, 3), np.uint8)] * 6, times=range(0, 3600, 600)
    )
    assert stylize(long, *PLAIN, "--preview", "-o", tmp_path / "out.mkv").code == 0
    frames = decoded(tmp_path / "out.mkv")
    assert (len(frames), frames[0].width) == (3, 640)


def test_films_beside_photos(stylize: Run, film: Path, photo: Path, tmp_path: Path) -> None:
    old = film.rename(film.with_suffix(".avi"))  # FFmpeg looks at what is in it
    done = stylize(old, photo, *PLAIN, "-o", f"{tmp_path}/out/")
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["film.mkv", "photo.jpg"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("film.mp4", "-o", "out.png"), "is a film, which is written to a file of the kinds .mp4"),
        (("film.mp4", "-o", "-"), "is a film"),
        (("photo.jpg", "-o", "out.mp4"), "is a picture, which does not become a film"),
        (("film.mp4", "--format", "png"), "is a film"),
        (("film.mp4", "--from", "9", "-o", "o.mp4"), "behind its end"),
        (("film.mp4", "--from", "x"), "expected seconds, 1:30 or 1:02:03.5"),
        (("film.mp4", "--smooth", "2"), "expected a number from 0 (off) to 0.9"),
    ],
)
def test_what_cannot_be(
    words: tuple[str, ...],
    reason: str,
    stylize: Run,
    film: Path,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(film.parent)
    done = stylize(*words, "--style", "scream")
    assert done.code != 0
    assert reason in done.lines[-1]
    assert sorted(path.name for path in film.parent.iterdir()) == ["film.mp4", "photo.jpg"]


def test_a_corrupt_packet(stylize: Run, tmp_path: Path) -> None:
    pictures = [np.full((32, 48, 3), 40 + 8 * i, np.uint8) for i in range(12)]
    film = make_film(tmp_path / "film.mp4", pictures, options={"qp": "1", "g": "1", "bf": "0"})
    data = bytearray(film.read_bytes())
    with av.open(str(film)) as opened:
        packet = [packet for packet in opened.demux(video=0) if packet.size][7]
        data[packet.pos + 4 : packet.pos + packet.size] = bytes(packet.size - 4)
    film.write_bytes(data)
    done = stylize(film, *PLAIN, "-o", tmp_path / "out.mp4")
    assert (done.code, len(done.lines)) == (1, 1)
    assert "a broken packet, the first at 0:00:00.3" in done.err
    assert "out.mp4 has what could be painted, 11 frames" in done.err
    assert len(decoded(tmp_path / "out.mp4")) == 11


def test_ctrl_c(stylize: Run, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stylenorm.engines import FakeEngine

    paint, count = FakeEngine._paint, []

    def interrupting(self: FakeEngine, *photo: np.ndarray) -> np.ndarray:
        count.append(1)
        if len(count) == 6:
            raise KeyboardInterrupt
        return paint(self, *photo)

    monkeypatch.setattr(FakeEngine, "_paint", interrupting)
    done = stylize(film, *PLAIN, "-o", tmp_path / "out.mp4")
    assert done.code == 130
    assert "out.partial.mp4: playable, with what was painted so far (0:00:00.2)" in done.err
    assert len(decoded(tmp_path / "out.partial.mp4")) == 5
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("12.5", 12.5), ("1:30", 90), ("1:02:03.5", 3723.5)])
def test_times(text: str, seconds: float) -> None:
    assert _seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:2:3:4", "nan", "inf", "a:b"])
def test_no_times(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected seconds"):
        _seconds(text)


def test_the_arguments_list_what_there_is() -> None:
    parser = argparse.ArgumentParser()
    add_film_arguments(parser)
    choices = {action.dest: action.choices for action in parser._actions if action.choices}
    assert (tuple(choices["steady"]), tuple(choices["preset"])) == (STEADY, tuple(PRESETS))


def test_live(run: Run, film: Path, network: NetworkFolder) -> None:
    fixed = ("--network", network.path, "--engine", "fake")
    done = run("live", *PLAIN, "--source", film, "--port", "0", *fixed)
    assert done.code == 0
    assert "http://127.0.0.1:" in done.lines[0]
    assert "frames" in done.lines[-1]
    timed = run("live", *PLAIN, "--source", film, "--port", "0", "--timing", *fixed)
    assert {"paint", "show"} <= {line.split()[1] for line in timed.lines[1:-2]}


def test_live_without_a_camera(run: Run, network: NetworkFolder) -> None:
    done = run("live", "--style", "scream", "--source", "87", "--network", network.path, "--engine", "fake")
    assert (done.code, len(done.lines)) == (2, 1)
    assert "camera 87: cannot be opened" in done.err


def test_the_arguments_of_live_are_the_fields_of_its_options() -> None:
    parser = argparse.ArgumentParser()
    live_command.add_arguments(parser)
    dests = {action.dest for action in parser._actions} - {"help"}
    assert dests == {field.name for field in fields(live_command.LiveOptions)}
