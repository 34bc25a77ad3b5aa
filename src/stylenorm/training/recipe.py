"""What a recipe is: the model, and the losses of a step. The loop does the rest."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm._moved import OldName, warn
from stylenorm.configurations import LoopDefaults

_OLD_METHODS = {"rates": "param_groups", "turns": "phases", "running": "prefetch"}

__all__ = ["PhotoSource", "Recipe", "to_pixels", "warmed_cosine"]


@runtime_checkable
class PhotoSource(Protocol):
    """A folder of photos, as a checkpoint remembers it."""

    def memory(self) -> dict[str, Any]:
        """Return what is known of the folder: of plain values, as `torch.save` keeps them."""

    def recall(self, memory: Mapping[str, Any]) -> str:
        """Take up what was known; return what has changed in the folder since, empty if nothing has."""

    def look_through(self) -> list[str]:
        """Read some of the photos before the training; return what a user should know, or refuse them."""


class Recipe(ABC):
    """What is learned: the model, and the losses of a step.

    Attributes:
        name: registry name, kebab-case.
        model: its parameters are trained, its buffers saved.
        betas: Adam's.
        loop_defaults: how long and how fast it is trained where `LoopConfig` does not say; the paper's.
        device: where it computes; `to` changes it.
    """

    name: str
    model: nn.Module
    betas: tuple[float, float] = (0.9, 0.999)
    loop_defaults: LoopDefaults = LoopDefaults()
    device = torch.device("cpu")

    def __init_subclass__(cls) -> None:
        """Take methods by their old names from recipes that were written for the release before."""
        super().__init_subclass__()
        for old, new in _OLD_METHODS.items():
            if old in vars(cls) and new not in vars(cls):
                warn(f"{cls.__name__}.{old}", new, stacklevel=4)  # ABCMeta is on the way
                setattr(cls, new, vars(cls)[old])

    rates = OldName("Recipe.rates", "param_groups")
    turns = OldName("Recipe.turns", "phases")
    running = OldName("Recipe.running", "prefetch")

    def photo_sources(self) -> dict[str, PhotoSource]:
        """Return the folders of photos that are learned from, by name, for the checkpoint to remember."""
        return {name: value for name, value in vars(self).items() if isinstance(value, PhotoSource)}

    def notes(self) -> list[str]:
        """Return what a user should know of what it learns from, before the training."""
        return [note for source in self.photo_sources().values() for note in source.look_through()]

    def to(self, device: torch.device) -> None:
        """Move the model and the networks of the losses to ``device``."""
        self.device = device
        for module in (self.model, *self.companions()):
            module.to(device)

    def companions(self) -> Sequence[nn.Module]:
        """Return the networks that a step computes with beside the model."""
        return ()

    def prefetch(self) -> AbstractContextManager[None]:
        """Return what holds while steps are made, such as threads that make batches ahead."""
        return nullcontext()

    def param_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters in groups, each with its learning rate in units of the loop's."""
        return [(list(self.model.parameters()), 1.0)]

    @abstractmethod
    def config(self) -> Mapping[str, Any]:
        """Return the settings; all but `tunable` must be the same when a checkpoint is resumed."""

    def tunable(self) -> Collection[str]:
        """Return the settings that may be changed when a checkpoint is resumed."""
        return ()

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, as a share of the peak; see `warmed_cosine`."""
        return warmed_cosine(step, steps)

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the named, weighted losses of a step; their sum is minimised."""
        raise NotImplementedError(f"{type(self).__name__}: expected losses, or phases")

    def phases(
        self, step: int, generator: torch.Generator
    ) -> Iterator[tuple[list[nn.Parameter], dict[str, Tensor]]]:
        """Yield, in turn, parameters that move and the losses whose sum they lower; once for most recipes.

        What yields twice has two players (generator and discriminator, say): after each yield those
        parameters, and no others, have moved.
        """
        moving = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        yield moving, self.losses(step, generator)

    @abstractmethod
    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a picture (H, W, 3) of what the model does now."""

    def metrics(self, model: nn.Module) -> dict[str, float]:  # noqa: ARG002 (for those that measure)
        """Return figures of the model on what is never trained on, by name; none by default."""
        return {}

    @abstractmethod
    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Write the results."""


def warmed_cosine(step: int, steps: int, last: float = 0.0) -> float:
    """Return a rate as a share of its peak: up over 5 % of the steps, then down to ``last`` by a cosine."""
    warmup = max(1, round(0.05 * steps))
    if step < warmup:
        return (step + 1) / warmup
    return last + 0.5 * (1 - last) * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def to_pixels(picture: Tensor) -> NDArray[np.uint8]:
    """Return a picture (3, H, W), RGB, 0..1, as `Recipe.sample` returns it: (H, W, 3) uint8."""
    pixels: NDArray[np.uint8] = (picture * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return pixels
