"""Frozen feature extractors and the losses on them."""

from stylenorm._moved import old_names
from stylenorm.perceptual.choosing import load_feature_network, load_features
from stylenorm.perceptual.download import CACHE_VARIABLE, cache_folder, fetch
from stylenorm.perceptual.features import FeatureNetwork
from stylenorm.perceptual.frechet import FeatureStatistics, frechet_distance
from stylenorm.perceptual.losses import (
    PerceptualLoss,
    PerceptualTerms,
    StyleTarget,
    checkerboard_loss,
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
)
from stylenorm.perceptual.painting_loss import (
    LOOKS,
    Content,
    Look,
    PaintingLoss,
    PaintingTarget,
    PaintingTerms,
    Region,
    palette_quantiles,
)
from stylenorm.perceptual.vgg import DOWNLOADS_VARIABLE, VGGS, Vgg, VggSpec, load_vgg

__all__ = [
    "CACHE_VARIABLE",
    "DOWNLOADS_VARIABLE",
    "LOOKS",
    "VGGS",
    "Content",
    "FeatureNetwork",
    "FeatureStatistics",
    "Look",
    "PaintingLoss",
    "PaintingTarget",
    "PaintingTerms",
    "PerceptualLoss",
    "PerceptualTerms",
    "Region",
    "StyleTarget",
    "Vgg",
    "VggSpec",
    "cache_folder",
    "checkerboard_loss",
    "content_loss",
    "fetch",
    "frechet_distance",
    "gram_matrix",
    "load_feature_network",
    "load_features",
    "load_vgg",
    "palette_quantiles",
    "style_loss",
    "total_variation",
]

__getattr__ = old_names(__name__)
