"""A batch on many machines, by Ray Data: actors that hold one painter each, and no scheduler of our own.

Ray moves the work, holds it back where workers are slow, and gives a lost worker's batch to another one. What
is drawn depends on seed and names alone, and files appear whole, so a batch that is done twice is done once.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stylenorm.batches.manifest import Manifest
from stylenorm.batches.options import Listener, PaintOptions
from stylenorm.batches.painter import BatchPainter, EngineOptions
from stylenorm.batches.running import Outcome, Summary, check_manifest, painted, skipped_before
from stylenorm.batches.task import FarTask, Task
from stylenorm.errors import EngineError, MissingExtraError, OutputError, StylenormError
from stylenorm.tiles import Tiling
from stylenorm.zoo import NetworkFolder, shipped_network

__all__ = ["PainterPlan", "WorkerError", "paint_on_cluster"]

LOCAL = "local"
# Two actors of one CPU each on two CPUs leave none to what feeds them, and wait for ever.
_CPUS_EACH = 0.5
_TASKS_AT_ONCE = 16
_MOST_BLOCKS = 5000  # each is scheduled by itself, and told once it is done
_LOCAL_STORE_BYTES = 200_000_000  # only names and results go through it


_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anyone
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


class WorkerError(StylenormError):
    """A picture failed on a worker; the text is what was raised there."""


@dataclass(frozen=True)
class PainterPlan:
    """What a worker needs to open its painter.

    Attributes:
        network: the network folder, which all workers must see; None for the one that ships.
        options: how pictures are painted and written.
        engine: what computes; workers use one thread each.
        tiling: when pictures are painted in tiles.
    """

    network: Path | None = None
    options: PaintOptions = field(default_factory=PaintOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    tiling: Tiling = field(default_factory=Tiling)

    def open(self) -> BatchPainter:
        """Open a painter of one thread."""
        network = shipped_network() if self.network is None else NetworkFolder.open(self.network)
        engine = replace(self.engine, threads=1)
        return BatchPainter(network, self.options, engine=engine, tiling=self.tiling)


def paint_on_cluster(
    tasks: Sequence[Task],
    plan: PainterPlan,
    address: str = LOCAL,
    *,
    workers: int | None = None,
    manifest: Manifest | None = None,
    skip_existing: bool = False,
    summary: Summary | None = None,
) -> Iterator[Outcome]:
    """Paint a batch by Ray; outcomes come as workers give them, in any order.

    Args:
        tasks: pictures, from paths that all workers see, or in a store.
        plan: what workers paint with.
        address: ``local`` starts Ray here, for the time of the batch; or a cluster's, as ``ray://head:10001``
            or ``auto``. Its machines need stylenorm and ray, of the same versions.
        workers: how many; None for one for each core of the cluster.
        manifest: gets a row for each outcome, from this process alone.
        skip_existing: take a target that exists as done.
        summary: counts what was done.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: there is no cluster at the address, or it failed.
        InputError: the manifest has a task with another style or strength.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("ray", "ray", "--cluster")
    summary = summary or Summary()
    if manifest is not None:
        check_manifest(tasks, manifest)
    wanted: dict[int, Task] = {}
    for number, task in enumerate(tasks):
        before, is_new = skipped_before(task, manifest, skip_existing, plan.options.overwrite)
        if before is None and not plan.options.overwrite and task.is_there():
            reason = "exists already; choose another name, or allow to overwrite"
            before = Outcome(task, "failed", None, (), OutputError(f"{task.target_name}: {reason}"))
        if before is None:
            wanted[number] = task
            continue
        yield _counted(before, manifest if is_new else None, summary)
    if not wanted:
        return
    for number, status, seconds, error, notes in _on_ray(wanted, plan, address, workers):
        problem = WorkerError(error) if error else None
        outcome = Outcome(wanted[number], status, seconds, tuple(notes), problem)
        yield _counted(outcome, manifest, summary)


def _counted(outcome: Outcome, manifest: Manifest | None, summary: Summary) -> Outcome:
    if manifest is not None:
        manifest.append([outcome.row()])
    summary.count(outcome.status)
    return outcome


def _on_ray(
    wanted: dict[int, Task], plan: PainterPlan, address: str, workers: int | None
) -> Iterator[tuple[int, Any, float | None, str, list[str]]]:
    for name, value in _QUIET.items():  # read when Ray is imported
        os.environ.setdefault(name, value)
    import ray as ray_package
    from ray.data import ActorPoolStrategy, DataContext

    ray: Any = ray_package  # parts of it are not typed
    started = not ray.is_initialized()
    if started:
        _start(ray, address, workers)
    try:
        context = DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        count = min(count, -(-len(wanted) // _TASKS_AT_ONCE))
        rows = [_row(number, task) for number, task in wanted.items()]
        blocks = min(-(-len(rows) // _TASKS_AT_ONCE), _MOST_BLOCKS)
        done = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Worker,
            fn_constructor_args=(plan,),
            batch_size=_TASKS_AT_ONCE,
            compute=ActorPoolStrategy(size=count),
            num_cpus=_CPUS_EACH,  # lost workers are started again, and paint their batch: Ray Data's default
        )
        for row in done.iter_rows():
            seconds = None if row["seconds"] < 0 else row["seconds"]
            yield row["number"], row["status"], seconds, row["error"], list(row["notes"])
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[-300:]
        raise EngineError(f"the cluster failed ({reason}); the same command goes on from here") from error
    finally:
        if started:
            ray.shutdown()


def _start(ray: Any, address: str, workers: int | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "error"}
    try:
        if address == LOCAL:
            from stylenorm.engines.engine import num_cores

            ray.init(
                num_cpus=workers or num_cores(),
                include_dashboard=False,
                object_store_memory=_LOCAL_STORE_BYTES,
                **quiet,
            )
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EngineError(f"--cluster {address}: expected a Ray cluster, got none ({reason})") from error


def _row(number: int, task: Task) -> dict[str, Any]:
    return {
        "number": number,
        "source": task.source_name,
        "target": task.target_name,
        "style": task.style,
        "strength": task.strength,
        "format": task.format,
        "key": task.key,
        "far": isinstance(task, FarTask),
    }


class _Worker:
    """One actor: opens a painter, and paints what it is given."""

    def __init__(self, plan: PainterPlan) -> None:
        self._painter = plan.open()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        names = ("number", "source", "target", "style", "strength", "format", "key", "far")
        outcomes = [
            self._painted(dict(zip(names, values, strict=True)))
            for values in zip(*(batch[name].tolist() for name in names), strict=True)
        ]
        return {
            "number": [int(number) for number in batch["number"]],
            "status": [outcome.status for outcome in outcomes],
            "seconds": [-1.0 if outcome.seconds is None else outcome.seconds for outcome in outcomes],
            "error": [outcome.row().error for outcome in outcomes],
            "notes": [list(outcome.notes) for outcome in outcomes],
        }

    def _painted(self, row: dict[str, Any]) -> Outcome:
        task = _task(row)
        try:
            if not self._painter.options.overwrite and task.is_there():
                return Outcome(task, "painted")  # by a worker that was lost before it could say so
        except OutputError as error:
            return Outcome(task, "failed", None, (), error)
        return painted(task, self._painter.main, Listener())


def _task(row: dict[str, Any]) -> Task:
    source, target = row["source"], row["target"]
    about = (Path(source), Path(target), row["style"], row["format"], row["key"], row["strength"])
    return FarTask(*about, source, target) if row["far"] else Task(*about)
