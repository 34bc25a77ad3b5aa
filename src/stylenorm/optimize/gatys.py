"""A painting by optimisation: the picture itself is what is learned.

Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016. With the coarse
to fine procedure, guided Gram matrices and colour control of Gatys, Ecker, Bethge, Hertzmann, Shechtman,
"Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017.

Differs from the papers:

- The losses are relative and may be taken over several small networks at several scales
  (`stylenorm.perceptual`); so the weights mean the same for every painting.
- A coarser result is brought to the next size as its *difference* to the photo of its size, which is scaled
  up and added to the larger photo: the photo's detail is there from the first step on.
- L-BFGS searches along its direction until the strong Wolfe conditions hold, so it cannot run away; it starts
  with a step of a hundredth of the picture's range, whatever the picture's size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.errors import InputError, ShapeError
from stylenorm.optimize.config import OptimizeConfig
from stylenorm.optimize.objective import Objective, StyleSource, resized
from stylenorm.perceptual import PerceptualLoss, total_variation

__all__ = ["Evaluation", "optimize"]

_FIRST_STEP = 0.01  # mean absolute change of the picture in the first step of L-BFGS
_NOISE = 0.1  # deviation of the noise around grey


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the loss.

    Attributes:
        height, width: of the picture then.
        step: number of the evaluation at this size, from 1.
        content, style: losses before their weights.
        total: with weights and total variation; what is minimised.
        seconds: since the start, over all sizes.
    """

    height: int
    width: int
    step: int
    content: float
    style: float
    total: float
    seconds: float


def optimize(
    photo: Tensor,
    paintings: Sequence[Tensor | StyleSource],
    loss: PerceptualLoss,
    config: OptimizeConfig | None = None,
    *,
    watch: Callable[[Evaluation, Tensor], None] | None = None,
) -> tuple[Tensor, list[Evaluation]]:
    """Paint a photo by optimising it.

    Args:
        photo: (1, 3, H, W), RGB, 0..1.
        paintings: tensors of the same kind at the size whose strokes are wanted, or `StyleSource` for weights
            and masks.
        loss: feature networks and scales.
        config: see `OptimizeConfig`.
        watch: called after every evaluation with its losses and the picture (not to be changed).

    Returns:
        The best picture of the last size, (1, 3, H, W), clipped to 0..1, and every evaluation in order.

    Raises:
        ShapeError: a picture or a mask has another shape, or is too small for the networks.
        InputError: no painting, or an empty mask.
    """
    config = config or OptimizeConfig()
    _check_picture("photo", photo, loss)
    sources = [p if isinstance(p, StyleSource) else StyleSource(p) for p in paintings]
    for source in sources:
        _check_picture("painting", source.painting, loss)
    history: list[Evaluation] = []
    started = time.perf_counter()
    picture, photo_before = torch.empty(0), torch.empty(0)
    sizes = _sizes(photo, sources, loss, config)
    for level, factor in enumerate(sizes):
        photo_here, sources_here = _scaled(photo, sources, factor)
        if level == 0:
            picture = _start(photo_here, sources_here, config)
        else:
            size = (photo_here.shape[2], photo_here.shape[3])
            change = F.interpolate(picture - photo_before, size=size, mode="bicubic", align_corners=False)
            picture = (photo_here + change).clamp(0, 1)
        objective = Objective(loss, photo_here, sources_here)
        steps = config.steps if factor == 1 else config.coarse_steps
        descent = _Descent(objective, picture, config, started)
        while descent.num_evaluations < steps and (evaluations := descent.step()):
            for evaluation in evaluations:
                history.append(evaluation)
                if watch is not None:
                    watch(evaluation, descent.best)
        picture, photo_before = descent.best, photo_here
    return picture.clamp(0, 1), history


