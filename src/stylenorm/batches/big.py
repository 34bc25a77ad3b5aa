"""Pictures that do not fit into memory: decoded to files, painted in tiles, encoded from files; resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stylenorm.batches.options import Listener, PaintOptions
from stylenorm.batches.task import Task
from stylenorm.errors import OutputError
from stylenorm.media import (
    BIG_FORMATS,
    BigPicture,
    Job,
    Metadata,
    check_fits,
    check_output,
    format_named,
    read_header,
    write_big,
)
from stylenorm.models.stylizer import Stylizer
from stylenorm.tiles import DiskWorkspace, array_checksum
from stylenorm.timing import timed

__all__ = ["big_picture", "paint_big_picture"]

_HALF = 0.5  # of the memory may go for a picture that is read whole; the rest is for painting it


def big_picture(job: Job, options: PaintOptions, stylizer: Stylizer) -> BigPicture | None:
    """Return the picture if it is too large to be read and written whole; None if it is not, or no file.

    Raises:
        PictureError: the file is missing, no picture, or larger than allowed.
    """
    if job.source is None or job.target is None or not job.source.is_file():
        return None
    if stylizer.tiling.tile == "off" or not stylizer.engine.runs_graphs:
        return None
    picture = read_header(job.source, max_megapixels=options.max_megapixels, keep_gps=options.keep_gps)
    return picture if picture.bytes_in_memory > stylizer.tiling.budget_bytes() * _HALF else None


def paint_big_picture(
    task: Task, picture: BigPicture, options: PaintOptions, stylizer: Stylizer, listener: Listener
) -> tuple[str, ...]:
    """Paint one picture by way of files in a hidden folder beside the output.

    A process that is killed, or interrupted by Ctrl-C, leaves the folder; the same command goes on from it.

    Returns:
        Notes on what the format could not hold.

    Raises:
        PictureError, OutputError, MemoryError, MissingExtraError: as reading, painting and writing do.
    """
    target, name = task.target, picture.path.name
    assert target is not None  # noqa: S101 (big_picture says so)
    kind = format_named(task.format or target.suffix).name
    if kind not in BIG_FORMATS:
        raise OutputError(
            f"{target}: {kind} cannot be written in parts, and the picture does not fit into memory; "
            "write PNG, JPEG or TIFF"
        )
    check_output(target, overwrite=options.overwrite)
    check_fits(kind, *picture.upright_size)
    folder = target.parent / f".{target.name}.stylenorm"
    work = _work(picture, task.strength, options, stylizer)
    photos = DiskWorkspace(folder / "pictures", work["photo"])
    maps = DiskWorkspace(folder / "maps", work, beside=photos)

    def show(what: str) -> Callable[[float], None]:
        def shown(share: float) -> None:
            maps.release_pages()
            listener.show(f"{name}: {what} {share:.0%}")

        return shown

    try:
        left = photos.state()
        photo = None
        if left is not None:
            photo = photos.array("photo", tuple(left["shape"]), left["dtype"])
            if array_checksum(photo) != left["checksum"]:
                photo = None  # cut off or changed
                photos.free("photo")
        if photo is None:
            with timed("read"):
                photo = picture.decode(
                    lambda shape, dtype: photos.array("photo", shape, dtype), show("reading")
                )
            about = {"shape": photo.shape, "dtype": photo.dtype.name, "checksum": array_checksum(photo)}
            photos.save_state(about)
        else:
            listener.say(f"note: {picture.path}: going on where the last run stopped")
        out = maps.array("out", photo.shape, photo.dtype)
        shown = listener.megapixels(name, photo[..., 0].size)
        with timed("prepare"):
            _paint(stylizer, photo, out, task.strength, options, maps, shown)
        with timed("write"):
            notes = write_big(
                out,
                target,
                format=kind,
                metadata=Metadata() if options.strip else picture.metadata,
                quality=options.quality,
                overwrite=options.overwrite,
                progress=show("writing"),
            )
    except Exception:
        _delete(folder, photos, maps)
        raise
    except BaseException:  # Ctrl-C, or the end that SIGTERM and SIGHUP ask for
        listener.say(f"note: {picture.path}: the same command will go on where this one stopped")
        raise
    _delete(folder, photos, maps)
    return (*picture.notes, *notes)


def _paint(
    stylizer: Stylizer,
    photo: NDArray[Any],
    out: NDArray[Any],
    strength: float,
    options: PaintOptions,
    maps: DiskWorkspace,
    progress: Callable[[float], None],
) -> None:
    rows = 256
    if photo.shape[2] > 3:
        for top in range(0, len(photo), rows):
            out[top : top + rows, :, 3] = photo[top : top + rows, :, 3]
    if strength == 0 or stylizer.style.photo_gate == 1:
        for top in range(0, len(photo), rows):
            out[top : top + rows] = photo[top : top + rows]
        return
    if options.stroke_size > 1:
        stylizer.paint_strokes(
            photo[..., :3], out, strength, options.keep_colors, options.stroke_size, progress
        )
        return
    stylizer.paint_tiles(
        photo[..., :3],
        out[..., :3],
        strength,
        options.keep_colors,
        workspace=maps,
        progress=progress,
    )


def _work(picture: BigPicture, strength: float, options: PaintOptions, stylizer: Stylizer) -> dict[str, Any]:
    """What is painted and how: another answer here, and nothing that was left is used."""
    about = picture.path.stat()
    photo = {"path": str(picture.path.resolve()), "bytes": about.st_size, "changed": about.st_mtime_ns}
    vector = hashlib.sha256(stylizer.style.vector().tobytes()).hexdigest()
    return {
        "photo": photo,
        "network": stylizer.network.identity,
        "style": vector,
        "strength": strength,
        "keep_colors": options.keep_colors,
        "tile": stylizer.tiling.tile,
        "fast": stylizer.tiling.fast,
        "stroke_size": options.stroke_size,
        "noise": stylizer.noise,
        "engine": [stylizer.engine.name, stylizer.engine.precision],
    }


def _delete(folder: Path, *workspaces: Any) -> None:
    for workspace in workspaces:
        workspace.delete()
    with suppress(OSError):
        folder.rmdir()
