"""``stylenorm train``: its options are the configurations' fields; which paintings become styles."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import shlex
import shutil
from pathlib import Path
from typing import Literal

import pytest

from stylenorm.cli import build_parser, train
from stylenorm.configurations import (
    PRESETS,
    RECIPES,
    REQUIRED,
    ConfigField,
    LoopConfig,
    LoopDefaults,
    RecipeEntry,
    config_fields,
)
from stylenorm.errors import InputError, PictureError, UnknownNameError
from stylenorm.training.data.paintings import read_paintings
from tests.cli.conftest import Run, write_photo
from tests.engines.tiny_network import needs


@pytest.fixture(autouse=True)
def _torch() -> None:
    needs("torch")


@pytest.mark.parametrize("entry", RECIPES, ids=lambda entry: entry.name)
def test_every_recipe_is_known_without_torch_and_trains_alike_from_python(entry: RecipeEntry) -> None:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    (commands,) = parser._subparsers._group_actions  # type: ignore[union-attr]
    options = {action.dest: action for action in commands.choices[entry.name]._actions}  # type: ignore[index, call-overload, union-attr]
    for field in dataclasses.fields(entry.config):
        if field.name == "network" and entry.name == "multistyle":  # has options of its own
            continue
        option = options[field.name]
        assert option.help, f"{entry.name}: {field.name} is not documented"
        assert option.required == (field.default is dataclasses.MISSING)
        assert option.required or option.default == field.default
    recipe = entry.load()
    for name, value in vars(recipe.loop_defaults).items():
        assert options[name].default == value


def test_the_papers_rates() -> None:
    rates = {entry.name: getattr(entry.config, "loop", LoopDefaults()) for entry in RECIPES}
    assert (rates["johnson"].steps, rates["johnson"].learning_rate) == (40_000, 1e-3)
    assert (rates["cyclegan"].learning_rate, rates["cyclegan"].clip) == (2e-4, 0)
    assert (rates["volumes"].learning_rate, rates["volumes"].clip) == (3e-4, 12)
    assert (rates["spade"].learning_rate, rates["stylegan2"].learning_rate) == (1e-4, 2e-3)
    assert rates["adain"].learning_rate == 1e-4


def test_fields_of_a_configuration() -> None:
    @dataclasses.dataclass(frozen=True)
    class Base:
        """First.

        Attributes:
            folder: where
                it is.
        """

        folder: Path

    @dataclasses.dataclass(frozen=True)
    class Config(Base):
        """Second.

        Attributes:
            kind: one or two.
            start: from where; ``x``.
        """

        kind: Literal["one", "two"] = "one"
        start: Path | None = None
        nested: Base | None = None

    globals()["Base"] = Base  # names in annotations are looked up in the module
    read = config_fields(Config, {"kind": "two"})
    assert read == (
        ConfigField("folder", Path, REQUIRED, "where it is"),
        ConfigField("kind", str, "two", "one or two", ("one", "two")),
        ConfigField("start", Path, None, "from where; x"),
    )


@pytest.fixture
def paintings(tmp_path: Path) -> Path:
    for name in ("edvard-munch--the-scream.jpg", "katsushika-hokusai--great-wave.png"):
        write_photo(tmp_path / "paintings" / name)
    return tmp_path / "paintings"


def test_a_folder_of_paintings(paintings: Path) -> None:
    found = read_paintings(paintings, None)
    assert [(p.name, p.artist, p.title) for p in found] == [
        ("the-scream", "Edvard Munch", "The Scream"),
        ("great-wave", "Katsushika Hokusai", "Great Wave"),
    ]


SCREAM = "edvard-munch--the-scream.jpg"
TOML = """
[scream]
painting = "edvard-munch--the-scream.jpg"
artist = "Edvard Munch"
title = "The Scream"
year = 1893
licence = "public domain"
style_weight = 2
"""


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_list_of_paintings(paintings: Path, tmp_path: Path, suffix: str) -> None:
    listed = tmp_path / f"styles{suffix}"
    table = {"painting": "edvard-munch--the-scream.jpg", "artist": "Edvard Munch", "title": "The Scream"}
    table |= {"year": "1893", "licence": "public domain", "style_weight": 2}
    listed.write_text(TOML if suffix == ".toml" else json.dumps({"scream": table}))
    (painting,) = read_paintings(paintings, listed)
    assert (painting.name, painting.year, painting.licence) == ("scream", "1893", "public domain")
    assert painting.path == paintings / "edvard-munch--the-scream.jpg"
    assert painting.style_weight == 2


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[scream", InputError, "expected TOML or JSON, got a mistake"),
        ("", InputError, "expected a table for each style"),
        ("scream = 1", InputError, "expected a table with painting"),
        ("[scream]\nartist = 'x'", InputError, "expected a table with painting"),
        ("[scream]\npainting = 'no.jpg'", InputError, r"no\.jpg, found no such file"),
        (
            f"[scream]\npainting = '{SCREAM}'\nstyle_weight = 0",
            InputError,
            "expected a number above 0, got 0",
        ),
        (f"[scream]\npainting = '{SCREAM}'\nstyle_weight = 'x'", InputError, "expected a number above 0"),
        ("[Scream]\npainting = 'no.jpg'", InputError, "kebab-case"),
        ("[all]\npainting = 'no.jpg'", InputError, "neither 'all' nor 'identity'"),
        ("[scream]\npainting = 'x'\nartst = 'y'", UnknownNameError, "'artst': did you mean 'artist'"),
    ],
)
def test_a_list_with_mistakes(
    paintings: Path, tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "styles.toml").write_text(text)
    with pytest.raises(error, match=message):
        read_paintings(paintings, tmp_path / "styles.toml")


def test_folders_with_mistakes(paintings: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found no pictures"):
        read_paintings(tmp_path / "empty", None)
    with pytest.raises(PictureError):
        read_paintings(tmp_path / "nowhere", None)
    write_photo(paintings / "someone-else--the-scream.jpg")
    with pytest.raises(InputError, match="the style 'the-scream' exists already"):
        read_paintings(paintings, None)
    with pytest.raises(InputError, match="cannot be read"):
        read_paintings(paintings, tmp_path / "nowhere.toml")


def arguments(tmp_path: Path, paintings: Path) -> list[str]:
    return [
        *("train", "multistyle", "--paintings", str(paintings), "--photos", str(tmp_path / "photos")),
        *("-o", str(tmp_path / "out")),
    ]


def test_train_without_torch(
    run: Run, paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find_spec(name, *rest)
    )
    done = run(*arguments(tmp_path, paintings))
    assert (done.code, done.err) == (1, "stylenorm: training needs torch: pip install 'stylenorm[torch]'\n")


def test_train_with_mistakes_is_one_line(run: Run, paintings: Path, tmp_path: Path) -> None:
    done = run(*arguments(tmp_path, tmp_path / "nowhere"))
    assert done.code == 2
    assert len(done.lines) == 1
    done = run(*arguments(tmp_path, paintings))
    assert done.code == 1
    assert len(done.lines) == 1
    assert "photos" in done.err


@pytest.fixture
def one_picture(paintings: Path, tmp_path: Path) -> list[str]:
    for i in range(3):
        write_photo(tmp_path / "photos" / f"{i}.png", 40, 48)
    toy = ("--crop-px", "32", "--batch-size", "1", "--steps", "1")
    return [*toy, "--sample-every", "0", "-o", str(tmp_path / "out")]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (["johnson", "--width", "2", "--num-blocks", "0"], "--style great-wave"),
        (["ulyanov", "--pyramid", "2", "--name", "mine"], "--style mine"),
        (["texture", "--pyramid", "2"], "texture.onnx"),
        (["adain", "--width", "2", "--painting-px", "32"], "stylenorm adain"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_recipe_of_one_picture_runs(
    run: Run,
    paintings: Path,
    one_picture: list[str],
    tmp_path: Path,
    recipe: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from stylenorm.training import Adain, Johnson, Texture, Ulyanov

    finished = []
    for kind in (Johnson, Ulyanov, Texture, Adain):  # what they end in: tests/training/test_generators.py
        monkeypatch.setattr(kind, "finish", lambda self, *_: finished.append(self))
    painting = str(paintings / "katsushika-hokusai--great-wave.png")
    if recipe[0] == "texture":
        what = ["--picture", painting, "--picture-px", "32"]
    elif recipe[0] == "adain":
        what = ["--paintings", str(tmp_path / "photos"), "--photos", str(tmp_path / "photos")]
        what += ["--num-held-out", "2"]
    else:
        what = ["--painting", painting, "--photos", str(tmp_path / "photos"), "--num-held-out", "2"]
        what += ["--painting-px", "32"]
    done = run("train", *recipe, *what, *one_picture)
    assert done.code == 0, done.err
    assert message in done.out.decode()
    assert [kind.name for kind in finished] == [recipe[0]]
    assert (tmp_path / "out" / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--norm", "instant"], "unknown norm 'instant': did you mean 'instance'"),
        (["--painting", "nowhere.jpg"], "nowhere.jpg"),
        (["--name", "Great Wave"], "kebab-case"),
        (["--crop-px", "8"], "crop_px: expected at least 15"),
    ],
)
def test_a_recipe_of_one_picture_with_mistakes_is_one_line(
    run: Run, paintings: Path, one_picture: list[str], tmp_path: Path, changes: list[str], message: str
) -> None:
    what = [
        "--painting",
        str(paintings / "edvard-munch--the-scream.jpg"),
        "--photos",
        str(tmp_path / "photos"),
    ]
    done = run("train", "johnson", *what, "--num-held-out", "1", *one_picture, *changes)
    assert (done.code, len(done.lines)) == (2, 1)
    assert message in done.err
    assert not (tmp_path / "out").exists()


def test_the_record_has_the_command_to_run_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same folder it trains the same: paths, presets and spaces are as they were given."""
    monkeypatch.chdir(tmp_path)
    import torch

    from stylenorm.training import Pix2Pix

    records = []
    monkeypatch.setattr(
        Pix2Pix, "finish", lambda self, _, record: records.append(self.whole_record(record, self.command))
    )
    for side in "ab":
        for name in range(4):
            write_photo(tmp_path / "my pairs" / "sub" / side / f"{name}.png", 32, 40)
    toy = [
        "--crop-px",
        "32",
        "--num-levels",
        "2",
        "--width",
        "2",
        "--judge-width",
        "2",
        "--num-held-out",
        "1",
    ]
    loop = ["--steps", "2", "--sample-every", "0", "--learning-rate", "1e-3"]
    command = [
        "train",
        "pix2pix",
        "--preset",
        "cpu",
        "--pairs",
        "./my pairs/sub",
        *toy,
        *loop,
        "-o",
        "runs/1",
    ]
    assert run(*command).code == 0
    first = torch.load("runs/1/checkpoint.pt", weights_only=True)["model"]
    shutil.rmtree("runs")
    program, *words = shlex.split(records[0]["command"])
    assert (program, words) == ("stylenorm", command)
    assert run(*words).code == 0
    second = torch.load("runs/1/checkpoint.pt", weights_only=True)["model"]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert records[0]["command"] == records[1]["command"]


