"""Painting by optimisation: slow, and the measure of what is possible."""

from stylenorm.optimize.config import OPTIMIZERS, STARTS, OptimizeConfig
from stylenorm.optimize.gatys import Evaluation, optimize
from stylenorm.optimize.objective import Objective, StyleSource, Terms

__all__ = [
    "OPTIMIZERS",
    "STARTS",
    "Evaluation",
    "Objective",
    "OptimizeConfig",
    "StyleSource",
    "Terms",
    "optimize",
]
