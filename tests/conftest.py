"""Fixtures and settings that every test shares."""

from __future__ import annotations

from hypothesis import settings

# A fixed profile: the same examples on every machine, so that a failure can be run again.
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("fixed")
