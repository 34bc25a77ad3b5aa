"""``stylenorm learn``: where the style goes, and who finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylenorm import Style
from stylenorm.errors import UnknownNameError
from stylenorm.zoo import own_style, own_style_names
from tests.cli.conftest import Run
from tests.engines.tiny_network import tiny_network
from tests.requirements_met import need
from tests.training.conftest import draw


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("torch")
    folder = tmp_path_factory.mktemp("material")
    (folder / "paintings").mkdir()
    draw(folder / "paintings" / "0.png", 0, (64, 56))
    return folder


def test_the_command_puts_the_style_where_all_commands_find_it(
    run: Run,
    material: Path,
    tmp_path: Path,
) -> None:
    network = tiny_network()
    draw(tmp_path / "My Painting.png", 5, (70, 60))
    draw(tmp_path / "photo.png", 6, (40, 30))
    small = ("--crop-px", 48, "--stroke-px", 48, "--steps", 2)
    learn = ("learn", tmp_path / "My Painting.png", "--network", network.path, *small)
    done = run(*learn, "--sample", tmp_path / "preview.png")
    assert done.code == 0, done.err
    assert b"--style my-painting" in done.out
    assert (tmp_path / "preview.png").is_file()
    assert own_style_names() == ("my-painting",)
    assert Style.load(own_style("my-painting")).record["painting"] == "My Painting.png"

    painted = tmp_path / "painted.png"
    stylize = ("stylize", tmp_path / "photo.png", "--network", network.path, "-o", painted)
    done = run(*stylize, "--style", "my-painting:1,scream:1")
    assert done.code == 0, done.err
    assert b"my-painting" in run("styles", "--network", network.path).out
    done = run("stylize", tmp_path / "photo.png", "-o", tmp_path / "p.png", "--style", "my-painting")
    assert done.code != 0  # it belongs to another network than the one that ships
    assert "network" in done.err

    again = run(*learn)
    assert again.code == 2
    assert "exists already" in again.err
    assert run(*learn, "--overwrite").code == 0
    taken = run(*learn, "--name", "scream")
    assert (taken.code, len(taken.lines)) == (2, 1)
    assert "is a style of the network already" in taken.err
    assert run(*learn, "--name", "No Name").code == 2
    with pytest.raises(UnknownNameError, match="did you mean 'my-painting'"):
        network.style("my-paintng")


def test_an_interrupted_learning_resumes(run: Run, material: Path, tmp_path: Path) -> None:
    small = ("--crop-px", 48, "--stroke-px", 48)
    learn = ("learn", material / "paintings" / "0.png", "--network", tiny_network().path, *small)
    where = ("--name", "mine", "--checkpoints", tmp_path / "run", "--resume")
    assert run(*learn, *where, "--steps", 1, "-o", tmp_path / "a.safetensors").code == 0
    assert run(*learn, *where, "--steps", 3, "-o", tmp_path / "b.safetensors").code == 0
    first, second = (Style.load(tmp_path / f"{name}.safetensors") for name in "ab")
    assert [first.record["steps"], second.record["steps"]] == ["1", "3"]
