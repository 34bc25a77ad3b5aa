"""One picture of a batch after the other: read, painted, written; whatever kind of picture it is."""

from __future__ import annotations

import io
import sys
import threading
from collections import OrderedDict
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stylenorm.batches.big import big_picture, paint_big_picture
from stylenorm.batches.options import EngineOptions, Listener, PaintOptions
from stylenorm.batches.small import SMALL_PIXELS, NotSmallError, check_small
from stylenorm.batches.task import FarTask, Task
from stylenorm.closing import Closing
from stylenorm.errors import InputError, OutputError
from stylenorm.media import (
    FILM_FORMATS,
    FORMATS,
    Animation,
    Picture,
    PictureSource,
    check_fits,
    check_output,
    read_media,
    write_media,
)
from stylenorm.models.stylizer import Stylizer
from stylenorm.style import Style
from stylenorm.tiles import Tiling
from stylenorm.timing import timed
from stylenorm.zoo import IDENTITY, NetworkFolder

__all__ = ["BatchPainter", "Lane"]

_KEPT_STYLES = 4096  # of a folder of style pictures; 10 kB each
_THREADED = ("openvino", "winograd", "onnxruntime", "fake")  # torch's number of threads is the process's


class BatchPainter(Closing):
    """What paints a batch: a network, its styles, and lanes, each with an engine of its own.

    Args:
        network: the network folder.
        options: how pictures are painted and written.
        engine: what computes.
        tiling: when pictures are painted in tiles.

    Attributes:
        main: the lane that computes with all threads.
        one_large: is held while a lane paints a large picture from bytes, which all threads do.

    Raises:
        MissingExtraError: the engine is not installed.
        InputError, UnknownNameError: as `stylenorm.Stylizer`.

    Example:
        >>> from stylenorm.zoo import shipped_network
        >>> with BatchPainter(shipped_network(), engine=EngineOptions("fake")) as painter:
        ...     painter.style("scream").name
        'scream'
    """

    def __init__(
        self,
        network: NetworkFolder,
        options: PaintOptions | None = None,
        *,
        engine: EngineOptions | None = None,
        tiling: Tiling | None = None,
    ) -> None:
        self.network, self.options = network, options or PaintOptions()
        self._asked, self._tiling = engine or EngineOptions(), tiling or Tiling()
        self._lock = threading.Lock()
        self.one_large = threading.Lock()
        self._styles: OrderedDict[str, Style] = OrderedDict()
        self._lanes: list[Lane] = []
        self._free: list[Lane] = []
        self.main = self._lane(self._asked.threads)

    def style(self, text: str) -> Style:
        """Return the style that a text describes (`stylenorm.zoo.parse_style`); the last ones are kept.

        Raises:
            UnknownNameError, InputError, PictureError, StyleMismatchError: as for `stylenorm.Stylizer`.
        """
        with self._lock:
            if text in self._styles:
                self._styles.move_to_end(text)
                return self._styles[text]
        style = self.main.stylizer.with_style(text).style
        with self._lock:
            self._styles[text] = style
            while len(self._styles) > _KEPT_STYLES:
                self._styles.popitem(last=False)
        return style

    @property
    def threads(self) -> int:
        """How many threads the main lane computes with."""
        return self._asked.threads or self.main.stylizer.engine.threads

    @property
    def has_lanes(self) -> bool:
        """Whether small pictures can be painted side by side, each by one thread."""
        return self.main.stylizer.engine.name in _THREADED

    def lane(self) -> Lane:
        """Return a lane whose engine computes with one thread: one that was given back, or a new one."""
        with self._lock:
            if self._free:
                return self._free.pop()
        lane = self._lane(1)
        with self._lock:
            self._lanes.append(lane)
        return lane

    def give_back(self, lane: Lane) -> None:
        """Let another run have the lane, with what its engine has compiled."""
        lane.forget()
        with self._lock:
            self._free.append(lane)

    def _lane(self, threads: int | None) -> Lane:
        stylizer = Stylizer(
            self.network.style(IDENTITY),
            network=self.network,
            engine=self._asked.engine,
            precision=self._asked.precision,
            threads=threads,
            tiling=self._tiling,
            noise=self.options.noise,
        )
        return Lane(self, stylizer)

    def close(self) -> None:
        """Close all engines."""
        for lane in (self.main, *self._lanes):
            lane.stylizer.close()


