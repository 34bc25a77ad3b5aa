"""Painting by optimisation: the objective against the plain losses, and the descent against itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylenorm.errors import InputError, ShapeError, StylenormError
from stylenorm.optimize import Evaluation, Objective, Optimization, OptimizeConfig, StyleSource, optimize
from stylenorm.perceptual import PaintingLoss
from tests.perceptual.tiny_features import tiny_loss
from tests.tolerances import assert_close


def picture(seed: int, height: int = 64, width: int = 80) -> Tensor:
    """Smooth areas with edges, (1, 3, H, W)."""
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="nearest")


@pytest.fixture(scope="module")
def loss() -> PaintingLoss:
    return tiny_loss(width=12)


QUICK = OptimizeConfig(steps=15, coarse_steps=6, coarsest_px=32)


def test_one_painting_without_masks_is_the_plain_loss(loss: PaintingLoss) -> None:
    photo, painting, x = picture(0), picture(1, 72, 64), picture(2)
    found = Objective(loss, photo, [StyleSource(painting)])(x)
    expected = loss(x, loss.content_target(photo), loss.target(painting))
    assert_close(found.content, expected.content)
    assert_close(found.style, expected.style)
    assert_close(found.palette, expected.palette)


def test_regions_are_compared_alone_and_count_by_their_share(loss: PaintingLoss) -> None:
    photo, x, one, two, three = (picture(seed, 64, 160) for seed in range(5))
    left, right = torch.zeros(1, 1, 64, 160), torch.zeros(1, 1, 64, 160)
    left[..., :32] = 1
    right[..., 32:] = 1
    sources = [
        StyleSource(one, photo_mask=left),
        StyleSource(two, 3.0, photo_mask=right),
        StyleSource(three, 1.0, painting_mask=left, photo_mask=right),
    ]
    found = Objective(loss, photo, sources)(x)

    def alone(columns: slice, painting: Tensor) -> Tensor:
        content = loss.content_target(photo[..., columns])
        terms = loss(x[..., columns], content, loss.target(painting))
        return torch.stack([terms.style, terms.palette])

    first, second = slice(0, 32), slice(32, 160)
    expected = 0.2 * alone(first, one)
    expected += 0.8 * (0.75 * alone(second, two) + 0.25 * alone(second, three[..., :32]))
    # float32 sums of other lengths
    assert_close(torch.stack([found.style, found.palette]), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_the_loss_falls_and_the_picture_is_the_best_one(loss: PaintingLoss) -> None:
    photo, painting = picture(0), picture(1)
    seen: list[Evaluation] = []
    result, history = optimize(photo, [painting], loss, QUICK, watch=lambda e, _: seen.append(e))
    assert seen == history
    assert {(e.height, e.width) for e in history} == {(32, 40), (64, 80)}
    last = [e for e in history if e.height == 64]
    assert len(last) >= 15
    best = min(last, key=lambda e: e.total)
    assert best.total < 0.5 * history[0].total
    assert best.total == pytest.approx(
        best.content
        + QUICK.style_weight * best.style
        + QUICK.palette_weight * best.palette
        + QUICK.tv_weight * _variation(result),
        rel=0.05,
    )  # the result is clipped, hence not exactly
    assert result.shape == photo.shape
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


def _variation(x: Tensor) -> float:
    pixels = x.double().numpy()
    return float(np.abs(np.diff(pixels, axis=2)).mean() + np.abs(np.diff(pixels, axis=3)).mean())


@pytest.mark.parametrize(
    "change", [{"optimizer": "adam"}, {"start": "noise"}, {"start": "painting"}, {"coarse_steps": 0}]
)
def test_every_way_lowers_the_loss(loss: PaintingLoss, change: dict[str, object]) -> None:
    config = dataclasses.replace(QUICK, steps=30, **change)  # type: ignore[arg-type]
    result, _ = optimize(picture(0), [picture(1)], loss, config)
    before, after = (
        loss(x, loss.content_target(picture(0)), loss.target(picture(1))) for x in (picture(0), result)
    )
    assert float(after.style) < 0.5 * float(before.style)


def test_the_photo_itself_is_its_own_best_painting(loss: PaintingLoss) -> None:
    photo = picture(0)
    config = dataclasses.replace(QUICK, coarse_steps=0, tv_weight=0.0)
    result, history = optimize(photo, [photo], loss, config)
    assert history[0].total == pytest.approx(0, abs=1e-9)
    assert torch.equal(result, photo)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "steps: expected at least 1"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'"),
        ({"start": "phto"}, "did you mean 'photo'"),
        ({"style_weight": -1.0}, "style_weight: expected 0 or more"),
        ({"learning_rate": 0.0}, "learning_rate: expected more than 0"),
    ],
)
def test_settings_with_mistakes(fields: dict[str, object], message: str) -> None:
    with pytest.raises(StylenormError, match=message):
        OptimizeConfig(**fields)  # type: ignore[arg-type]


def test_pictures_with_mistakes(loss: PaintingLoss) -> None:
    photo = picture(0)
    with pytest.raises(InputError, match="at least one"):
        optimize(photo, [], loss, QUICK)
    with pytest.raises(ShapeError, match=r"photo: expected \(1, 3, H, W\)"):
        optimize(photo[0], [photo], loss, QUICK)
    with pytest.raises(ShapeError, match="painting: expected at least 4 px"):
        optimize(photo, [photo[..., :3]], loss, QUICK)
    with pytest.raises(InputError, match=r"photo: expected values in 0\.\.1"):
        optimize(photo * 255, [photo], loss, QUICK)
    with pytest.raises(ShapeError, match="mask of the photo"):
        optimize(photo, [StyleSource(photo, photo_mask=torch.ones(1, 1, 3, 3))], loss, QUICK)
    with pytest.raises(InputError, match="mask of a painting: expected some of it to be white"):
        optimize(photo, [StyleSource(photo, painting_mask=torch.zeros(1, 1, 64, 80))], loss, QUICK)
    with pytest.raises(InputError, match="weight of a painting"):
        optimize(photo, [StyleSource(photo, 0.0)], loss, QUICK)


@pytest.mark.parametrize("change", [{}, {"optimizer": "adam"}, {"colors": "luminance"}])
def test_going_on_is_bitwise(loss: PaintingLoss, tmp_path: Path, change: dict[str, object]) -> None:
    config = dataclasses.replace(QUICK, steps=9, coarse_steps=4, **change)  # type: ignore[arg-type]
    sources = [picture(0), [StyleSource(picture(1))], loss, config]
    whole = Optimization(*sources)  # type: ignore[arg-type]
    count = 0
    while not whole.done:
        whole.step()
        count += 1
    for stop in (2, 7):  # at the coarse size, and at the full one
        first = Optimization(*sources)  # type: ignore[arg-type]
        for _ in range(stop):
            first.step()
        torch.save(first.state_dict(), tmp_path / "state.pt")
        second = Optimization(*sources)  # type: ignore[arg-type]
        second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        while not second.done:
            second.step()
        assert torch.equal(second.picture(), whole.picture())
        losses = [(e.height, e.step, e.total) for e in second.history]
        assert losses == [(e.height, e.step, e.total) for e in whole.history]
        assert [e.seconds for e in second.history] == sorted(e.seconds for e in second.history)


def test_luminance_keeps_the_photos_hue(loss: PaintingLoss) -> None:
    photo = 0.25 + 0.5 * picture(0)
    result, history = optimize(photo, [picture(1)], loss, dataclasses.replace(QUICK, colors="luminance"))
    weights = torch.tensor([0.2126, 0.7152, 0.0722]).reshape(1, 3, 1, 1)
    chroma, expected = (x - (x * weights).sum(dim=1, keepdim=True) for x in (result, photo))
    share = (chroma * expected).sum(dim=1, keepdim=True) / expected.square().sum(dim=1, keepdim=True)
    assert_close(chroma, share * expected, atol=1e-5)
    assert float(share.min()) > -1e-4
    assert history[-1].total < 0.7 * history[0].total


@pytest.mark.parametrize("colors", ["covariance", "histogram"])
def test_a_recoloured_painting(loss: PaintingLoss, colors: str) -> None:
    """A blue photo stays blue under a red painting."""
    photo, painting = picture(0) * 0.4, picture(1) * 0.4
    photo[:, 2] += 0.5
    painting[:, 0] += 0.5
    for keeps in (colors, "painting"):
        config = dataclasses.replace(QUICK, steps=30, colors=keeps)
        result, _ = optimize(photo, [painting], loss, config)
        red, blue = float(result[:, 0].mean()), float(result[:, 2].mean())
        assert (blue > red + 0.2) == (keeps == colors), (red, blue)


def test_masked_palettes(loss: PaintingLoss) -> None:
    """Under its mask a painting gets the palette that the photo has in the region it is for."""
    photo, painting = picture(0), picture(1)
    left = torch.zeros(1, 1, 64, 80)
    left[..., :40] = 1
    run = Optimization(
        photo,
        [StyleSource(painting, painting_mask=left, photo_mask=left), StyleSource(painting)],
        loss,
        dataclasses.replace(QUICK, colors="covariance"),
    )
    for changed, columns in zip(run.sources, (slice(0, 40), slice(0, 80)), strict=True):
        mine = changed.painting[0, :, :, columns].flatten(1).double().numpy().mean(axis=1)
        theirs = photo[0, :, :, columns].flatten(1).double().numpy().mean(axis=1)
        np.testing.assert_allclose(mine, theirs, atol=0.05)  # colours beyond 0..1 are clipped
