"""``stylenorm adain``: its options reach the painter, and its mistakes are one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.models.adain import AdainPainter, StylePicture
from tests.cli.conftest import Run, hidden_files, write_photo
from tests.engines.tiny_network import needs


@pytest.fixture
def folder() -> Path:
    needs("torch", "onnx", "openvino")
    from tests.tiny_adain import tiny_adain_folder

    return tiny_adain_folder()


@pytest.fixture
def paintings(tmp_path: Path) -> list[Path]:
    return [write_photo(tmp_path / f"{name}.png", 40, 32) for name in ("a", "b")]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_what_is_asked_for_is_painted(run: Run, folder: Path, paintings: list[Path], tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "photo.png", 32, 48)
    mask = np.zeros((32, 48), np.uint8)
    mask[:, :24] = 255
    Image.fromarray(mask).save(tmp_path / "left.png")
    out = tmp_path / "out.png"
    done = run(
        *("adain", photo, *paintings, "--weights", "3", "1", "--photo-masks", "none", tmp_path / "left.png"),
        *("--strength", "0.7", "--keep-colors", "--stroke-px", "32", "--network", folder, "-o", out),
    )
    assert (done.code, done.err) == (0, "")
    region = mask.astype(np.float32) / 255
    a, b = (np.array(Image.open(path)) for path in paintings)
    styles = [StylePicture(a, 3.0), StylePicture(b, 1.0, region)]
    expected = AdainPainter(folder)(pixels(photo), styles, strength=0.7, colors="luminance")
    np.testing.assert_array_equal(pixels(out), expected)
    assert not hidden_files(tmp_path)


def test_the_size_and_the_alpha_of_a_photo(
    run: Run, folder: Path, paintings: list[Path], tmp_path: Path
) -> None:
    alpha = np.zeros((40, 64), np.uint8)
    alpha[:20] = 255
    photo = np.dstack([pixels(write_photo(tmp_path / "p.png", 40, 64)), alpha])
    Image.fromarray(photo).save(tmp_path / "photo.png")
    command = ("adain", tmp_path / "photo.png", paintings[0], "--network", folder)
    assert run(*command, "-o", tmp_path / "whole.png").code == 0
    np.testing.assert_array_equal(pixels(tmp_path / "whole.png")[..., 3], alpha)
    assert run(*command, "--size", "32", "-o", tmp_path / "small.png").code == 0
    assert pixels(tmp_path / "small.png").shape == (20, 32, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--weights", "1"], "--weights: expected 2, one a painting, got 1"),
        (["--photo-masks", "none"], "--photo-masks: expected 2"),
        (["--photo-masks", "none", "nowhere.png"], "nowhere.png"),
        (["--network", "nowhere"], "that 'stylenorm train adain' wrote"),
        (["--weights", "1", "-1"], "weight: expected more than 0"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, folder: Path, paintings: list[Path], tmp_path: Path, changes: list[str], message: str
) -> None:
    photo = write_photo(tmp_path / "photo.png")
    command = ["adain", photo, *paintings, "--network", folder, "-o", tmp_path / "out.png"]
    done = run(*command, *changes)
    assert (done.code, len(done.lines)) == (2, 1)
    assert message in done.err
    assert not (tmp_path / "out.png").exists()


def test_a_strength_that_there_is_not(run: Run, folder: Path, paintings: list[Path], tmp_path: Path) -> None:
    done = run(
        "adain", "photo.png", *paintings, "--network", folder, "-o", tmp_path / "o.png", "--strength", "2"
    )
    assert done.code == 2
    assert "argument --strength: expected a number from 0 to 1" in done.lines[-1]


def test_nothing_is_overwritten(run: Run, folder: Path, paintings: list[Path], tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "photo.png")
    before = photo.read_bytes()
    assert run("adain", photo, paintings[0], "--network", folder, "-o", photo).code == 2
    assert photo.read_bytes() == before
