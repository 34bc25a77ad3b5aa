"""Live pictures: sources, the newest frame, the page. A film file stands for the camera."""

from __future__ import annotations

import http.client
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm import Stylizer
from stylenorm.errors import InputError, OutputError, PictureError, UnknownNameError
from stylenorm.films import PRESETS, FilmSource, Painter, SteadyOptions, open_source, paint_live, preset_named
from stylenorm.films.page import LivePage
from stylenorm.films.sources import LatestFrame
from tests.engines.tiny_network import tiny_network
from tests.media.tiny_films import make_film
from tests.requirements_met import need

need("av")
need("cv2")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_film(tmp_path / "a.mp4", [np.full((32, 48, 3), 40 + 8 * i, np.uint8) for i in range(12)])


@pytest.fixture
def painter() -> Painter:
    return Painter(Stylizer("scream", network=tiny_network(), engine="fake"), SteadyOptions(smooth=0))


def test_a_film_is_shown(film: Path, painter: Painter) -> None:
    shown: list[float] = []
    source = FilmSource(film)
    report = paint_live(source, painter, lambda pixels: shown.append(float(pixels.mean())) is None)
    assert report.num_frames == len(shown)
    assert report.num_frames + report.num_dropped == 12
    np.testing.assert_allclose(shown[-1], 255 - (40 + 8 * 11), atol=3)  # the newest is never dropped
    assert shown == sorted(shown, reverse=True)
    assert report.frames_a_second > 0


def test_a_film_plays_at_its_own_pace(film: Path) -> None:
    started = time.monotonic()
    assert len(list(FilmSource(film).frames())) == 12
    assert time.monotonic() - started >= 11 / 24 - 0.02


def test_the_viewer_ends_it(film: Path, painter: Painter) -> None:
    report = paint_live(FilmSource(film), painter, lambda _: False, in_thread=False)
    assert report.num_frames == 1
    report = paint_live(FilmSource(film), painter, lambda _: True, max_frames=2)
    assert report.num_frames <= 2
    assert all(thread.name != "newest" for thread in threading.enumerate())


def test_slow_painting_gets_the_newest() -> None:
    go = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        go.wait(5)
        yield from range(1, 10)

    with LatestFrame(source()) as newest:  # type: ignore[arg-type]
        seen = []
        for item in newest:
            seen.append(item)
            go.set()
            time.sleep(0.2)
        assert seen == [0, 9]
        assert newest.num_dropped == 8


def test_errors_of_the_source_are_raised(painter: Painter) -> None:
    def source() -> Iterator[int]:
        yield 0
        raise PictureError("unplugged")

    def read() -> None:
        with LatestFrame(source()) as newest:  # type: ignore[arg-type]
            for _ in newest:
                pass

    with pytest.raises(PictureError, match="unplugged"):
        read()


def test_no_such_camera() -> None:
    with pytest.raises(InputError, match=r"camera 87: cannot be opened"):
        open_source("87")


def get(page: LivePage, path: str, host: str | None = None) -> tuple[int, str, bytes]:
    address = page.url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host or address})
        answer = connection.getresponse()
        kind = answer.headers["Content-Type"]
        return answer.status, kind, answer.read(300) if "multipart" in kind else answer.read()
    finally:
        connection.close()


def test_the_page() -> None:
    green = np.zeros((20, 30, 3), np.uint8)
    green[..., 1] = 200
    with LivePage() as page:
        assert page.url.startswith("http://127.0.0.1:")
        page.show(green)
        assert page.num_encoded == 0  # nobody looks yet
        status, kind, html = get(page, "/")
        assert (status, kind) == (200, "text/html; charset=utf-8")
        assert b"/stream.mjpg" in html
        status, kind, jpeg = get(page, "/frame.jpg")
        assert (status, kind) == (200, "image/jpeg")
        seen = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
        assert np.abs(seen - green).max() < 12
        get(page, "/frame.jpg")
        assert page.num_encoded == 1
        status, kind, stream = get(page, "/stream.mjpg")
        assert status == 200
        assert kind.startswith("multipart/x-mixed-replace; boundary=")
        assert stream.startswith(b"--" + kind.partition("boundary=")[2].encode() + b"\r\n")
        assert b"\xff\xd8" in stream
        assert get(page, "/etc/passwd")[0] == 404
    with pytest.raises(OSError, match="refused"):
        get(page, "/")


def test_the_page_answers_this_machine_alone() -> None:
    with LivePage() as page:
        page.show(np.zeros((4, 4, 3), np.uint8))
        assert get(page, "/", host="evil.example:80")[0] == 403
        port = page.url.rstrip("/").rpartition(":")[2]
        assert get(page, "/", host=f"localhost:{port}")[0] == 200
        assert get(page, "/", host=f"127.0.0.1:{port}")[0] == 200
        assert get(page, "/", host="localhost:1")[0] == 403  # another server's name


def test_a_port_that_is_taken() -> None:
    with LivePage() as page:
        port = int(page.url.rstrip("/").rpartition(":")[2])
        with pytest.raises(OutputError, match="--port"):
            LivePage(port=port)


def test_presets() -> None:
    standard, live = (preset_named(name).open_network() for name in ("standard", "live"))
    assert standard.style_names() == live.style_names()
    assert standard.graph.stat().st_size > 3 * live.graph.stat().st_size
    assert all(preset.summary for preset in PRESETS.values())
    with pytest.raises(UnknownNameError, match="did you mean 'live'"):
        preset_named("life")


def test_an_address_of_version_6() -> None:
    try:
        page = LivePage("::1")
    except OutputError:
        pytest.skip("this machine has no IP version 6")
    with page:
        page.show(np.zeros((4, 6, 3), np.uint8))
        port = int(page.url.rstrip("/").rpartition(":")[2])
        assert page.url == f"http://[::1]:{port}/"
        assert not page.any_host
        for host, status in ((f"[::1]:{port}", 200), ("example.com", 403)):
            connection = http.client.HTTPConnection("::1", port, timeout=10)
            connection.request("GET", "/frame.jpg", headers={"Host": host})
            assert connection.getresponse().status == status
            connection.close()
