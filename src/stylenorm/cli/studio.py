"""``stylenorm studio``: a page where people see their photo painted, on this machine or on any web host."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from stylenorm.cli.usage import add_engine_choice, as_usage, fields_of, number_from, positive_number

__all__ = ["HELP", "StudioOptions", "add_arguments", "run"]

HELP = "open a page to paint photos in (needs the extra studio)"
EPILOG = """examples:
  stylenorm studio                          the page, painted by this machine; photos never leave it
  stylenorm studio --save-to paintings/     many photos go into a folder instead of a zip
  stylenorm studio --export site/           the page as files, for any web host"""

_LOOK_S = 0.5  # between two looks at Ctrl-C on systems where waiting cannot be interrupted


@dataclass(frozen=True)
class StudioOptions:
    """Where the page is, and what paints; the fields are the command's arguments."""

    export: str | None
    overwrite: bool
    host: str
    port: int | None
    no_browser: bool
    save_to: str | None
    max_megapixels: float
    engine: str
    threads: int | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--export", metavar="DIR", help="write the page as files, and end")
    parser.add_argument("--overwrite", action="store_true", help="replace files of an earlier export")
    parser.add_argument(
        "--port", type=number_from(0, 65535), metavar="N", help="0: a free one; default: 8817 if it is free"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets the whole network paint that has the link "
        "(default: %(default)s)",
    )
    parser.add_argument("--no-browser", action="store_true", help="only say where the page is")
    parser.add_argument("--save-to", metavar="DIR", help="a folder that the page may save paintings in")
    parser.add_argument(
        "--max-megapixels",
        type=positive_number,
        default=100.0,
        metavar="N",
        help="refuse larger pictures (default: %(default)g)",
    )
    add_engine_choice(parser)


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    return studio(fields_of(StudioOptions, options))


def studio(options: StudioOptions) -> int:
    """Write the page, or serve it until Ctrl-C.

    Returns:
        0; also after Ctrl-C, which is how it is meant to end.

    Raises:
        UsageError: the folder, address or port cannot be had.
        MissingExtraError: starlette and uvicorn are not installed.
    """
    from stylenorm.errors import OutputError
    from stylenorm.studio import STUDIO_PORT, Studio, export_site

    if options.export is not None:
        with as_usage():
            count = export_site(options.export, overwrite=options.overwrite)
        print(f"stylenorm: {count} files in {options.export}; any web host serves them", file=sys.stderr)
        return 0

    def page_at(port: int) -> Studio:
        return Studio(
            options.host,
            port,
            engine=options.engine,
            threads=options.threads,
            save_to=Path(options.save_to) if options.save_to else None,
            max_megapixels=options.max_megapixels,
        )

    with as_usage():
        try:
            page = page_at(STUDIO_PORT if options.port is None else options.port)
        except OutputError:
            if options.port is not None:
                raise
            page = page_at(0)
    with page:
        print(f"stylenorm: {page.url} is the studio; Ctrl-C ends it", file=sys.stderr, flush=True)
        if not options.no_browser:
            import webbrowser

            webbrowser.open(page.url)
        try:
            while True:
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            return 0
