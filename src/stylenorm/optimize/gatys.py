"""A painting by optimization: the picture itself is what is learned.

Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016. With the coarse
to fine procedure, guided Gram matrices and colour control of Gatys, Ecker, Bethge, Hertzmann, Shechtman,
"Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017.

Differs from the papers:

- The loss is `stylenorm.perceptual.PaintingLoss`: moments of VGG-16's features at two sizes, content without
  its statistics, and the palette; relative, so the weights mean the same for every painting.
- A coarser result is brought to the next size as its *difference* to the photo of its size, which is scaled
  up and added to the larger photo: the photo's detail is there from the first step on.
- L-BFGS searches along its direction until the strong Wolfe conditions hold, so it cannot run away; it starts
  with a step of a hundredth of the picture's range, whatever the picture's size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.configurations.optimizing import OptimizeConfig
from stylenorm.errors import InputError, ShapeError
from stylenorm.optimize.coloring import colored, prepared
from stylenorm.optimize.descent import Descent
from stylenorm.optimize.objective import Objective, StyleSource, check_sources, resized
from stylenorm.perceptual import PaintingLoss

__all__ = ["Evaluation", "Optimization", "optimize"]

_NOISE = 0.1  # deviation of the noise around grey


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the loss.

    Attributes:
        height, width: of the picture then.
        step: number of the evaluation at this size, from 1.
        content, style, palette: losses before their weights.
        total: with weights and total variation; what is minimized.
        seconds: since the start, over all sizes.
    """

    height: int
    width: int
    step: int
    content: float
    style: float
    palette: float
    total: float
    seconds: float


def optimize(
    photo: Tensor,
    paintings: Sequence[Tensor | StyleSource],
    loss: PaintingLoss,
    config: OptimizeConfig | None = None,
    *,
    watch: Callable[[Evaluation, Tensor], None] | None = None,
) -> tuple[Tensor, list[Evaluation]]:
    """Paint a photo by optimizing it.

    Args:
        photo: (1, 3, H, W), RGB, 0..1.
        paintings: see `Optimization`, also for the errors.
        loss: the losses.
        config: see `OptimizeConfig`.
        watch: called after every evaluation with its losses and the best picture of its size (not to be
            changed).

    Returns:
        The best picture, (1, 3, H, W), clipped to 0..1, and every evaluation in order.
    """
    run = Optimization(photo, paintings, loss, config)
    while not run.done:
        for evaluation in run.step():
            if watch is not None:
                watch(evaluation, run.descent.best)
    return run.picture(), run.history


class Optimization:
    """An optimization that can be looked at between steps, saved, and gone on with to the bit.

    Args:
        photo: (1, 3, H, W), RGB, 0..1.
        paintings: tensors of the same kind at the size whose strokes are wanted, or `StyleSource` for weights
            and masks.
        loss: the losses, on the photo's device.
        config: see `OptimizeConfig`.

    Attributes:
        history: every evaluation, in order.
        num_steps: evaluations that are planned, over all sizes.
        done: whether the last size is finished.

    Raises:
        ShapeError: a picture or a mask has another shape, or is too small for the networks.
        InputError: no painting, or an empty mask.
    """

    def __init__(
        self,
        photo: Tensor,
        paintings: Sequence[Tensor | StyleSource],
        loss: PaintingLoss,
        config: OptimizeConfig | None = None,
    ) -> None:
        self.config, self.loss, self.original = config or OptimizeConfig(), loss, photo
        _check_picture("photo", photo, loss)
        sources = [p if isinstance(p, StyleSource) else StyleSource(p) for p in paintings]
        for source in sources:
            _check_picture("painting", source.painting, loss)
        check_sources(photo, sources)
        self.photo, self.sources = prepared(photo, sources, self.config.colors)
        self.factors = _factors(self.photo, self.sources, loss, self.config)
        self.num_steps = self.config.steps + self.config.coarse_steps * (len(self.factors) - 1)
        self.history: list[Evaluation] = []
        self.done = False
        self._seconds_before, self._started = 0.0, time.perf_counter()
        self._enter(0, None)

    def step(self) -> list[Evaluation]:
        """Go one step; return the evaluations that it took.

        Raises:
            TrainingError: the loss is no longer finite.
        """
        if self.done:
            return []
        evaluations = self.descent.step()
        seconds = self._seconds_before + time.perf_counter() - self._started
        found = [
            Evaluation(self.descent.height, self.descent.width, *evaluation, seconds)
            for evaluation in evaluations
        ]
        self.history += found
        factor = self.factors[self.level]
        steps = self.config.steps if factor == 1 else self.config.coarse_steps
        if not found or self.descent.num_evaluations >= steps:  # nothing found: it goes down no further
            if factor == 1:
                self.done = True
            else:
                self._enter(self.level + 1, self.descent.best)
        return found

    def picture(self) -> Tensor:
        """Return the best picture of the present size, in its final colours, clipped to 0..1."""
        return colored(self.descent.best.clamp(0, 1), self.original, self.config.colors)

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on; it holds tensors, numbers and text alone."""
        return {
            "level": self.level,
            "done": self.done,
            "history": [list(astuple(evaluation)) for evaluation in self.history],
            "descent": self.descent.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of the same photo, paintings, networks and configuration."""
        self._enter(int(state["level"]), None)
        self.done = bool(state["done"])
        self.history = [Evaluation(*values) for values in state["history"]]
        self._seconds_before = self.history[-1].seconds if self.history else 0.0
        self._started = time.perf_counter()
        self.descent.load_state_dict(state["descent"])

    def _enter(self, level: int, before: Tensor | None) -> None:
        """Begin with a size, from the result of the size before."""
        photo, sources = _scaled(self.photo, self.sources, self.factors[level])
        if before is None:
            start = _start(photo, sources, self.config)
        else:
            smaller, _ = _scaled(self.photo, [], self.factors[level - 1])
            size = (photo.shape[2], photo.shape[3])
            change = F.interpolate(before - smaller, size=size, mode="bicubic", align_corners=False)
            start = (photo + change).clamp(0, 1)
        self.level = level
        self.descent = Descent(Objective(self.loss, photo, sources), start, self.config)