class Lane:
    """Paints one picture at a time, and keeps the one that was read last for its next style.

    Args:
        painter: whose lane it is.
        stylizer: its engine, and any style.
    """

    def __init__(self, painter: BatchPainter, stylizer: Stylizer) -> None:
        self.painter, self.stylizer = painter, stylizer
        self._last: tuple[Path | None, Picture | Animation] | None = None

    def paint(self, task: Task, listener: Listener, *, only_small: bool = False) -> tuple[str, ...]:
        """Paint one picture, film or animation, from file to file.

        Args:
            task: what, in which style, to where.
            listener: is told what goes on.
            only_small: leave everything that takes long.

        Returns:
            Notes: a line for each thing that was changed, ignored or assumed.

        Raises:
            StylenormError, OSError, MemoryError: as reading, painting and writing do; nothing is half
                written.
            NotSmallError: only small pictures were to be painted; nothing was done.
        """
        options = self.painter.options
        if isinstance(task, FarTask):
            return self._paint_far(task)
        stylizer = self.stylizer.with_style(self.painter.style(task.style))
        if task.target is not None:
            check_output(task.target, overwrite=options.overwrite)
        if task.format in FILM_FORMATS:
            if only_small:
                raise NotSmallError
            return self._paint_film(task, stylizer, listener)
        is_read = self._last is not None and self._last[0] == task.source
        if not is_read and only_small:
            check_small(task, options, self.stylizer.tiling)
        elif not is_read and options.size_px is None and not options.crop:
            big = big_picture(task, options, stylizer)
            if big is not None:
                self._last = None
                return self._noted(task, paint_big_picture(task, big, options, stylizer, listener))
        media, read_notes = self._read(task)
        if only_small and isinstance(media, Animation):
            raise NotSmallError
        check_fits(task.format, media.width, media.height)
        painted, more = self.painted(media, task, stylizer, listener)
        with timed("write"):
            notes = write_media(
                painted,
                sys.stdout.buffer if task.target is None else task.target,
                format=task.format,
                quality=options.quality,
                strip=options.strip,
                overwrite=options.overwrite,
            )
        return (*read_notes, *more, *self._noted(task, notes))

    def paint_bytes(self, content: bytes, task: Task, name: str) -> bytes:
        """Paint a picture's file, and return the file of its painting: for tar and Parquet, and far stores.

        Args:
            content: the file.
            task: style and strength are taken from it, and the format; an empty one is the picture's own,
                where it is written, and PNG where not.
            name: how messages call the picture.

        Raises:
            StylenormError, OSError, MemoryError: as reading and painting do.
        """
        options = self.painter.options
        style = self.painter.style(task.style)
        with timed("read"):
            media = read_media(_Named(content, name), **self._reading())
        media = self._fitted(media)
        written = task.format or (media.source_format if media.source_format in FORMATS else "PNG")
        check_fits(str(written), media.width, media.height)
        out = io.BytesIO()
        is_large = isinstance(media, Animation) or media.width * media.height > SMALL_PIXELS
        with self.painter.one_large if is_large else nullcontext():
            stylizer = self.painter.main.stylizer if is_large else self.stylizer
            painted, _ = self.painted(media, task, stylizer.with_style(style), Listener())
            with timed("write"):
                write_media(painted, out, format=written, quality=options.quality, strip=options.strip)
        return out.getvalue()

    def painted(
        self, media: Picture | Animation, task: Task, stylizer: Stylizer, listener: Listener
    ) -> tuple[Picture | Animation, tuple[str, ...]]:
        """Return a picture painted, or an animation whose frames are painted when they are asked for."""
        options = self.painter.options
        if isinstance(media, Animation):
            from stylenorm.batches.films import steady_options
            from stylenorm.films import paint_animation

            listener.add_steps(media.num_frames)
            steady, note = steady_options(options, task.strength)
            painted = paint_animation(media, stylizer, steady, on_frame=listener.step)
            return painted, ((note,) if note else ())
        name = "standard input" if task.source is None else task.source.name

        def paint(pixels: NDArray[Any]) -> NDArray[Any]:
            shown = listener.megapixels(name, pixels.shape[0] * pixels.shape[1])
            return stylizer(
                pixels, task.strength, options.keep_colors, stroke_size=options.stroke_size, progress=shown
            )

        with timed("prepare"):
            return media.painted_with(paint), ()

    def _paint_far(self, task: FarTask) -> tuple[str, ...]:
        from stylenorm.batches.far import read_file, write_file

        overwrite = self.painter.options.overwrite
        if not overwrite and task.is_there():
            raise OutputError(
                f"{task.target_name}: exists already; choose another name, or allow to overwrite"
            )
        painting = self.paint_bytes(read_file(task.source_uri), task, task.source_name)
        write_file(task.target_uri, painting, overwrite=overwrite)
        return ()

    def forget(self) -> None:
        """Let go of the picture that was read last."""
        self._last = None

    def _paint_film(self, task: Task, stylizer: Stylizer, listener: Listener) -> tuple[str, ...]:
        from stylenorm.batches.films import paint_film_task

        options = self.painter.options
        if options.size_px is not None or options.crop:
            option = "--crop" if options.crop else "--size"
            raise InputError(f"{option}: expected pictures, got a film, which keeps its size")
        return self._noted(task, paint_film_task(task, options, stylizer, listener))

    def _read(self, task: Task) -> tuple[Picture | Animation, tuple[str, ...]]:
        """The picture, and what reading it had to say if it was read now."""
        if self._last is not None and self._last[0] == task.source:
            return self._last[1], ()
        self._last = None  # two photos at once would be one too many
        source: PictureSource = sys.stdin.buffer if task.source is None else task.source
        with timed("read"):
            media = read_media(source, **self._reading())
        name = "standard input" if task.source is None else str(task.source)
        notes = tuple(f"{name}: {note}" for note in media.notes)
        media = self._fitted(media)
        self._last = (task.source, media)
        return media, notes

    def _reading(self) -> dict[str, Any]:
        options = self.painter.options
        return {
            "max_megapixels": options.max_megapixels,
            "keep_gps": options.keep_gps,
            "allow_truncated": options.allow_truncated,
        }

    def _fitted(self, media: Picture | Animation) -> Picture | Animation:
        options = self.painter.options
        if not options.crop and options.size_px is None:
            return media
        with timed("prepare"):
            return media.squared(options.size_px) if options.crop else media.fitted(options.size_px or 0)

    def _noted(self, task: Task, notes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{task.target or 'standard output'}: {note}" for note in notes)


class _Named(io.BytesIO):
    """Bytes that messages call by a name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name
