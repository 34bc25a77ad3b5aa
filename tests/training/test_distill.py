"""Distillation: what the student learns, by formulas that do not go through the recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from stylenorm.errors import InputError
from stylenorm.perceptual import DARKNETS, load_darknet, load_distilled
from stylenorm.training import Distill, DistillConfig, LoopConfig, fit
from tests.tolerances import assert_close


@pytest.fixture
def recipe(material: Path, tmp_path: Path) -> Distill:
    config = DistillConfig(
        photos=material / "photos",
        paintings=material / "photos",
        features=material / "features",
        crop_px=32,
        batch_size=2,
        gradients_from=0.5,
        num_held_out=2,
    )
    return Distill(config, 8, tmp_path / "out", command="stylenorm train distill")


def test_the_student_starts_with_the_teachers_first_layers(recipe: Distill, material: Path) -> None:
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = recipe.model.student(x)
    for tap in ("conv1", "conv2"):
        theirs = [load_darknet(name, material / "features")(x, [tap])[tap] for name in DARKNETS]
        assert_close(found[tap], torch.cat(theirs, dim=1).double().numpy())


def test_a_distillation_learns_and_ends_in_a_network_that_loads(recipe: Distill) -> None:
    before = sum(value.item() for value in recipe.losses(7, torch.Generator().manual_seed(0)).values())
    fit(recipe, LoopConfig(recipe.out, steps=8, sample_every=4, learning_rate=3e-3, average=0.0))
    after = sum(value.item() for value in recipe.losses(7, torch.Generator().manual_seed(0)).values())
    assert after < 0.9 * before
    student = load_distilled(recipe.out / "distilled.safetensors")
    x = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    for tap, features in student(x).items():
        wanted = recipe.model.student(x)[tap].detach()
        assert_close(features, wanted, rtol=0.02, atol=0.02 * float(wanted.abs().max()))  # float16 weights
    record = json.loads((recipe.out / "record.json").read_text())
    assert record["teachers"] == "tiny-darknet, darknet-reference"
    assert 0 < float(record["held_out_style_gradient_error"]) < 2
    with safe_open(recipe.out / "distilled.safetensors", "np") as file:
        assert file.metadata()["command"] == "stylenorm train distill"
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"float16"}  # noqa: SIM118


def test_gradients_that_are_equal_do_not_disagree(recipe: Distill) -> None:
    photo, painting = recipe.photos.batch(0), recipe.paintings.batch(0)
    recipe.teachers = [recipe.model.student]  # a student that is its own teacher
    style, content = recipe._gradients_error(0.5 * photo + 0.5 * painting, photo, painting)
    assert abs(style.item()) < 1e-4
    assert abs(content.item()) < 1e-4


def test_bad_input_is_one_error(material: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="crop_px: expected at least 32, got 16"):
        Distill(DistillConfig(material, material, material, crop_px=16), 1, tmp_path)
    with pytest.raises(InputError, match="stylenorm train distill"):
        load_distilled(tmp_path / "none.safetensors")
