"""Fixtures and settings that every test shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A fixed profile: the same examples on every machine, so that a failure can be run again.
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _no_styles_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have styles of their own, which must neither matter nor be touched."""
    monkeypatch.setenv("STYLENORM_STYLES", str(tmp_path / "own-styles"))
