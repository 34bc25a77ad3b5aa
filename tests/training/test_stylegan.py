"""StyleGAN's trainings: gradients of gradients by finite differences, lazy turns, resume, that it learns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from material.renderings import write_renderings
from stylenorm.errors import InputError, TrainingError, UnknownNameError
from stylenorm.models.generator import PictureGenerator
from stylenorm.networks import StyleGan2Discriminator, StyleGan2Generator, StyleGanGenerator
from stylenorm.training import (
    LoopConfig,
    Squares,
    StyleGan,
    StyleGan2,
    StyleGan2Config,
    StyleGanConfig,
    fit,
    ranks,
)
from stylenorm.training.recipes.style_based import gradient_penalty
from stylenorm.training.recipes.stylegan2 import path_lengths

TINY = (8, 32, 4, 3, 2)  # pixels, channels at a size times that size, most channels, style, mapping layers


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("renderings")
    write_renderings(folder, 300, 16)
    return folder / "a"


def recipe(number: int, pictures: Path, out: Path, **changes: object) -> StyleGan | StyleGan2:
    small = {"size_px": 8, "channel_base": 64, "channel_max": 8, "style_length": 4, "num_mapping_layers": 2}
    small |= {"batch_size": 4, "group_size": 2, **changes}
    if number == 1:
        return StyleGan(StyleGanConfig(pictures, **small), out)  # type: ignore[arg-type]
    return StyleGan2(StyleGan2Config(pictures, **small), out)  # type: ignore[arg-type]


def loop(out: Path, steps: int, **changes: object) -> LoopConfig:
    defaults = {"learning_rate": 2e-3, "clip": 0.0, "average": 0.9, "sample_every": 0}
    return LoopConfig(out, steps=steps, **{**defaults, **changes})  # type: ignore[arg-type]


def ignore(model: object, record: object) -> None:
    """No results: exporting takes its time."""


def slope(value: Callable[[], Tensor], parameter: Tensor, place: int, h: float = 1e-6) -> float:
    """The derivative by one number, by central differences."""
    flat = parameter.data.view(-1)
    before = float(flat[place])
    values = []
    for x in (before + h, before - h):
        flat[place] = x
        values.append(float(value().detach()))
    flat[place] = before
    return (values[0] - values[1]) / (2 * h)


def check_gradients(value: Callable[[], Tensor], network: nn.Module, names: list[str]) -> None:
    """The gradient of what itself holds a gradient."""
    parameters = dict(network.named_parameters())
    found = torch.autograd.grad(value(), [parameters[name] for name in names])
    for name, gradient in zip(names, found, strict=True):
        place = int(gradient.abs().argmax())
        expected = slope(value, parameters[name], place)
        assert abs(expected) > 1e-6, name
        assert float(gradient.flatten()[place]) == pytest.approx(expected, rel=1e-4), name


def shaken(network: nn.Module) -> nn.Module:
    for parameter in network.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return network.double()


@pytest.mark.parametrize("kind", [StyleGanGenerator, StyleGan2Generator])
def test_path_lengths_and_their_gradients_by_finite_differences(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = shaken(kind(*TINY))
    w = torch.randn(2, network.num_styles, 3).double().requires_grad_()
    noise = [each.double() for each in network.draw_noise(2)]
    direction = torch.randn(2, 3, 8, 8).double()

    def lengths() -> Tensor:
        return path_lengths(network.synthesize(w, noise), w, direction)

    for i in range(2):
        # || J^T y ||, J of the picture in -1..1, y of deviation 1 / sqrt(H W); the root of the layers' mean
        def projected(i: int = i) -> Tensor:
            return (2 * network.synthesize(w, noise)[i] * direction[i] / 8).sum()

        places = range(i * network.num_styles * 3, (i + 1) * network.num_styles * 3)
        squares = sum(slope(projected, w, place) ** 2 for place in places)
        assert lengths()[i].item() == pytest.approx((squares / network.num_styles) ** 0.5, rel=1e-6)

    names = ["constant", "layers.0.style.weight", "layers.1.style.weight", "layers.1.bias"]
    names += ["layers.2.weight" if kind is StyleGan2Generator else "layers.2.conv.weight"]
    check_gradients(lambda: (lengths() - 0.5).square().mean(), network, names)


def test_r1_and_its_gradient_by_finite_differences() -> None:
    torch.manual_seed(0)
    judge = shaken(StyleGan2Discriminator(8, 32, 4, 2))
    real = torch.rand(2, 3, 8, 8).double()
    scaled = real.clone()
    squares = sum(
        (slope(lambda: judge(scaled).sum(), scaled, place, 1e-5) / 2) ** 2 for place in range(real.numel())
    )  # half: the papers' pictures are in -1..1
    assert gradient_penalty(judge, real).item() == pytest.approx(squares / 2, rel=1e-6)
    names = ["from_rgb.weight", "blocks.0.first.weight", "blocks.0.beside.weight", "last_conv.weight"]
    check_gradients(lambda: gradient_penalty(judge, real), judge, [*names, "judgement.weight"])


def test_losses_and_lazy_turns_are_those_of_the_papers(pictures: Path, tmp_path: Path) -> None:
    two = recipe(2, pictures, tmp_path, r1_every=4, path_every=2)
    seen = {step: [] for step in range(5)}
    for step in seen:
        for parameters, losses in two.phases(step, torch.Generator().manual_seed(step)):
            of_judge = parameters[0] is next(two.model.judge.parameters())
            seen[step].append(("judge" if of_judge else "generator", *losses))
    make, judge = ("generator", "fool"), ("judge", "judge_made", "judge_real")
    path, r1 = ("generator", "path"), ("judge", "r1")
    whole = [make, path, judge, r1]
    assert list(seen.values()) == [whole, [make, judge], [make, path, judge], [make, judge], whole]
    assert [rate for _, rate in two.param_groups()] == [2 / 3, 4 / 5]
    assert two.betas == (0.0, 0.99)
    assert two.rate(0, 10) == two.rate(9, 10) == 1

    one = recipe(1, pictures, tmp_path, r1_weight=3.0)
    (_, fool), (_, judged) = one.phases(0, torch.Generator().manual_seed(0))
    styles, noise = one.drawn(4, torch.Generator().manual_seed(0))
    made, real = one.model.generator.synthesize(styles, noise), one.photos.batch(0)
    for name, x, sign in (("fool", made, -1), ("judge_made", made, 1), ("judge_real", real, -1)):
        judgement = one.model.judge(x).detach().double().numpy()
        expected = np.log1p(np.exp(sign * judgement)).mean()
        assert {**fool, **judged}[name].item() == pytest.approx(expected, rel=1e-5), name
    assert judged["r1"].item() == pytest.approx(
        1.5 * gradient_penalty(one.model.judge, real).item(), rel=1e-5
    )

    defaults = StyleGan2Config(tmp_path)
    assert (defaults.r1_weight, defaults.r1_every, defaults.path_weight, defaults.path_every) == (
        10,
        16,
        2,
        4,
    )
    assert (defaults.mixing, defaults.channel_base, defaults.num_mapping_layers) == (0.9, 32768, 8)
    assert (StyleGanConfig(tmp_path).r1_every, StyleGanConfig(tmp_path).channel_base) == (1, 16384)


def test_styles_are_mixed_as_often_as_asked_for(pictures: Path, tmp_path: Path) -> None:
    for mixing in (0.0, 0.9):
        players = recipe(2, pictures, tmp_path, mixing=mixing, size_px=16)
        styles, _ = players.drawn(2000, torch.Generator().manual_seed(0))
        changes = (styles[:, 1:] != styles[:, :-1]).any(2)  # (N, L - 1)
        assert changes.sum(1).max() <= 1
        assert float(changes.any(1).float().mean()) == pytest.approx(mixing, abs=0.02)
        if mixing:  # every layer is as likely
            shares = changes.float().mean(0) / mixing
            assert float((shares * changes.shape[1] - 1).abs().max()) < 0.15


def test_the_mean_of_path_lengths_is_kept(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"path_every": 2, "r1_every": 3, "mirror": True, "fit": "random"}
    whole = recipe(2, pictures, tmp_path / "whole", **settings)
    whole.finish = ignore  # type: ignore[method-assign]
    lengths: list[float] = []
    monkeypatch.setattr(
        "stylenorm.training.recipes.stylegan2.path_lengths",
        lambda *args: lengths.append((found := path_lengths(*args)).mean().item()) or found,
    )
    fit(whole, loop(whole.out, 6))
    expected = lengths[0]
    for each in lengths[1:]:
        expected += 0.01 * (each - expected)
    assert len(lengths) == 3
    assert whole.model.path_mean.item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(TrainingError, match="was made with fit = random, not centre"):
        fit(recipe(2, pictures, whole.out, **{**settings, "fit": "centre"}), loop(whole.out, 7, resume=True))


def features(pixels: np.ndarray) -> np.ndarray:
    """Thumbnails of 4 x 4 of (N, S, S, 3): (N, 48)."""
    n, size = pixels.shape[:2]
    return pixels.reshape(n, 4, size // 4, 4, size // 4, 3).mean((2, 4)).reshape(n, -1)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two normal distributions with the means and covariances of (N, D) each."""
    first, second = np.cov(a.T), np.cov(b.T)
    root = np.sqrt(np.linalg.eigvals(first @ second).real.clip(0)).sum()
    means = np.square(a.mean(0) - b.mean(0)).sum()
    return float(means + np.trace(first) + np.trace(second) - 2 * root)


