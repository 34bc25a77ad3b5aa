"""Modules: thin twins of ``stylenorm.functional``, and ``convert`` for existing models.

Batch, layer and group norm are torch's own (``torch.nn``). The instance norms here are subclasses of torch's.
"""

from __future__ import annotations

from stylenorm.nn.comparison import CHANGES, OTHER_CHANGES, NormFacts, compare_norms, remaining_change
from stylenorm.nn.conditional import (
    AdaptiveInstanceNorm1d,
    AdaptiveInstanceNorm2d,
    AdaptiveInstanceNorm3d,
    ConditionalInstanceNorm1d,
    ConditionalInstanceNorm2d,
    ConditionalInstanceNorm3d,
)
from stylenorm.nn.convert import Change, Conversion, Left, convert, revert
from stylenorm.nn.filter_response import (
    FilterResponseNorm1d,
    FilterResponseNorm2d,
    FilterResponseNorm3d,
    ThresholdedLinearUnit,
)
from stylenorm.nn.folding import fold_norms
from stylenorm.nn.instance_norm import (
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    InstanceNormAct1d,
    InstanceNormAct2d,
    InstanceNormAct3d,
)
from stylenorm.nn.lazy import LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d
from stylenorm.nn.mixtures import (
    IBN,
    BatchInstanceNorm1d,
    BatchInstanceNorm2d,
    BatchInstanceNorm3d,
    SwitchableNorm1d,
    SwitchableNorm2d,
    SwitchableNorm3d,
)
from stylenorm.nn.modulated import ModulatedConv2d, PixelNorm
from stylenorm.nn.monai import register_monai
from stylenorm.nn.spade import SPADE1d, SPADE2d, SPADE3d

__all__ = [
    "CHANGES",
    "IBN",
    "OTHER_CHANGES",
    "AdaptiveInstanceNorm1d",
    "AdaptiveInstanceNorm2d",
    "AdaptiveInstanceNorm3d",
    "BatchInstanceNorm1d",
    "BatchInstanceNorm2d",
    "BatchInstanceNorm3d",
    "Change",
    "ConditionalInstanceNorm1d",
    "ConditionalInstanceNorm2d",
    "ConditionalInstanceNorm3d",
    "Conversion",
    "FilterResponseNorm1d",
    "FilterResponseNorm2d",
    "FilterResponseNorm3d",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "InstanceNormAct1d",
    "InstanceNormAct2d",
    "InstanceNormAct3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "Left",
    "ModulatedConv2d",
    "NormFacts",
    "PixelNorm",
    "SPADE1d",
    "SPADE2d",
    "SPADE3d",
    "SwitchableNorm1d",
    "SwitchableNorm2d",
    "SwitchableNorm3d",
    "ThresholdedLinearUnit",
    "compare_norms",
    "convert",
    "fold_norms",
    "register_monai",
    "remaining_change",
    "revert",
]
