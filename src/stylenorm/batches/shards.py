"""Files that hold many pictures: where they are, where their paintings go, and one of them painted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stylenorm.batches.drawing import Shard, StrengthRange
from stylenorm.batches.lanes import Lanes
from stylenorm.batches.manifest import Manifest
from stylenorm.batches.painter import BatchPainter, Lane
from stylenorm.batches.running import Outcome, Summary
from stylenorm.batches.task import Task
from stylenorm.errors import InputError, OutputError, StylenormError
from stylenorm.media import SHARD_SUFFIXES, StyleDraw, check_output, format_named

__all__ = ["PictureRecipe", "ShardFile", "paint_shards", "plan_shards"]


@dataclass(frozen=True)
class ShardFile:
    """A tar or Parquet file, and where the one with the paintings goes.

    Attributes:
        source: the file.
        target: the other file, of the same kind.
        key: its name in its folder, with ``/`` between the parts.
    """

    source: Path
    target: Path
    key: str


@dataclass(frozen=True)
class PictureRecipe:
    """How each picture of a file is painted.

    Attributes:
        styles: what gives each picture's styles, by its key: the file's, a slash, and its own name in it.
        strengths: what strengths are drawn from.
        format: of the paintings; empty for each picture's own.
        column: of Parquet files, which holds the pictures; None for the only one that may.
    """

    styles: StyleDraw
    strengths: StrengthRange = field(default_factory=lambda: StrengthRange(1.0, 1.0))
    format: str = ""
    column: str | None = None

    def tasks(self, shard: ShardFile, name: str, written: str) -> list[Task]:
        """Return what is to be painted of a picture of that name."""
        key = f"{shard.key}/{name}"
        inside = Path(f"{shard.source}::{name}")
        return [
            Task(inside, None, style, written, key, self.strengths.strength(key, style))
            for style in self.styles.styles(key)
        ]


def plan_shards(
    inputs: Sequence[str | os.PathLike[str]],
    found: Iterable[Path],
    output: str | os.PathLike[str] | None,
    *,
    shard: Shard | None = None,
) -> list[ShardFile]:
    """Plan tar and Parquet files: those among the inputs, and those that were found in folders.

    Args:
        inputs: what was named.
        found: what `stylenorm.media.LeftOut` has from the folders among it.
        output: a folder; of one file that was named, also a file.
        shard: the part that is wanted; None for all. Files are parted, not what is in them.

    Raises:
        OutputError: there is no output, or one that does not fit; or two files would be one.
    """
    named = [Path(each) for each in inputs if Path(each).suffix.lower() in SHARD_SUFFIXES]
    folders = [Path(each) for each in inputs if Path(each).is_dir()]
    wishes: dict[str, Path] = {}
    for path in (*(each for each in named if not each.is_dir()), *found):
        folder = next((each for each in folders if path.is_relative_to(each)), None)
        inside = Path(path.name) if folder is None else path.relative_to(folder)
        top = Path(folder.resolve().name) if folder is not None and len(folders) > 1 else Path()
        key = (top / inside).as_posix()
        if os.path.realpath(wishes.setdefault(key, path)) != os.path.realpath(path):
            raise OutputError(f"{path}: {wishes[key]} has the same name; paint them into two folders")
    if not wishes:
        return []
    if output is None or os.fspath(output) == "-":
        first = next(iter(wishes.values()))
        raise OutputError(f"{first}: expected an output folder for a file of many pictures; give -o DIR")
    place = Path(output)
    is_file = len(inputs) == 1 and len(named) == 1 and place.suffix.lower() in SHARD_SUFFIXES
    if is_file and place.suffix.lower() != named[0].suffix.lower():
        raise OutputError(f"{place}: expected a file of the kind {named[0].suffix}, which is painted")
    planned = [ShardFile(path, place if is_file else place / key, key) for key, path in wishes.items()]
    for each in planned:
        if os.path.realpath(each.source) == os.path.realpath(each.target):
            raise OutputError(f"{each.target}: is one of the data sets; choose another output")
    return [each for each in planned if shard is None or shard.has(each.key)]


def paint_shards(
    shards: Sequence[ShardFile],
    painter: BatchPainter,
    recipe: PictureRecipe,
    *,
    summary: Summary,
    manifest: Manifest | None = None,
    skip_existing: bool = False,
    lanes: int = 0,
) -> Iterator[Outcome]:
    """Paint the pictures of tar and Parquet files; labels, keys and whatever else is there go along.

    A file appears whole: one that is stopped in the middle is painted again from its start. The sample of a
    picture that cannot be painted is left out, and the failure is an outcome. Rows go into the manifest once
    the file is there.

    Yields:
        Outcomes: one for each painting, or one for a file that was skipped or failed as a whole.
    """
    done = set() if manifest is None else {target.partition("::")[0] for target in manifest.done}
    overwrite = painter.options.overwrite
    with Lanes(painter, lanes if painter.has_lanes else 0) as side_by_side:
        for shard in shards:
            listed = str(shard.target) in done
            if (listed or skip_existing) and not overwrite and shard.target.is_file():
                outcomes, is_new = [Outcome(_whole(shard), "skipped")], not listed
            else:
                outcomes, is_new = _painted_file(shard, recipe, side_by_side, overwrite), True
            if manifest is not None and is_new:
                manifest.append([outcome.row() for outcome in outcomes])  # all of them, or none
            for outcome in outcomes:
                summary.count(outcome.status)
                yield outcome


def _painted_file(shard: ShardFile, recipe: PictureRecipe, lanes: Lanes, overwrite: bool) -> list[Outcome]:
    began = time.monotonic()
    try:
        check_output(shard.target, overwrite=overwrite)
        if shard.source.suffix.lower() == ".tar":
            from stylenorm.batches.tar import paint_tar as paint
        else:
            from stylenorm.batches.parquet import paint_parquet as paint
        return paint(shard, recipe, Work(lanes), overwrite=overwrite)
    except (StylenormError, OSError, MemoryError) as error:
        return [Outcome(_whole(shard), "failed", time.monotonic() - began, (), error)]


def _whole(shard: ShardFile) -> Task:
    """The file itself as a task: what a row says that is about all of it."""
    return Task(shard.source, shard.target, "", "", shard.key, 0.0)


@dataclass(frozen=True)
class Painted:
    """A picture's file, painted in each of its styles.

    Attributes:
        tasks: one for each style.
        files: the paintings, in turn; fewer where one failed.
        outcomes: in turn; the one that failed is the last.
    """

    tasks: tuple[Task, ...]
    files: tuple[bytes, ...]
    outcomes: tuple[Outcome, ...]

    def at(self, targets: Sequence[str]) -> list[Outcome]:
        """Return the outcomes, with where the paintings went."""
        return [
            replace(outcome, task=replace(outcome.task, target=Path(target)))
            for outcome, target in zip(self.outcomes, targets, strict=False)
        ]


class Work:
    """Paints what comes from a file, side by side.

    Args:
        lanes: in which it is done.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def painted(
        self, given: Iterable[tuple[Any, Sequence[tuple[Sequence[Task], bytes]]]]
    ) -> Iterator[tuple[Any, list[Painted]]]:
        """Paint samples: whatever goes along, and the pictures of each with their tasks, in order."""
        return self._lanes.map(_paint_sample, given)


