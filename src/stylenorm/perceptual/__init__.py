"""Frozen feature extractors and the losses on them."""

from stylenorm.perceptual.choosing import load_features
from stylenorm.perceptual.darknet import DARKNETS, SMALLEST_PX, Darknet, DarknetSpec, load_darknet
from stylenorm.perceptual.distilled import DISTILLED, DistilledNetwork, load_distilled
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
    "DISTILLED",
    "SMALLEST_PX",
    "Darknet",
    "DarknetSpec",
    "DistilledNetwork",
    "FeatureNetwork",
    "PerceptualLoss",
    "PerceptualTerms",
    "StyleTarget",
    "content_loss",
    "gram_matrix",
    "load_darknet",
    "load_distilled",
    "load_features",
    "style_loss",
    "total_variation",
]
