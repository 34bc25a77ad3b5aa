"""A configuration's fields, as a command line needs them: types, choices, defaults, documentation."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["REQUIRED", "ConfigField", "config_fields"]

REQUIRED = object()
"""Default of a field that has none."""

_KINDS = (int, float, str, bool, Path)


@dataclasses.dataclass(frozen=True)
class ConfigField:
    """One field of a configuration.

    Attributes:
        name: the field's name; ``content_target`` is ``--content-target``.
        kind: its type, one that a command line can give.
        default: its default, or `REQUIRED`.
        help: what the class's docstring says about it.
        choices: the values that it may have; empty for any.
    """

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[Any, ...] = ()


def config_fields(
    config: type, defaults: Mapping[str, Any] = MappingProxyType({})
) -> tuple[ConfigField, ...]:
    """Return a dataclass's fields; those of other types (nested configurations) are left out.

    Args:
        config: the dataclass.
        defaults: those that differ from the fields' own, by name.
    """
    hints, helps = get_type_hints(config), _documented(config)
    found = []
    for field in sorted(dataclasses.fields(config), key=lambda each: bool(each.kw_only)):  # as in __init__
        kind, choices = _kind(hints[field.name])
        if kind is not None:
            own = REQUIRED if field.default is dataclasses.MISSING else field.default
            default = defaults.get(field.name, own)
            found.append(ConfigField(field.name, kind, default, helps.get(field.name, ""), choices))
    return tuple(found)


def _kind(hint: Any) -> tuple[type | None, tuple[Any, ...]]:
    if get_origin(hint) in (Union, UnionType):
        hint = next(each for each in get_args(hint) if each is not NoneType)
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return type(choices[0]), choices
    return (hint if hint in _KINDS else None), ()


def _documented(config: type) -> dict[str, str]:
    """The entries of the sections ``Attributes``, bases' too: name to text, without markup."""
    texts: dict[str, str] = {}
    for each in reversed(config.__mro__):
        _, _, section = (inspect.cleandoc(each.__doc__ or "")).partition("Attributes:\n")
        for entry in re.split(r"\n(?! )", textwrap.dedent(section)):
            names, colon, text = entry.partition(":")
            if colon:
                words = " ".join(text.split()).replace("``", "").rstrip(".")
                texts |= dict.fromkeys((name.strip() for name in names.split(",")), words)
    return texts
