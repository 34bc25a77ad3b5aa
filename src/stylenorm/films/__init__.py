"""Films and live pictures: painted steadily, decoded and encoded beside the painting.

What shows live pictures is in `stylenorm.films.page` and `stylenorm.films.window`.
"""

from stylenorm._moved import old_names
from stylenorm.films.live import LiveReport, paint_live
from stylenorm.films.painting import (
    FilmInterruptedError,
    FilmOptions,
    FilmReport,
    paint_animation,
    paint_film,
)
from stylenorm.films.presets import PRESETS, Preset, preset_named
from stylenorm.films.smoothing import FlowSmoother, has_opencv
from stylenorm.films.sources import CameraSource, FilmSource, Source, open_source
from stylenorm.films.steadiness import (
    STEADY,
    Painter,
    RunningPainter,
    ShotPainter,
    SteadyOptions,
    ema_statistics,
    measure_shots,
)

__all__ = [
    "PRESETS",
    "STEADY",
    "CameraSource",
    "FilmInterruptedError",
    "FilmOptions",
    "FilmReport",
    "FilmSource",
    "FlowSmoother",
    "LiveReport",
    "Painter",
    "Preset",
    "RunningPainter",
    "ShotPainter",
    "Source",
    "SteadyOptions",
    "ema_statistics",
    "has_opencv",
    "measure_shots",
    "open_source",
    "paint_animation",
    "paint_film",
    "paint_live",
    "preset_named",
]

__getattr__ = old_names(__name__)