def test_a_record_that_is_given_to_others_has_no_folders() -> None:
    words = ["learn", "/home/me/my photos/a.jpg", "--photos", "sub/photos", "--steps", "3"]
    given = train.recorded_command(words, with_paths=False)
    assert given == "stylenorm learn a.jpg --photos photos --steps 3"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_of_fields_that_there_are(name: str) -> None:
    (entry,) = (each for each in RECIPES if each.name == name)
    fields = {
        field.name: field
        for field in (*config_fields(entry.config), *config_fields(LoopConfig, vars(entry.config.loop)))
    }
    assert set(PRESETS[name]) == {"cpu", "gpu"}
    for values in PRESETS[name].values():
        for field, value in values.items():
            assert isinstance(value, fields[field].kind)
            assert not fields[field].choices or value in fields[field].choices


def test_a_preset_changes_what_was_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "pix2pix", "--pairs", "pairs", "-o", "run", "--preset", "cpu", "--width", "8"]
    options = build_parser().parse_args(words)
    train._apply_preset(options.entry, options)
    assert (options.crop_px, options.num_levels, options.width, options.steps) == (128, 7, 8, 20_000)
    told = capsys.readouterr().err
    assert "note: --preset cpu: --crop-px 128 --num-levels 7 --judge-width 32 --steps 20000" in told


