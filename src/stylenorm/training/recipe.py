"""What a recipe is: the model, and the losses of a step. The loop does the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Recipe"]


class Recipe(ABC):
    """What is learned: the model, and the losses of a step.

    Attributes:
        name: registry name, kebab-case.
        model: its parameters are trained, its buffers saved.
    """

    name: str
    model: nn.Module

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Move the model, and all else that a step computes with, to ``device``."""

    def running(self) -> AbstractContextManager[None]:
        """Return what holds while steps are made, such as threads that make batches ahead."""
        return nullcontext()

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters in groups, each with its learning rate in units of the loop's."""
        return [(list(self.model.parameters()), 1.0)]

    @abstractmethod
    def config(self) -> Mapping[str, Any]:
        """Return the settings; all but `tunable` must be the same when a checkpoint is resumed."""

    def tunable(self) -> Collection[str]:
        """Return the settings that may be changed when a checkpoint is resumed."""
        return ()

    @abstractmethod
    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step; their sum is minimised."""

    @abstractmethod
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a picture (H, W, 3) of what the model does now."""

    @abstractmethod
    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Write the results."""
