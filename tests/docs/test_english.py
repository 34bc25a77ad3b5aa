"""The pages are in one English, and in plain words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stylenorm.cli import build_parser
from tests.docs import pages
from tests.docs.pages import PAGES, ROOT

# British, with -ize where Oxford has it: the names in the code (normalization, stylize) have it too.
SPELLING = {
    r"color(s|ed|ing|ful)?": "colour",
    r"gray(s|ed|scale)?": "grey",
    r"neighbor(s|ing|hood)?": "neighbour",
    r"center(s|ed)?": "centre",
    r"(un)?labeled": "labelled",
    r"behavior": "behaviour",
    r"(un)?favor(s|ite|able)?": "favour",
    r"licenses?": "licence",
    r"catalog": "catalogue",
    r"harbor": "harbour",
    r"artifacts?": "artefact",
    r"toward": "towards",
    r"(re)?optimis\w+": "optimiz...",
    r"recognis\w+": "recogniz...",
    r"(de|re)?normalis\w+": "normaliz...",
    r"minimis\w+": "minimiz...",
    r"summaris\w+": "summariz...",
    r"initialis\w+": "initializ...",
    r"organis\w+": "organiz...",
    r"generalis\w+": "generaliz...",
}
# What a reader has to decode, and private words for what the field has a term for.
FOREIGN = {
    r"as said": "leave it out",
    r"whoever": "leave it out, or 'if you'",
    r"who(ever)? has no": "if there is no",
    r"an affine of no": "an affine that cannot be inverted",
    r"stands? still": "does not move",
    r"at hand": "there is, you have",
    r"of one's own": "of your own",
    r"lattice": "checkerboard artefacts",
    r"judged? network": "discriminator",
    r"shall": "should, or will",
    r"whereby|thereof|therein|hereby": "by which, of it",
}
_NAMES = r"Gray Tree|gray-tree|License\b"  # names of styles and files


def words_of(text: str) -> str:
    """Prose without code, addresses and names."""
    return re.sub(rf"`[^`]*`|\]\([^)]*\)|https?://\S+|<[^>]+>|{_NAMES}", " ", text)


def complaints(text: str) -> Iterator[str]:
    for table in (SPELLING, FOREIGN):
        for pattern, better in table.items():
            for found in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, re.IGNORECASE):
                yield f"{found[0]!r}: {better}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_pages_are_in_one_plain_english(page: Path) -> None:
    found = [
        f"{page.name}:{number}: {told}"
        for number, line in pages.prose(page)
        for told in complaints(words_of(line))
    ]
    assert not found, "\n".join(found)


def test_help_texts_are_too() -> None:
    def texts(parser: Any) -> Iterator[str]:
        yield from filter(None, (parser.description, parser.epilog))
        for action in parser._actions:
            if action.help and action.help is not argparse.SUPPRESS:
                yield action.help
            if isinstance(action, argparse._SubParsersAction):
                for command in action.choices.values():
                    yield from texts(command)

    found = {told for text in texts(build_parser(whole=True)) for told in complaints(words_of(text))}
    assert not found


@pytest.mark.parametrize(
    "text", ["the color of it", "An optimiser", "whoever has no photos", "gray levels", "the license"]
)
def test_what_is_wrong_is_found(text: str) -> None:
    assert len(list(complaints(words_of(text)))) >= 1


def test_what_is_right_is_left_alone() -> None:
    right = "The colour of `--keep-colors`, an optimizer, grey levels, gray-tree, normalized, a labelled scan"
    assert not list(complaints(words_of(right)))
