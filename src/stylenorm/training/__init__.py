"""Training: one recipe, one file; one loop."""

from stylenorm.training.data import Photos, read_painting
from stylenorm.training.distill import Distill, DistillConfig
from stylenorm.training.loop import LoopConfig, Recipe, fit
from stylenorm.training.multistyle import Multistyle, MultistyleConfig, Painting

__all__ = [
    "Distill",
    "DistillConfig",
    "LoopConfig",
    "Multistyle",
    "MultistyleConfig",
    "Painting",
    "Photos",
    "Recipe",
    "fit",
    "read_painting",
]
