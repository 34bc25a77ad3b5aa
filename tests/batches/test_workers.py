"""What a worker of a cluster does, without a cluster."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylenorm.batches import EngineOptions, FarTask, PaintOptions, Task, plan_tasks
from stylenorm.batches import cluster as module
from stylenorm.batches.cluster import PainterPlan, paint_on_cluster
from stylenorm.errors import MissingExtraError, OutputError
from tests.cli.conftest import Run, write_photo

FAKE = PainterPlan(options=PaintOptions(), engine=EngineOptions("fake"))


def batch_of(tasks: list[Task]) -> dict[str, Any]:
    rows = [module._row(number, task) for number, task in enumerate(tasks)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def tasks(folder: Path, out: Path) -> list[Task]:
    for name in ("a.png", "b/c.png"):
        write_photo(folder / name)
    (folder / "broken.png").write_text("no picture")
    return plan_tasks([folder], out, styles=["scream"])


def test_a_batch(stylize: Run, tmp_path: Path) -> None:
    planned = tasks(tmp_path / "in", tmp_path / "out")
    worker = module._Worker(pickle.loads(pickle.dumps(FAKE)))  # noqa: S301 (our own)
    done = worker(batch_of(planned))
    assert done["number"] == [0, 1, 2]
    assert done["status"] == ["painted", "painted", "failed"]
    assert [bool(text) for text in done["error"]] == [False, False, True]
    assert min(done["seconds"]) > 0
    assert stylize(tmp_path / "in", "--style", "scream", "-o", f"{tmp_path}/plain/").code == 1
    for name in ("a.png", "b/c.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_what_a_lost_worker_had_finished_is_not_painted_again(tmp_path: Path) -> None:
    planned = tasks(tmp_path / "in", tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"finished")
    done = module._Worker(FAKE)(batch_of(planned))
    assert done["status"][:2] == ["painted", "painted"]
    assert done["seconds"][0] == -1
    assert (tmp_path / "out" / "a.png").read_bytes() == b"finished"


def test_tasks_survive_the_way(tmp_path: Path) -> None:
    near = Task(Path("in/a.jpg"), Path("out/a.jpg"), "scream", "JPEG", "a.jpg", 0.25)
    there, back = "s3://in/a.jpg", "s3://out/a.jpg"
    far = FarTask(
        Path(there),
        Path(back),
        "scream",
        "JPEG",
        "a.jpg",
        0.5,
        there,
        back,
    )
    assert [module._task(module._row(0, task)) for task in (near, far)] == [near, far]


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    absent = {"ray"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    with pytest.raises(MissingExtraError, match=r"stylenorm\[ray\]"):
        list(paint_on_cluster(tasks(tmp_path / "in", tmp_path / "out"), FAKE))


def test_what_is_there_is_said_without_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    twins = {"ray": "json"}  # as if it were installed
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find(twins.get(name, name)))
    planned = tasks(tmp_path / "in", tmp_path / "out")
    for task in planned:
        write_photo(Path(task.target_name))
    outcomes = list(paint_on_cluster(planned, FAKE))
    assert [outcome.status for outcome in outcomes] == ["failed"] * 3
    assert all(isinstance(outcome.error, OutputError) for outcome in outcomes)
    assert [o.status for o in paint_on_cluster(planned, FAKE, skip_existing=True)] == ["skipped"] * 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-", "--cluster", "local"), "expected pictures and folders"),
        (("a.tar", "--cluster", "local"), "expected pictures, got a.tar"),
        (("a.png", "--cluster", "local", "--style", "scraem"), "did you mean 'scream'"),
        (("a.png", "--workers", "2"), "expected --cluster beside it"),
    ],
)
def test_words_that_do_not_go_together(stylize: Run, words: tuple[str, ...], message: str) -> None:
    done = stylize(*words, "--style", "scream", "-o", "out/")
    assert (done.code, message in done.err) == (2, True)
