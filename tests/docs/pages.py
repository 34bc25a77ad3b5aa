"""The pages that people read, and what is code on them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

RUN = ("bash", "python")
READ = ("json", "sh", "toml", "yaml")  # sh: scripts for machines of another kind; their commands are checked
SHOWN = ("text",)  # output, trees of folders, formulas
LANGUAGES = (*RUN, *READ, *SHOWN)

_FENCE = re.compile(r"^( *)```(\S*)(.*)$")
_INLINE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Snippet:
    """A block of code.

    Attributes:
        page: its page.
        line: of the first line of code, from 1.
        language: what the fence says.
        text: the code.
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(page: Path) -> list[Snippet]:
    """The fenced blocks of a page, or the cells of a notebook, in order."""
    if page.suffix == ".ipynb":
        cells = json.loads(page.read_text())["cells"]
        return [
            Snippet(page, number, "python", "".join(cell["source"]))
            for number, cell in enumerate(cells, 1)
            if cell["cell_type"] == "code"
        ]
    found: list[Snippet] = []
    lines: list[str] = []
    begun: tuple[int, str, str] | None = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence is None:
            lines.append(line)
            continue
        indent, language, more = fence.groups()
        if begun is None:
            assert not more, f"{page}:{number}: nothing may stand behind the language"
            begun, lines = (number + 1, language, indent), []
            continue
        first, language, indent = begun
        found.append(Snippet(page, first, language, "\n".join(each.removeprefix(indent) for each in lines)))
        begun = None
    assert begun is None, f"{page}:{begun and begun[0]}: the block does not end"
    return found


def prose(page: Path) -> list[tuple[int, str]]:
    """The lines outside blocks of code, numbered from 1."""
    inside, found = False, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            found.append((number, line))
    return found


def inline_code(page: Path) -> list[tuple[int, str]]:
    """What stands between single back quotes, line by line."""
    return [(number, code) for number, line in prose(page) for code in _INLINE.findall(line)]


def commands(text: str) -> list[str]:
    """The commands of a shell block: continued lines joined, comments left out, ``&&`` taken apart."""
    joined = text.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        code = re.sub(r"(^|\s)#.*$", "", line).strip()
        found += [part.strip() for part in code.split("&&") if part.strip()]
    return found
