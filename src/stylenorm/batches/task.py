"""What is to be painted: one picture in one style at one strength."""

from __future__ import annotations

from dataclasses import dataclass

from stylenorm.media import Job

__all__ = ["FarTask", "Task"]


@dataclass(frozen=True)
class Task(Job):
    """A job and its strength.

    Attributes:
        strength: 0 is the photo, 1 the painting.
    """

    strength: float = 1.0

    @property
    def source_name(self) -> str:
        """The picture, as a manifest has it."""
        return "-" if self.source is None else str(self.source)

    @property
    def target_name(self) -> str:
        """The painting, as a manifest has it."""
        return "-" if self.target is None else str(self.target)

    def is_there(self) -> bool:
        """Say whether the painting's file exists."""
        return self.target is not None and self.target.is_file()


@dataclass(frozen=True)
class FarTask(Task):
    """A task whose picture or painting is in an object store; `stylenorm.batches.far` reads and writes there.

    Attributes:
        source_uri: the picture: an address as ``s3://bucket/a.jpg``, or a path.
        target_uri: the painting, likewise.
    """

    source_uri: str = ""
    target_uri: str = ""

    @property
    def source_name(self) -> str:
        """The picture, as a manifest has it."""
        return self.source_uri

    @property
    def target_name(self) -> str:
        """The painting, as a manifest has it."""
        return self.target_uri

    def is_there(self) -> bool:
        """Say whether the painting's file exists; asks its store."""
        from stylenorm.batches.far import exists

        return exists(self.target_uri)
