#!/usr/bin/env python3
"""Write the man page, build/stylenorm.1, from the parser; a wheel that is built afterwards contains it."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
os.environ["COLUMNS"] = "100"

from argparse_manpage.manpage import Manpage  # noqa: E402

from stylenorm import __version__  # noqa: E402
from stylenorm.cli import build_parser  # noqa: E402


def manual() -> str:
    """The page: one section for all commands, with their options."""
    parser = build_parser(whole=True)
    page = Manpage(parser)
    page.description = parser.description
    page.source, page.manual = f"stylenorm {__version__}", "User commands"
    return str(page)


if __name__ == "__main__":
    target = ROOT / "build" / "stylenorm.1"
    target.parent.mkdir(exist_ok=True)
    target.write_text(manual(), encoding="utf-8")
    print(target)
