"""What the commands share: usage errors, one-line messages, options that engines need."""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stylenorm.errors import InputError, MissingExtraError, OutputError, one_line

if TYPE_CHECKING:
    from stylenorm.configurations import ConfigField

T = TypeVar("T")

__all__ = [
    "UsageError",
    "add_color_arguments",
    "add_engine_arguments",
    "add_engine_choice",
    "add_fields",
    "add_network_argument",
    "add_quiet_argument",
    "as_usage",
    "fields_of",
    "number_from",
    "one_line",
    "positive_number",
    "share",
    "values_of",
]


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


def share(text: str) -> float:
    """A number from 0 to 1, or a percentage, for argparse.

    >>> share("0.5"), share("50%")
    (0.5, 0.5)
    """
    number = _number(text.rstrip().removesuffix("%"))
    number = number / 100 if text.rstrip().endswith("%") and number is not None else number
    if number is None or not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, as 0.5 or 50%, got {text}")
    return number


def positive_number(text: str) -> float:
    """A number greater than 0, for argparse."""
    number = _number(text)
    if number is None or not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number greater than 0, got {text}")
    return number


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command that paints needs: network, engine, precision, threads."""
    group = parser.add_argument_group("engine")
    group.add_argument("--network", metavar="DIR", help="a network folder; default: the one that ships")
    add_engine_choice(group)
    group.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "f32", "bf16"),
        help="auto: bfloat16 where the CPU has it and the picture has 8 bits, else float32 (default: auto)",
    )


def add_engine_choice(group: Any) -> None:
    """Add what computes, and with how many threads. The names stand here so that nothing is imported."""
    group.add_argument(
        "--engine",
        default="auto",
        choices=("openvino", "winograd", "onnxruntime", "torch", "auto", "fake"),
        metavar="{openvino,winograd,onnxruntime,torch,auto}",
        help="what computes; auto: the fastest here, see doctor (default: %(default)s)",
    )
    group.add_argument("--threads", type=number_from(1), metavar="N", help="default: all cores")


def add_color_arguments(parser: Any, what: str = "photo") -> None:
    """Add how the colours of what is painted are kept; ``keep_colors`` is False, or the method's name."""
    parser.add_argument(
        "--keep-colors",
        action="store_const",
        const="luminance",
        default=False,
        help=f"keep every object's colour: only light and dark of the {what} are painted",
    )
    parser.add_argument(
        "--color-method",
        dest="keep_colors",
        choices=("luminance", "covariance", "histogram", "painting"),
        metavar="{luminance,covariance,histogram}",  # painting: what --colors, its old name, had as default
        help="keep colours in this way: luminance is --keep-colors; covariance and histogram give the "
        f"painting the {what}'s palette first",
    )


def add_network_argument(parser: Any, written_by: str) -> None:
    """Add the folder that a training wrote."""
    parser.add_argument(
        "--network", type=Path, required=True, metavar="DIR", help=f"the folder that {written_by} wrote"
    )


def add_quiet_argument(parser: Any, what: str = "say nothing but errors") -> None:
    """Add ``-q``."""
    parser.add_argument("-q", "--quiet", action="store_true", help=what)


def add_fields(
    group: argparse._ArgumentGroup, fields: Iterable[ConfigField], can_be_off: Collection[str] = ()
) -> None:
    """Add an option for each field of a configuration; its own checks refuse what is no choice.

    Args:
        group: where they are listed.
        fields: of the configuration.
        can_be_off: switches that something else may turn on, so that they have a ``--no-`` too.
    """
    from stylenorm.configurations import REQUIRED

    for field in fields:
        flag = "--" + field.name.replace("_", "-")
        text = field.help.replace("%", "%%")
        if flag == "--out":  # where results go has one name in all commands
            group.add_argument(
                "-o", "--output", dest="out", type=Path, required=True, metavar="DIR", help=text
            )
            continue
        if field.kind is bool:
            if field.name in can_be_off:
                group.add_argument(flag, action=_Switch, default=field.default, help=text)
            else:
                group.add_argument(flag, action="store_true", help=text)
            continue
        metavar = "DIR" if field.kind is Path else field.name.rpartition("_")[2].upper()
        if field.default is REQUIRED:
            group.add_argument(flag, type=field.kind, required=True, metavar=metavar, help=text)
        else:
            if field.default not in (None, ""):
                shown = f"{field.default:g}" if field.kind is float else field.default
                text = f"{text} (default: {shown})"
            group.add_argument(
                flag, action=_Value, type=field.kind, default=field.default, metavar=metavar, help=text
            )


class _Value(argparse.Action):
    """Stores a value, and in ``given`` that there was one: a preset leaves it alone, the default's too."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        setattr(namespace, self.dest, values)
        namespace.given = {*getattr(namespace, "given", ()), self.dest}


class _Switch(argparse.BooleanOptionalAction):
    """``--name`` and ``--no-name``, of which ``given`` has a note as well."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        super().__call__(parser, namespace, values, option_string)
        namespace.given = {*getattr(namespace, "given", ()), self.dest}


def fields_of(kind: type[T], options: argparse.Namespace) -> T:
    """Return the dataclass whose fields are the arguments of the same names."""
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})  # type: ignore[arg-type]


def values_of(config: type, options: argparse.Namespace) -> dict[str, Any]:
    """Return the values that the options have for a configuration's fields."""
    from stylenorm.configurations import config_fields

    return {field.name: getattr(options, field.name) for field in config_fields(config)}
