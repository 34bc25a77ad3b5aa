"""Training: one recipe, one file; one loop."""

from stylenorm.configurations import (
    AdainConfig,
    CycleGanConfig,
    IbnConfig,
    JohnsonConfig,
    LearnConfig,
    LoopConfig,
    MultistyleConfig,
    Pix2PixConfig,
    PredictConfig,
    SpadeConfig,
    StyleGan2Config,
    StyleGanConfig,
    TextureConfig,
    UlyanovConfig,
    VolumesConfig,
)
from stylenorm.training.data.class_folders import ClassFolders
from stylenorm.training.data.dead_leaves import DeadLeaves
from stylenorm.training.data.labels import LabelledPhotos
from stylenorm.training.data.paintings import Painting
from stylenorm.training.data.pairs import Pairs
from stylenorm.training.data.photos import Photos, read_painting
from stylenorm.training.data.square_crops import Squares
from stylenorm.training.loop import Recipe, fit
from stylenorm.training.recipes.adain import Adain
from stylenorm.training.recipes.cyclegan import CycleGan
from stylenorm.training.recipes.ibn import Ibn
from stylenorm.training.recipes.johnson import Johnson
from stylenorm.training.recipes.learn import Learn
from stylenorm.training.recipes.multistyle import Multistyle
from stylenorm.training.recipes.pix2pix import Pix2Pix
from stylenorm.training.recipes.predict import Predict
from stylenorm.training.recipes.spade import Spade
from stylenorm.training.recipes.stylegan import StyleGan
from stylenorm.training.recipes.stylegan2 import StyleGan2
from stylenorm.training.recipes.texture import Texture
from stylenorm.training.recipes.ulyanov import Ulyanov
from stylenorm.training.recipes.volumes import Volumes

__all__ = [
    "Adain",
    "AdainConfig",
    "ClassFolders",
    "CycleGan",
    "CycleGanConfig",
    "DeadLeaves",
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
    "fit",
    "read_painting",
]
