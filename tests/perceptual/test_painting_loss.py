"""The loss of the project's own styles against its formulas in numpy, float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.perceptual import (
    PaintingLoss,
    PaintingTarget,
    Region,
    load_feature_network,
    palette_quantiles,
)
from tests.perceptual.tiny_features import TinyFeatures, tiny_loss
from tests.tolerances import assert_close


def picture(seed: int, count: int = 1, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator, dtype=torch.float64)


def made() -> PaintingLoss:
    return tiny_loss(torch.float64)


def halved(x: np.ndarray, by: int) -> np.ndarray:
    c, h, w = x.shape
    return x.reshape(c, h // by, by, w // by, by).mean(axis=(2, 4))


def features(x: np.ndarray, network: TinyFeatures) -> dict[tuple[int, str], np.ndarray]:
    found = {}
    for halvings in (0, 1):
        y = halved(x, 2**halvings)
        a = np.maximum(np.einsum("oc,chw->ohw", network.first.numpy()[..., 0, 0], y), 0)
        b = np.maximum(np.einsum("oc,chw->ohw", network.second.numpy()[..., 0, 0], halved(a, 2)), 0)
        found |= {(halvings, "a"): a, (halvings, "b"): b}
    return found


def test_every_term_is_its_formula() -> None:
    loss = made()
    x, photo, painting = picture(0), picture(1), picture(2, size=32)
    content, target = loss.content_target(photo), loss.target(painting)
    terms = loss(x, content, target)
    ours, theirs, wanted = (features(p[0].numpy(), loss.network) for p in (x, photo, painting))  # type: ignore[arg-type]

    def normalized(f: np.ndarray) -> np.ndarray:
        variance = f.var(axis=(1, 2))
        centred = f - f.mean(axis=(1, 2), keepdims=True)
        return centred / np.sqrt(variance + 0.1 * variance.mean() + 1e-8)[:, None, None]

    b = (1, "b")

    def around(f: np.ndarray) -> np.ndarray:
        padded = np.pad(f, ((0, 0), (2, 2), (2, 2)), constant_values=np.nan)
        return np.array(
            [
                [np.nanmean(padded[:, i : i + 5, j : j + 5], axis=(1, 2)) for j in range(f.shape[2])]
                for i in range(f.shape[1])
            ]
        ).transpose(2, 0, 1)

    b = (1, "b")
    wished = normalized(theirs[b])
    detail = around(((wished - around(wished)) ** 2).mean(axis=0, keepdims=True))
    weights = 0.2 * detail.mean() + 0.8 * np.minimum(detail, 3 * detail.mean()) + 1e-8
    squares = (normalized(ours[b]) - wished) ** 2
    assert_close(terms.content, [(squares * weights / weights.mean()).mean()])

    def relative(found: np.ndarray, aim: np.ndarray) -> float:
        return float(((found - aim) ** 2).sum() / ((aim**2).sum() + 1e-8))

    style = []
    for key in ((0, "a"), (1, "a"), (1, "b")):
        f, aim = (y[key].reshape(len(y[key]), -1) for y in (ours, wanted))
        style += [
            relative(f.mean(axis=1), aim.mean(axis=1)),
            relative(np.cov(f, bias=True), np.cov(aim, bias=True)),
        ]
    assert_close(terms.style, [np.mean(style)])

    def quantiles(pixels: np.ndarray) -> np.ndarray:
        ordered = np.sort(loss.directions.numpy() @ pixels.reshape(3, -1), axis=1)
        return ordered[:, ((np.arange(128) + 0.5) / 128 * ordered.shape[1]).astype(int)]

    found, aim = x[0].numpy(), painting[0].numpy()
    distance = sum(
        weight * ((quantiles(halved(found, pool)) - quantiles(halved(aim, pool))) ** 2).mean()
        for pool, weight in ((1, 1.0), (4, 1.0), (16, 0.5))
    )
    assert_close(terms.palette, [distance / quantiles(aim).var(axis=1).mean()])


def test_the_photo_has_no_content_loss_and_the_painting_no_other() -> None:
    loss = made()
    painting = picture(0)
    target = loss.target(painting)
    terms = loss(painting, loss.content_target(painting), target)
    assert [float(t) for t in (terms.content, terms.style, terms.palette)] == pytest.approx(
        [0, 0, 0], abs=1e-12
    )


def test_content_is_blind_to_light_and_contrast_and_style_is_not() -> None:
    loss = made()
    photo = picture(0)
    darker = 0.5 * photo
    terms = loss(darker, loss.content_target(photo), loss.target(photo))
    assert float(terms.content) < 1e-6
    assert float(terms.style) > 0.1
    assert float(terms.palette) > 0.1


def test_a_veil_of_the_right_colour_costs_as_much_as_what_it_lacks() -> None:
    """A flat picture of the painting's mean: a Gram loss likes it, this one does not."""
    loss = made()
    painting = picture(0)
    veil = painting.mean(dim=(2, 3), keepdim=True).expand_as(painting)
    terms = loss(veil, loss.content_target(painting), loss.target(painting))
    assert float(terms.style) > 0.45  # half of the terms are covariances, and it has none
    assert float(terms.palette) > 0.9


