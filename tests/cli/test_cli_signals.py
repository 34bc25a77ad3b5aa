"""Ctrl-C and SIGTERM in the middle of a run: nothing half-written, one line at most."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from stylenorm.zoo import NetworkFolder
from tests.cli.conftest import hidden_files, write_photo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

NUM_PHOTOS = 400


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, f"stylenorm: interrupted: {{count}} of {NUM_PHOTOS} are done\n"),
        (signal.SIGTERM, 143, ""),
    ],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_signal_in_a_folder_run(
    network: NetworkFolder, tmp_path: Path, number: int, code: int, said: str
) -> None:
    photo = write_photo(tmp_path / "in" / "000.png", 200, 300)
    for i in range(1, NUM_PHOTOS):
        os.link(photo, tmp_path / "in" / f"{i:03d}.png")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "stylenorm", "stylize", str(tmp_path / "in"), "--style", "scream"]
    command += ["-o", f"{out}/", "--network", str(network.path), "--engine", "fake"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (out.exists() and len(list(out.glob("*.png"))) >= 5):
            assert running.poll() is None, "it ended before the signal"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        running.send_signal(number)
        _, err = running.communicate(timeout=30)
    finally:
        running.kill()
        running.wait()
    painted = list(out.glob("*.png"))
    assert running.returncode == code
    # a picture may have been there already when the signal came, and not been counted yet
    assert err in {said.format(count=count) for count in (len(painted), len(painted) - 1)}
    assert 5 <= len(painted) < NUM_PHOTOS
    assert not hidden_files(tmp_path)
    for path in painted:
        with Image.open(path) as image:
            image.load()  # whole
