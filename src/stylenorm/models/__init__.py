"""Trained networks, run without torch: picture in, picture out; a scan in, its labels out."""

from stylenorm.models.adain import AdainPainter, StylePicture
from stylenorm.models.agreement import dice_scores, pixel_errors, surface_distances
from stylenorm.models.classifier import Classifier
from stylenorm.models.generator import PictureGenerator
from stylenorm.models.layerwise import LayeredRun
from stylenorm.models.predictor import predict_style
from stylenorm.models.segmenter import METHODS, Segmenter, standardized
from stylenorm.models.stylizer import Stylizer
from stylenorm.models.translator import Translator
from stylenorm.models.windows import blended, gaussian_weights, window_starts

__all__ = [
    "METHODS",
    "AdainPainter",
    "Classifier",
    "LayeredRun",
    "PictureGenerator",
    "Segmenter",
    "StylePicture",
    "Stylizer",
    "Translator",
    "blended",
    "dice_scores",
    "gaussian_weights",
    "pixel_errors",
    "predict_style",
    "standardized",
    "surface_distances",
    "window_starts",
]