class _Descent:
    """The optimiser on one picture of one size."""

    def __init__(self, objective: Objective, start: Tensor, config: OptimizeConfig, started: float) -> None:
        self.objective, self.config, self.started = objective, config, started
        self.best, self.best_total = start.detach().clone(), math.inf
        self.num_evaluations = 0
        self._new: list[Evaluation] = []
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        # L-BFGS starts with a step whose absolute values sum to 1: in units of this, that is a step of
        # _FIRST_STEP on average. A power of two, so that nothing is rounded.
        self.unit = (
            2.0 ** round(math.log2(_FIRST_STEP * start.numel())) if config.optimizer == "lbfgs" else 1.0
        )
        self.variable = (start / self.unit).requires_grad_()
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "lbfgs":
            self.optimizer = torch.optim.LBFGS(
                [self.variable],
                lr=1,
                max_iter=1,
                max_eval=25,
                history_size=config.history_size,
                tolerance_grad=0,  # the gradient of a mean over a million pixels is small everywhere
                tolerance_change=0,
                line_search_fn="strong_wolfe",
            )
        else:
            self.optimizer = torch.optim.Adam([self.variable], lr=config.learning_rate, betas=(0.9, 0.99))

    def step(self) -> list[Evaluation]:
        """Go one step; return the evaluations that it took: none where it goes down no further."""
        self._new = []
        self.optimizer.step(self._evaluate)  # type: ignore[arg-type]  # L-BFGS wants the loss as a tensor
        return self._new

    def _evaluate(self) -> Tensor:
        """The loss, with its gradient in place. L-BFGS asks again where its last step ended: that is kept."""
        if self._last is not None and torch.equal(self._last[0], self.variable):
            self.variable.grad = self._last[2].clone()
            return self._last[1]
        x = self.variable * self.unit
        terms, config = self.objective(x), self.config
        total = config.content_weight * terms.content + config.style_weight * terms.style
        if config.tv_weight:
            total = total + config.tv_weight * total_variation(x).sum()
        (gradient,) = torch.autograd.grad(total, self.variable)
        self.variable.grad, total = gradient, total.detach()
        self.num_evaluations += 1
        if total.item() < self.best_total:
            self.best, self.best_total = x.detach(), total.item()
        if config.optimizer == "lbfgs":
            self._last = (self.variable.detach().clone(), total, gradient.clone())
        self._new.append(
            Evaluation(
                height=x.shape[2],
                width=x.shape[3],
                step=self.num_evaluations,
                content=terms.content.item(),
                style=terms.style.item(),
                total=total.item(),
                seconds=time.perf_counter() - self.started,
            )
        )
        return total


def _check_picture(what: str, picture: Tensor, loss: PerceptualLoss) -> None:
    if picture.dim() != 4 or picture.shape[0] != 1 or picture.shape[1] != 3:
        raise ShapeError(f"{what}: expected (1, 3, H, W), got {tuple(picture.shape)}")
    smallest = _smallest_px(loss)
    if min(picture.shape[-2:]) < smallest:
        raise ShapeError(f"{what}: expected at least {smallest} px a side, got {tuple(picture.shape[-2:])}")
    low, high = float(picture.min()), float(picture.max())
    if not (low >= 0 and high <= 1):
        raise InputError(f"{what}: expected values in 0..1, got {low:g} to {high:g}")


def _smallest_px(loss: PerceptualLoss) -> int:
    return max(network.smallest_px for network in loss.networks) << (loss.num_scales - 1)


def _sizes(
    photo: Tensor, sources: Sequence[StyleSource], loss: PerceptualLoss, config: OptimizeConfig
) -> list[int]:
    """Factors by which the pictures are made smaller, coarsest first; the last is 1."""
    factors = [1]
    if config.coarse_steps == 0:
        return factors
    shortest = min(min(p.shape[-2:]) for p in (photo, *(s.painting for s in sources)))
    while min(photo.shape[-2:]) // (2 * factors[0]) >= config.coarsest_px and shortest // (
        2 * factors[0]
    ) >= _smallest_px(loss):
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
    noise = torch.randn(photo.shape, generator=generator).to(photo)
    return (0.5 + _NOISE * noise).clamp(0, 1)
