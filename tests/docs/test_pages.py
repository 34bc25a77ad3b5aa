"""Every command and every snippet on every page is run, and none escapes."""

from __future__ import annotations

import doctest
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs import pages, running
from tests.docs.pages import PAGES, ROOT, Snippet
from tests.requirements_met import need

MADE = {"commands.md", "api/index.md"}
COMMANDS = ("stylenorm ", "pip ", "python ", "python3 ", "torchrun ", "pytest", "uvx ", "pipx ", "podman ")
WITH_CODE = [
    page for page in [*PAGES, *pages.NOTEBOOKS] if any(s.language in pages.RUN for s in pages.snippets(page))
]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("torch", "onnx", "av", "nibabel"):
        need(module)
    from tests.docs.desk import lay_out

    folder = tmp_path_factory.mktemp("desk")
    lay_out(folder)
    return folder


@pytest.fixture
def desk(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that pages speak of."""
    folder = tmp_path / "desk"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    running.make_trainings_short(monkeypatch)
    return folder


@pytest.mark.parametrize("page", WITH_CODE, ids=_name)
def test_what_a_page_shows_runs(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, object] = {"__name__": "__page__"}
    for snippet in pages.snippets(page):
        try:
            if snippet.language == "bash":
                for command in pages.commands(snippet.text):
                    where = f"{snippet.where}: {command}"
                    running.run(command, monkeypatch)
            elif snippet.language == "python":
                where = snippet.where
                _python(snippet, names)
        except (Exception, SystemExit) as error:
            raise AssertionError(where) from error


def _python(snippet: Snippet, names: dict[str, object]) -> None:
    if ">>> " not in snippet.text:
        exec(compile(snippet.text, snippet.where, "exec"), names)  # noqa: S102 (that is what is tested)
        return
    test = doctest.DocTestParser().get_doctest(snippet.text + "\n", names, snippet.where, None, 0)
    told: list[str] = []
    result = doctest.DocTestRunner().run(test, out=told.append, clear_globs=False)
    names.update(test.globs)
    assert not result.failed, "".join(told)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_snippet_escapes(page: Path) -> None:
    for snippet in pages.snippets(page):
        assert snippet.language in pages.LANGUAGES, f"{snippet.where}: a block says what it is"
        if snippet.language in pages.SHOWN:
            for line in snippet.text.splitlines():
                assert not line.lstrip("$> ").startswith((*COMMANDS, "import ", "from ")), (
                    f"{snippet.where}: {line!r} is a command; put it into a block that is run"
                )
        elif snippet.language in pages.READ:
            _read(snippet)
    before = ""
    for number, line in pages.prose(page):
        code = line.startswith("    ") and not before.strip()
        assert not code, f"{page}:{number}: code stands between fences, which say its language"
        before = line


def _read(snippet: Snippet) -> None:
    """What is not run is at least what it says; the commands in it have the options that they are given."""
    if snippet.language == "toml":
        tomllib.loads(snippet.text)
    elif snippet.language == "json":
        for line in snippet.text.splitlines():
            json.loads(line)
    elif snippet.language == "yaml":
        need("yaml", "PyYAML").safe_load(snippet.text)
    else:
        subprocess.run(["bash", "-n"], input=snippet.text, text=True, check=True)
    for command in re.findall(r"\bstylenorm (?!\[)[a-z].*", snippet.text.replace("\\\n", " ")):
        words = command.split()[1:]
        options = running.options_of([word for word in words[:2] if word.isalnum()])
        assert options is not None, f"{snippet.where}: there is no such command: {command}"
        missing = {word for word in words if re.fullmatch(r"--[a-z][a-z-]*", word)} - options
        assert not missing, f"{snippet.where}: the command has no {missing}"


# The changelog tells of options that are gone.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=_name)
def test_commands_and_options_in_sentences_exist(page: Path) -> None:
    known = _every_option()
    for number, code in pages.inline_code(page):
        where = f"{_name(page)}:{number}: {code}"
        for command in [part.strip() for part in code.split("&&")]:
            words = command.split()
            if words[:1] == ["stylenorm"] and len(words) > 1 and words[1].islower():
                options = running.options_of([w for w in words[1:3] if re.fullmatch(r"[a-z][a-z0-9]*", w)])
                assert options is not None, f"{where}: there is no such command"
                named = [w.partition("=")[0] for w in words if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", w)]
                missing = set(named) - options
                assert not missing, f"{where}: the command has no {missing}"
            elif words[:2] == ["pip", "install"]:
                running.run(command.replace("'", ""), pytest.MonkeyPatch())
            elif words and re.fullmatch(r"--[a-z][a-z-]*", words[0]):
                assert words[0] in known, f"{where}: no command has this option"


OTHERS = {"--requeue"}  # options of others' programs


def _every_option() -> set[str]:
    import stylenorm.cli
    from stylenorm.configurations import RECIPES

    commands = [[name] for name in stylenorm.cli.COMMANDS] + [["train", entry.name] for entry in RECIPES]
    commands += [["lab", name] for name in ("list", "run", "report")]
    scripts = " ".join(path.read_text() for path in (ROOT / "benchmarks").glob("*.py"))
    return set().union(
        OTHERS, re.findall(r"--[a-z][a-z-]+", scripts), *(running.options_of(c) or () for c in commands)
    )


def test_the_small_options_exist() -> None:
    for name, options in running.SMALL.items():
        known = running.options_of(name.split())
        assert known is not None
        assert set(re.findall(r"--[a-z-]+", options)) <= known, name


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("```\nstylenorm styles\n```\n", "test_no_snippet_escapes"),
        ("```text\nstylenorm styles\n```\n", "test_no_snippet_escapes"),
        ("Look:\n\n    stylenorm styles\n", "test_no_snippet_escapes"),
        ("Ask `stylenorm stiles`.\n", "test_commands_and_options_in_sentences_exist"),
        ("Ask `stylenorm styles --sheat x`.\n", "test_commands_and_options_in_sentences_exist"),
        ("Say `--colour`.\n", "test_commands_and_options_in_sentences_exist"),
    ],
)
def test_what_would_escape_is_found(
    text: str, test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "ROOT", tmp_path if "escapes" in test else ROOT)
    monkeypatch.setitem(globals(), "_name", str)
    check: Callable[[Path], None] = globals()[test]
    with pytest.raises(AssertionError):
        check(page)


@pytest.mark.parametrize(
    "text",
    [
        "```bash\nstylenorm styles --no-such-option\n```\n",
        "```bash\nrm -r photos\n```\n",
        "```bash\npip install 'stylenorm[nothing]'\n```\n",
        "```python\nassert 1 == 2\n```\n",
        "```python\n>>> 1 + 1\n3\n\n```\n",
    ],
)
def test_what_does_not_run_is_found(text: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = desk / "page.md"
    page.write_text(text)
    monkeypatch.setattr(pages, "ROOT", desk)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test_what_a_page_shows_runs(page, desk, monkeypatch)


@pytest.mark.parametrize("page", pages.NOTEBOOKS, ids=_name)
def test_a_notebook_is_one(page: Path) -> None:
    book = json.loads(page.read_text())
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    assert book["cells"][0]["cell_type"] == "markdown"
    for cell in book["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "outputs are not kept: they would be of another version"
            assert cell["execution_count"] is None
            assert not any(line.startswith(("!", "%")) for line in cell["source"]), "only Python is run"


def test_there_is_a_notebook_for_each_user() -> None:
    assert [page.stem for page in pages.NOTEBOOKS] == ["layers", "paint", "research"]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_pictures_and_links_exist(page: Path) -> None:
    for number, line in pages.prose(page):
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
            path = target.partition("#")[0]
            if path in MADE:  # pages that are generated when the site is built
                continue
            if path and not re.match(r"[a-z]+:", path):
                assert (page.parent / path).exists(), f"{_name(page)}:{number}: {target}"
