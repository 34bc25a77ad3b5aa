"""A Parquet file with a column of pictures' bytes: the column painted, all others carried along."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stylenorm.batches.running import Outcome
from stylenorm.batches.shards import PictureRecipe, ShardFile, Work, format_of_name
from stylenorm.batches.task import Task
from stylenorm.errors import InputError, MissingExtraError, PictureError
from stylenorm.media import atomic_write

__all__ = ["paint_parquet"]

_ROWS = 64  # at once


def paint_parquet(shard: ShardFile, recipe: PictureRecipe, work: Work, *, overwrite: bool) -> list[Outcome]:
    """Paint the pictures of a Parquet file.

    The column holds bytes, or a struct of ``bytes`` and ``path`` as Hugging Face's data sets have it. A row
    without a picture stays; the row of a picture that cannot be painted is left out. Names are those of
    ``path``, or else rows' numbers from 0.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: no column, or several that may hold pictures; or several styles for each picture.
        PictureError: it is no Parquet file.
        OutputError: the place cannot be written to.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("pyarrow", "parquet", "a Parquet file")
    import pyarrow as pa
    import pyarrow.parquet as pq

    if recipe.styles.per_picture > 1:
        raise InputError(
            f"{shard.source}: expected one style for each picture of a Parquet file, "
            f"got {recipe.styles.per_picture}: a row has one picture"
        )
    outcomes: list[Outcome] = []
    try:
        with pq.ParquetFile(shard.source) as given:
            schema = given.schema_arrow
            index = _column(schema, recipe.column, shard)
            with (
                atomic_write(shard.target, overwrite=overwrite) as file,
                pq.ParquetWriter(file, schema) as out,
            ):
                rows = _rows(given.iter_batches(batch_size=_ROWS), index, shard, recipe)
                kept: list[Any] = []
                for along, painted in work.painted(rows):
                    if not painted:
                        kept.append(along)
                    for picture in painted:
                        name = str(picture.tasks[0].source).partition("::")[2]
                        outcomes += picture.at([f"{shard.target}::{name}"])
                        if picture.files:
                            kept.append(_replaced(along, index, picture.files[0], recipe))
                    if len(kept) >= _ROWS:
                        out.write_table(_table(kept, schema, pa))
                        kept = []
                if kept:
                    out.write_table(_table(kept, schema, pa))
    except pa.ArrowInvalid as error:
        reason = f"got another or a broken one ({error})"
        raise PictureError(f"{shard.source}: expected a Parquet file, {reason}") from None
    return outcomes


def _column(schema: Any, asked: str | None, shard: ShardFile) -> int:
    import pyarrow as pa

    def holds_bytes(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            names = [kind.field(i).name for i in range(kind.num_fields)]
            return "bytes" in names and holds_bytes(kind.field("bytes").type)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    able = [field.name for field in schema if holds_bytes(field.type)]
    if asked is None and len(able) == 1:
        return int(schema.get_field_index(able[0]))
    if asked in able:
        return int(schema.get_field_index(asked))
    wanted = "one column of pictures' bytes" if asked is None else f"a column {asked!r} of pictures' bytes"
    raise InputError(
        f"{shard.source}: expected {wanted}, got {', '.join(able) or 'none'}; name one (--column NAME)"
    )


def _rows(
    batches: Any, index: int, shard: ShardFile, recipe: PictureRecipe
) -> Iterator[tuple[list[Any], Sequence[tuple[Sequence[Task], bytes]]]]:
    """Each row as a list of one-element arrays, and its picture, if it has one."""
    number = 0
    for batch in batches:
        for i in range(batch.num_rows):
            row = [column.slice(i, 1) for column in batch.columns]
            value = row[index][0].as_py()
            is_struct = isinstance(value, dict)
            content, path = (value.get("bytes"), value.get("path")) if is_struct else (value, None)
            if content is None:
                yield row, []
            else:
                name = path or str(number)
                written = format_of_name(name, recipe.format)[0] if path or recipe.format else ""
                yield row, [(recipe.tasks(shard, name, written), content)]
            number += 1


def _replaced(row: list[Any], index: int, painting: bytes, recipe: PictureRecipe) -> list[Any]:
    import pyarrow as pa

    kind = row[index].type
    value = row[index][0].as_py()
    new: Any = painting
    if isinstance(value, dict):
        new = {**value, "bytes": painting}
        if value.get("path"):
            path = Path(value["path"])
            new["path"] = str(path.with_suffix(format_of_name(path.name, recipe.format)[1]))
    return [*row[:index], pa.array([new], kind), *row[index + 1 :]]


def _table(rows: list[list[Any]], schema: Any, pa: Any) -> Any:
    columns = [pa.concat_arrays([row[i] for row in rows]) for i in range(len(schema))]
    return pa.Table.from_arrays(columns, schema=schema)
