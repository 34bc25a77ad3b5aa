"""How fast is a folder of small photos, and how much of it is painting?

    python benchmarks/folders.py PHOTOS --count 60 --engines openvino winograd
    python benchmarks/folders.py PHOTOS --count 40 --engines winograd --square 224
    python benchmarks/folders.py PHOTOS --count 980 --engines winograd --ray --names 100000

Rounds of three: one photo after the other, with all threads (as folders were painted before); side by side,
a thread for each photo; and painting alone, side by side from memory, without reading and writing. With --ray
also Ray Data on this machine, and how long it takes to start. With --names: planning so many, in a process of
its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from measured import ratio, summary, timed, write_result
from stylenorm.batches import BatchPainter, BatchRun, EngineOptions, Outcome, PaintOptions, Task, plan_tasks
from stylenorm.batches.cluster import PainterPlan, paint_on_cluster
from stylenorm.batches.lanes import Lanes
from stylenorm.batches.painter import Lane
from stylenorm.media import find_pictures, read_picture
from stylenorm.zoo import shipped_network

_PLAN = """
import json, resource, sys, time
from stylenorm.batches import plan_tasks
began, used = time.perf_counter(), time.process_time()
tasks = plan_tasks([sys.argv[1]], sys.argv[2], styles=["scream"])
print(json.dumps({
    "names": len(tasks),
    "wall_s": round(time.perf_counter() - began, 2),
    "processor_s": round(time.process_time() - used, 2),
    "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
}))
"""


def main() -> None:
    """Measure and write results/folders.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--engines", nargs="+", default=["openvino", "winograd"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--square", type=int, help="as data sets are painted: --size PX --crop")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--names", type=int, default=0)
    options = parser.parse_args()
    found = find_pictures(options.photos)[: options.count]
    results: dict[str, object] = {"photos": len(found)}
    if options.names:  # first: Linux hands the peak of a process on to those that it starts
        results["plan"] = _planned(options.names)
    for engine in options.engines:
        results[engine] = _measured(found, engine, options.repeats, options.square, ray=options.ray)
    method = (
        f"{len(found)} photos, JPEG to JPEG, one style; wall and processor time of {options.repeats} rounds "
        "after one that is not counted; ratios are taken round by round"
    )
    name = f"folders_{options.square}" if options.square else "folders"
    write_result(name, method, results)


def _measured(
    found: list[Path], engine: str, repeats: int, square: int | None, *, ray: bool
) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as temporary:
        asked = EngineOptions(engine)
        painting = PaintOptions(size_px=square, crop=square is not None)
        with BatchPainter(shipped_network(), painting, engine=asked) as painter:
            style = painter.style("scream")
            pictures = [read_picture(path) for path in found]
            photos = [(each.squared(square) if square else each).pixels for each in pictures]
            lanes = Lanes(painter, painter.threads)
            number = itertools.count()

            def run(num_lanes: int) -> None:
                folder = f"{temporary}/{next(number)}/"
                check(BatchRun(plan_tasks(found, folder, styles=["scream"]), painter, lanes=num_lanes))

            def alone() -> None:
                def paint(lane: Lane, index: int) -> None:
                    lane.stylizer.with_style(style)(photos[index])

                for _ in lanes.map(paint, range(len(photos))):
                    pass

            calls: dict[str, Callable[[], object]] = {
                "one after the other": lambda: run(0),
                "side by side": lambda: run(painter.threads),
                "painting alone": alone,
            }
            wall: dict[str, list[float]] = {name: [] for name in calls}
            used: dict[str, list[float]] = {name: [] for name in calls}
            for turn in range(repeats + 1):
                for name, call in calls.items():
                    began = time.process_time()
                    seconds = timed(call)
                    if turn:  # the first is not counted
                        wall[name].append(seconds)
                        used[name].append(time.process_time() - began)
            lanes.close()
        made: dict[str, object] = {
            name: {"s": summary(wall[name]), "processor_s": summary(used[name])} for name in calls
        }
        for kind, seconds_of in (("wall", wall), ("processor", used)):
            before, now, alone_s = seconds_of.values()
            made[f"one after the other / side by side, {kind}"] = ratio(before, now)
            made[f"side by side / painting alone, {kind}"] = ratio(now, alone_s)
        if ray:
            tasks = plan_tasks(found, f"{temporary}/ray/", styles=["scream"])
            made["ray"] = _on_ray(tasks, PainterPlan(None, painting, asked))
        return made


def check(outcomes: Iterable[Outcome]) -> None:
    """Stop if a picture failed: there is nothing to measure then."""
    for outcome in outcomes:
        if outcome.status != "painted":
            raise SystemExit(f"{outcome.task.source}: {outcome.error}")


def _on_ray(tasks: list[Task], plan: PainterPlan) -> dict[str, float]:
    began = time.perf_counter()
    first = None
    for outcome in paint_on_cluster(tasks, plan):
        check([outcome])
        first = first or time.perf_counter()
    ended = time.perf_counter()
    return {
        "s": round(ended - began, 2),
        "until the first batch is done_s": round((first or ended) - began, 2),
    }


def _planned(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as temporary:
        for i in range(count):
            folder = Path(temporary) / "in" / f"{i // 1000:04d}"
            if i % 1000 == 0:
                folder.mkdir(parents=True)
            (folder / f"{i:07d}.jpg").touch()
        words = [sys.executable, "-c", _PLAN, f"{temporary}/in", f"{temporary}/out/"]
        said: dict[str, float] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        return said


if __name__ == "__main__":
    main()
