"""Pictures from seeds without torch, against PyTorch and by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stylenorm.errors import InputError, ShapeError
from stylenorm.export import export_generator
from stylenorm.models.generator import PictureGenerator
from stylenorm.networks import StyleGanGenerator
from stylenorm.networks.style_based import StyleGenerator
from tests.requirements_met import need
from tests.tiny_generator import tiny_generator, tiny_generator_folder
from tests.tolerances import assert_close

A_FLOAT16 = 3e-3  # of weights that are stored in half the digits, through three layers


@pytest.fixture(scope="module")
def generator() -> PictureGenerator:
    return PictureGenerator(tiny_generator_folder())


def by_torch(network: StyleGenerator, styles: np.ndarray, noise_seed: int) -> np.ndarray:
    rng = np.random.default_rng([noise_seed, 1])
    noise = [torch.tensor(rng.standard_normal((1, 1, px, px), np.float32)) for px in network.noise_px]
    with torch.no_grad():
        made = network.synthesize(torch.tensor(styles)[None], noise)
    return made[0].permute(1, 2, 0).double().numpy() * 255


def test_pictures_are_those_of_pytorch(generator: PictureGenerator) -> None:
    network = tiny_generator()
    for seed in (0, 7, 123456789):
        z = np.random.default_rng([seed, 0]).standard_normal((1, 18), np.float32)
        with torch.no_grad():
            w = network.mapping(torch.tensor(z)).numpy()
        styles = generator.style(seed)
        assert styles.shape == (6, 18)
        assert_close(styles, np.repeat(w, 6, axis=0), atol=A_FLOAT16)
        picture = generator.picture(seed)
        expected = by_torch(network, np.repeat(w, 6, axis=0), seed).clip(0, 255)
        assert picture.shape == (16, 16, 3)
        assert np.abs(picture - expected).max() < 1.0
        assert expected.std() > 10  # and not all of it clipped
        assert np.array_equal(picture, generator.picture(seed))
        assert not np.array_equal(picture, generator.picture(seed + 1))
        assert not np.array_equal(picture, generator.picture(seed, noise_seed=seed + 1))
    with pytest.raises(InputError, match="seed: expected a whole number from 0, got -1"):
        generator.picture(-1)
    with pytest.raises(ShapeError, match=r"styles: expected float32 \(6, 18\), got float64 \(6, 18\)"):
        generator(np.zeros((6, 18)))  # type: ignore[arg-type]


def test_the_first_generation_exports_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = StyleGanGenerator(8, 64, 8, 6, 2)
    for layer in network.layers:
        layer.noise_strength.data.fill_(0.1)
    network.to_rgb.weight.data *= 0.25
    export_generator(network, tmp_path, {})
    generator = PictureGenerator(tmp_path)
    styles = generator.style(3)
    expected = by_torch(network, styles, 5).clip(0, 255)
    assert np.abs(generator(styles, noise_seed=5) - expected).max() < 1.0
    assert expected.std() > 10
    assert (generator.size_px, generator.num_styles, generator.style_px) == (8, 4, (4, 4, 8, 8))


def test_the_graphs_run_elsewhere(generator: PictureGenerator) -> None:
    runtime = need("onnxruntime")
    mapping, synthesis = (
        runtime.InferenceSession(tiny_generator_folder() / f"{name}.onnx")
        for name in ("mapping", "synthesis")
    )
    z = np.random.default_rng([9, 0]).standard_normal((1, 18), np.float32)
    (w,) = mapping.run(None, {"latent": z})
    assert_close(w[0], generator.style(9)[0], atol=1e-4)
    rng = np.random.default_rng([9, 1])
    noise = {
        f"noise_{i}": rng.standard_normal((1, 1, px, px), np.float32)
        for i, px in enumerate((4, 8, 8, 16, 16))
    }
    (made,) = synthesis.run(None, {"styles": np.repeat(w[None], 6, axis=1), **noise})
    assert np.abs(made[0].transpose(1, 2, 0).clip(0, 1) * 255 - generator.picture(9)).max() < 0.55


def test_truncation_mixing_and_layers(generator: PictureGenerator) -> None:
    whole, mean = generator.style(4).astype(np.float64), generator.mean_style.astype(np.float64)
    assert_close(generator.style(4, 0.7), mean + 0.7 * (whole - mean))
    first = generator.style(4, 0.5, 2)
    assert_close(first[:2], mean + 0.5 * (whole[:2] - mean))
    assert_close(first[2:], whole[2:])
    assert np.array_equal(generator.style(1, 0.0), generator.style(2, 0.0))
    assert_close(generator.mean_style, tiny_generator().mean_style(), atol=A_FLOAT16)

    a, b = generator.style(1), generator.style(2)
    mixed = generator.mixed(a, b, range(2, 4))
    assert np.array_equal(mixed[2:4], b[2:4])
    assert np.array_equal(mixed[[0, 1, 4, 5]], a[[0, 1, 4, 5]])
    assert generator.layers_named("coarse") == range(4)
    assert generator.layers_named("middle") == range(4, 6)
    with pytest.raises(
        InputError, match=r"fine are those of grids from 64, and this network's end at 16: .* 0-5"
    ):
        generator.layers_named("fine")
    with pytest.raises(InputError, match="coarse, middle, fine or numbers such as 0-3, got 'rough'"):
        generator.layers_named("rough")
    with pytest.raises(InputError, match="some of 0 to 5, the layers of this network, got 4 to 6"):
        generator.mixed(a, b, range(4, 7))


def test_a_walk_passes_its_pictures_without_corners(generator: PictureGenerator) -> None:
    styles = [generator.style(seed) for seed in (1, 2, 3)]
    frames = list(generator.walk(styles, 8, noise_seed=5))
    assert len(frames) == 24
    for i, each in enumerate(styles):
        assert np.array_equal(frames[8 * i], generator(each, noise_seed=5))
    # every step is small against the way from picture to picture, the one back to the start too
    steps = [np.abs(a.astype(int) - b).mean() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    ways = [np.abs(frames[8 * i].astype(int) - frames[8 * i - 8]).mean() for i in range(3)]
    assert max(steps) < 0.4 * min(ways)
    with pytest.raises(InputError, match="at least 2 pictures to walk through"):
        next(generator.walk(styles[:1], 8))


@pytest.mark.parametrize("damage", ["nothing", "another version", "no JSON", "no mean"])
def test_what_is_no_generator_folder(tmp_path: Path, damage: str) -> None:
    if damage != "nothing":
        shutil.copytree(tiny_generator_folder(), tmp_path, dirs_exist_ok=True)
        path = tmp_path / "generator.json"
        described = json.loads(path.read_text())
        if damage == "another version":
            described["format"] = "stylenorm-generator-0"
        elif damage == "no mean":
            del described["mean_style"]
        path.write_text("{" if damage == "no JSON" else json.dumps(described))
    with pytest.raises(InputError, match="that 'stylenorm train stylegan' or 'stylegan2' wrote"):
        PictureGenerator(tmp_path)


def test_a_broken_graph(tmp_path: Path) -> None:
    shutil.copytree(tiny_generator_folder(), tmp_path, dirs_exist_ok=True)
    (tmp_path / "synthesis.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"synthesis\.onnx: expected an exported network"):
        PictureGenerator(tmp_path)
