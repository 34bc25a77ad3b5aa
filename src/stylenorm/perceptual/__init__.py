"""Frozen feature extractors and the losses on them."""

from stylenorm.perceptual.darknet import DARKNETS, SMALLEST_PX, Darknet, DarknetSpec, load_darknet
from stylenorm.perceptual.features import FeatureNetwork
from stylenorm.perceptual.losses import (
    PerceptualLoss,
    PerceptualTerms,
    StyleTarget,
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
)

__all__ = [
    "DARKNETS",
    "SMALLEST_PX",
    "Darknet",
    "DarknetSpec",
    "FeatureNetwork",
    "PerceptualLoss",
    "PerceptualTerms",
    "StyleTarget",
    "content_loss",
    "gram_matrix",
    "load_darknet",
    "style_loss",
    "total_variation",
]