def _paint_sample(
    lane: Lane, given: tuple[Any, Sequence[tuple[Sequence[Task], bytes]]]
) -> tuple[Any, list[Painted]]:
    along, pictures = given
    return along, [_paint_picture(lane, tasks, content) for tasks, content in pictures]


def _paint_picture(lane: Lane, tasks: Sequence[Task], content: bytes) -> Painted:
    files: list[bytes] = []
    outcomes: list[Outcome] = []
    for task in tasks:
        began = time.monotonic()
        try:
            files.append(lane.paint_bytes(content, task, str(task.source)))
        except (StylenormError, OSError, MemoryError) as error:
            outcomes.append(Outcome(task, "failed", time.monotonic() - began, (), error))
            break
        outcomes.append(Outcome(task, "painted", time.monotonic() - began))
    return Painted(tuple(tasks), tuple(files), tuple(outcomes))


def format_of_name(name: str, asked: str) -> tuple[str, str]:
    """Return the format of a painting, by Pillow's name, and its suffix, for a picture of that name.

    Args:
        name: of the picture.
        asked: the format that was asked for; empty for the picture's own, or PNG where that is not written.
    """
    suffix = Path(name).suffix
    try:
        own = format_named(suffix) if suffix else None
    except InputError:
        own = None
    kind = format_named(asked) if asked else own or format_named("png")
    return kind.name, suffix if kind is own else kind.suffixes[0]
