"""Painting by optimization: slow, and the measure of what is possible."""

from stylenorm.configurations.optimizing import FREE_COLORS, OPTIMIZERS, STARTS, OptimizeConfig
from stylenorm.optimize.gatys import Evaluation, Optimization, optimize
from stylenorm.optimize.objective import Objective, StyleSource
from stylenorm.optimize.session import Session, run_session

__all__ = [
    "FREE_COLORS",
    "OPTIMIZERS",
    "STARTS",
    "Evaluation",
    "Objective",
    "Optimization",
    "OptimizeConfig",
    "Session",
    "StyleSource",
    "optimize",
    "run_session",
]
