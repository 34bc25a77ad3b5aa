"""What an optimization is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from stylenorm.colors import COLOR_METHODS
from stylenorm.errors import InputError, UnknownNameError

__all__ = ["FREE_COLORS", "OPTIMIZERS", "STARTS", "OptimizeConfig"]

OPTIMIZERS = ("lbfgs", "adam")
STARTS = ("photo", "noise", "painting")
FREE_COLORS = "painting"
"""The value of ``colors`` that keeps none of the photo's."""


@dataclass(frozen=True)
class OptimizeConfig:
    """How a picture is optimized.

    Attributes:
        steps: evaluations of the loss and its gradient at full size; one step of L-BFGS takes one, seldom
            more.
        coarse_steps: evaluations at each coarser size before; 0 works at full size alone.
        coarsest_px: sizes are halved while the shorter side stays at least this long.
        optimizer: lbfgs or adam.
        learning_rate: of Adam, in units of the picture's range.
        history_size: steps that L-BFGS remembers; of 5 to 100, more than 20 bought little.
        start: photo, noise or painting.
        content_weight: weight of the content loss.
        style_weight: weight of the style loss.
        palette_weight: weight of the distance of colours.
        tv_weight: weight of the total variation.
        colors: painting takes the painting's; luminance, covariance and histogram keep the photo's.
        seed: of the noise.
    """

    steps: int = 100
    coarse_steps: int = 25
    coarsest_px: int = 48
    optimizer: str = "lbfgs"
    learning_rate: float = 0.02
    history_size: int = 30
    start: str = "photo"
    content_weight: float = 1.0
    style_weight: float = 8.0
    palette_weight: float = 2.0
    tv_weight: float = 0.5
    colors: str = "painting"
    seed: int = 0

    def __post_init__(self) -> None:
        known_colors = (FREE_COLORS, *COLOR_METHODS)
        for name, known in (("optimizer", OPTIMIZERS), ("start", STARTS), ("colors", known_colors)):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)
        for name, lowest in (("steps", 1), ("coarse_steps", 0), ("coarsest_px", 1), ("history_size", 1)):
            if getattr(self, name) < lowest:
                raise InputError(f"{name}: expected at least {lowest}, got {getattr(self, name)}")
        for name in ("content_weight", "style_weight", "palette_weight", "tv_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name}: expected 0 or more, got {getattr(self, name):g}")
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"learning_rate: expected more than 0, got {self.learning_rate:g}")
