"""What trainings and optimizations are told: dataclasses, read without torch; the table of recipes."""

from stylenorm.configurations.fields import REQUIRED, ConfigField, config_fields
from stylenorm.configurations.loop import LoopConfig, LoopDefaults
from stylenorm.configurations.optimizing import OptimizeConfig
from stylenorm.configurations.papers import (
    AdainConfig,
    JohnsonConfig,
    TextureConfig,
    UlyanovConfig,
)
from stylenorm.configurations.pictures import (
    CycleGanConfig,
    Pix2PixConfig,
    SpadeConfig,
    StyleGan2Config,
    StyleGanConfig,
)
from stylenorm.configurations.presets import PRESETS, preset_values
from stylenorm.configurations.recipes import RECIPES, RecipeEntry
from stylenorm.configurations.recognition import (
    IbnConfig,
    VolumesConfig,
)
from stylenorm.configurations.styles import (
    LearnConfig,
    MultistyleConfig,
    NetworkConfig,
    PredictConfig,
)

__all__ = [
    "PRESETS",
    "RECIPES",
    "REQUIRED",
    "AdainConfig",
    "ConfigField",
    "CycleGanConfig",
    "IbnConfig",
    "JohnsonConfig",
    "LearnConfig",
    "LoopConfig",
    "LoopDefaults",
    "MultistyleConfig",
    "NetworkConfig",
    "OptimizeConfig",
    "Pix2PixConfig",
    "PredictConfig",
    "RecipeEntry",
    "SpadeConfig",
    "StyleGan2Config",
    "StyleGanConfig",
    "TextureConfig",
    "UlyanovConfig",
    "VolumesConfig",
    "config_fields",
    "preset_values",
]
