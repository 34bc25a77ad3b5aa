"""``stylenorm lab``: list, run, report, and what is said when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylenorm.lab import EXPERIMENTS, PUBLISHED, read_results
from tests.cli.conftest import Run
from tests.requirements_met import need


def test_the_list_has_all_of_them(run: Run) -> None:
    done = run("lab", "list")
    assert done.code == 0
    for name, experiment in EXPERIMENTS.items():
        assert f"{name} " in done.out.decode()
        assert experiment.question in done.out.decode()


def test_run_and_report(run: Run, tmp_path: Path) -> None:
    need("sklearn", "scikit-learn")
    page = tmp_path / "report.html"
    done = run("lab", "run", "classification", "--size", "tiny", "--results", tmp_path / "lab")
    assert done.code == 0, done.err
    first = done.out.decode().splitlines()[0]
    assert first.startswith("classification: ")
    assert "(tiny size: only shows that it runs)" in first
    done = run("lab", "report", "--results", tmp_path / "lab", "-o", page, "--own")
    assert done.code == 0, done.err
    assert b"1 results of your own, 0 published ones" in done.out
    assert page.read_text().count("<section ") == 1
    assert not (tmp_path / "lab" / "classification").exists(), "a tiny run has a place of its own"
    assert run("lab", "report", "--results", tmp_path / "lab", "-o", page).code == 2, "not overwritten"
    done = run("lab", "report", "--results", tmp_path / "lab", "-o", page, "--overwrite")
    published = read_results(PUBLISHED)
    assert f"1 results of your own, {len(published)} published ones".encode() in done.out
    text = page.read_text()
    assert text.count("<section ") == len(published) + 1
    words = published["classification"].verdict().words
    row = text[text.index('href="#classification"') :].partition("</tr>")[0]
    assert f'{words}</b> <span class="soft small">published, cpu size</span>' in row
    assert "yours, tiny size" in row


def test_ctrl_c_says_how_to_go_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stylenorm.lab import Bench

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bench, "arm", interrupted)
    done = run("lab", "run", "statistics", "--size", "tiny", "--results", tmp_path)
    assert done.code == 130
    assert done.lines == [
        "stylenorm: interrupted; 0 arms are finished, and the same command goes on with the others"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "expected names of experiments, or --all; there are: generators, "),
        (["run", "padding", "--all"], "expected names of experiments, or --all"),
        (["run", "pading"], "unknown experiment 'pading': did you mean 'padding'?"),
        (["run", "padding", "--photos", "nowhere"], "nowhere: expected a folder of pictures, got nothing"),
        (["run", "padding", "--paintings", "none.jpg"], "none.jpg: expected a picture, got no such file"),
        (["run", "padding", "--features", "vgg17"], "unknown feature network 'vgg17'"),
        (["run", "padding", "--device", "abacus"], "--device: 'abacus' is not there"),
        (["report", "--results", "nowhere", "--own"], "nowhere: expected results of experiments, got none"),
    ],
)
def test_what_cannot_be_done(
    words: list[str], message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("lab", *words)
    assert done.code == 2
    assert len(done.lines) == 1
    assert message in done.err
    assert not list(tmp_path.iterdir())
