"""``stylenorm styles``: the styles there are, as a table or as a sheet of thumbnails."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stylenorm.cli.usage import as_usage, one_line
from stylenorm.errors import printable

if TYPE_CHECKING:
    from stylenorm.style import Style
    from stylenorm.zoo import NetworkFolder

__all__ = ["HELP", "StylesOptions", "add_arguments", "run"]

HELP = "list the styles, your own too: name, artist, title, year"
_COLUMNS = ("name", "artist", "title", "year")


@dataclass(frozen=True)
class StylesOptions:
    """Which styles are shown, and how; the fields are the command's arguments."""

    network: str | None
    sheet: str | None
    overwrite: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--network", metavar="DIR", help="a network folder; default: the one that ships")
    parser.add_argument("--sheet", metavar="PATH", help="draw a contact sheet with thumbnails, as png or jpg")
    parser.add_argument("--overwrite", action="store_true", help="replace a sheet that exists")


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    return styles(StylesOptions(options.network, options.sheet, options.overwrite))


def styles(options: StylesOptions) -> int:
    """Print the table, or draw the sheet.

    Raises:
        UsageError: there is no such network folder, or the sheet cannot be written there.
    """
    from stylenorm.zoo import NetworkFolder, shipped_network

    with as_usage():
        network = NetworkFolder.open(options.network) if options.network else shipped_network()
        listed = [network.style(name) for name in network.style_names()]
        listed += _own(network)
    if options.sheet is None:
        print(_table(listed))
        return 0
    _write_sheet(network, listed, options.sheet, overwrite=options.overwrite)
    print(f"{options.sheet}: {len(listed)} styles", file=sys.stderr)
    return 0


def _own(network: NetworkFolder) -> list[Style]:
    """The user's own styles that belong to the network."""
    from stylenorm.errors import InputError
    from stylenorm.style import Style
    from stylenorm.zoo import own_style, own_style_names

    found = []
    for name in own_style_names():
        try:
            style = Style.load(own_style(name))
        except InputError as error:
            print(f"stylenorm: note: {one_line(error)}", file=sys.stderr)
            continue
        if style.network == network.identity:
            found.append(replace(style, name=name))
    return found


def _table(listed: Sequence[Style]) -> str:
    rows = [_COLUMNS, *(tuple(printable(getattr(style, column)) for column in _COLUMNS) for style in listed)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _write_sheet(network: NetworkFolder, listed: Sequence[Style], path: str, *, overwrite: bool) -> None:
    from PIL import Image

    from stylenorm.media import check_output, picture_from_image, write_picture
    from stylenorm.media.pictures.contact_sheet import draw_sheet

    with as_usage():
        check_output(path, overwrite=overwrite)
    tiles: list[tuple[Path | None, str, str]] = []
    for style in listed:
        about = ", ".join(part for part in (style.artist, style.title, style.year) if part)
        tiles.append((network.thumbnail(style.name), style.name, about))
    sheet: Image.Image = draw_sheet(tiles)
    write_picture(picture_from_image(sheet), path, overwrite=overwrite)