def _check_picture(what: str, picture: Tensor, loss: PaintingLoss) -> None:
    if picture.dim() != 4 or picture.shape[0] != 1 or picture.shape[1] != 3:
        raise ShapeError(f"{what}: expected (1, 3, H, W), got {tuple(picture.shape)}")
    smallest = loss.smallest_px
    if min(picture.shape[-2:]) < smallest:
        raise ShapeError(f"{what}: expected at least {smallest} px a side, got {tuple(picture.shape[-2:])}")
    low, high = float(picture.min()), float(picture.max())
    if not (low >= 0 and high <= 1):
        raise InputError(f"{what}: expected values in 0..1, got {low:g} to {high:g}")


def _factors(
    photo: Tensor, sources: Sequence[StyleSource], loss: PaintingLoss, config: OptimizeConfig
) -> list[int]:
    """Factors by which the pictures are made smaller, coarsest first; the last is 1."""
    factors = [1]
    if config.coarse_steps == 0:
        return factors
    shortest = min(min(p.shape[-2:]) for p in (photo, *(s.painting for s in sources)))
    while (
        min(photo.shape[-2:]) // (2 * factors[0]) >= config.coarsest_px
        and shortest // (2 * factors[0]) >= loss.smallest_px
    ):
        factors.insert(0, 2 * factors[0])
    return factors


def _scaled(photo: Tensor, sources: Sequence[StyleSource], factor: int) -> tuple[Tensor, list[StyleSource]]:
    def smaller(picture: Tensor) -> Tensor:
        return resized(picture, (picture.shape[2] // factor, picture.shape[3] // factor))

    masks = {id(s.photo_mask): smaller(s.photo_mask) for s in sources if s.photo_mask is not None}
    return smaller(photo), [
        StyleSource(
            painting=smaller(s.painting),
            weight=s.weight,
            painting_mask=None if s.painting_mask is None else smaller(s.painting_mask),
            photo_mask=None if s.photo_mask is None else masks[id(s.photo_mask)],
        )
        for s in sources
    ]


def _start(photo: Tensor, sources: Sequence[StyleSource], config: OptimizeConfig) -> Tensor:
    if config.start == "photo":
        return photo
    if config.start == "painting":
        return resized(sources[0].painting, (photo.shape[2], photo.shape[3]))
    generator = torch.Generator().manual_seed(config.seed)
    channels = 1 if config.colors == "luminance" else 3
    noise = torch.randn((1, channels, *photo.shape[2:]), generator=generator).to(photo).expand_as(photo)
    return (0.5 + _NOISE * noise).clamp(0, 1)
