"""How long and how fast to train: what a recipe would have, and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["LoopConfig", "LoopDefaults"]


@dataclass(frozen=True)
class LoopDefaults:
    """What a training does where `LoopConfig` does not say."""

    steps: int = 6500
    learning_rate: float = 3e-3
    clip: float = 1.0
    average: float = 0.998

    def asked(self, config: LoopConfig) -> LoopDefaults:
        """Return these with what the configuration says instead."""
        names = ("steps", "learning_rate", "clip", "average")
        return LoopDefaults(
            *(getattr(self if getattr(config, name) is None else config, name) for name in names)
        )


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train, and what to keep.

    The first four are the recipe's own where they are None (`Recipe.loop_defaults`): the paper's, where there
    is one.

    Attributes:
        out: folder for checkpoint, samples and results.
        steps: optimizer steps. These, the rate, the clip and a recipe's `Recipe.tunable` settings may be
            changed when a run is resumed: the rate goes on along the cosine of the new length, and the record
            says from which step on what held.
        learning_rate: peak rate of Adam; it warms up over the first 5 % and falls to 0 by a cosine, or goes
            as the recipe says.
        clip: largest norm of the gradient; 0 for any.
        average: factor of the running average of the weights, from which results are made; 0 for none.
        checkpoint_every_s: seconds between checkpoints.
        sample_every: steps between pictures of samples, and between measurements on what is held out; 0 for
            none before the end.
        log_every: steps between two lines of ``log.jsonl``; 0 for none.
        tensorboard: write losses and measurements for TensorBoard, too, where it is installed.
        seed: what all randomness is drawn from.
        resume: go on from the checkpoint in ``out``; without one, start anew.
        device: where to compute: cpu, cuda, cuda:1, ...; auto takes a GPU if there is one, and under torchrun
            one for each process. A run may be resumed on another device, and with another number of
            processes; only on the CPU, and with the same number, is it the same to the bit.
    """

    out: Path
    steps: int | None = None
    learning_rate: float | None = None
    clip: float | None = None
    average: float | None = None
    checkpoint_every_s: float = 60.0
    sample_every: int = 500
    log_every: int = 50
    tensorboard: bool = False
    seed: int = 0
    resume: bool = False
    device: str = "auto"
