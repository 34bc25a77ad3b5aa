"""``stylenorm generate``: grids, files, mixed styles and walks; mistakes are one line and leave nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.models.generator import PictureGenerator
from tests.cli.conftest import Done, Run, hidden_files, write_photo
from tests.engines.tiny_network import needs
from tests.requirements_met import need


@pytest.fixture
def folder() -> Path:
    needs("torch", "onnx", "openvino")
    from tests.tiny_generator import tiny_generator_folder

    return tiny_generator_folder()


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_grid_and_a_file_each_without_torch(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    generator = PictureGenerator(folder)
    command = ("generate", "--network", folder, "--seeds", "3,8-10,2")
    done = run(*command, "-o", tmp_path / "grid.png")
    assert (done.code, done.err) == (0, "")
    grid = pixels(tmp_path / "grid.png")
    assert grid.shape == (2 * 16, 3 * 16, 3)
    for i, seed in enumerate((3, 8, 9, 10, 2)):
        y, x = 16 * (i // 3), 16 * (i % 3)
        np.testing.assert_array_equal(grid[y : y + 16, x : x + 16], generator.picture(seed, 0.7))
    assert (grid[16:, 32:] == 255).all()

    options = ("--truncation", "0.5", "--truncation-layers", "4", "--noise-seed", "1")
    assert run(*command, *options, "-o", f"{tmp_path / 'each'}/").code == 0
    names = sorted(path.name for path in (tmp_path / "each").iterdir())
    assert names == [f"seed{seed:04d}.png" for seed in (2, 3, 8, 9, 10)]
    expected = generator.picture(8, 0.5, 4, noise_seed=1)
    np.testing.assert_array_equal(pixels(tmp_path / "each" / "seed0008.png"), expected)

    assert run(*command, "--columns", "5", "--overwrite", "-o", tmp_path / "grid.png").code == 0
    assert pixels(tmp_path / "grid.png").shape == (16, 5 * 16, 3)


def test_styles_mixed(run: Run, folder: Path, tmp_path: Path) -> None:
    command = ("generate", "--network", folder, "--seeds", "1,2", "--mix", "5-7", "--truncation", "1")
    done = run(*command, "--layers", "2-3", "-o", tmp_path / "mixed.png")
    assert (done.code, done.err) == (0, "")
    figure, generator = pixels(tmp_path / "mixed.png"), PictureGenerator(folder)
    assert figure.shape == (3 * 16, 4 * 16, 3)

    def cell(row: int, column: int) -> np.ndarray:
        return figure[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]

    assert (cell(0, 0) == 255).all()
    for row, seed in enumerate((1, 2), start=1):
        np.testing.assert_array_equal(cell(row, 0), generator.picture(seed))
        for column, other in enumerate((5, 6, 7), start=1):
            np.testing.assert_array_equal(cell(0, column), generator.picture(other))
            styles = generator.style(seed)
            styles[2:4] = generator.style(other)[2:4]
            np.testing.assert_array_equal(cell(row, column), generator(styles, noise_seed=seed))


def test_a_walk(run: Run, folder: Path, tmp_path: Path) -> None:
    av = need("av")
    command = ("generate", "--network", folder, "--seeds", "1-3", "--seconds", "0.5", "--rate", "10")
    done = run(*command, "--walk", tmp_path / "walk.mp4")
    assert (done.code, done.err) == (0, "")
    generator = PictureGenerator(folder)
    styles = [generator.style(seed, 0.7) for seed in (1, 2, 3)]
    expected = list(generator.walk(styles, 5))
    with av.open(str(tmp_path / "walk.mp4")) as film:
        frames = list(film.decode(video=0))
        assert float(film.duration / av.time_base) == pytest.approx(1.5, abs=0.01)
    assert [float(frame.time) for frame in frames] == pytest.approx([i / 10 for i in range(15)])
    for frame, picture in zip(frames, expected, strict=True):
        assert np.abs(frame.to_ndarray(format="rgb24").mean((0, 1)) - picture.mean((0, 1))).max() < 4

    assert run(*command, "--walk", tmp_path / "walk.png").code == 0
    with Image.open(tmp_path / "walk.png") as image:
        assert image.n_frames == 15  # type: ignore[attr-defined]
        for i, picture in enumerate(expected):
            image.seek(i)
            assert image.info["duration"] == 100
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), picture)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "expected -o or --walk, got neither"),
        (
            ("--seeds", "5-2", "-o", "out.png"),
            "--seeds: expected numbers such as 0-15 or 3,8,20-24, got '5-2'",
        ),
        (("--seeds", "-3", "-o", "out.png"), "--seeds"),
        (("--seeds", "0-99999999", "-o", "out.png"), "--seeds: expected at most 1000000 at once"),
        (("--truncation", "nan", "-o", "out.png"), "--truncation: expected 0 to 2, got nan"),
        (("--mix", "1,x", "-o", "out.png"), "--mix: expected numbers such as"),
        (("--mix", "1", "--layers", "4-9", "-o", "out.png"), "--layers: expected neighbours of 0 to 5"),
        (("--mix", "1", "--layers", "1,4", "-o", "out.png"), "--layers: expected neighbours of 0 to 5"),
        (("--mix", "1", "--layers", "fine", "-o", "out.png"), "layers: fine are those of grids from 64"),
        (("--mix", "1", "-o", "."), "expected a file for the figure of --mix, got a folder"),
        (("-o", "out.tga"), "out.tga"),
        (("-o", "there.png"), "exists already"),
        (("--walk", "walk.jpg"), "walk.jpg: expected the name of a film (.mp4) or an animation"),
        (("--walk", "walk.avi"), "walk.avi: a film cannot be written as .avi"),
        (("--walk", "walk.mp4", "--seeds", "1"), "--walk: expected at least 2 seeds"),
        (("--walk", "walk.mp4", "--seconds", "0"), "--walk: expected at least 2 seeds and --seconds"),
        (("--network", ".", "-o", "out.png"), "that 'stylenorm train stylegan' or 'stylegan2' wrote"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_one_line_and_leave_nothing(
    run: Run,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").write_bytes(b"mine")
    done: Done = run("generate", "--network", folder, *options)
    assert done.code == 2
    assert message in done.err
    if "-3" not in options:  # argparse's own, with the usage
        assert len(done.lines) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]
    assert (tmp_path / "there.png").read_bytes() == b"mine"


def test_a_walk_that_fails_leaves_nothing(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("av")

    def broken(self: PictureGenerator, *_: object, **__: object) -> object:
        yield np.zeros((16, 16, 3), np.uint8)
        raise MemoryError

    monkeypatch.setattr(PictureGenerator, "walk", broken)
    done = run("generate", "--network", folder, "--walk", tmp_path / "walk.mp4")
    assert (done.code, len(done.lines)) == (1, 1)
    assert "out of memory" in done.err
    assert not list(tmp_path.glob("walk*"))
    assert not hidden_files(tmp_path)


def test_training_from_the_command_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("torch")
    exported: list[dict[str, str]] = []
    monkeypatch.setattr(
        "stylenorm.training.recipes.style_based.export_generator", lambda *args: exported.append(args[-1])
    )
    for i in range(3):
        write_photo(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no picture")
    small = ("--size-px", "8", "--channel-base", "32", "--channel-max", "4", "--style-length", "3")
    small += ("--batch-size", "4", "--num-mapping-layers", "1", "--mirror", "--fit", "squeeze")
    for name in ("stylegan", "stylegan2"):
        command = ("train", name, "--photos", tmp_path / "photos", "-o", tmp_path / name, *small)
        done = run(*command, "--steps", "1")
        assert done.code == 0
        assert "stylenorm generate --network" in done.out.decode()
        assert "note: skipped" in done.err
        assert (exported[-1]["recipe"], exported[-1]["fit"]) == (name, "squeeze")
    done = run(*command, "--steps", "1")
    assert (done.code, len(done.lines)) == (1, 1)
    assert "exists: go on with --resume" in done.err
    for mistake, message in (
        (("--fit", "center"), "unknown fit 'center': did you mean 'centre'"),
        (("--batch-size", "6"), "batch_size: expected a multiple of group_size (4)"),
        (("--size-px", "12"), "size_px: expected a power of 2 from 8, got 12"),
    ):
        done = run(*command, *mistake)
        assert (done.code, len(done.lines)) == (2, 1)
        assert message in done.err
