"""What people install, and what a forge and an index read: one address, real commands, whole links."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import stylenorm
from stylenorm.cli import COMMANDS, build_parser, main
from stylenorm.configurations import RECIPES
from tests.requirements_met import need

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


def read_yaml(path: Path) -> Any:
    return need("yaml", "PyYAML").safe_load(path.read_text())


def test_the_project_has_one_address() -> None:
    urls = PROJECT["project"]["urls"]
    home = urls["Homepage"]
    assert all(url.startswith(home) for url in urls.values())
    owner_and_name = home.removeprefix("https://github.com/")
    substitutions = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    pictures, links = (each["replacement"] for each in substitutions)
    assert f"https://raw.githubusercontent.com/{owner_and_name}/main/" in pictures
    assert f"{home}/blob/main/" in links
    site = read_yaml(ROOT / "mkdocs.yml")
    assert site["extra"]["repository"] == home
    assert "repo_url" not in site  # the theme would ask the forge for figures whenever a page is read
    assert f'repository-code: "{home}"' in (ROOT / "CITATION.cff").read_text()


def test_an_index_gets_whole_addresses() -> None:
    text = (ROOT / "README.md").read_text()
    for each in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    assert all(
        re.fullmatch(r"https://raw\.[\w./-]+/main/docs/pictures/[\w-]+\.(jpg|png)", p) for p in pictures
    )
    assert all(re.match(r"https?://|#", link) for link in links), links


def test_versions_agree() -> None:
    assert f"version: {stylenorm.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {stylenorm.__version__} " in (ROOT / "CHANGELOG.md").read_text()


def test_a_citation_has_what_readers_of_it_need() -> None:
    citation = read_yaml(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors", "version", "license"} <= set(citation)


def test_the_workflow_runs_what_is_here() -> None:
    jobs = read_yaml(WORKFLOW)["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    scripts = re.findall(r"\.ci/[\w.]+", " ".join(step.get("run", "") for step in steps))
    assert {".ci/run", ".ci/check_wheel.py", ".ci/manual.py", ".ci/sbom"} == set(scripts)
    for script in scripts:
        path = ROOT / script
        assert path.suffix == ".py" or os.access(path, os.X_OK), f"{script} cannot be run"
    assert ".ci/wheel" in (ROOT / ".ci" / "run").read_text()
    assert all("@" in step["uses"] for step in steps if "uses" in step), "an action has a version"
    publish = jobs["publish"]
    assert publish["permissions"]["id-token"] == "write"  # trusted publishing: there is no password
    assert set(publish["needs"]) == {"check", "wheels", "sources"}
    assert "secrets." not in WORKFLOW.read_text()


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        (".github/workflows/ci.yml", "vendor.github-workflows"),
        (".github/workflows/ci.yml", "custom.github-workflows-require-timeout"),
        (".github/ISSUE_TEMPLATE/bug.yml", "vendor.github-issue-forms"),
        (".github/ISSUE_TEMPLATE/idea.yml", "vendor.github-issue-forms"),
        (".github/ISSUE_TEMPLATE/config.yml", "vendor.github-issue-config"),
        ("CITATION.cff", "vendor.citation-file-format"),
    ],
)
def test_what_a_forge_reads_is_by_its_schema(
    file: str, schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main = need("check_jsonschema", "check-jsonschema").main
    given = ["--builtin-schema", schema, "--default-filetype", "yaml", "--force-filetype", "yaml"]
    with pytest.raises(SystemExit) as ended:
        main([*given, str(ROOT / file)])
    assert ended.value.code == 0, capsys.readouterr().out


def test_the_container_is_built_by_commands_that_a_shell_reads(tmp_path: Path) -> None:
    text = (ROOT / "Containerfile").read_text().replace("\\\n", "")
    commands = re.findall(r"^RUN (.+)$", text, re.MULTILINE)
    assert any("pip wheel" in command for command in commands)
    for command in commands:
        subprocess.run(["bash", "-n", "-c", command], check=True)
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(set(bases)) == 1, "the wheel is for the Python that it was built with"
    copied = re.findall(r"^COPY (?:--from=build )?(\S+)", text, re.MULTILINE)
    assert copied == [".", "/wheels"]
    extras = [name for group in re.findall(r"\[([a-z,]+)\]\"", text) for name in group.split(",")]
    assert extras
    assert set(extras) <= set(PROJECT["project"]["optional-dependencies"])
    assert re.findall(r'^ENTRYPOINT \["(.+)"\]$', text, re.MULTILINE) == list(PROJECT["project"]["scripts"])


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_issue_templates_are_forms(name: str) -> None:
    form = read_yaml(ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert {"name", "description", "body"} <= set(form)
    assert all({"type", "id", "attributes"} <= set(part) for part in form["body"])


def test_scripts_can_be_run() -> None:
    for name in ("run", "site", "wheel", "sbom"):
        assert (ROOT / ".ci" / name).stat().st_mode & stat.S_IXUSR
        subprocess.run(["bash", "-n", str(ROOT / ".ci" / name)], check=True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    need("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"\b{name}\b", script), name
    if shell == "bash":
        assert "--keep-colors" in script
        assert "--num-levels" in script  # an option of one recipe


def test_completion_in_bash_works(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    need("shtab")
    main(["completion", "bash"])
    (tmp_path / "script").write_text(capsys.readouterr().out)
    ask = (
        "source ./script; COMP_WORDS=(stylenorm styl); COMP_CWORD=1; "
        'f=$(complete -p stylenorm | sed "s/.*-F \\([^ ]*\\) .*/\\1/"); $f stylenorm styl stylenorm; '
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["stylize", "styles"]


def test_completion_costs_nothing_at_the_start() -> None:
    code = "import sys, stylenorm.cli as c; c.build_parser(); print('shtab' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_only_the_command_that_is_run_gets_its_options() -> None:
    def options(parser: Any) -> dict[str, int]:
        return {
            name: len(command._actions)
            for name, command in parser._subparsers._group_actions[0].choices.items()
        }

    lazy, whole = options(build_parser()), options(build_parser(whole=True))
    assert lazy.keys() == whole.keys() == set(COMMANDS)
    assert all(count == 1 for count in lazy.values())  # --help
    assert all(count > 1 for count in whole.values())


def test_the_manual_has_every_command_and_recipe(tmp_path: Path) -> None:
    need("argparse_manpage", "argparse-manpage")
    code = f"import runpy; print(runpy.run_path({str(ROOT / '.ci' / 'manual.py')!r})['manual']())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    page = re.sub(r"\\(f.|[,/])", "", done.stdout).replace("\\-", "-")
    assert page.startswith('.TH STYLENORM "1"')
    assert "stylenorm - Paint photos" in page
    for name in COMMANDS:
        assert f"COMMAND 'stylenorm {name}'" in page, name
    for entry in RECIPES:
        assert f"train {entry.name}" in page


def test_all_pages_of_the_site_are_in_its_menu() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= set(re.findall(r"[\w/-]+\.md", text.partition("\nnav:")[2]))


def test_every_extra_that_errors_name_exists() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    named = {
        extra
        for path in (ROOT / "src").rglob("*.py")
        for group in re.findall(r"stylenorm\[([\w,-]+)\]", path.read_text())
        for extra in group.split(",")
    }
    assert named
    assert named <= set(extras)