@pytest.mark.parametrize(
    ("said", "supervised", "width", "told"),
    [
        ([], True, 32, "--num-levels 6 --width 32 --deep-supervision\n"),
        (["--no-deep-supervision", "--width", "16"], False, 16, "--num-levels 6\n"),
        (["--width", "32"], True, 32, "--num-levels 6 --deep-supervision\n"),
    ],
)
def test_a_preset_leaves_alone_what_was_given_even_the_default(
    capsys: pytest.CaptureFixture[str], said: list[str], supervised: bool, width: int, told: str
) -> None:
    words = ["train", "volumes", "--cases", "cases", "-o", "run", "--preset", "gpu", *said]
    options = build_parser().parse_args(words)
    train._apply_preset(options.entry, options)
    assert (options.deep_supervision, options.width) == (supervised, width)
    assert capsys.readouterr().err.endswith(told)


def test_cpu_presets_keep_a_default_that_was_asked_for() -> None:
    words = ["train", "cyclegan", "--a", "a", "--b", "b", "-o", "run", "--preset", "cpu", "--width", "64"]
    options = build_parser().parse_args(words)
    train._apply_preset(options.entry, options)
    assert (options.width, options.judge_width) == (64, 24)


def test_each_recipe_has_an_example_that_can_be_parsed() -> None:
    for entry in RECIPES:
        words = shlex.split(f"train {entry.name} {entry.example} -o run/")
        assert build_parser().parse_args(words).entry is entry
