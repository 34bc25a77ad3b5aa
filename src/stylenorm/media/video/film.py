"""What a film is, before a frame of it is read: size, times, colours, streams.

Films are read by PyAV (FFmpeg), the extra ``[video]``; nothing of it is imported before a film is opened.
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import MissingExtraError, PictureError
from stylenorm.media.video.color import FilmColor

__all__ = ["Film", "FilmFrame", "Turn", "film_errors", "import_av", "open_film", "packets_of", "turn_of"]

# FFmpeg's containers and bare streams that hold films; others (playlists, lists of files) would open others
_CONTAINERS = (
    "amr,asf,av1,avi,avs,avs2,avs3,bink,cavsvideo,dirac,dnxhd,dv,ea,evc,flv,gxf,h261,h263,h264,hevc,idcin,"
    "ivf,ivr,live_flv,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mtv,mxf,nsv,nut,nuv,obu,ogg,pva,r3d,rm,"
    "roq,smk,thp,ty,vc1,vc1test,vvc,webm,wtv,xmv,yuv4mpegpipe"
)


@dataclass(frozen=True)
class Turn:
    """How a decoded frame is turned upright: swap the axes, then flip rows, then flip columns.

    Example:
        >>> coded = np.array([[1, 2, 3], [4, 5, 6]])[..., None]
        >>> Turn(swap=True, flip_columns=True)(coded)[..., 0]  # a quarter turn clockwise
        array([[4, 1],
               [5, 2],
               [6, 3]])
    """

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def __call__(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Turn (H, W, C); a view where nothing changes."""
        if self.swap:
            pixels = pixels.swapaxes(0, 1)
        if self.flip_rows:
            pixels = pixels[::-1]
        if self.flip_columns:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)


@dataclass(frozen=True)
class Film:
    """A film's description; everything is given upright, as it is shown and painted.

    Attributes:
        name: how messages call it.
        width, height: in pixels.
        sample_aspect: width of a pixel over its height.
        turn: from decoded frames to upright ones.
        color: how its numbers are meant.
        time_base: seconds of one unit of the frames' times.
        start_s: time of the first frame.
        duration_s: how long it is; None if it does not say.
        frame_rate: frames a second, on average.
        num_frames: about how many; None if unknown.
        notes: one line for each thing that reading has to change, ignore or assume.
    """

    name: str
    width: int
    height: int
    sample_aspect: Fraction
    turn: Turn
    color: FilmColor
    time_base: Fraction
    start_s: float
    duration_s: float | None
    frame_rate: Fraction
    num_frames: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FilmFrame:
    """One frame of a film.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, full range, upright.
        pts: when it is shown, in the film's time base.
        duration: how long, likewise; 0 if unknown.
        time_s: seconds since the film's first frame.
        damaged: the decoder had to guess parts of it.
    """

    pixels: NDArray[np.uint8]
    pts: int
    duration: int
    time_s: float
    damaged: bool = False


def import_av() -> Any:
    """Import PyAV, and keep FFmpeg's log off the terminal: what matters comes as errors.

    Raises:
        MissingExtraError: it is not installed.
    """
    if importlib.util.find_spec("av") is None:
        raise MissingExtraError("av", "video", "reading and writing films")
    import av
    import av.logging

    av.logging.set_level(None)
    return av


def turn_of(frame: Any) -> tuple[Turn, str]:
    """Read a frame's display matrix; turns that are no quarter turns are left out, with a note."""
    try:
        data = bytes(frame.side_data["DISPLAYMATRIX"])
    except KeyError:
        return Turn(), ""
    a, b, _, c, d, *_ = struct.unpack("=9i", data[:36])
    scale = max(abs(a), abs(b), abs(c), abs(d), 1)
    small = scale // 100
    if abs(b) <= small and abs(c) <= small:
        return Turn(False, d < 0, a < 0), ""
    if abs(a) <= small and abs(d) <= small:
        return Turn(True, b < 0, c < 0), ""
    return Turn(), "it is turned by no quarter turn, which is not applied"


def open_film(name: str) -> Any:
    """Open a film for reading; the ``av`` container. Only files, and only what films come in.

    Raises:
        PictureError: it is a pipe or a device.
        av.FFmpegError: as FFmpeg says; `film_errors` turns it into a line.
    """
    path = Path(name)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise PictureError(f"{name}: expected a file, got a pipe or a device; films are read twice: save it")
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
    return import_av().open(f"file:{name}", metadata_errors="replace", options=options)


def packets_of(container: Any, *streams: Any) -> Iterator[Any]:
    """Give the packets of some streams, in the order of the file; empty ones where streams end."""
    try:
        yield from container.demux(*streams)
    except IndexError:  # PyAV 18, at the end, if a stream that nobody asked for has appeared on the way
        return


@contextmanager
def film_errors(name: str) -> Iterator[None]:
    """Turn what FFmpeg raises about a file into one `PictureError`."""
    av = import_av()
    try:
        yield
    except av.FFmpegError as error:
        expected = "expected a film (MP4, MOV, MKV, WebM, AVI, ...)"
        if isinstance(error, FileNotFoundError):
            reason = "no such file; check the path"
        elif isinstance(error, PermissionError):
            reason = "no permission to read it"
        elif isinstance(error, IsADirectoryError):
            reason = f"{expected}, got a folder"
        elif Path(name).is_file() and Path(name).stat().st_size == 0:
            reason = f"{expected}, got an empty file; was it copied to its end?"
        else:
            reason = f"{expected}, got something else or a broken one ({error.strerror})"
        raise PictureError(f"{name}: {reason}") from error