def test_samples_are_apart_and_targets_can_be_chosen() -> None:
    loss = made()
    paintings = PaintingTarget.stack([loss.target(picture(seed)) for seed in (5, 6)])
    photos, x = picture(7, 3), picture(8, 3)
    together = loss(x, loss.content_target(photos), paintings.select(torch.tensor([1, 0, 1])))
    for i, which in enumerate([1, 0, 1]):
        alone = loss(
            x[i : i + 1], loss.content_target(photos[i : i + 1]), paintings.select(torch.tensor([which]))
        )
        for name in ("content", "style", "palette"):
            assert_close(getattr(together, name)[i : i + 1], getattr(alone, name).numpy())


def test_a_drawn_sample_of_pixels_tells_the_palette() -> None:
    loss = made()
    x, painting = picture(0, size=160), picture(1, size=160) ** 2
    target, content = loss.target(painting), loss.content_target(x)
    whole = loss(x, content, target).palette
    drawn = [loss(x, content, target, torch.Generator().manual_seed(seed)).palette for seed in (0, 1)]
    assert float(drawn[0]) == pytest.approx(float(whole), rel=0.1)
    assert float(drawn[0]) != float(drawn[1])


def test_regions_are_compared_alone() -> None:
    """Two halves that are whole at every tap: each is as if it were a picture of its own."""
    loss = made()
    x, photo, one, two = (picture(seed, size=64) for seed in range(4))
    left, right = torch.zeros(2, 1, 1, 64, 64, dtype=torch.float64)
    left[..., :32], right[..., 32:] = 1, 1
    targets = [loss.target(one), loss.target(two, mask=left)]
    regions = [Region(0.25, targets[0], left), Region(0.75, targets[1], right)]
    found = loss.regions(x, loss.content_target(photo), regions)
    alone = [
        loss(x[..., columns], loss.content_target(photo[..., columns]), loss.target(painting))
        for columns, painting in ((slice(0, 32), one), (slice(32, 64), two[..., :32]))
    ]
    assert_close(found.style, (0.25 * alone[0].style + 0.75 * alone[1].style).numpy())
    assert_close(found.palette, (0.25 * alone[0].palette + 0.75 * alone[1].palette).numpy())


def test_quantiles_with_weights_are_those_of_repeated_pixels() -> None:
    colors = picture(0, size=8).flatten(2)
    counts = torch.randint(0, 4, (64,), generator=torch.Generator().manual_seed(1))
    repeated = colors.repeat_interleave(counts, dim=2)
    directions = torch.eye(3, dtype=torch.float64)
    found = palette_quantiles(colors, directions, counts[None].double())
    assert_close(found, palette_quantiles(repeated, directions).numpy())


def test_quantiles_of_a_ramp() -> None:
    ramp = torch.linspace(0, 1, 1280, dtype=torch.float64).expand(1, 3, -1)
    found = palette_quantiles(ramp, torch.eye(3, dtype=torch.float64))
    assert_close(found[0, 0], (np.arange(128) * 10 + 5) / 1279)


def test_one_network_is_asked_for() -> None:
    with pytest.raises(InputError, match="expected one network"):
        load_feature_network("vgg16,vgg16")


def test_what_is_painted_into_a_clear_sky_costs_less_content_than_on_the_subject() -> None:
    loss = PaintingLoss(load_feature_network("vgg16"))
    sky, subject = slice(0, 32), slice(32, 64)
    photo = torch.full((1, 3, 64, 64), 0.6)
    photo[:, :, subject] += 0.3 * torch.randn(3, 32, 64, generator=torch.Generator().manual_seed(0))
    content = loss.content_target(photo)
    for each in content.values():
        half = each.weights.shape[2] // 2
        assert each.weights[:, :, : half - 4].mean() < 0.3 * each.weights[:, :, half + 4 :].mean()

    painted = photo.clone()
    painted[:, :, sky] += 0.2 * torch.sin(torch.arange(64) / 2)
    even = {key: each._replace(weights=torch.ones_like(each.weights)) for key, each in content.items()}
    target = loss.target(photo)
    assert 0 < loss(painted, content, target).content < 0.85 * loss(painted, even, target).content

    uniform = loss.content_target(torch.full((1, 3, 32, 32), 0.5))
    for each in uniform.values():
        assert_close(each.weights.mean(), torch.tensor(1.0))
