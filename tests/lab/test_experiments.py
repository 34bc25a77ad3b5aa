"""Every experiment runs, is judged and drawn; what ships agrees with its rule; stopped runs go on."""

from __future__ import annotations

import json
import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from stylenorm.errors import InputError, TrainingError, UnknownNameError
from stylenorm.lab import (
    EXPERIMENTS,
    PUBLISHED,
    Arm,
    Bench,
    GeneratorArm,
    Material,
    Result,
    Size,
    TrainingSize,
    find_experiment,
    read_results,
    report_page,
    run_experiment,
    train_generator,
)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_runs_and_says_how(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    experiment = find_experiment(name)
    for text in (experiment.question, experiment.claim, experiment.paper, experiment.method, experiment.rule):
        assert len(text) > 20
    assert re.search(r"(19|20)\d\d", experiment.paper)
    assert set(experiment.sizes) == set(Size)
    content = result.content
    assert content["size"] == "tiny"
    assert (
        content["machine"]["versions"]["torch"] == torch.__version__.partition("+")[0]
        or "+" in torch.__version__
    )
    verdict = result.verdict()
    assert content["verdict"] == {
        "outcome": verdict.words,
        "text": verdict.text,
        "reasons": verdict.reasons,
    }
    assert re.search(r"\d", verdict.text), "a verdict has figures"
    for figure in result.figures():
        drawn = ET.fromstring(figure.svg)  # noqa: S314 (our own)
        assert len(drawn) > 5
        file = next(iter(result.pictures.values()), None)
        assert file is None or (file.parent / f"{figure.name}.svg").is_file()
    for path in result.pictures.values():
        with Image.open(path) as picture:
            assert min(picture.size) > 50


def test_numbers_are_the_same_when_run_again(
    laboratory: Path, results: dict[str, Result], tmp_path: Path
) -> None:
    arm = GeneratorArm(TrainingSize.tiny(), seed=1)
    again, _ = train_generator(Bench(tmp_path, Material(), quiet=True), arm)
    assert again == results["generators"].content["numbers"]["runs"]["johnson, instance"][1]


def test_a_second_run_trains_nothing(laboratory: Path) -> None:
    bench = Bench(laboratory, Material(), quiet=True)
    before = json.loads((laboratory / "deeper-tiny" / "result.json").read_text())
    after = run_experiment(bench, "deeper", Size.TINY).content
    assert bench.num_run == 0
    assert bench.num_found == 8
    assert after["numbers"] == before["numbers"]


def test_experiments_share_arms(laboratory: Path, results: dict[str, Result]) -> None:
    shared = results["generators"].content["numbers"]["runs"]["johnson, batch"]
    assert results["photos"].content["numbers"]["runs"]["batch, all"] == shared
    assert results["style-normalized"].content["numbers"]["runs"]["original, batch"] == shared
    arms = results["photos"].content["arms"]
    assert (arms["run"], arms["found_finished"]) == (4, 4)
    assert arms["cpu_s"] > 0


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stylenorm.lab import classification

    def stopping(*arguments: object) -> Arm:
        if len(list((tmp_path / "arms").glob("*.json"))) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    real = classification._train
    monkeypatch.setattr(classification, "_train", stopping)
    bench = Bench(tmp_path, Material(), quiet=True)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(bench, "classification", Size.TINY)
    assert not (tmp_path / "classification-tiny").exists()
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
    monkeypatch.setattr(classification, "_train", real)
    result = run_experiment(bench, "classification", Size.TINY)
    assert (result.content["arms"]["run"], result.content["arms"]["found_finished"]) == (21, 3)


def test_a_broken_arm_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Material(), quiet=True)
    bench.arm("one", {"a": 1}, lambda: Arm({"x": 2.0}))
    (file,) = (tmp_path / "arms").glob("*.json")
    file.write_text("{")
    with pytest.raises(InputError, match=rf"{file.name}: expected a finished arm .* delete the file"):
        bench.arm("one", {"a": 1}, lambda: Arm({}))
    assert bench.arm("one", {"a": 2}, lambda: Arm({"x": 3.0})).numbers == {"x": 3.0}, (
        "other settings, other arm"
    )


