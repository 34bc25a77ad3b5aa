"""Where time goes, by a clock that only the test moves."""

from __future__ import annotations

import threading

import pytest

from stylenorm import timing
from stylenorm.cli.timing import stages_line, timing_lines
from stylenorm.timing import Timing, collected, noted, timed, timed_items


class Clock:
    """Time passes when it is told to, for each thread alike."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def seconds(found: Timing) -> dict[str, float]:
    return {name: stage.seconds for name, stage in found.stages.items()}


def test_a_stage_within_a_stage_is_counted_for_itself(clock: Clock) -> None:
    with collected() as found:
        clock.now += 5  # nobody's
        with timed("prepare"):
            clock.now += 1
            with timed("paint"):
                clock.now += 10
            clock.now += 2
            with timed("paint"):
                clock.now += 4
        clock.now += 7
    assert seconds(found) == {"prepare": 3, "paint": 14}
    assert [stage.count for stage in found.stages.values()] == [1, 2]
    assert [stage.first_s for stage in found.stages.values()] == [3, 10]
    assert found.passed_s == 29


def test_an_error_ends_its_stages(clock: Clock) -> None:
    def fail() -> None:
        clock.now += 3
        raise ValueError("broken")

    with collected() as found:
        with pytest.raises(ValueError, match="broken"), timed("read"), timed("paint"):
            fail()
        with timed("write"):
            clock.now += 1
    assert seconds(found) == {"read": 0, "paint": 3, "write": 1}


def test_items_take_time_to_come(clock: Clock) -> None:
    def slow():
        for number in range(3):
            clock.now += 2
            yield number

    with collected() as found:
        for _ in timed_items("read", slow()):
            clock.now += 100
    assert seconds(found) == {"read": 6}


def test_threads_overlap(clock: Clock) -> None:
    inside = threading.Barrier(2)

    def work() -> None:
        with timed("paint"):
            inside.wait()
            inside.wait()

    with collected() as found:
        other = threading.Thread(target=work)
        with timed("read"), noted() as notes:
            other.start()
            inside.wait()
            clock.now += 4
            inside.wait()
            other.join()
        clock.now += 1
    assert seconds(found) == {"read": 4, "paint": 4}
    assert notes == {}, "what ends later is not noted, nor what other threads do"


def test_notes_are_those_of_one_thread(clock: Clock) -> None:
    with collected(), noted() as outer:
        with noted() as notes, timed("read"):
            clock.now += 2
        with timed("write"):
            clock.now += 1
    assert (notes, outer) == ({"read": 2}, {"write": 1})


def test_nobody_collects(clock: Clock) -> None:
    with noted() as notes, timed("read"):
        clock.now += 1
    assert notes == {}
    assert list(timed_items("read", [1, 2])) == [1, 2]
    with collected(), pytest.raises(RuntimeError, match="one at a time"), collected():
        pass
    with collected() as found:
        pass
    assert found.stages == {}


def test_the_table(clock: Clock) -> None:
    with collected() as found:
        for name, count, each in (("write", 2, 3.0), ("paint", 4, 0.5), ("read", 4, 0.25)):
            for number in range(count):
                with timed(name):
                    clock.now += each + (name == "paint" and number == 0)
    _, read, paint, write, end = timing_lines(found, 8.0)
    assert read.split()[:6] == ["read", "1.00", "s", "4", "250", "ms"]
    assert read.split()[6] == "12%"
    assert paint.split()[:7] == ["paint", "3.00", "s", "4", "750", "ms", "38%"]
    assert paint.endswith("the first time 1500 ms")
    assert write.split()[:7] == ["write", "6.00", "s", "2", "3000", "ms", "75%"]
    assert end == "8.00 s passed, stages were busy for 10.00 s"
    with collected() as found:
        for name in ("wait for reading", "read", "paint", "smooth", "write"):
            with timed(name):
                clock.now += 3 if name == "read" else 1
    assert timing_lines(found, 4.0)[-1] == (
        "4.00 s passed, stages were busy for 6.00 s; at the same time: reading 3.00 s, painting 2.00 s, "
        "writing 1.00 s: reading is the bottleneck"
    )
    assert stages_line({"read": 0.0124, "paint": 12.34}) == "read 12 ms, paint 12.3 s"
