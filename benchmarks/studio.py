"""How long do people wait in the studio, painted by this machine and by the browser, and what does it weigh?

    python benchmarks/studio.py

Headless Chromium (Debian's), driven by Playwright. For each way to paint, on a 512-pixel photo: the wall of
all styles, from the drop on, in wall time and in processor time of server and browser together; ten moves of
the strength slider, each to its painting; then a photo of 12 megapixels, saved as JPEG with strokes as on the
screen and with the finest, and the longest time that the page did not answer meanwhile. The page as files is
served by Python's http.server, with the headers that its service worker adds.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import os
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Error, Page, sync_playwright

from measured import summary, write_result
from stylenorm.studio import Studio, export_site, site_files

PHOTO = Path(__file__).parents[1] / "examples" / "photo.jpg"
READY = "document.body.dataset.ready !== undefined && crossOriginIsolated"
SETTLED = "document.querySelector('#frame').dataset.painted === '1280'"
DONE = "document.querySelectorAll('.tile[data-done]').length === 24"
MOVES = """async () => {
    const { dataset } = document.querySelector("#frame"), slider = document.querySelector("#strength");
    const times = [];
    for (let i = 0; i < 10; i++) {
        delete dataset.milliseconds;
        const began = performance.now();
        slider.value = String(95 - 5 * i);
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        while (dataset.milliseconds === undefined) await new Promise((next) => setTimeout(next, 2));
        times.push(performance.now() - began);
        if (dataset.painted === "1280") times.pop(); // the slider came to rest: no move
    }
    return times;
}"""
WATCH = """() => {
    window.longest = 0;
    let last = performance.now();
    const tick = () => {
        window.longest = Math.max(window.longest, performance.now() - last);
        last = performance.now();
        setTimeout(tick, 5);
    };
    tick();
}"""


def main() -> None:
    """Measure and write results/studio.json."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    results: dict[str, Any] = {"weight": weight()}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=as_root)
        results["browser"] = browser.version
        with Image.open(PHOTO) as photo:
            photo.resize((512, 341)).save(Path(folder) / "small.png")
            photo.resize((4000, 3000)).save(Path(folder) / "large.jpg", quality=90)
        export_site(Path(folder) / "site")
        handler = functools.partial(Host, directory=str(Path(folder) / "site"))
        host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=host.serve_forever, daemon=True).start()
        with Studio() as studio:
            for way, url, preset in (
                ("this machine, fine", studio.url, "standard"),
                ("browser, fast", f"http://127.0.0.1:{host.server_port}/", "live"),
                ("browser, fine", f"http://127.0.0.1:{host.server_port}/", "standard"),
            ):
                results[way] = measure(browser, url, preset, Path(folder))
        browser.close()
        host.shutdown()
    write_result("studio", " ".join(__doc__.split("\n\n")[2].split()), results)


class Host(http.server.SimpleHTTPRequestHandler):
    """A web host."""

    extensions_map = {  # noqa: RUF012 (the standard library's own)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def measure(browser: Any, url: str, preset: str, folder: Path) -> dict[str, Any]:
    """One way to paint."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(f"localStorage.setItem('stylenorm-preset', '{preset}')")
    page = context.new_page()
    page.goto(url)
    wait(page, READY)
    page.wait_for_timeout(3000)  # the service worker is at rest then
    began, cpu = time.perf_counter(), cpu_s()
    page.set_input_files("#photo-file", folder / "small.png")
    wait(page, DONE)
    found: dict[str, Any] = {
        "wall_s": round(time.perf_counter() - began, 2),
        "wall_cpu_s": round(cpu_s() - cpu, 2),
    }
    page.click(".tile[data-key=scream]")
    wait(page, SETTLED)
    page.wait_for_timeout(1000)
    if moves := page.evaluate(MOVES):
        found["slider_ms"] = summary(moves, digits=0)
    page.set_input_files("#photo-file", folder / "large.jpg")
    wait(page, "document.querySelector('#command').textContent.includes('large.jpg')")
    wait(page, DONE)
    page.wait_for_timeout(1000)
    page.evaluate(WATCH)
    for strokes in ("as on the screen", "finest"):
        if strokes == "finest":
            page.evaluate(
                "{ const s = document.querySelector('#strokes'); s.value = '1';"
                " s.dispatchEvent(new Event('change', { bubbles: true })); }"
            )
            page.wait_for_timeout(3000)
        page.evaluate("window.longest = 0")
        began = time.perf_counter()
        with page.expect_download(timeout=300_000) as download:
            page.click("#save")
        download.value.path()
        found[f"12 megapixels, {strokes}"] = {
            "seconds": round(time.perf_counter() - began, 1),
            "longest_without_answer_ms": round(page.evaluate("window.longest")),
        }
    context.close()
    return found


def wait(page: Page, condition: str) -> None:
    """Poll: the page's policy lets nobody put a waiting function into it."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        try:
            if page.evaluate(condition):
                return
        except Error as error:
            if "context was destroyed" not in str(error):  # it reloads itself once
                raise
        time.sleep(0.05)
    raise TimeoutError(condition)


def cpu_s() -> float:
    """Processor seconds of this process and of its descendants, from /proc."""
    parents, seconds = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        number = int(stat.parent.name)
        parents[number], seconds[number] = int(fields[1]), (int(fields[11]) + int(fields[12])) / 100
    total = 0.0
    for number, spent in seconds.items():
        above = number
        while above in parents and above != os.getpid():
            above = parents[above]
        total += spent if above == os.getpid() else 0.0
    return total


def weight() -> dict[str, int]:
    """Bytes of a first visit and of what is loaded later, compressed as web hosts do."""
    files = site_files()
    packed = {
        path: len(file.content if file.gzipped else gzip.compress(file.content))
        for path, file in files.items()
    }
    worker = files["sw.js"].content.decode()
    first = {*json.loads(re.search(r"FIRST = .*?(\[.*?\])", worker)[1]), "index.html", "sw.js"}
    return {
        "first visit": sum(size for path, size in packed.items() if path in first),
        "own sources": sum(size for path, size in packed.items() if path.endswith((".js", ".css", ".html"))),
        "fine network": packed["networks/standard/network.onnx"],
        "predictor": packed["networks/standard/predictor.onnx"],
    }


if __name__ == "__main__":
    main()
