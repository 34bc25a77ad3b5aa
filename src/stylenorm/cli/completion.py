"""``stylenorm completion``: a script that lets the shell complete commands, options and files."""

from __future__ import annotations

import argparse

from stylenorm.errors import MissingExtraError

__all__ = ["HELP", "add_arguments", "run"]

HELP = "print a script that completes commands and options in your shell"
EPILOG = """bash, once for all shells to come:
  stylenorm completion bash > ~/.local/share/bash-completion/completions/stylenorm
zsh, into a folder that is in $fpath:
  stylenorm completion zsh > ~/.zfunc/_stylenorm"""

_SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shell", choices=_SHELLS, help="whose script")


def run(options: argparse.Namespace) -> int:
    """Print the script.

    Raises:
        MissingExtraError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise MissingExtraError("shtab", "completion", "completion") from error
    from stylenorm.cli import build_parser

    parser = build_parser(whole=True)
    _complete_files(parser, shtab.FILE, shtab.DIRECTORY)
    print(shtab.complete(parser, options.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser, file: object, folder: object) -> None:
    """Mark the arguments that are files or folders, by how the help calls their values."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command, file, folder)
            continue
        names = action.metavar if isinstance(action.metavar, str) else action.dest
        kind = folder if names == "DIR" else file if names.upper() in _FILES else None
        if kind is not None:
            action.complete = kind  # type: ignore[attr-defined]  # shtab looks for it


_FILES = {"FILE", "PAINTING", "PATH", "PHOTO", "PICTURE", "SCAN"}
