"""Options from configurations: a dataclass's fields, defaults and documentation, without importing it.

The configurations of trainings live beside torch, whose import takes longer than a user waits for ``--help``,
and which need not be installed for it. So they are read, not imported: from the source, by Python's own
parser. A test compares what is read here with the real classes.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import stylenorm

__all__ = ["REQUIRED", "ConfigField", "add_fields", "read_fields"]

REQUIRED = object()
"""Default of a field that has none."""

_TYPES: dict[str, type] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "Path": Path,
    "Path | None": Path,
}


@dataclass(frozen=True)
class ConfigField:
    """One field of a configuration.

    Attributes:
        name: the field's name; ``content_target`` is ``--content-target``.
        kind: its type, one that a command line can give.
        default: its default, or `REQUIRED`.
        help: what the class's docstring says about it.
    """

    name: str
    kind: type
    default: Any
    help: str


def read_fields(module: str, name: str) -> tuple[ConfigField, ...]:
    """Read a dataclass's fields from its source; those of other types (nested configurations) are left out.

    Args:
        module: ``"stylenorm.training.loop"``.
        name: of the dataclass.

    Raises:
        LookupError: the module has no such class.
    """
    path = Path(stylenorm.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            break
    else:
        raise LookupError(f"{module} has no class {name}")
    helps = _attributes(ast.get_docstring(node) or "")
    found = []
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        kind = _TYPES.get(ast.unparse(statement.annotation))
        if kind is None:
            continue
        default = REQUIRED if statement.value is None else ast.literal_eval(statement.value)
        found.append(ConfigField(statement.target.id, kind, default, helps.get(statement.target.id, "")))
    return tuple(found)


def add_fields(
    group: argparse._ArgumentGroup,
    fields: tuple[ConfigField, ...],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Add an option for each field; ``defaults`` are those that differ from the fields' own, by name."""
    for each in fields:
        field = replace(each, default=defaults.get(each.name, each.default))
        flag = "--" + field.name.replace("_", "-")
        text = field.help.replace("%", "%%")
        if field.kind is bool:
            group.add_argument(flag, action="store_true", help=text)
            continue
        metavar = "DIR" if field.kind is Path else field.name.rpartition("_")[2].upper()
        if field.default is REQUIRED:
            group.add_argument(flag, type=field.kind, required=True, metavar=metavar, help=text)
        else:
            shown = f"{field.default:g}" if field.kind is float else field.default
            if field.default is not None:
                text = f"{text} (default: {shown})"
            group.add_argument(flag, type=field.kind, default=field.default, metavar=metavar, help=text)


def _attributes(docstring: str) -> dict[str, str]:
    """The entries of the section ``Attributes``: name to text, without markup."""
    _, _, section = docstring.partition("Attributes:\n")
    texts: dict[str, str] = {}
    for entry in re.split(r"\n(?! )", inspect.cleandoc(section)):
        names, colon, text = entry.partition(":")
        if colon:
            words = " ".join(text.split()).replace("``", "").rstrip(".")
            texts |= dict.fromkeys((name.strip() for name in names.split(",")), words)
    return texts
