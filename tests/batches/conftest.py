"""What tests of batches share: the command line with the network that ships and the fake engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Done, Run, run

__all__ = ["run", "stylize"]


@pytest.fixture
def stylize(run: Run) -> Run:
    """Run ``stylenorm stylize`` with the network that ships, and the fake engine."""

    def stylize(*argv: str | Path) -> Done:
        return run("stylize", *argv, "--engine", "fake", "--noise", "0")  # exactly the negative

    return stylize
