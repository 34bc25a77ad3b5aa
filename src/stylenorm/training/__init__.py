"""Training: one recipe, one file; one loop."""

from stylenorm.training.data import Photos, read_painting
from stylenorm.training.distill import DistillConfig, distill
from stylenorm.training.learn import Learn, LearnConfig
from stylenorm.training.leaves import DeadLeaves
from stylenorm.training.loop import LoopConfig, Recipe, fit
from stylenorm.training.multistyle import Multistyle, MultistyleConfig, Painting
from stylenorm.training.predict import Predict, PredictConfig

__all__ = [
    "DeadLeaves",
    "DistillConfig",
    "Learn",
    "LearnConfig",
    "LoopConfig",
    "Multistyle",
    "MultistyleConfig",
    "Painting",
    "Photos",
    "Predict",
    "PredictConfig",
    "Recipe",
    "distill",
    "fit",
    "read_painting",
]
