"""What the site has beside `docs/`: pages and pictures that live elsewhere, or are generated.

- ``commands.md`` from the parser, ``api/`` from the table of public names;
- CHANGELOG, CONTRIBUTING and SECURITY from the root;
- the laboratory's published figures, which ship in the package.
"""

from __future__ import annotations

import argparse
import ast
import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from stylenorm.cli import build_parser

ROOT = Path(__file__).parents[1]
NAMES = json.loads((ROOT / "tests" / "public_names.json").read_text())
FIGURES = ROOT / "src" / "stylenorm" / "lab" / "published"
MADE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages and pictures that are not in ``docs/``."""
    for source, target in MADE.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    for path in sorted(FIGURES.rglob("*")):
        if path.suffix in (".svg", ".jpg"):
            target = f"published/{path.relative_to(FIGURES).as_posix()}"
            files.append(File.generated(config, target, abs_src_path=str(path)))
    files.append(File.generated(config, "commands.md", content=commands_page()))
    for module in NAMES:
        files.append(File.generated(config, f"api/{module}.md", content=api_page(module)))
    files.append(File.generated(config, "api/index.md", content=api_index()))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 (mkdocs calls by name)
    """Let links that leave ``docs/`` arrive: at the copies on the site, or in the repository."""
    here = posixpath.dirname(page.file.src_uri)

    def target(match: re.Match[str]) -> str:
        link = match[1]
        if re.match(r"[a-z]+:|#", link):
            return match[0]
        # Pages of the root link from there, all others from docs/.
        base = "" if page.file.src_uri in MADE.values() else posixpath.join("docs", here)
        path, mark, anchor = posixpath.normpath(posixpath.join(base, link)).partition("#")
        if path.startswith("src/stylenorm/lab/published/"):
            found = path.removeprefix("src/stylenorm/lab/")
        elif path in MADE:
            found = MADE[path]
        elif path.startswith("docs/"):
            found = path.removeprefix("docs/")
        else:
            return f"]({config.extra['repository']}/blob/main/{path}{mark}{anchor})"
        return f"]({posixpath.relpath(found, here or '.')}{mark}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", target, markdown)


def commands_page() -> str:
    """Every command with its options, as ``--help-all`` prints them."""
    parts = [
        "# Commands\n",
        "Written from the program's own help. `stylenorm COMMAND --help` prints the same.\n",
        "To complete commands and options with the tab key: `stylenorm completion --help`.\n",
    ]
    parser = build_parser(whole=True)
    for words, command, told in walk(parser, ["stylenorm"]):
        parts.append(
            f"{'#' * min(len(words), 4)} {' '.join(words)}\n\n{told}\n\n```text\n{text(command)}```\n"
        )
    return "\n".join(parts)


def walk(parser: argparse.ArgumentParser, words: list[str]) -> list[tuple[list[str], Any, str]]:
    """Each sub-command with its words and its one line of help, in the order of ``--help``."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                told = helps[name][:1].upper() + helps[name][1:] + "."
                found += [([*words, name], command, told), *walk(command, [*words, name])]
    return found


def text(command: Any) -> str:
    """A command's help in 80 columns."""
    command.more = ()
    command.formatter_class = _Narrow
    return re.sub(r"^usage: ", "", command.format_help(), count=1)


class _Narrow(argparse.RawDescriptionHelpFormatter):
    """A formatter that does not ask the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=96, max_help_position=28)


def api_page(module: str) -> str:
    """The public names of one module."""
    listed = "\n".join(f"        - {name}" for name in NAMES[module])
    return (
        f"# `{module}`\n\n::: {module}\n    options:\n      show_root_heading: false\n"
        f"      show_root_toc_entry: false\n      heading_level: 2\n      members:\n{listed}\n"
    )


def api_index() -> str:
    """All modules in a table."""
    rows = "\n".join(f"| [`{module}`]({module}.md) | {summary(module)} |" for module in NAMES)
    return (
        "# API reference\n\nWhat is listed here is public, and changes only as the [policy on deprecations]"
        "(../deprecation.md) says. Everything else may change at any time.\n\n"
        f"| module | what it holds |\n|---|---|\n{rows}\n"
    )


def summary(module: str) -> str:
    """The first line of a module's docstring; the module is read, and not imported."""
    path = ROOT / "src" / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    line = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    return line.replace("``", "`").removeprefix("stylenorm: ")
