"""What a batch is told: how pictures are painted and written, and which part of films."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from stylenorm.engines import DEFAULT_ENGINE
from stylenorm.media import MAX_MEGAPIXELS

__all__ = ["EngineOptions", "FilmPart", "Listener", "PaintOptions"]


@dataclass(frozen=True)
class FilmPart:
    """What is asked of films and animations; pictures ignore it.

    Attributes:
        start_s: where to begin, in seconds.
        end_s: where to end; None for the film's end.
        preview: only a few seconds, and small.
        steady: whose statistics the norms use: ``"shot"``, ``"running"`` or ``"off"``.
        smooth: 0 to 0.9, how far strokes travel with the motion; None for the default where OpenCV is.
        preset: a name of `stylenorm.films.PRESETS`.
    """

    start_s: float = 0.0
    end_s: float | None = None
    preview: bool = False
    steady: str = "shot"
    smooth: float | None = None
    preset: str = "standard"


@dataclass(frozen=True)
class PaintOptions:
    """How pictures are read, painted and written; the same for all of a batch.

    Attributes:
        keep_colors: as in `stylenorm.Stylizer`.
        stroke_size: as in `stylenorm.Stylizer`.
        noise: as in `stylenorm.Stylizer`; films have none.
        size_px: the longer side at most; with ``crop`` the side of the square, also of smaller pictures.
            None for the picture's own size.
        crop: cut the square from the middle, as data sets for classification do.
        quality: 1 to 100, of JPEG, WebP, AVIF and films.
        strip: write no metadata.
        keep_gps: keep where a photo was taken.
        overwrite: replace files that exist.
        max_megapixels: larger pictures are refused.
        allow_truncated: paint what there is of files that were cut off.
        film: what is asked of films.
    """

    keep_colors: bool | str = False
    stroke_size: float = 1.0
    noise: float | None = None
    size_px: int | None = None
    crop: bool = False
    quality: int = 95
    strip: bool = False
    keep_gps: bool = False
    overwrite: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    allow_truncated: bool = False
    film: FilmPart = field(default_factory=FilmPart)


@dataclass(frozen=True)
class EngineOptions:
    """What computes; see `stylenorm.Stylizer`."""

    engine: str = DEFAULT_ENGINE
    precision: str = "auto"
    threads: int | None = None


class Listener:
    """Is told what goes on inside a picture that takes long; this one does not listen."""

    def show(self, text: str) -> None:
        """Say what is being worked on."""

    def megapixels(self, name: str, num_pixels: int) -> Callable[[float], None]:  # noqa: ARG002
        """Return what is told the pixels that are done, of so many."""
        return _ignore

    def add_steps(self, count: int) -> None:
        """There turned out to be more to do: the frames of an animation."""

    def step(self) -> None:
        """One of these is done."""

    def say(self, text: str) -> None:
        """Say something that a user must know now: that a run can be gone on with."""


def _ignore(pixels: float) -> None:
    """Nobody listens."""