def test_processor_time_is_that_of_the_arm_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Material(), quiet=True)

    def busy() -> Arm:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        return Arm({})

    outer = bench.arm("outer", {"a": 1}, lambda: Arm({"inner": bench.arm("inner", {"a": 2}, busy).cpu_s}))
    assert outer.numbers["inner"] >= 0.3
    assert outer.cpu_s < 0.2
    assert bench.cpu_s == pytest.approx(outer.cpu_s + outer.numbers["inner"])
    again = bench.arm("outer", {"a": 1}, busy)
    assert again == outer


def test_an_arm_of_another_version_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Material(), quiet=True)
    arm = GeneratorArm(TrainingSize.tiny())
    train_generator(bench, arm)
    (weights,) = (tmp_path / "arms").glob("*.safetensors")
    save_file({"other": torch.zeros(1)}, weights)
    with pytest.raises(
        InputError, match=r"johnson-instance-.* got those of another version; delete its files"
    ):
        train_generator(bench, arm)


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    from dataclasses import replace

    size = replace(TrainingSize.tiny(), style_weight=float("nan"))
    with pytest.raises(TrainingError, match="step 0: the loss is no longer finite"):
        train_generator(Bench(tmp_path, Material(), quiet=True), GeneratorArm(size))
    assert not list((tmp_path / "arms").glob("*")) if (tmp_path / "arms").exists() else True


def test_the_report_needs_nothing_but_itself(results: dict[str, Result]) -> None:
    page = report_page({name: [result] for name, result in results.items()})
    outside = [link for link in re.findall(r"https?://[^\"'\s)<]+", page) if "www.w3.org" not in link]
    assert outside == []
    assert not re.search(r"<(script|link|iframe)\b", page)
    assert set(re.findall(r'(?:src|href)="([^":#]+)', page)) <= {"data"}
    assert "prefers-color-scheme:dark" in page
    assert page.count("<section ") == len(EXPERIMENTS)
    assert page.count("<svg ") == sum(len(result.figures()) for result in results.values())
    assert page.count("data:image/jpeg;base64,") == sum(len(result.pictures) for result in results.values())
    assert page.count("Tiny size: this only shows that the experiment runs.") == len(EXPERIMENTS)
    one = report_page({"photos": [results["photos"]]})
    assert one.count("<section ") == 1
    assert "<code>stylenorm lab run deeper</code>" in one


def test_what_ships() -> None:
    published = read_results(PUBLISHED)
    assert set(published) == set(EXPERIMENTS)
    total = sum(path.stat().st_size for path in PUBLISHED.rglob("*") if path.is_file())
    assert total < 1_500_000
    for result in published.values():
        assert result.size is Size.CPU
        verdict = result.verdict()
        assert result.content["verdict"] == {
            "outcome": verdict.words,
            "text": verdict.text,
            "reasons": verdict.reasons,
        }
        assert result.origin == "published, cpu size"
        assert "/" not in json.dumps(result.content["material"])
        assert result.figures()
        assert result.content["machine"]["versions"]["torch"]


def test_the_docs_say_what_ships() -> None:
    docs = " ".join((Path(__file__).parents[2] / "docs" / "lab.md").read_text().split())
    for name, result in read_results(PUBLISHED).items():
        experiment, verdict = EXPERIMENTS[name], result.verdict()
        assert f"| [{experiment.question}](#{name}) | {verdict.words} |" in docs
        assert f"**{verdict.words.capitalize()}**: {verdict.text} {verdict.reasons}" in docs
        for text in (experiment.claim, experiment.paper, experiment.method, experiment.rule):
            assert text in docs


def test_names_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown experiment 'paddings': did you mean 'padding'"):
        run_experiment(Bench(tmp_path, Material(), quiet=True), "paddings", Size.TINY)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "result.json").write_text('{"format": "other"}')
    with pytest.raises(InputError, match=r"result\.json: expected the result of 'photos'"):
        read_results(tmp_path)
