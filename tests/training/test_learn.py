"""Learning one style: drawn pictures, what is learned, where it goes, and who finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stylenorm import Style, Stylizer
from stylenorm.training import DeadLeaves, Learn, LearnConfig, LoopConfig, fit
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import random_photo, tiny_network


def test_dead_leaves_are_pictures_with_the_spectrum_of_photos() -> None:
    leaves = DeadLeaves(crop_px=64, batch_size=8, seed=0)
    x = leaves.batch(0)
    assert x.shape == (8, 3, 64, 64)
    assert 0 <= x.min() <= 0.2
    assert 0.8 <= x.max() <= 1
    assert torch.equal(x, DeadLeaves(crop_px=64, batch_size=8, seed=0).batch(0))
    assert not torch.equal(x, leaves.batch(1))
    # amplitude over frequency: a slope near -1 in photos, 0 in white noise
    grey = x.mean(dim=1).double().numpy()
    amplitude = np.abs(np.fft.fft2(grey * np.hanning(64)[:, None] * np.hanning(64))).mean(axis=0)
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64))
    band = (frequency > 0.05) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[band]), np.log(amplitude[band]), 1)[0]
    assert -2 < slope < -0.7


def test_learning_lowers_the_style_loss_and_leaves_the_network_alone(material: Path, tmp_path: Path) -> None:
    network = tiny_network()
    config = LearnConfig(crop_px=32, stroke_px=32, style_weight=5.0)
    seen: list[np.ndarray] = []
    recipe = Learn(
        config,
        material / "paintings" / "0.png",
        "mine",
        tmp_path / "mine.safetensors",
        network=network,
        on_preview=seen.append,
    )

    def losses() -> tuple[float, float]:
        recipe.model.log_weight.fill_(0.0)
        found = recipe.losses(10_000, torch.Generator().manual_seed(0))
        return found["style"].item(), found["palette"].item()

    style_before, palette_before = losses()
    fit(recipe, LoopConfig(tmp_path / "run", steps=30, learning_rate=0.1, sample_every=10, average=0.0))
    style_after, palette_after = losses()
    assert style_after < 0.9 * style_before
    assert palette_after < 0.6 * palette_before
    assert [picture.shape for picture in seen] == [(64, 64, 3)] * 4
    style = Style.load(tmp_path / "mine.safetensors")
    assert (style.name, style.network, style.photo_gate) == ("mine", network.identity, 0)
    assert style.record["photos"] == "drawn"
    Stylizer(style, network=network)(random_photo(20, 24))


def test_thorough_makes_a_network_of_its_own(material: Path, tmp_path: Path) -> None:
    config = LearnConfig(
        photos=material / "photos",
        crop_px=48,
        stroke_px=48,
        thorough=True,
    )
    out = tmp_path / "own"
    recipe = Learn(config, material / "paintings" / "0.png", "mine", out, network=tiny_network())
    fit(recipe, LoopConfig(tmp_path / "run", steps=2, sample_every=0))
    folder = NetworkFolder.open(out)
    assert folder.style_names() == ("mine",)
    assert folder.identity != tiny_network().identity
    Stylizer("mine", network=folder)(random_photo(20, 24))
