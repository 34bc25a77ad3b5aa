"""Training: one recipe, one file; one loop."""

from stylenorm.training.data.class_folders import ClassFolders
from stylenorm.training.data.dead_leaves import DeadLeaves
from stylenorm.training.data.labels import LabelledPhotos
from stylenorm.training.data.pairs import Pairs
from stylenorm.training.data.photos import Photos, read_painting
from stylenorm.training.data.square_crops import Squares
from stylenorm.training.loop import LoopConfig, Recipe, fit
from stylenorm.training.recipes.adain import Adain, AdainConfig
from stylenorm.training.recipes.cyclegan import CycleGan, CycleGanConfig
from stylenorm.training.recipes.distill import DistillConfig, distill
from stylenorm.training.recipes.ibn import Ibn, IbnConfig
from stylenorm.training.recipes.johnson import Johnson, JohnsonConfig
from stylenorm.training.recipes.learn import Learn, LearnConfig
from stylenorm.training.recipes.multistyle import Multistyle, MultistyleConfig, Painting
from stylenorm.training.recipes.pix2pix import Pix2Pix, Pix2PixConfig
from stylenorm.training.recipes.predict import Predict, PredictConfig
from stylenorm.training.recipes.spade import Spade, SpadeConfig
from stylenorm.training.recipes.stylegan import StyleGan, StyleGanConfig
from stylenorm.training.recipes.stylegan2 import StyleGan2, StyleGan2Config
from stylenorm.training.recipes.texture import Texture, TextureConfig
from stylenorm.training.recipes.ulyanov import Ulyanov, UlyanovConfig
from stylenorm.training.recipes.volumes import Volumes, VolumesConfig

__all__ = [
    "Adain",
    "AdainConfig",
    "ClassFolders",
    "CycleGan",
    "CycleGanConfig",
    "DeadLeaves",
    "DistillConfig",
    "Ibn",
    "IbnConfig",
    "Johnson",
    "JohnsonConfig",
    "LabelledPhotos",
    "Learn",
    "LearnConfig",
    "LoopConfig",
    "Multistyle",
    "MultistyleConfig",
    "Painting",
    "Pairs",
    "Photos",
    "Pix2Pix",
    "Pix2PixConfig",
    "Predict",
    "PredictConfig",
    "Recipe",
    "Spade",
    "SpadeConfig",
    "Squares",
    "StyleGan",
    "StyleGan2",
    "StyleGan2Config",
    "StyleGanConfig",
    "Texture",
    "TextureConfig",
    "Ulyanov",
    "UlyanovConfig",
    "Volumes",
    "VolumesConfig",
    "distill",
    "fit",
    "read_painting",
]
