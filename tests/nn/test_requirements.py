"""A missing package skips a test, and fails it where it is required."""

from __future__ import annotations

import pytest

from tests.requirements_met import need


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLENORM_REQUIRE", "")
    with pytest.raises(pytest.skip.Exception, match="no-such is not installed"):
        need("no_such_module", "no-such")
    for listed in ("torch,no-such", "all"):
        monkeypatch.setenv("STYLENORM_REQUIRE", listed)
        with pytest.raises(pytest.fail.Exception, match="STYLENORM_REQUIRE lists no-such"):
            need("no_such_module", "no-such")
    assert need("torch").__name__ == "torch"
