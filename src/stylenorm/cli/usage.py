"""What the commands share: usage errors, one-line messages, options that engines need."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from stylenorm.errors import InputError, MissingExtraError, OutputError

__all__ = ["UsageError", "add_engine_arguments", "as_usage", "number_from", "one_line"]


class UsageError(InputError):
    """The command cannot be carried out as it was given; exit code 2."""


@contextmanager
def as_usage() -> Iterator[None]:
    """Turn errors about what the user asked for into usage errors: nothing has been done yet."""
    try:
        yield
    except MissingExtraError:
        raise
    except (InputError, OutputError) as error:
        raise UsageError(str(error)) from error


def one_line(error: BaseException) -> str:
    """Say what went wrong in one line.

    >>> one_line(FileNotFoundError(2, "No such file or directory", "a.jpg"))
    'a.jpg: No such file or directory'
    >>> one_line(MemoryError())
    'out of memory: paint a smaller picture, or close other programs'
    """
    if isinstance(error, MemoryError):
        detail = f" ({' '.join(str(error).split())})" if str(error) else ""
        return f"out of memory{detail}: paint a smaller picture, or close other programs"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def number_from(lowest: int, highest: int | None = None) -> type[int]:
    """Return an argparse type: a whole number within bounds, both included."""

    def parse(text: str) -> int:
        number = int(text)
        if number < lowest or (highest is not None and number > highest):
            bound = f"{lowest} or more" if highest is None else f"{lowest} to {highest}"
            raise argparse.ArgumentTypeError(f"expected {bound}, got {text}")
        return number

    parse.__name__ = "whole number"  # argparse names the type by this in its messages
    return parse  # type: ignore[return-value]  # argparse takes any callable


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command that paints needs: network, engine, precision, threads."""
    group = parser.add_argument_group("engine")
    group.add_argument("--network", metavar="DIR", help="a network folder; default: the one that ships")
    group.add_argument(
        "--engine",
        default="auto",
        choices=("auto", "openvino", "winograd", "onnxruntime", "torch", "fake"),
        help="what computes; auto: the fastest here, see doctor; fake paints the negative, for tests "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "f32", "bf16"),
        help="auto: bfloat16 where the CPU has it and the picture has 8 bits, else float32 (default: auto)",
    )
    group.add_argument("--threads", type=number_from(1), metavar="N", help="default: all cores")
