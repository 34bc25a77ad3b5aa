"""The AdaIN recipe: its loss by hand, that it learns, and ends in what paints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stylenorm.errors import InputError
from stylenorm.models.adain import AdainPainter, StylePicture
from stylenorm.networks import AdainNetwork
from stylenorm.perceptual import VGGS, Vgg
from stylenorm.training import Adain, AdainConfig, LoopConfig, fit
from stylenorm.training.recipes import generators
from stylenorm.training.recipes.adain import statistics_loss
from tests.engines.tiny_network import random_photo
from tests.tolerances import assert_close

Maker = Callable[..., Adain]


@pytest.fixture
def make(material: Path, tmp_path: Path) -> Maker:
    def make(out: str = "run", **changes: Any) -> Adain:
        toy = {"crop_px": 32, "painting_px": 32, "batch_size": 2, "num_held_out": 2, "width": 4}
        config = AdainConfig(material / "photos", material / "photos", "vgg16", **{**toy, **changes})
        return Adain(config, tmp_path / out, "stylenorm train adain")

    return make


def test_the_style_loss_compares_means_and_deviations() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    b = torch.rand(2, 3, 6, 2, generator=generator, dtype=torch.float64)
    moments = [(x.mean(axis=(2, 3)), np.sqrt(x.var(axis=(2, 3)) + 1e-5)) for x in (a.numpy(), b.numpy())]
    (mean, deviation), (wanted, spread) = moments
    expected = ((mean - wanted) ** 2 + (deviation - spread) ** 2).sum(axis=1)
    expected /= (wanted**2 + spread**2).sum(axis=1)
    assert_close(statistics_loss(a, b), expected, rtol=1e-6)  # the 1e-8 that keeps nothing finite
    # Known moments: 0 and 2 in equal parts against 3 and 5: deviations agree, means are 1 and 4.
    low = torch.tensor([0.0, 2.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    assert statistics_loss(low, low + 3).item() == pytest.approx(9 / 17, rel=1e-5)
    assert statistics_loss(b, b).tolist() == [0, 0]
    flat = torch.zeros(1, 2, 3, 3, requires_grad=True)
    statistics_loss(flat, b[:1, :2].float()).sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_the_encoders_borders_look_like_its_inside(make: Maker) -> None:
    flat = torch.full((1, 3, 32, 40), 0.3)
    for encoder in make().encoders:
        features = encoder(flat, [encoder.content_tap])[encoder.content_tap]
        spread = features.amax(dim=(2, 3)) - features.amin(dim=(2, 3))
        assert spread.max() < 1e-4 * features.abs().max()


def test_only_layers_up_to_the_encoders_last_are_compared(make: Maker) -> None:
    recipe = make()
    assert recipe.taps == [["relu1_1", "relu2_1", "relu3_1", "relu4_1"]]
    assert recipe.model.channels == 512


def test_with_vgg_19_it_is_the_papers_network(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, index, before = {}, 0, 3
    for count, width in zip(VGGS["vgg19"].convs, (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            tensors[f"features.{index}.weight"] = torch.full((width, before, 3, 3), 1 / (9 * before))
            tensors[f"features.{index}.bias"] = torch.zeros(width)
            before, index = width, index + 2
        index += 1
    monkeypatch.setattr(generators, "load_features", lambda _: [Vgg(VGGS["vgg19"], tensors)])
    recipe = make(crop_px=24, painting_px=24, batch_size=1, width=64)
    assert recipe.taps == [["relu1_1", "relu2_1", "relu3_1", "relu4_1"]]
    assert recipe.encoders[0].content_tap == "relu4_1"
    assert (recipe.model.channels, recipe.model.width) == (512, 64)
    assert sum(p.numel() for p in recipe.model.parameters()) == 3_505_219
    assert all(torch.isfinite(x) for x in recipe.losses(0, torch.Generator()).values())


def test_a_training_learns(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Adain, "finish", lambda *_: None)

    def loss(recipe: Adain) -> float:
        with torch.no_grad():
            terms = [recipe.losses(10_000 + i, torch.Generator().manual_seed(i)) for i in range(4)]
            return float(sum(sum(each.values()) for each in terms))

    recipe = make(width=16)
    before = loss(recipe)
    fit(recipe, LoopConfig(recipe.out, steps=40, learning_rate=2e-3, sample_every=0, average=0.5))
    assert loss(recipe) < 0.85 * before


def test_a_training_ends_in_what_paints(make: Maker) -> None:
    recipe = make()
    fit(recipe, LoopConfig(recipe.out, steps=2, sample_every=0, average=0.0))
    record = json.loads((recipe.out / "record.json").read_text())
    assert (record["command"], record["style_weight"]) == ("stylenorm train adain", 10.0)
    assert record["encoder"] == "vgg16"
    photo, painting = random_photo(32, 40), random_photo(48, 24)
    painted = AdainPainter(recipe.out)(photo, [StylePicture(painting)])
    with torch.no_grad():
        expected = AdainNetwork(recipe.encoders, recipe.model)(
            *(torch.tensor(x).permute(2, 0, 1)[None] / 255 for x in (photo, painting))
        )
    wanted = expected[0].clamp(0, 1).permute(1, 2, 0).double().numpy() * 255
    assert np.abs(painted - wanted).max() <= 0.51


def test_settings_that_do_not_fit(make: Maker) -> None:
    with pytest.raises(InputError, match="crop_px: expected a multiple of 8, from 24, got 36"):
        make(crop_px=36)
    with pytest.raises(InputError, match="painting_px: expected a multiple of 8, from 24, got 8"):
        make(painting_px=8)
