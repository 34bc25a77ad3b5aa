"""What is to be painted: one picture in one style at one strength."""

from __future__ import annotations

from dataclasses import dataclass

from stylenorm.media import Job

__all__ = ["Task"]


@dataclass(frozen=True)
class Task(Job):
    """A job and its strength.

    Attributes:
        strength: 0 is the photo, 1 the painting.
    """

    strength: float = 1.0