@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_is_made_comes_close_to_what_was_shown(
    number: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"size_px": 16, "channel_base": 128, "channel_max": 16, "style_length": 8, "batch_size": 8}
    players = recipe(number, pictures, tmp_path / "run", r1_weight=1.0, r1_every=8, **small)
    shown = np.stack([np.asarray(Image.open(path)) for path in players.photos.paths]) / 255

    def distance(network: nn.Module) -> float:
        generator = torch.Generator().manual_seed(1)
        z = torch.randn(300, network.style_length, generator=generator)
        with torch.no_grad():
            made = network(z, network.draw_noise(300, generator)).clamp(0, 1)
        return frechet(features(made.permute(0, 2, 3, 1).double().numpy()), features(shown))

    before = distance(players.model.generator)
    averaged: list[nn.Module] = []
    finish = players.finish

    def kept(model: nn.Module, record: dict[str, str]) -> None:
        averaged.append(model)
        if number == 2:  # exporting takes its time
            finish(model, record)

    monkeypatch.setattr(players, "finish", kept)
    fit(players, loop(players.out, 150, learning_rate=4e-3, average=0.95))
    # Measured: from 3.8 to 1.1 by the first generation, from 6.3 to 1.0 by the second.
    assert distance(averaged[0].generator) < 0.5 * before
    if number == 1:
        return

    generator = PictureGenerator(players.out)  # what comes out of the exported graphs is what was trained
    made = np.stack([generator.picture(seed) for seed in range(200)]) / 255
    assert frechet(features(made), features(shown)) < 0.5 * before
    record = json.loads((players.out / "generator.json").read_text())["record"]
    assert (record["recipe"], record["photos"], record["r1_weight"]) == ("stylegan2", "300 (a)", "1.0")
    with Image.open(players.out / "samples" / "000150.png") as sample:
        assert sample.size == (8 * 16, 4 * 16)


