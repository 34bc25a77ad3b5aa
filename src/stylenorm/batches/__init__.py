"""Folders, data sets and clusters: many pictures, painted by runs that can be stopped, shared, resumed."""

from stylenorm.batches.drawing import RandomStyles, Shard, StrengthRange, drawn_number, parse_random_styles
from stylenorm.batches.far import is_far, plan_far
from stylenorm.batches.manifest import Manifest, Row, Status, read_manifest
from stylenorm.batches.options import EngineOptions, FilmPart, Listener, PaintOptions
from stylenorm.batches.painter import BatchPainter, Lane
from stylenorm.batches.planning import plan_tasks
from stylenorm.batches.running import BatchRun, Outcome, Summary, check_manifest
from stylenorm.batches.shards import PictureRecipe, ShardFile, paint_shards, plan_shards
from stylenorm.batches.small import NotSmallError
from stylenorm.batches.task import FarTask, Task
from stylenorm.batches.watching import watch

__all__ = [
    "BatchPainter",
    "BatchRun",
    "EngineOptions",
    "FarTask",
    "FilmPart",
    "Lane",
    "Listener",
    "Manifest",
    "NotSmallError",
    "Outcome",
    "PaintOptions",
    "PictureRecipe",
    "RandomStyles",
    "Row",
    "Shard",
    "ShardFile",
    "Status",
    "StrengthRange",
    "Summary",
    "Task",
    "check_manifest",
    "drawn_number",
    "is_far",
    "paint_shards",
    "parse_random_styles",
    "plan_far",
    "plan_shards",
    "plan_tasks",
    "read_manifest",
    "watch",
]
