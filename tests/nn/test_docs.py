"""The tables of docs/norms.md are held to the code; its examples run in tests/docs."""

from __future__ import annotations

import re
from pathlib import Path

from stylenorm.functional import NORM_PRESETS
from tests.functional.test_others_tests import documented
from tests.nn.test_modules import DROP_IN

PAGE = Path(__file__).parents[2] / "docs" / "norms.md"


def test_counts_add_up() -> None:
    text = PAGE.read_text()
    counts = {
        k: v
        for k, v in documented().items()
        if k.split()[0] in ("torch", "ONNX", "WebNN", "OpenVINO", "MONAI")
    }
    assert counts["MONAI drop-in acceptance"] == len(DROP_IN)
    assert f"{sum(counts.values())} in all" in text


def test_presets_are_in_the_table() -> None:
    for name, preset in NORM_PRESETS.items():
        (row,) = re.findall(rf"^\|[^|]*`{name}`[^|]*\| 1e-.*$", PAGE.read_text(), re.MULTILINE)
        assert f"| {preset.eps:.0e} |".replace("e-0", "e-") in row
        assert f"| {preset.eps_mode} |" in row
        assert ("unbiased" in row) == (preset.correction == 1)
        assert ("1 + gamma" in row) == (preset.scale_offset == 1)
