"""Pictures that do not fit into memory: decoded to files, painted in tiles, encoded from files; resumable."""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.cli.progress import Progress
from stylenorm.cli.usage import positive_number

if TYPE_CHECKING:
    from stylenorm.cli.stylize import StylizeOptions
    from stylenorm.media import BigPicture, Job
    from stylenorm.models.stylizer import Stylizer

__all__ = [
    "Megapixels",
    "add_tile_arguments",
    "big_picture",
    "duration_text",
    "paint_big_job",
    "tile_size",
]

_HALF = 0.5  # of the memory may go for a picture that is read whole; the rest is for painting it
_SHOWN_S = 0.5


class Megapixels:
    """Shows how many megapixels are painted, and how long the rest will take.

    Args:
        progress: where it is shown.
        name: of the picture.
        num_pixels: of the picture.
    """

    def __init__(self, progress: Progress, name: str, num_pixels: int) -> None:
        self._progress, self._name, self._all = progress, name, num_pixels
        self._done, self._began = 0.0, time.monotonic()
        self._resumed, self._shown = 0.0, 0.0

    def __call__(self, pixels: float) -> None:
        """So many pixels more are done."""
        now = time.monotonic()
        self._done += pixels
        if now - self._began < _SHOWN_S:  # what an earlier process did comes at once: no measure of speed
            self._resumed = self._done
        if now - self._shown < _SHOWN_S:
            return
        self._shown = now
        text = f"{self._name}: {self._done / 1e6:.0f} of {self._all / 1e6:.0f} MP"
        if self._done > self._resumed:
            left_s = (now - self._began) * (self._all - self._done) / (self._done - self._resumed)
            text += f", {duration_text(left_s)} left"
        self._progress.show(text)


def add_tile_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is asked about big pictures."""
    group = parser.add_argument_group("big pictures")
    group.add_argument(
        "--tile",
        default="auto",
        metavar="auto|off|N",
        help="paint in tiles of N pixels, with the same result; auto: where memory asks for it (default)",
    )
    group.add_argument(
        "--memory",
        type=_memory_size,
        metavar="SIZE",
        help="use no more, as 1GB; default: most of what is free",
    )
    group.add_argument(
        "--stroke-size",
        type=_stroke_size,
        default=1.0,
        metavar="N",
        help="strokes N times as wide, for prints: painted small, then given the photo's detail (default: 1)",
    )
    group.add_argument(
        "--fast",
        action="store_true",
        help="in tiles, measure some of the picture instead of all; nearly the same",
    )


def _stroke_size(text: str) -> float:
    number = positive_number(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError(f"expected 1 to 64, got {text}")
    return number


def tile_size(text: str) -> int | str:
    """Return ``--tile`` as a number where it is one."""
    return int(text) if text.isdecimal() else text


def _memory_size(text: str) -> int:
    """Bytes of ``2GB``, ``500M``, ``1.5 GiB``."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    if match is None or not float(match[1]) > 0:
        raise argparse.ArgumentTypeError(f"expected a size as 500MB or 2GB, got {text}")
    power = " kmgt".index(match[2].lower() or " ")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


def big_picture(job: Job, options: StylizeOptions, stylizer: Stylizer) -> BigPicture | None:
    """Return the picture if it is too large to be read and written whole; None if it is not, or no file.

    Raises:
        PictureError: the file is missing, no picture, or larger than allowed.
    """
    from stylenorm.media import MAX_MEGAPIXELS, look_at

    if job.source is None or job.target is None or not job.source.is_file():
        return None
    if stylizer.tiling.tile == "off" or not stylizer.engine.runs_graphs:
        return None
    limit = options.max_megapixels or MAX_MEGAPIXELS
    picture = look_at(job.source, max_megapixels=limit, keep_gps=options.keep_gps)
    return picture if picture.bytes_in_memory > stylizer.tiling.budget_bytes() * _HALF else None


