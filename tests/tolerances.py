"""The one table of tolerances. An override elsewhere carries a comment with the measured error."""

from __future__ import annotations

from typing import Any

import numpy as np

# (relative, absolute), for values of about unit size. Half precision: two units in the last place of the
# type; single: what a few hundred float32 additions lose.
TOLERANCES: dict[str, tuple[float, float]] = {
    "float64": (1e-10, 1e-10),
    "float32": (1e-5, 1e-5),
    "bfloat16": (1.6e-2, 1.6e-2),
    "float16": (2e-3, 2e-3),
    "uint8": (0.0, 1.0),
    "uint16": (0.0, 1.0),
}


def assert_close(actual: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None) -> None:
    """Compare two arrays or tensors by the table; the row is the type of ``actual``."""
    dtype = str(actual.dtype).removeprefix("torch.")
    table_rtol, table_atol = TOLERANCES[dtype]
    np.testing.assert_allclose(
        _float64(actual),
        _float64(expected),
        rtol=table_rtol if rtol is None else rtol,
        atol=table_atol if atol is None else atol,
    )


def _float64(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a tensor; numpy knows no bfloat16
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)