def test_squares_of_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(wide).save(tmp_path / "wide.png")

    def squares(fit: str, *, mirror: bool = False, px: int = 10, batch_size: int = 64) -> np.ndarray:
        photos = Squares(tmp_path, crop_px=px, batch_size=batch_size, seed=0, fit=fit, mirror=mirror)
        return (photos.batch(0) * 255).round().byte().permute(0, 2, 3, 1).numpy()

    # What is kept of a decoded picture is larger than is needed; the oracle takes the same two steps.
    kept = Image.fromarray(wide).resize((21, 14), Image.Resampling.LANCZOS)
    middle = np.asarray(kept.resize((10, 10), Image.Resampling.LANCZOS, (3.5, 0, 17.5, 14)))
    whole = np.asarray(kept.resize((10, 10), Image.Resampling.LANCZOS))
    assert all(np.array_equal(each, middle) for each in squares("centre"))
    assert all(np.array_equal(each, whole) for each in squares("squeeze"))
    mirrored = [np.array_equal(each, middle[:, ::-1]) for each in squares("centre", mirror=True)]
    assert 20 < sum(mirrored) < 44
    random = squares("random")
    assert len({each.tobytes() for each in random}) == 64
    with pytest.raises(UnknownNameError, match="unknown fit 'center': did you mean 'centre'"):
        squares("center")
    # a picture of the right size comes as it is
    Image.fromarray(wide[:20, :20]).save(tmp_path / "wide.png")
    assert np.array_equal(squares("centre", px=20, batch_size=1)[0], wide[:20, :20])
    assert np.array_equal(squares("random", px=20, batch_size=2).shape, (2, 20, 20, 3))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    all_of_it = squares("random", mirror=True)
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert np.array_equal(squares("random", mirror=True), all_of_it[32:])


def test_settings_that_cannot_be(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for changes, message in (
        ({"batch_size": 6, "group_size": 4}, r"multiple of group_size \(4\) of at least 1, got 6"),
        ({"mixing": 1.5}, "mixing: expected a share from 0 to 1, got 1.5"),
        ({"r1_every": 0}, "r1_every: expected a number of steps from 1, got 0"),
        ({"size_px": 12}, "a power of 2 from 8, got 12"),
    ):
        with pytest.raises(InputError, match=message):
            recipe(2, pictures, tmp_path, **changes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="more than 0 photos, got 0"):
        recipe(1, tmp_path / "empty", tmp_path)
    players = recipe(2, pictures, tmp_path, batch_size=4, group_size=4)
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    running = players.prefetch()
    with pytest.raises(
        InputError, match=r"each of 2 processes a multiple of group_size \(4\), got 4, a share"
    ):
        running.__enter__()
