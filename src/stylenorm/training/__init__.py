"""Training: one recipe, one file; one loop."""

from stylenorm.training.adain import Adain, AdainConfig
from stylenorm.training.class_folders import ClassFolders
from stylenorm.training.cyclegan import CycleGan, CycleGanConfig
from stylenorm.training.data import Photos, read_painting
from stylenorm.training.distill import DistillConfig, distill
from stylenorm.training.ibn import Ibn, IbnConfig
from stylenorm.training.johnson import Johnson, JohnsonConfig
from stylenorm.training.labels import LabelledPhotos
from stylenorm.training.learn import Learn, LearnConfig
from stylenorm.training.leaves import DeadLeaves
from stylenorm.training.loop import LoopConfig, Recipe, fit
from stylenorm.training.multistyle import Multistyle, MultistyleConfig, Painting
from stylenorm.training.pairs import Pairs
from stylenorm.training.pix2pix import Pix2Pix, Pix2PixConfig
from stylenorm.training.predict import Predict, PredictConfig
from stylenorm.training.spade import Spade, SpadeConfig
from stylenorm.training.squares import Squares
from stylenorm.training.stylegan import StyleGan, StyleGanConfig
from stylenorm.training.stylegan2 import StyleGan2, StyleGan2Config
from stylenorm.training.texture import Texture, TextureConfig
from stylenorm.training.ulyanov import Ulyanov, UlyanovConfig
from stylenorm.training.volumes import Volumes, VolumesConfig

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
