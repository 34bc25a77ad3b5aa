"""Ray, started here with two workers: the same files as the plain command's, also when a worker is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from stylenorm.batches import Manifest, Summary, plan_tasks, read_manifest
from stylenorm.batches.cluster import PainterPlan, paint_on_cluster
from stylenorm.batches.drawing import RandomStyles, StrengthRange
from stylenorm.batches.painter import EngineOptions
from stylenorm.zoo import shipped_network
from tests.cli.conftest import Run, hidden_files, write_photo
from tests.requirements_met import need

pytestmark = [
    pytest.mark.slow,
    # Ray's own: sockets and files that it leaves to the end of the process
    pytest.mark.filterwarnings("ignore"),
]
COUNT = 80


def photos(folder: Path) -> None:
    for i in range(COUNT):
        write_photo(folder / f"{i % 3}" / f"{i}.png", 40, 60)


def painted(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def worker_pids() -> list[int]:
    """Processes of this user that Ray calls by our worker's name."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if line.startswith(b"ray::") and b"_Worker" in line:
                found.append(int(entry.name))
    return found


def test_the_command(stylize: Run, tmp_path: Path) -> None:
    need("ray")
    photos(tmp_path / "in")
    (tmp_path / "in" / "0" / "broken.png").write_text("no picture")
    command = (tmp_path / "in", "--style", "random", "--seed", "7", "--strength", "0.1..0.6")
    assert stylize(*command, "-o", f"{tmp_path}/plain/").code == 1
    listed = tmp_path / "m.jsonl"
    done = stylize(
        *command, "-o", f"{tmp_path}/ray/", "--cluster", "local", "--workers", "2", "--manifest", listed
    )
    assert done.code == 1
    assert painted(tmp_path / "ray") == painted(tmp_path / "plain")
    assert len(painted(tmp_path / "ray")) == COUNT
    told = [line for line in done.lines if "logging.cc" not in line]  # where Ray says that it says nothing
    assert [line for line in told if not line.startswith("stylenorm: ")] == []
    assert "broken.png" in told[0]
    assert f"{COUNT} painted, 0 skipped (done before), 1 failed" in told[-1]
    rows = [json.loads(line) for line in listed.read_text().splitlines()]
    assert Counter(row["status"] for row in rows) == {"painted": COUNT, "failed": 1}
    assert len({row["target"] for row in rows}) == COUNT + 1


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds workers by /proc")
def test_a_worker_that_is_killed(stylize: Run, tmp_path: Path) -> None:
    need("ray")
    photos(tmp_path / "in")
    assert stylize(tmp_path / "in", "--style", "random", "-o", f"{tmp_path}/plain/").code == 0
    draw = RandomStyles(shipped_network().style_names())
    tasks = plan_tasks([tmp_path / "in"], tmp_path / "ray", styles=draw, strengths=StrengthRange(1.0, 1.0))
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 120
        while not any((tmp_path / "ray").rglob("*.png")) and time.monotonic() < deadline:
            time.sleep(0.002)
        for pid in worker_pids()[:1]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    summary = Summary()
    with Manifest(tmp_path / "m.jsonl") as manifest:
        plan = PainterPlan(engine=EngineOptions("fake"))
        outcomes = list(paint_on_cluster(tasks, plan, workers=2, manifest=manifest, summary=summary))
    killer.join()
    assert len(killed) == 1
    assert (summary.painted, summary.failed, len(outcomes)) == (COUNT, 0, COUNT)
    assert painted(tmp_path / "ray") == painted(tmp_path / "plain")
    assert Counter(row.target for row in read_manifest(tmp_path / "m.jsonl")) == Counter(
        task.target_name for task in tasks
    )
    assert not hidden_files(tmp_path / "ray")
