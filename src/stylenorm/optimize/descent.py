"""The optimizer on one picture of one size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stylenorm.configurations.optimizing import OptimizeConfig
from stylenorm.errors import TrainingError
from stylenorm.optimize.objective import Objective
from stylenorm.perceptual import total_variation

__all__ = ["Descent"]

_FIRST_STEP = 0.01  # mean absolute change of the picture in the first step of L-BFGS


class Descent:
    """L-BFGS or Adam from a picture downwards.

    Args:
        objective: what is minimized, together with total variation.
        start: (1, 3, H, W). If its channels are equal and the configuration paints luminance alone, they stay
            so: one channel is what is optimized.
        config: optimizer, rates, weights.

    Attributes:
        best: the picture with the lowest total so far, not clipped.
        num_evaluations: of the loss and its gradient, so far.
    """

    def __init__(self, objective: Objective, start: Tensor, config: OptimizeConfig) -> None:
        self.objective, self.config = objective, config
        self.height, self.width = start.shape[2], start.shape[3]
        self.best, self.best_total = start.detach().clone(), math.inf
        self.num_evaluations = 0
        self._new: list[tuple[int, float, float, float, float]] = []
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        # L-BFGS starts with a step whose absolute values sum to 1: in units of this, that is a step of
        # _FIRST_STEP on average. A power of two, so that nothing is rounded.
        is_lbfgs = config.optimizer == "lbfgs"
        variable = start[:, :1] if config.colors == "luminance" else start
        self.unit = 2.0 ** round(math.log2(_FIRST_STEP * variable.numel())) if is_lbfgs else 1.0
        self.variable = (variable / self.unit).contiguous().requires_grad_()
        self.optimizer: torch.optim.Optimizer
        if is_lbfgs:
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

    def step(self) -> list[tuple[int, float, float, float, float]]:
        """Go one step; return number, content, style, palette and total of each evaluation that it took.

        There is none where it goes down no further.

        Raises:
            TrainingError: the loss is no longer finite.
        """
        self._new = []
        self.optimizer.step(self._evaluate)  # type: ignore[arg-type]  # L-BFGS wants the loss as a tensor
        return self._new

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes: tensors and numbers."""
        return {
            "variable": self.variable.detach(),
            "best": self.best,
            "best_total": self.best_total,
            "num_evaluations": self.num_evaluations,
            "last": None if self._last is None else list(self._last),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another descent on the same objective was."""
        with torch.no_grad():
            self.variable.copy_(state["variable"])
        self.best, self.best_total = state["best"].to(self.best), float(state["best_total"])
        self.num_evaluations = int(state["num_evaluations"])
        last = state["last"]
        self._last = None if last is None else (last[0], last[1], last[2])
        self.optimizer.load_state_dict(state["optimizer"])

    def _evaluate(self) -> Tensor:
        """The loss, with its gradient in place. L-BFGS asks again where its last step ended: that is kept."""
        if self._last is not None and torch.equal(self._last[0], self.variable):
            self.variable.grad = self._last[2].clone()
            return self._last[1]
        x = (self.variable * self.unit).expand(-1, 3, -1, -1)
        terms, config = self.objective(x), self.config
        total = (
            config.content_weight * terms.content
            + config.style_weight * terms.style
            + config.palette_weight * terms.palette
        ).sum()
        if config.tv_weight:
            total = total + config.tv_weight * total_variation(x).sum()
        (gradient,) = torch.autograd.grad(total, self.variable)
        self.variable.grad, total = gradient, total.detach()
        self.num_evaluations += 1
        losses = (terms.content.item(), terms.style.item(), terms.palette.item(), total.item())
        if not math.isfinite(losses[-1]):
            raise TrainingError(
                f"evaluation {self.num_evaluations} at {self.width} x {self.height}: the loss is no longer "
                f"finite (content {losses[0]:g}, style {losses[1]:g}); lower the weights or the learning rate"
            )
        if losses[-1] < self.best_total:
            self.best, self.best_total = x.detach().contiguous(), losses[-1]
        if config.optimizer == "lbfgs":
            self._last = (self.variable.detach().clone(), total, gradient.clone())
        self._new.append((self.num_evaluations, *losses))
        return total
