"""Distillation: what the students learn, by formulas that do not go through the recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from stylenorm.errors import InputError
from stylenorm.perceptual import DARKNETS, gram_matrix, load_darknet, load_distilled
from stylenorm.training import DistillConfig, distill
from tests.training.conftest import draw


@pytest.fixture(scope="module")
def distilled(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    photos = tmp_path_factory.mktemp("many")
    for i in range(40):
        draw(photos / f"{i:02}.png", 100 + i, (96, 80))
    config = DistillConfig(
        photos=photos,
        paintings=photos,
        features=material / "features",
        out=tmp_path_factory.mktemp("distilled"),
        crop_px=64,
        batch_size=3,
        num_batches=24,
        num_held_out=2,
    )
    distill(config, command="stylenorm train distill")
    return config.out


def test_students_answer_as_their_teachers_where_they_did_not_look(distilled: Path, material: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 12, 16, generator=generator)
    x = torch.nn.functional.interpolate(x, scale_factor=4, mode="bilinear") + 0.05 * torch.rand(
        1, 3, 48, 64, generator=generator
    )
    for student, name in zip(load_distilled(distilled / "distilled.safetensors"), DARKNETS, strict=True):
        teacher = load_darknet(name, material / "features")
        for tap, wanted in teacher(x, teacher.style_taps).items():
            found = gram_matrix(student(x, [tap])[tap])
            error = (found - gram_matrix(wanted)).norm() / gram_matrix(wanted).norm()
            assert error < 0.05, (name, tap)


def test_the_record_says_what_was_learned_from_what(distilled: Path) -> None:
    record = json.loads((distilled / "record.json").read_text())
    assert record["teachers"] == "tiny-darknet, darknet-reference"
    assert record["held_out_error"].keys() == {
        *(f"distilled-deep conv{i}" for i in (1, 2, 4, 6, 8, 10, 12)),
        *(f"distilled-wide conv{i}" for i in range(1, 6)),
    }
    with safe_open(distilled / "distilled.safetensors", "np") as file:
        assert file.metadata()["command"] == "stylenorm train distill"
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"float16"}  # noqa: SIM118


def test_bad_input_is_one_error(material: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="crop_px: expected at least 32, got 16"):
        distill(DistillConfig(material, material, material, tmp_path, crop_px=16))
    with pytest.raises(InputError, match="stylenorm train distill"):
        load_distilled(tmp_path / "none.safetensors")