def paint_big_job(
    job: Job, picture: BigPicture, options: StylizeOptions, stylizer: Stylizer, progress: Progress
) -> tuple[str, ...]:
    """Paint one picture by way of files in a hidden folder beside the output.

    A process that is killed, or interrupted by Ctrl-C, leaves the folder; the same command goes on from it.

    Returns:
        Notes on what the format could not hold.

    Raises:
        PictureError, OutputError, MemoryError, MissingExtraError: as reading, painting and writing do.
    """
    from stylenorm.errors import OutputError
    from stylenorm.media import BIG_FORMATS, Metadata, check_fits, check_output, format_named, write_big
    from stylenorm.tiles import DiskWorkspace, array_checksum

    target, name = job.target, picture.path.name
    assert target is not None  # noqa: S101 (big_picture says so)
    kind = format_named(job.format or target.suffix).name
    if kind not in BIG_FORMATS:
        raise OutputError(
            f"{target}: {kind} cannot be written in parts, and the picture does not fit into memory; "
            "write PNG, JPEG or TIFF"
        )
    check_output(target, overwrite=options.overwrite)
    check_fits(kind, *picture.upright_size)
    folder = target.parent / f".{target.name}.stylenorm"
    work = _work(picture, options, stylizer)
    photos = DiskWorkspace(folder / "pictures", work["photo"])
    maps = DiskWorkspace(folder / "maps", work, beside=photos)

    def show(what: str) -> Callable[[float], None]:
        def shown(share: float) -> None:
            maps.settle()
            progress.show(f"{name}: {what} {share:.0%}")

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
            photo = picture.decode(lambda shape, dtype: photos.array("photo", shape, dtype), show("reading"))
            about = {"shape": photo.shape, "dtype": photo.dtype.name, "checksum": array_checksum(photo)}
            photos.note(about)
        else:
            progress.print(f"stylenorm: note: {picture.path}: going on where the last run stopped")
        out = maps.array("out", photo.shape, photo.dtype)
        _paint(stylizer, photo, out, options, maps, Megapixels(progress, name, photo[..., 0].size))
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
        progress.print(f"stylenorm: note: {picture.path}: the same command will go on where this one stopped")
        raise
    _delete(folder, photos, maps)
    return (*picture.notes, *notes)


def _paint(stylizer: Any, photo: Any, out: Any, options: Any, maps: Any, progress: Megapixels) -> None:
    rows = 256
    if photo.shape[2] > 3:
        for top in range(0, len(photo), rows):
            out[top : top + rows, :, 3] = photo[top : top + rows, :, 3]
    if options.strength == 0 or stylizer.style.photo_gate == 1:
        for top in range(0, len(photo), rows):
            out[top : top + rows] = photo[top : top + rows]
        return
    if options.stroke_size > 1:
        stylizer.paint_strokes(
            photo[..., :3], out, options.strength, options.keep_colors, options.stroke_size, progress
        )
        return
    stylizer.paint_tiles(
        photo[..., :3],
        out[..., :3],
        options.strength,
        options.keep_colors,
        workspace=maps,
        progress=progress,
    )


def _work(picture: BigPicture, options: StylizeOptions, stylizer: Stylizer) -> dict[str, Any]:
    """What is painted and how: another answer here, and nothing that was left is used."""
    about = picture.path.stat()
    photo = {"path": str(picture.path.resolve()), "bytes": about.st_size, "changed": about.st_mtime_ns}
    vector = hashlib.sha256(stylizer.style.vector().tobytes()).hexdigest()
    return {
        "photo": photo,
        "network": stylizer.network.identity,
        "style": vector,
        "strength": options.strength,
        "keep_colors": options.keep_colors,
        "tile": stylizer.tiling.tile,
        "fast": stylizer.tiling.fast,
        "stroke_size": options.stroke_size,
        "engine": [stylizer.engine.name, stylizer.engine.precision],
    }


def _delete(folder: Path, *workspaces: Any) -> None:
    for workspace in workspaces:
        workspace.delete()
    with suppress(OSError):
        folder.rmdir()


def duration_text(seconds: float) -> str:
    """Seconds as people say them: ``1 min 5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
