"""A run from Python: outcomes in order, lanes that are used again, errors that are outcomes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stylenorm.batches import BatchPainter, BatchRun, EngineOptions, plan_tasks
from stylenorm.engines import FakeEngine
from stylenorm.errors import StylenormError
from stylenorm.zoo import shipped_network
from tests.cli.conftest import hidden_files, write_photo


@pytest.fixture
def painter() -> Iterator[BatchPainter]:
    with BatchPainter(shipped_network(), engine=EngineOptions("fake")) as painter:
        yield painter


def planned(tmp_path: Path, count: int, folder: str = "in") -> list[Any]:
    for i in range(count):
        write_photo(tmp_path / folder / f"{i:02d}.png", 8, 9)
    return plan_tasks([tmp_path / folder], tmp_path / f"{folder}-out", styles=["scream"])


def test_outcomes_are_in_order_whoever_is_first(
    painter: BatchPainter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = planned(tmp_path, 12)
    paint, begun = FakeEngine._paint, iter(range(99))

    def slowly(self: FakeEngine, *given: Any) -> Any:
        time.sleep(0.05 if next(begun) % 4 == 0 else 0)
        return paint(self, *given)

    monkeypatch.setattr(FakeEngine, "_paint", slowly)
    outcomes = list(BatchRun(tasks, painter, lanes=4))
    assert [outcome.task for outcome in outcomes] == tasks
    assert {outcome.status for outcome in outcomes} == {"painted"}


def test_lanes_work_at_the_same_time_and_are_used_again(
    painter: BatchPainter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(3, timeout=30)
    paint = FakeEngine._paint

    def at_once(self: FakeEngine, *given: Any) -> Any:
        together.wait()
        return paint(self, *given)

    monkeypatch.setattr(FakeEngine, "_paint", at_once)
    for folder in ("one", "two"):
        outcomes = list(BatchRun(planned(tmp_path, 6, folder), painter, lanes=3))
        assert [outcome.error for outcome in outcomes] == [None] * 6
    assert len(painter._lanes) == 3


def test_little_is_done_ahead_of_who_takes_the_outcomes(painter: BatchPainter, tmp_path: Path) -> None:
    tasks = planned(tmp_path, 30)
    run = iter(BatchRun(tasks, painter, lanes=2))
    next(run)
    time.sleep(0.3)
    assert len(list((tmp_path / "in-out").glob("*.png"))) <= 8
    run.close()  # type: ignore[attr-defined]  # a generator's
    assert not hidden_files(tmp_path)


def test_a_style_that_fails_is_an_outcome(painter: BatchPainter, tmp_path: Path) -> None:
    planned(tmp_path, 3)
    tasks = plan_tasks([tmp_path / "in"], tmp_path / "out", styles=["scream", "scraem"])
    outcomes = list(BatchRun(tasks, painter, lanes=2))
    assert [outcome.status for outcome in outcomes] == ["painted", "failed"] * 3
    assert all(isinstance(outcome.error, StylenormError) for outcome in outcomes[1::2])


def test_another_error_ends_the_run(
    painter: BatchPainter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("a fault of ours")

    monkeypatch.setattr(FakeEngine, "_paint", fail)
    with pytest.raises(AssertionError, match="a fault of ours"):
        list(BatchRun(planned(tmp_path, 5), painter, lanes=2))
    assert not hidden_files(tmp_path)
