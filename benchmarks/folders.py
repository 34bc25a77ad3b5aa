"""How fast is a folder of small photos, and how much of it is painting?

    python benchmarks/folders.py PHOTOS --count 60 --engines openvino winograd
    python benchmarks/folders.py PHOTOS --count 980 --engines winograd --ray --names 100000

Rounds of three: one photo after the other, with all threads (as folders were painted before); side by side,
a thread for each photo; and painting alone, side by side from memory, without reading and writing. With --ray
also Ray Data on this machine, and how long it takes to start. With --names: planning so many, in a process of
its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measured import alternate, ratio, summary, write_result
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
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--names", type=int, default=0)
    options = parser.parse_args()
    found = find_pictures(options.photos)[: options.count]
    results: dict[str, object] = {"photos": len(found)}
    for engine in options.engines:
        results[engine] = _measured(found, engine, options.repeats, ray=options.ray)
    if options.names:
        results["plan"] = _planned(options.names)
    method = (
        f"{len(found)} photos, JPEG to JPEG, one style; wall time of {options.repeats} rounds after one that "
        "is not counted; ratios are taken round by round"
    )
    write_result("folders", method, results)


def _measured(found: list[Path], engine: str, repeats: int, *, ray: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as temporary:
        tasks = plan_tasks(found, f"{temporary}/out/", styles=["scream"])
        asked = EngineOptions(engine)
        with BatchPainter(shipped_network(), PaintOptions(overwrite=True), engine=asked) as painter:
            style = painter.style("scream")
            photos = [read_picture(path).pixels for path in found]
            lanes = Lanes(painter, painter.threads)

            def alone() -> None:
                def paint(lane: Lane, index: int) -> None:
                    lane.stylizer.with_style(style)(photos[index])

                for _ in lanes.map(paint, range(len(photos))):
                    pass

            calls: dict[str, Callable[[], object]] = {
                "one after the other": lambda: _run(tasks, painter, 0),
                "side by side": lambda: _run(tasks, painter, painter.threads),
                "painting alone": alone,
            }
            seconds = alternate(calls, warmup=1, repeats=repeats)
            lanes.close()
        made: dict[str, object] = {
            name: {"s": summary(each), "photos_a_second": round(len(found) / min(each), 2)}
            for name, each in seconds.items()
        }
        before, now = seconds["one after the other"], seconds["side by side"]
        made["one after the other / side by side"] = ratio(before, now)
        made["side by side / painting alone"] = ratio(now, seconds["painting alone"])
        if ray:
            made["ray"] = _on_ray(tasks, asked)
        return made


def check(outcomes: list[Outcome]) -> None:
    """Stop if a picture failed: there is nothing to measure then."""
    for outcome in outcomes:
        if outcome.status != "painted":
            raise SystemExit(f"{outcome.task.source}: {outcome.error}")


def _run(tasks: list[Task], painter: BatchPainter, lanes: int) -> None:
    outcomes = list(BatchRun(tasks, painter, lanes=lanes))
    check(outcomes)


def _on_ray(tasks: list[Task], engine: EngineOptions) -> dict[str, float]:
    began = time.perf_counter()
    first = None
    for outcome in paint_on_cluster(tasks, PainterPlan(options=PaintOptions(overwrite=True), engine=engine)):
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
