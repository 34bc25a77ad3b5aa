"""A tar file of pictures, as WebDataset has them: samples of files that share a name up to its first dot."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from stylenorm.batches.running import Outcome
from stylenorm.batches.shards import PictureRecipe, ShardFile, Work, format_of_name
from stylenorm.batches.task import Task
from stylenorm.errors import PictureError
from stylenorm.media import atomic_write, is_picture_name

__all__ = ["paint_tar"]

_Member = tuple[tarfile.TarInfo, bytes]
_Pictures = list[tuple[Sequence[Task], bytes]]


def paint_tar(shard: ShardFile, recipe: PictureRecipe, work: Work, *, overwrite: bool) -> list[Outcome]:
    """Paint a tar file's pictures; all other files go along as they are, and in their order.

    Where each picture gets several styles, ``a.jpg`` becomes ``a.scream.jpg``, ``a.great-wave.jpg``: files of
    the same sample. Folders, links and whatever is no file are left out.

    Raises:
        PictureError: the file is no tar file, or is cut off.
        OutputError: the place cannot be written to.
    """
    outcomes: list[Outcome] = []
    with atomic_write(shard.target, overwrite=overwrite) as file, _written(file) as out:
        for members, painted in work.painted(_with_pictures(shard, recipe)):
            pictures = iter(painted)
            told = [
                (member, content, next(pictures) if _is_picture(member) else None)
                for member, content in members
            ]
            whole = all(len(each.files) == len(each.tasks) for each in painted)
            for member, content, picture in told:
                if picture is None:
                    if whole:
                        _add(out, member, member.name, content)
                    continue
                several = len(picture.tasks) > 1
                names = [_painted_name(member.name, recipe, task, several) for task in picture.tasks]
                outcomes += picture.at([f"{shard.target}::{name}" for name in names])
                for name, painting in zip(names, picture.files, strict=False):
                    if whole:
                        _add(out, member, name, painting)
    return outcomes


def _with_pictures(shard: ShardFile, recipe: PictureRecipe) -> Iterator[tuple[list[_Member], _Pictures]]:
    for members in _samples(shard):
        pictures: _Pictures = [
            (recipe.tasks(shard, member.name, format_of_name(member.name, recipe.format)[0]), content)
            for member, content in members
            if _is_picture(member)
        ]
        yield members, pictures


def _samples(shard: ShardFile) -> Iterator[list[_Member]]:
    """The files of each sample, which follow each other."""
    sample: list[_Member] = []
    key = None
    try:
        with tarfile.open(shard.source, "r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is None:
                    continue
                path = PurePosixPath(member.name)
                if sample and (path.parent, path.name.partition(".")[0]) != key:
                    yield sample
                    sample = []
                key = path.parent, path.name.partition(".")[0]
                sample.append((member, content.read()))
    except (tarfile.TarError, EOFError) as error:
        raise PictureError(f"{shard.source}: expected a tar file, got a broken one ({error})") from None
    if sample:
        yield sample


def _is_picture(member: tarfile.TarInfo) -> bool:
    return is_picture_name(member.name)


def _painted_name(name: str, recipe: PictureRecipe, task: Task, several: bool) -> str:
    suffix = PurePosixPath(name).suffix
    new = format_of_name(name, recipe.format)[1]
    stem = name[: len(name) - len(suffix)]
    style = f".{PurePosixPath(task.style).stem}" if several else ""
    return f"{stem}{style}{new}"


def _written(file: BinaryIO) -> Any:
    return closing(tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT))


def _add(out: tarfile.TarFile, like: tarfile.TarInfo, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), like.mtime, like.mode
    out.addfile(member, io.BytesIO(content))
