"""Trained networks, run without torch: picture in, picture out; a scan in, its labels out.

The names below are imported when they are first used: who paints a photo needs none of the other models.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylenorm.models.adain import AdainPainter, StylePicture
    from stylenorm.models.agreement import dice_scores, pixel_errors, surface_distances
    from stylenorm.models.classifier import Classifier
    from stylenorm.models.generator import PictureGenerator
    from stylenorm.models.intensities import Intensities, normalized, standardized
    from stylenorm.models.layerwise import LayeredRun
    from stylenorm.models.predictor import predict_style
    from stylenorm.models.resampling import (
        INTERPOLATIONS,
        coarse_axis,
        labels_of_logits,
        resampled_image,
        resampled_labels,
        sides_at,
    )
    from stylenorm.models.segmenter import METHODS, Segmenter
    from stylenorm.models.stylizer import Stylizer
    from stylenorm.models.translator import Translator
    from stylenorm.models.windows import blended, gaussian_weights, window_starts

__all__ = [
    "INTERPOLATIONS",
    "METHODS",
    "AdainPainter",
    "Classifier",
    "Intensities",
    "LayeredRun",
    "PictureGenerator",
    "Segmenter",
    "StylePicture",
    "Stylizer",
    "Translator",
    "blended",
    "coarse_axis",
    "dice_scores",
    "gaussian_weights",
    "labels_of_logits",
    "normalized",
    "pixel_errors",
    "predict_style",
    "resampled_image",
    "resampled_labels",
    "sides_at",
    "standardized",
    "surface_distances",
    "window_starts",
]

_NAMES = {
    "adain": ("AdainPainter", "StylePicture"),
    "agreement": ("dice_scores", "pixel_errors", "surface_distances"),
    "classifier": ("Classifier",),
    "generator": ("PictureGenerator",),
    "intensities": ("Intensities", "normalized", "standardized"),
    "layerwise": ("LayeredRun",),
    "predictor": ("predict_style",),
    "resampling": (
        "INTERPOLATIONS",
        "coarse_axis",
        "labels_of_logits",
        "resampled_image",
        "resampled_labels",
        "sides_at",
    ),
    "segmenter": ("METHODS", "Segmenter"),
    "stylizer": ("Stylizer",),
    "translator": ("Translator",),
    "windows": ("blended", "gaussian_weights", "window_starts"),
}
_HOMES = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
