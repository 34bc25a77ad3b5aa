"""docs/folders.md: its line of a manifest is one. What else the page shows is run by tests/docs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from stylenorm.batches import Row

PAGE = (Path(__file__).parents[2] / "docs" / "folders.md").read_text()


def test_the_line_of_a_manifest() -> None:
    (line,) = re.findall(r"^(\{.*\})$", PAGE, re.MULTILINE)
    row = Row(**json.loads(line))
    assert (row.status, row.error) == ("painted", "")
