"""Where live frames come from: a camera, or a film played at its own pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from stylenorm._moved import old_names
from stylenorm.closing import Closing
from stylenorm.errors import InputError
from stylenorm.films.smoothing import import_opencv
from stylenorm.media import FilmFrame, FilmReader

__all__ = ["CameraSource", "FilmSource", "LatestFrame", "Source", "open_source"]

__getattr__ = old_names(__name__)

Pixels = NDArray[np.uint8]
T = TypeVar("T")

_POLL_S = 0.1


class Source(Protocol):
    """Gives frames, (H, W, 3) uint8 RGB, when they are due.

    The device or file belongs to the thread that takes the frames: letting it go under another one that is
    reading from it would be a crash.
    """

    def frames(self) -> Generator[Pixels, None, None]:
        """Give frame after frame, waiting for each; the end lets the device or file go."""

    def close(self) -> None:
        """Let `frames` end soon; may be called from any thread."""


class CameraSource:
    """A camera, by OpenCV (V4L2, AVFoundation, Media Foundation).

    Args:
        index: 0 is the first camera.
        width: that is asked for; the camera decides.
        height: likewise.

    Raises:
        InputError: there is no such camera, or another program has it.
        MissingExtraError: OpenCV is not installed.
    """

    def __init__(self, index: int = 0, width: int = 1280, height: int = 720) -> None:
        self._cv2 = import_opencv("a camera")
        quiet = getattr(self._cv2, "setLogLevel", None)  # of OpenCV 4; 5 has moved it
        (quiet or self._cv2.utils.logging.setLogLevel)(0)  # what matters comes as an error
        self._camera = self._cv2.VideoCapture(index)
        if not self._camera.isOpened():
            raise InputError(
                f"camera {index}: cannot be opened; is it plugged in, free and allowed? "
                "Another one is --source 1, a film --source film.mp4"
            )
        self._camera.set(self._cv2.CAP_PROP_FRAME_WIDTH, width)
        self._camera.set(self._cv2.CAP_PROP_FRAME_HEIGHT, height)
        self._closed = threading.Event()

    def frames(self) -> Generator[Pixels, None, None]:
        """Give frame after frame, mirrored as in a mirror; ends when the camera is unplugged."""
        try:
            while not self._closed.is_set():
                came, pixels = self._camera.read()
                if not came:
                    return
                yield self._cv2.flip(self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB), 1)
        finally:
            self._camera.release()

    def close(self) -> None:
        """Let `frames` end, which switches the camera off."""
        self._closed.set()


class FilmSource:
    """A film, played at its own pace.

    Args:
        path: the film.
        max_side_px: make frames no larger than this.
        paced: wait until each frame is due; without, they come as fast as they are taken.

    Raises:
        PictureError: it is no film.
    """

    def __init__(self, path: str | Path, *, max_side_px: int | None = None, paced: bool = True) -> None:
        self._reader = FilmReader(path, max_side_px=max_side_px)
        self._paced = paced
        self._closed = threading.Event()

    def frames(self) -> Generator[Pixels, None, None]:
        """Give the film's frames."""
        started = time.monotonic()
        with self._reader:
            for item in self._reader.items(packets=False):
                if not isinstance(item, FilmFrame):
                    continue
                wait_s = started + item.time_s - time.monotonic() if self._paced else 0.0
                if self._closed.wait(max(wait_s, 0.0)):
                    return
                yield item.pixels

    def close(self) -> None:
        """Let `frames` end, which closes the file."""
        self._closed.set()


class LatestFrame(Closing, Generic[T]):
    """Iterates over a source in a thread; who asks gets the newest item, and older ones are dropped.

    So what is shown lags by one painting, however slow painting is. A context manager.

    Attributes:
        num_dropped: items that nobody asked for in time.
    """

    def __init__(self, source: Generator[T, None, None]) -> None:
        self._source, self.num_dropped = source, 0
        self._item: T | None = None
        self._error: BaseException | None = None
        self._ended = self._stopped = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="newest", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._change:
                while self._item is None and not self._ended:
                    self._change.wait(_POLL_S)  # a limit, so that Ctrl-C is heard
                item, self._item = self._item, None
                if item is None:
                    if self._error is not None:
                        raise self._error
                    return
            yield item

    def close(self) -> None:
        """Take no more, and wait for the thread, which ends with the item it waits for."""
        self._stopped = True
        self._thread.join()

    def _run(self) -> None:
        try:
            for item in self._source:
                with self._change:
                    if self._stopped:
                        return
                    self.num_dropped += self._item is not None
                    self._item = item
                    self._change.notify()
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that iterates)
            self._error = error
        finally:
            self._source.close()
            with self._change:
                self._ended = True
                self._change.notify()


def open_source(text: str, *, max_side_px: int | None = None) -> Source:
    """Open a camera by its number, or a film by its path.

    Raises:
        InputError: no such camera.
        PictureError: no such film.
    """
    if text.isdecimal():
        height = 720 if max_side_px is None else max(round(max_side_px * 9 / 16), 1)
        return CameraSource(int(text), max_side_px or 1280, height)
    return FilmSource(text, max_side_px=max_side_px)
