"""All experiments at tiny size, run once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylenorm.lab import EXPERIMENTS, Bench, Material, Result, Size, run_experiment
from tests.requirements_met import need


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results and arms of everything."""
    need("sklearn", "scikit-learn")
    out = tmp_path_factory.mktemp("lab")
    bench = Bench(out, Material(), quiet=True)
    for name in EXPERIMENTS:
        run_experiment(bench, name, Size.TINY)
    return out


@pytest.fixture(scope="session")
def results(laboratory: Path) -> dict[str, Result]:
    from stylenorm.lab import read_results

    return read_results(laboratory, Size.TINY)
