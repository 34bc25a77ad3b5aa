"""Trained networks, run without torch: picture in, picture out; a scan in, its labels out."""

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
