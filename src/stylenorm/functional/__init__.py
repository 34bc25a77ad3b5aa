"""The mathematics of the normalization family, on torch tensors; no state, no modules.

Features are (N, C, *spatial). Every function says which axes it pools, which estimator of the variance it
uses, and where it differs from its paper or from torch. Batch, layer and group norm are torch's own
(``torch.nn.functional``); instance norm is group norm with one channel a group.
"""

from __future__ import annotations

from stylenorm.functional.adaptive import adaptive_instance_norm
from stylenorm.functional.batch_instance import batch_instance_norm
from stylenorm.functional.conditional import conditional_instance_norm
from stylenorm.functional.filter_response import filter_response_norm, thresholded_linear_unit
from stylenorm.functional.instance_norm import ACTIVATION_NAMES, instance_norm
from stylenorm.functional.modulated import modulated_conv2d, pixel_norm
from stylenorm.functional.presets import NORM_PRESETS, NormPreset, norm_preset
from stylenorm.functional.spade import spade
from stylenorm.functional.statistics import ChannelStatistics, channel_statistics, merge_statistics
from stylenorm.functional.switchable import switchable_norm

__all__ = [
    "ACTIVATION_NAMES",
    "NORM_PRESETS",
    "ChannelStatistics",
    "NormPreset",
    "adaptive_instance_norm",
    "batch_instance_norm",
    "channel_statistics",
    "conditional_instance_norm",
    "filter_response_norm",
    "instance_norm",
    "merge_statistics",
    "modulated_conv2d",
    "norm_preset",
    "pixel_norm",
    "spade",
    "switchable_norm",
    "thresholded_linear_unit",
]
