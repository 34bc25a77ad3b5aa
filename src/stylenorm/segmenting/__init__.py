"""Volumes, such as CT and MR scans, segmented by a trained network, without torch."""

from stylenorm.segmenting.layers import LayeredRun
from stylenorm.segmenting.segmenter import METHODS, SEGMENTER_FORMAT, Segmenter, standardized
from stylenorm.segmenting.windows import blended, gaussian_weights, window_starts

__all__ = [
    "METHODS",
    "SEGMENTER_FORMAT",
    "LayeredRun",
    "Segmenter",
    "blended",
    "gaussian_weights",
    "standardized",
    "window_starts",
]
