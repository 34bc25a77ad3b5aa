"""The page in a real browser: served by this machine, and as files on a plain web host."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylenorm import Stylizer
from stylenorm.films import preset_named
from stylenorm.studio import Studio, export_site
from tests.requirements_met import need
from tests.tolerances import assert_close

need("starlette")
playwright = need("playwright.sync_api", "playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed: apt install chromium", allow_module_level=True)

TIMEOUT_S = 90.0
NUM_STYLES = 24
SET = """([field, value]) => {
    field = document.querySelector(field);
    field.value = value;
    for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
}"""
DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type: "image/png" }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    as_root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=as_root)
        yield chromium
        chromium.close()


class Visit:
    """A page, what its console said, and what it asked for."""

    def __init__(self, browser: Any, url: str) -> None:
        self.context = browser.new_context(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)
        self.wait("document.body.dataset.ready !== undefined && crossOriginIsolated")

    def wait(self, condition: str) -> None:
        """Poll: the page's policy lets nobody put a waiting function into it."""
        until = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until:
            try:
                if self.page.evaluate(condition):
                    return
            except playwright.Error as error:
                if "context was destroyed" not in str(error):  # it reloads itself once, on a plain web host
                    raise
            time.sleep(0.02)
        pytest.fail(f"{condition} did not come true; the console said {self.said}")

    def wall(self, photo: Path) -> None:
        content = base64.b64encode(photo.read_bytes()).decode()
        self.page.evaluate(DROP, [photo.name, content])
        self.wait(f"document.querySelectorAll('.tile[data-done]').length === {NUM_STYLES}")

    def large(self, style: str) -> None:
        self.page.click(f".tile[data-key={style}]")
        self.settled()

    def settled(self) -> None:
        self.wait(
            "document.querySelector('#stage').getAttribute('aria-busy') === 'false'"
            " && document.querySelector('#frame').dataset.painted === '1280'"
        )

    def painting(self) -> np.ndarray:
        code = "document.querySelector('#painting').toDataURL('image/png').split(',')[1]"
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(self.page.evaluate(code)))).convert("RGB"))

    def saved(self, folder: Path) -> tuple[str, np.ndarray]:
        with self.page.expect_download(timeout=TIMEOUT_S * 1000) as download:
            self.page.click("#save")
        download.value.save_as(folder / "saved")
        return download.value.suggested_filename, np.asarray(Image.open(folder / "saved").convert("RGB"))

    def is_clean(self, origin: str) -> None:
        assert self.said == []
        assert {url for url in self.asked if not url.startswith((origin, "blob:"))} == set()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    y, x = np.mgrid[:150, :220]
    noise = np.random.default_rng(0).integers(0, 40, (150, 220, 3))
    waves = np.stack([120 + 80 * np.sin(x / 17), 110 + 60 * np.cos(y / 11), (x + y) / 3], axis=2)
    Image.fromarray((waves + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_painted_by_this_machine(browser: Any, photo: Path, tmp_path: Path) -> None:
    with Studio(engine="openvino") as studio:
        visit = Visit(browser, studio.url)
        page = visit.page
        assert "token" not in page.url
        visit.wall(photo)
        visit.large("great-wave")
        whole = visit.painting()
        page.evaluate(SET, ["#strength", "30"])
        visit.wait("document.querySelector('#strength-shown').textContent === '30 %'")
        visit.settled()
        source = np.asarray(Image.open(photo)).astype(float)
        assert np.abs(visit.painting() - source).mean() < 0.6 * np.abs(whole - source).mean()
        page.keyboard.press("Control+z")
        visit.settled()
        np.testing.assert_array_equal(visit.painting(), whole)

        page.click("#add-part")
        page.select_option("#parts li:nth-child(2) select", "scream")
        page.evaluate(SET, ["#parts li:nth-child(1) input", "60"])
        page.evaluate(SET, ["#parts li:nth-child(2) input", "40"])
        page.evaluate(SET, ["#strength", "80"])
        page.check("#keep-colors")
        page.evaluate(SET, ["#strokes", "1.5"])
        name, painted = visit.saved(tmp_path)
        assert name == "photo.great-wave-0.6+scream-0.4.png"
        expected = Stylizer("great-wave:0.6,scream:0.4")(
            np.asarray(Image.open(photo)), strength=0.8, keep_colors=True, stroke_size=1.5
        )
        assert_close(painted, expected)
        visit.is_clean(studio.url.partition("#")[0])
        visit.context.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain web host, which knows nothing of the headers for threads."""

    extensions_map = {  # noqa: RUF012 (the standard library's own)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: object) -> None: ...


def test_painted_by_the_browser_online_and_offline(browser: Any, photo: Path, tmp_path: Path) -> None:
    export_site(tmp_path / "site")
    host = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / "site")
    )
    threading.Thread(target=host.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{host.server_port}/"
    try:
        visit = Visit(browser, url)
        visit.wall(photo)
        visit.large("scream")
        name, painted = visit.saved(tmp_path)
        assert name == "photo.scream.png"
        live = preset_named("live").open_network()
        assert_close(painted, Stylizer("scream", network=live)(np.asarray(Image.open(photo))))
        with visit.page.expect_download(timeout=TIMEOUT_S * 1000) as download:
            visit.page.set_input_files("#many-photos", [photo, photo])
        download.value.save_as(tmp_path / "many.zip")
        with zipfile.ZipFile(tmp_path / "many.zip") as many:
            assert many.namelist() == ["photo.scream.png", "photo.scream-2.png"]
            assert_close(np.asarray(Image.open(many.open("photo.scream.png")).convert("RGB")), painted)
    finally:
        host.shutdown()
        host.server_close()
    visit.context.set_offline(True)
    visit.page.reload()
    visit.wait("document.body.dataset.ready !== undefined && crossOriginIsolated")
    visit.wall(photo)
    visit.is_clean(url)
    visit.context.close()


def test_a_file_that_is_no_picture(browser: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing more")
    with Studio(engine="fake") as studio:
        visit = Visit(browser, studio.url)
        visit.page.set_input_files("#photo-file", broken)
        visit.wait("!document.querySelector('#notice').hidden")
        assert visit.page.inner_text("#notice-text").startswith(
            "broken.jpg is no picture that can be read here"
        )
        assert visit.page.get_attribute("body", "data-view") == "start"
        visit.is_clean(studio.url.partition("#")[0])
        visit.context.close()
