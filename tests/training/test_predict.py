"""The predictor: what it reads of a picture, that it learns, and that any picture becomes a style."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylenorm import Stylizer
from stylenorm.errors import InputError, PictureError, ShapeError
from stylenorm.networks import StylePredictor
from stylenorm.training import LoopConfig, Predict, PredictConfig, fit
from stylenorm.zoo import NetworkFolder, parse_style
from tests.engines.tiny_network import random_photo, tiny_network
from tests.requirements_met import need
from tests.tolerances import assert_close
from tests.training.conftest import draw


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_network().path, tmp_path / "network"))


@pytest.fixture
def config(network: Path, material: Path) -> PredictConfig:
    return PredictConfig(
        network,
        material / "photos",
        material / "photos",
        crop_px=48,
        painting_px=64,
        num_held_out=2,
    )


def test_the_colours_that_are_read_are_moments_and_histograms() -> None:
    x = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    read = StylePredictor(9).statistics(x)[:, : 3 + 6 + 24].double().numpy()
    for picture, row in zip(x.double().numpy().reshape(2, 3, -1), read, strict=True):
        covariance = np.cov(picture, bias=True)
        bins = [
            np.interp(picture, np.linspace(0, 1, 8), np.eye(8)[k]).mean(axis=1) for k in range(8)
        ]  # hats around 8 equally spaced levels
        expected = [picture.mean(axis=1), covariance[np.triu_indices(3)], *bins]
        assert_close(torch.from_numpy(row).float(), np.concatenate(expected), atol=1e-6)
        assert row[9:].reshape(8, 3).sum(axis=0) == pytest.approx(np.ones(3))


def test_untrained_it_predicts_the_mean_of_the_styles() -> None:
    predictor = StylePredictor(9)
    styles = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    statistics = torch.randn(12, predictor.center.numel(), generator=torch.Generator().manual_seed(1))
    predictor.calibrate(statistics, styles)
    with torch.no_grad():
        predictor.out.weight.zero_()
    predicted = predictor(torch.rand(2, 3, 16, 16))
    assert_close(predicted[:, :-1], styles[:, :-1].mean(dim=0).expand(2, -1).double().numpy())
    assert (predicted[:, -1] == 0).all()
    with pytest.raises(ShapeError, match=r"H and W of at least 16, got \(1, 3, 8, 16\)"):
        predictor(torch.rand(1, 3, 8, 16))


def test_a_training_ends_in_a_network_that_takes_any_picture(
    config: PredictConfig, network: Path, material: Path, tmp_path: Path
) -> None:
    need("onnxruntime")
    one = material / "paintings"  # two, of which one is held out
    config = replace(config, paintings=one, num_held_out=1, tv_weight=0.0, photo_share=0.0, recolor_share=0.0)
    recipe = Predict(config, "stylenorm train predict")
    before = recipe.losses(0, torch.Generator().manual_seed(0))["style"].item()
    fit(recipe, LoopConfig(tmp_path / "run", steps=24, sample_every=8, learning_rate=0.003, average=0.0))
    after = recipe.losses(0, torch.Generator().manual_seed(0))["style"].item()
    assert after < 0.95 * before
    started = Predict(replace(config, start_from=tmp_path / "run"))  # the paintings measured are as before
    assert started.losses(0, torch.Generator().manual_seed(0))["style"].item() == pytest.approx(
        after, rel=1e-4
    )
    assert json.loads((network / "predictor.json").read_text())["network"] == tiny_network().identity

    draw(tmp_path / "any.png", 3, (90, 60))
    folder = NetworkFolder.open(network)
    photo = random_photo(40, 48)
    painted = [
        Stylizer(str(tmp_path / "any.png"), network=folder)(photo),
        Stylizer("scream", network=folder)(photo),
    ]
    assert np.abs(painted[0].astype(int) - painted[1]).mean() > 1
    again = Stylizer(tmp_path / "any.png", network=folder, engine="onnxruntime")(photo)
    assert np.abs(again.astype(int) - painted[0]).max() <= 1

    # the exported numbers are those of PyTorch's predictor on the picture scaled to 200 pixels
    style = Stylizer(tmp_path / "any.png", network=folder).style
    with Image.open(tmp_path / "any.png") as image:
        small = np.asarray(image.convert("RGB").resize((300, 200), Image.Resampling.LANCZOS))
    with torch.no_grad():
        expected = recipe.model(torch.tensor(small).permute(2, 0, 1)[None].float() / 255)[0].numpy()
    assert np.abs(style.vector() - expected).max() < 5e-3 * np.abs(expected).max()
    mixed = Stylizer(f"{tmp_path / 'any.png'}:1,scream:1", network=folder).style
    half = 0.5 * style.vector() + 0.5 * folder.style("scream").vector()
    assert_close(torch.from_numpy(mixed.vector()), half.astype(np.float64))


def test_pictures_that_give_no_style(network: Path, tmp_path: Path) -> None:
    folder = NetworkFolder.open(network)
    draw(tmp_path / "any.png", 3, (90, 60))
    with pytest.raises(
        InputError, match="has no predictor: expected a style's name or file; 'stylenorm learn'"
    ):
        Stylizer(tmp_path / "any.png", network=folder)
    with pytest.raises(InputError, match="expected a style's name or file, got a picture"):
        parse_style(str(tmp_path / "any.png"), folder)
    (network / "predictor.onnx").write_bytes(b"")  # it is not come to
    with pytest.raises(PictureError, match=r"none\.jpg"):
        Stylizer(str(tmp_path / "none.jpg"), network=folder)
    Image.new("RGB", (40, 9)).save(tmp_path / "thin.png")
    with pytest.raises(InputError, match="at least 16 x 16 pixels to take a style from, got 40 x 9"):
        Stylizer(tmp_path / "thin.png", network=folder)


def test_settings_that_do_not_fit(config: PredictConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"start_from: expected the folder of a training of a predictor"):
        Predict(replace(config, start_from=tmp_path))
    with pytest.raises(InputError, match="painting_px: expected an even number of at least 48, got 47"):
        Predict(replace(config, painting_px=47))
    for style in (config.network / "styles").glob("[gs]*.safetensors"):
        style.unlink()
    with pytest.raises(InputError, match="two styles or more, got 0"):
        Predict(config)
