"""``stylenorm optimize`` from files to a file."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.configurations import OptimizeConfig, config_fields
from tests.cli.conftest import Done, Run, hidden_files, write_photo
from tests.requirements_met import need


@pytest.fixture
def paint(run: Run, tmp_path: Path) -> Run:
    need("torch")
    for i, name in enumerate(("photo.jpg", "one.jpg", "two.png")):
        write_photo(tmp_path / name, 40 + 8 * i, 64)
    quick = ("--steps", "4", "--coarse-steps", "2", "--coarsest-px", "20")

    def paint(*argv: str | Path) -> Done:
        words = [tmp_path / a if isinstance(a, str) and a.endswith((".jpg", ".png")) else a for a in argv]
        return run("optimize", *words, *quick)

    return paint


def test_a_painting(paint: Run, tmp_path: Path) -> None:
    done = paint("photo.jpg", "one.jpg", "-o", "out.png", "--size", "48", "--record", tmp_path / "steps")
    assert (done.code, done.err) == (0, "")
    result = Image.open(tmp_path / "out.png")
    assert result.size == (48, 30)
    photo = Image.open(tmp_path / "photo.jpg").resize((48, 30))
    assert np.abs(np.asarray(result).astype(int) - np.asarray(photo)).mean() > 1
    assert (tmp_path / "steps" / "curve.png").is_file()
    assert not hidden_files(tmp_path)
    assert not list(tmp_path.glob("*.checkpoint"))
    again = paint("photo.jpg", "one.jpg", "-o", "out.png")
    assert again.code == 2
    assert "exists already" in again.err


def test_weights_masks_and_colors(paint: Run, tmp_path: Path) -> None:
    up = np.zeros((20, 32), np.uint8)
    up[:10] = 255
    Image.fromarray(up).save(tmp_path / "up.png")
    Image.fromarray(255 - up).save(tmp_path / "down.png")
    masks = ("--photo-masks", "up.png", "down.png", "--painting-masks", "none", "up.png")
    for colors in ("painting", "luminance", "covariance", "histogram"):
        how = ("--color-method", colors, "--weights", "2", "1", "--size", "40")
        done = paint("photo.jpg", "one.jpg", "two.png", "-o", f"{colors}.png", *masks, *how)
        assert (done.code, done.err) == (0, "")
    pictures = {p.read_bytes() for p in tmp_path.glob("*e.png")}
    assert len(pictures) == len(list(tmp_path.glob("*e.png")))


def test_alpha_is_the_photos(paint: Run, tmp_path: Path) -> None:
    pixels = np.full((40, 64, 4), 128, np.uint8)
    pixels[:, :32, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    assert paint("clear.png", "one.jpg", "-o", "out.png").code == 0
    result = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.array_equal(result[..., 3], pixels[..., 3])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weights", "1", "2"), "--weights: expected 1, one a painting, got 2"),
        (("--photo-masks", "none", "none"), "--photo-masks: expected 1"),
        (("--start", "phto"), "did you mean 'photo'"),
        (("--device", "abacus"), "--device: 'abacus' is not there"),
        (("--size", "6"), "at least 8 px a side"),
        (("--painting-masks", "nowhere.png"), "nowhere.png"),
    ],
)
def test_mistakes_are_one_line(paint: Run, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = paint("photo.jpg", "one.jpg", "-o", "out.png", *words)
    assert done.code == 2
    assert len(done.lines) == 1
    assert message in done.err
    assert not (tmp_path / "out.png").exists()


def test_resume_needs_the_same_settings(paint: Run, tmp_path: Path) -> None:
    (tmp_path / "out.png.checkpoint").write_bytes(b"rubbish")
    done = paint("photo.jpg", "one.jpg", "-o", "out.png", "--resume")
    assert done.code == 1
    assert "expected the checkpoint of an optimization" in done.err
    done = paint("photo.jpg", "one.jpg", "-o", "out.png")
    assert "go on with --resume" in done.err


def test_without_torch(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find_spec(name, *rest)
    )
    done = run("optimize", "a.jpg", "b.jpg", "-o", tmp_path / "c.jpg")
    assert done.code == 1
    assert done.err == "stylenorm: optimizing a picture needs torch: pip install 'stylenorm[torch]'\n"


def test_its_options_are_the_configurations() -> None:
    read = config_fields(OptimizeConfig)
    assert {f.name: f.default for f in read} == {
        f.name: f.default for f in dataclasses.fields(OptimizeConfig)
    }
    assert all(field.help for field in read)
