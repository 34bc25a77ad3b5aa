"""The command line: parse, build a configuration, call one function, print.

Each command is one module with ``HELP``, ``add_arguments(parser)`` and ``run(options) -> int``; it imports
what it needs inside ``run``, since start-up is part of the product. Exit codes: 0 done, 1 something failed,
2 the command was not understood, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType, MappingProxyType
from typing import Any, NoReturn

import stylenorm
from stylenorm.cli.streams import open_standard_streams
from stylenorm.cli.usage import UsageError, one_line
from stylenorm.errors import StylenormError
from stylenorm.interrupts import repeat_lost_signals

__all__ = ["COMMANDS", "build_parser", "main"]

COMMANDS = (
    "stylize",
    "studio",
    "live",
    "styles",
    "learn",
    "optimize",
    "adain",
    "train",
    "translate",
    "classify",
    "segment",
    "generate",
    "score",
    "import",
    "lab",
    "norms",
    "doctor",
    "completion",
)

_MODULES = {"import": "import_weights"}  # where a command's name is Python's

_DESCRIPTION = "Paint photos in the style of a painting, offline, on a CPU."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: the arguments; None takes those of the process, and then also handles its SIGTERM and SIGHUP.
    """
    if argv is None:
        open_standard_streams()
        repeat_lost_signals()
        signal.signal(signal.SIGTERM, _terminate)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not under nohup
            signal.signal(signal.SIGHUP, _terminate)
    try:
        options = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else 2
    options.words = sys.argv[1:] if argv is None else list(argv)  # for the records of trainings
    try:
        return _run(options)
    except BrokenPipeError:
        _forget_stdout()
        return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1


def build_parser(*, whole: bool = False) -> argparse.ArgumentParser:
    """Return the parser of all commands. Loads neither numpy nor an engine.

    Args:
        whole: give every command its arguments now. Otherwise only the command that is run gets them, which
            keeps the start short; completion, the man page and the reference need all of them.
    """
    parser = argparse.ArgumentParser(prog="stylenorm", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"stylenorm {stylenorm.__version__}")
    parser.set_defaults(command=None, debug=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_CommandParser)
    for name in COMMANDS:
        module = importlib.import_module(f"stylenorm.cli.{_MODULES.get(name, name)}")
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=getattr(module, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.module = module
        if whole:
            command.fill()
    return parser


class _CommandParser(argparse.ArgumentParser):
    """The parser of one command, which gets its arguments once it turns out to be the one that is run."""

    module: Any = None
    renamed: Mapping[str, str] = MappingProxyType({})  # old spellings of options, which work for one release
    respelled: Callable[[list[str]], list[str]] | None = None  # for what is more than one word for another
    more: tuple[str, ...] = ()  # titles of groups that --help leaves to --help-all

    def fill(self) -> None:
        """Add the command's arguments, once."""
        if self.module is None:
            return
        module, self.module = self.module, None
        module.add_arguments(self)
        text = "show where in the program an error came from"
        self.add_argument("--debug", action="store_true", help=text)
        self.more, self.usage = getattr(module, "MORE", ()), getattr(module, "USAGE", None)
        self.renamed = getattr(module, "RENAMED", self.renamed)
        self.respelled = getattr(module, "respelled", self.respelled)
        text = f"show all options, also of {', '.join(self.more)}" if self.more else argparse.SUPPRESS
        self.add_argument("--help-all", action=_HelpAll, nargs=0, help=text)
        self.set_defaults(command=module.run)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.fill()
        args = [self._spelt(word) for word in (sys.argv[1:] if args is None else args)]
        if self.respelled is not None:
            args = self.respelled(args)
        self._check_words(args)
        return super().parse_known_args(args, namespace)

    def format_help(self) -> str:
        groups = self._action_groups
        self._action_groups = [group for group in groups if group.title not in self.more]
        try:
            return super().format_help()
        finally:
            self._action_groups = groups

    def _check_words(self, args: Sequence[str]) -> None:
        """Refuse empty words: a variable that is not set would mean the current folder, or the default."""
        for before, word in zip(["", *args], args, strict=False):
            option, _, value = word.partition("=")
            if word and (value or "=" not in word or not option.startswith("--")):
                continue
            name = option or (before if before.startswith("-") and before != "-" else "")
            where = f"argument {name}: " if name in self._option_string_actions else ""
            self.error(f"{where}expected a value, got an empty one; is a variable not set?")

    def _spelt(self, word: str) -> str:
        """An option's name as it is spelt here: "color" for "colour", the new name for an old one."""
        option, equals, value = word.partition("=")
        new = self.renamed.get(option)
        if new is not None:
            print(
                f"stylenorm: note: {option} is now {new}; the old spelling goes with the next release",
                file=sys.stderr,
            )
            return f"{new}{equals}{value}"
        american = option.replace("colour", "color")
        return f"{american}{equals}{value}" if american in self._option_string_actions else word


class _HelpAll(argparse.Action):
    """Shows the help with every group of options."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        if isinstance(parser, _CommandParser):
            parser.more = ()
        parser.print_help()
        parser.exit()


def _run(options: argparse.Namespace) -> int:
    if options.command is None:
        print("stylenorm: expected a command; 'stylenorm --help' lists them", file=sys.stderr)
        return 2
    try:
        code = int(options.command(options))
        sys.stdout.flush()  # here, where a full disk can still be reported
    except KeyboardInterrupt as interrupt:  # who knows how far it came says so
        print(f"stylenorm: interrupted{f': {interrupt}' if str(interrupt) else ''}", file=sys.stderr)
        return 130
    except (StylenormError, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
            raise BrokenPipeError from error  # the reader has had enough: nothing to report
        if options.debug:
            raise
        print(f"stylenorm: {one_line(error)}", file=sys.stderr)
        if isinstance(error, OSError) and error.errno is not None:
            _forget_stdout()
        return 2 if isinstance(error, UsageError) else 1
    return code


def _forget_stdout() -> None:
    """Let what could not be written go nowhere; the interpreter would try, and complain, once more."""
    with suppress(OSError, ValueError):  # not a real file, in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (a signal handler's arguments)
    """Leave through every ``finally``, so that SIGTERM and SIGHUP leave no half-written file either."""
    raise SystemExit(128 + number)
