"""The recipes of one picture: that they learn, and end in what paints."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from stylenorm import Stylizer
from stylenorm.errors import InputError, UnknownNameError
from stylenorm.export import load_network
from stylenorm.perceptual import VGGS, Vgg
from stylenorm.training import (
    Johnson,
    JohnsonConfig,
    LoopConfig,
    Painting,
    Recipe,
    Texture,
    TextureConfig,
    Ulyanov,
    UlyanovConfig,
    fit,
)
from stylenorm.training.recipes.generators import load_loss_networks, remeasured
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import random_photo
from tests.tolerances import assert_close

Maker = Callable[..., Recipe]


@pytest.fixture
def make(material: Path, tmp_path: Path) -> Maker:
    """Make a recipe at toy size: ``make("johnson", norm="batch")``."""

    def make(name: str, out: str = "run", **changes: Any) -> Recipe:
        shared = {"features": "vgg16", "crop_px": 32, "batch_size": 2, **changes}
        painting = Painting(material / "paintings" / "1.png", "mine", artist="A. Painter")
        photos, folder = material / "photos", tmp_path / out
        if name == "johnson":
            network = {"width": 4, "num_blocks": 1, "painting_px": 48, "num_held_out": 4}
            config = JohnsonConfig(photos, **{**network, **shared})
            return Johnson(config, painting, folder, "stylenorm train johnson")
        if name == "ulyanov":
            network = {"pyramid": 3, "painting_px": 48, "num_held_out": 4}
            settings = UlyanovConfig(photos, **{**network, **shared})
            return Ulyanov(settings, painting, folder, "stylenorm train ulyanov")
        network = {"pyramid": 3, "picture_px": 48, "result_px": 40}
        texture = TextureConfig(painting.path, **{**network, **shared})
        return Texture(texture, folder, "stylenorm train texture")

    return make


def loop(recipe: Any, **changes: Any) -> LoopConfig:
    return LoopConfig(
        out=recipe.out, **{"steps": 6, "sample_every": 0, "average": 0.5, "learning_rate": 3e-3, **changes}
    )


def loss_of(recipe: Recipe) -> float:
    with torch.no_grad():
        found = recipe.losses(10_000, torch.Generator().manual_seed(0))
    return float(torch.stack(list(found.values())).sum())


@pytest.fixture
def _no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    for recipe in (Johnson, Ulyanov, Texture):
        monkeypatch.setattr(recipe, "finish", lambda *_: None)


@pytest.mark.parametrize(
    ("name", "norm", "falls_to"),
    [
        ("johnson", "instance", 0.8),
        ("johnson", "batch", 0.8),
        ("ulyanov", "instance", 0.8),
        ("texture", "instance", 0.7),
    ],
)
@pytest.mark.usefixtures("_no_results")
def test_a_training_learns(make: Maker, name: str, norm: str, falls_to: float) -> None:
    recipe = make(name, norm=norm)
    before = loss_of(recipe)
    fit(recipe, loop(recipe, steps=40, learning_rate=0.01))
    assert loss_of(recipe) < falls_to * before


def test_johnson_ends_in_a_network_that_paints_with_its_batch_norms_folded(make: Maker) -> None:
    recipe = make("johnson", norm="batch")
    assert isinstance(recipe, Johnson)
    fit(recipe, loop(recipe, steps=3, sample_every=2))
    folder = NetworkFolder.open(recipe.out)
    assert folder.style_names() == ("mine",)
    assert (folder.config["family"], folder.config["norm"]) == ("johnson-2016", "none")
    record = json.loads((recipe.out / "record.json").read_text())
    assert record["command"] == "stylenorm train johnson"
    assert (record["painting"], record["norm"], record["width"]) == ("1.png", "batch", 4)
    with Image.open(recipe.out / "samples" / "000002.png") as sample:
        assert sample.size == (4 * 32, 2 * 32)

    network = load_network(recipe.out)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    image = random_photo(37, 50)
    photo = torch.tensor(image).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network(photo, torch.zeros(1))[0].permute(1, 2, 0).numpy() * 255
    stylizer = Stylizer("mine", network=folder)
    assert np.abs(stylizer(image).astype(float) - expected).max() <= 0.51
    np.testing.assert_array_equal(stylizer(image, strength=0.0), image)
    half = stylizer(image, strength=0.5).astype(float)
    assert np.abs(half - (0.5 * expected + 0.5 * image)).max() <= 0.51
    assert np.abs(Stylizer("mine", network=folder, engine="torch")(image) - expected).max() <= 1.01
    assert stylizer(image[:1, :1]).shape == (1, 1, 3)


def test_ulyanov_ends_in_a_network_that_paints_the_same_every_time(make: Maker) -> None:
    recipe = make("ulyanov", pyramid=2, channels=4, padding="zeros")
    assert isinstance(recipe, Ulyanov)
    fit(recipe, loop(recipe, steps=2))
    stylizer = Stylizer("mine", network=recipe.out)
    image = random_photo(33, 150)  # wider than the finest tile of noise
    painted = stylizer(image)
    np.testing.assert_array_equal(painted, stylizer(image))
    network = load_network(recipe.out)
    photo = torch.tensor(image).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network(photo, torch.zeros(1))[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(painted - expected).max() <= 0.51
    whole = nn.functional.pad(photo, (0, 0, 0, 1), mode="replicate")
    fields = []
    for scale, tile in enumerate(network.noise_tiles):  # 64 positions of each scale, again and again
        rows, columns = (np.arange(size) // 2**scale % 64 for size in (34, 150))
        fields.append(tile.numpy()[:, rows][:, :, columns])
    noise = torch.from_numpy(np.concatenate(fields)[None])
    with torch.no_grad():
        by_hand = network.generator(whole, noise)[..., :33, :]
    assert_close(by_hand[0].permute(1, 2, 0) * 255, expected, atol=1e-3)


def test_texture_ends_in_a_graph_that_paints_noise_at_any_size(make: Maker) -> None:
    recipe = make("texture", pyramid=2, channels=4, norm="batch")
    assert isinstance(recipe, Texture)
    fit(recipe, loop(recipe, steps=2))
    with Image.open(recipe.out / "texture.png") as picture:
        assert picture.size == (40, 40)
    assert json.loads((recipe.out / "record.json").read_text())["picture"] == "1.png"
    session = onnxruntime.InferenceSession(
        (recipe.out / "texture.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    painted = [
        session.run(None, {"noise": np.random.default_rng(seed).random((2, 6, 21, 34), np.float32)})[0]
        for seed in (0, 1)
    ]
    assert painted[0].shape == (2, 3, 21, 34)
    assert np.abs(painted[0] - painted[1]).mean() > 1e-3


def test_batch_norms_are_measured_anew_for_averaged_weights() -> None:
    norm = nn.BatchNorm2d(3, momentum=0.5)
    norm.running_mean = torch.full((3,), 99.0)
    batches = torch.rand(4, 2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    copied = remeasured(norm, lambda model: [model(batch) for batch in batches])
    assert not copied.training
    assert norm.training
    assert norm.running_mean.tolist() == [99.0] * 3
    numbers = batches.double().numpy()
    assert_close(copied.running_mean, numbers.mean(axis=(0, 1, 3, 4)))
    unbiased = numbers.transpose(0, 2, 1, 3, 4).reshape(4, 3, -1).var(axis=2, ddof=1).mean(axis=0)
    assert_close(copied.running_var, unbiased)


def test_a_vgg_is_compared_at_the_papers_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    (shipped,) = load_loss_networks("vgg16", Johnson.vgg_taps)
    assert (shipped.content_tap, shipped.style_taps[-1]) == ("relu2_2", "relu4_1")  # it ends before relu4_3
    tensors, index, before = {}, 0, 3
    for count, width in zip(VGGS["vgg19"].convs, (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            tensors[f"features.{index}.weight"] = torch.zeros(width, before, 3, 3)
            tensors[f"features.{index}.bias"] = torch.zeros(width)
            before, index = width, index + 2
        index += 1
    monkeypatch.setattr(
        "stylenorm.training.recipes.generators.load_features", lambda _: [Vgg(VGGS["vgg19"], tensors)]
    )
    (judge,) = load_loss_networks("vgg19", Johnson.vgg_taps)
    found = judge(torch.rand(1, 3, 32, 32))
    assert set(found) == {"relu1_2", "relu2_2", "relu3_3", "relu4_3"}
    assert judge.content_tap == "relu2_2"


def test_settings_that_do_not_fit(make: Maker) -> None:
    with pytest.raises(InputError, match="crop_px: expected at least 23 for 2 scales, got 16"):
        make("johnson", crop_px=16, num_scales=2)
    with pytest.raises(InputError, match="picture_px: expected at least 8, got 4"):
        make("texture", picture_px=4)
    with pytest.raises(UnknownNameError, match="unknown norm 'instant': did you mean 'instance'"):
        make("ulyanov", norm="instant")
    recipe = make("johnson")
    assert isinstance(recipe, Johnson)
    with pytest.raises(UnknownNameError, match="unknown generator"):
        type(recipe.model)(replace(recipe.model.config, family="johnson-2017"))
