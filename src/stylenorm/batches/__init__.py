"""Folders, data sets and clusters: many pictures, painted by runs that can be stopped, shared, resumed."""

from stylenorm.batches.drawing import RandomStyles, Shard, StrengthRange, drawn_number, parse_random_styles
from stylenorm.batches.manifest import Manifest, Row, Status, read_manifest
from stylenorm.batches.options import FilmPart, Listener, PaintOptions
from stylenorm.batches.painter import BatchPainter, EngineOptions, Lane, NotSmallError
from stylenorm.batches.planning import plan_tasks
from stylenorm.batches.running import BatchRun, Outcome, Summary
from stylenorm.batches.task import Task

__all__ = [
    "BatchPainter",
    "BatchRun",
    "EngineOptions",
    "FilmPart",
    "Lane",
    "Listener",
    "Manifest",
    "NotSmallError",
    "Outcome",
    "PaintOptions",
    "RandomStyles",
    "Row",
    "Shard",
    "Status",
    "StrengthRange",
    "Summary",
    "Task",
    "drawn_number",
    "parse_random_styles",
    "plan_tasks",
    "read_manifest",
]
