"""SIGKILL at random moments: whatever was cut off, the same command goes on, and the manifest stays true."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.engines.tiny_network import random_photo

NUM_PHOTOS = 160


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize("num_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_and_gone_on_with(tmp_path: Path, num_kills: int) -> None:
    photos = {f"{i % 4}/{i}.png": random_photo(30, 30 + i) for i in range(NUM_PHOTOS)}
    for name, pixels in photos.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    out, listed = tmp_path / "out", tmp_path / "m.jsonl"
    command = [sys.executable, "-m", "stylenorm", "stylize", str(tmp_path / "in"), "--style", "random"]
    command += ["-o", f"{out}/", "--manifest", str(listed), "--skip-existing", "--engine", "fake"]
    moments = random.Random(num_kills)  # noqa: S311
    counts = sorted(moments.sample(range(NUM_PHOTOS - 8), num_kills))
    num_cut = 0
    for count in counts:
        running = subprocess.Popen([*command, "--threads", "3"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(lines(listed)) <= count and running.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(moments.random() * 0.01)
        running.kill()
        num_cut += running.wait() != 0
        for path in out.rglob("*.png"):
            with Image.open(path) as image:
                image.load()  # whole
    assert num_cut > num_kills / 2, "it was too fast to be killed"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ", 0 failed, in " in done.stderr
    painted = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    assert painted == set(photos)
    for name, pixels in photos.items():  # the fake engine paints the negative
        assert np.array_equal(np.asarray(Image.open(out / name)), 255 - pixels)
    rows = lines(listed)
    assert Counter(row["target"] for row in rows) == Counter(str(out / name) for name in photos)
    assert {row["status"] for row in rows} <= {"painted", "skipped"}
    # a painting that was there before its row could be written is found by the next run
    assert sum(row["status"] == "skipped" for row in rows) <= num_kills * 4
