"""Blending along the motion, on a moving texture whose paintings are noisy."""

from __future__ import annotations

import importlib.util
import itertools

import numpy as np
import pytest

from stylenorm.errors import InputError, MissingExtraError
from stylenorm.films import FlowSmoother, SteadyOptions
from tests.requirements_met import need

cv2 = need("cv2")


def texture(height: int = 120, width: int = 300) -> np.ndarray:
    """Smooth noise that motion can be seen on."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height // 6, width // 6, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def pan(count: int, step: int) -> list[np.ndarray]:
    wide = texture()
    return [np.ascontiguousarray(wide[:, step * i : step * i + 160]) for i in range(count)]


def noisy(photos: list[np.ndarray], sigma: float = 8) -> list[np.ndarray]:
    """Paintings that are the photo and fresh noise: what a network makes of details that move."""
    rng = np.random.default_rng(1)
    return [(p + rng.normal(0, sigma, p.shape)).clip(0, 255).astype(np.uint8) for p in photos]


def warp_error(paintings: list[np.ndarray], step: int) -> float:
    """Mean square difference of neighbours, moved back by the known motion."""
    inner = [p.astype(np.float64)[8:-8, 16:-16] for p in paintings]
    return float(
        np.mean([(a[:, step:] - b[:, : a.shape[1] - step]) ** 2 for a, b in itertools.pairwise(inner)])
    )


def shifted(amount: float) -> np.ndarray:
    """The texture, moved to the left by a part of a pixel, (120, 240, 3)."""
    places = np.float32([[1, 0, amount], [0, 1, 0]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(texture(), places, (240, 120), flags=flags)


def strokes(photos: list[np.ndarray], grid: int = 4) -> list[np.ndarray]:
    """Paintings whose texture sticks to the grid of the screen, as a network's does, and shimmers there."""
    rng = np.random.default_rng(2)
    sticks = np.kron(rng.normal(0, 20, (120 // grid, 240 // grid)), np.ones((grid, grid)))[..., None]
    return [(p / 2 + 64 + sticks + rng.normal(0, 3, p.shape)).clip(0, 255).astype(np.uint8) for p in photos]


@pytest.mark.parametrize(("speed", "fast"), [(0.25, False), (0.25, True), (0.5, False), (0.0, False)])
def test_texture_travels_in_slow_pans(speed: float, fast: bool) -> None:
    """Moved back by the known motion, neighbours differ four times less; the detail keeps its strength."""
    photos = [shifted(speed * i) for i in range(60)]
    paintings = strokes(photos)
    smoother = FlowSmoother(fast=fast)
    steady = [smoother(photo, painting) for photo, painting in zip(photos, paintings, strict=True)]

    def error(film: list[np.ndarray]) -> float:
        squares = []
        for a, b in itertools.pairwise(film[8:]):
            back = cv2.warpAffine(
                b.astype(np.float32),
                np.float32([[1, 0, -speed], [0, 1, 0]]),
                (240, 120),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            )
            squares.append(np.mean((a - back)[20:-20, 24:-24] ** 2))
        return float(np.mean(squares))

    def detail(film: list[np.ndarray]) -> float:
        return float(np.mean([np.std(f - cv2.GaussianBlur(f, (0, 0), 3).astype(float)) for f in film[30:]]))

    assert error(steady) < error(paintings) / 4
    assert 0.85 * detail(paintings) < detail(steady) < 1.15 * detail(paintings)


@pytest.mark.parametrize("step", [0, 3])
def test_independent_errors(step: int) -> None:
    """Most of the noise is carried along, not made anew; its contrast stays."""
    photos = pan(24, step)
    paintings = noisy(photos)
    smoother = FlowSmoother(0.5)
    steady = [smoother(photo, painting) for photo, painting in zip(photos, paintings, strict=True)]
    assert warp_error(steady[8:], step) < 0.2 * warp_error(paintings[8:], step)
    kept, given = (
        float(np.std((film[-1].astype(float) - photos[-1])[16:-16, 16:-16])) for film in (steady, paintings)
    )
    assert 0.75 * given < kept < 1.25 * given


def test_motion_that_was_seen_at_half_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of more lines than motion needs: it is found in fewer, and its arrows are lengthened again."""
    monkeypatch.setattr("stylenorm.films.smoothing._FLOW_LINES", 60)  # of 120
    photos = pan(16, 4)
    paintings = noisy(photos)
    smoother = FlowSmoother(0.5)
    steady = [smoother(photo, painting) for photo, painting in zip(photos, paintings, strict=True)]
    assert warp_error(steady[8:], 4) < 0.35 * warp_error(paintings[8:], 4)


def test_nothing_is_carried_for_ever() -> None:
    """The film stands still, and the painting becomes another one: after a few anchors it is seen alone."""
    photo = texture()[:, :160]
    smoother = FlowSmoother(0.5)
    smoother(photo, np.zeros_like(photo))
    new = np.full_like(photo, 200)
    results = [smoother(photo, new) for _ in range(4 * 16 + 12)]
    changes = np.abs(np.diff([r.astype(int) for r in results], axis=0)).mean(axis=(1, 2, 3))
    assert changes.max() < 20  # it comes by and by
    assert np.abs(results[-1].astype(int) - 200).max() <= 10  # at the edges of the parts


def test_a_change_of_colour_alone_does_not_fit() -> None:
    """Red becomes a green of the same brightness."""
    photo = texture()[:, :160]
    later = photo.copy()
    photo[40:80, 60:100], later[40:80, 60:100] = (200, 40, 60), (40, 120, 70)
    smoother = FlowSmoother(0.9)
    smoother(photo, np.zeros_like(photo))
    result = smoother(later, np.full_like(photo, 200))
    assert (result[50:70, 70:90] > 190).mean() > 0.9


def test_memory_that_ends_is_said() -> None:
    smoother = FlowSmoother()
    photo = texture()[:, :160]
    smoother(photo, photo)

    error = cv2.error("no memory")
    error.code = -4

    def ends(*_: object) -> None:
        raise error

    smoother._search = type("Search", (), {"calc": ends})()
    with pytest.raises(MemoryError, match="160 x 120"):
        smoother(photo, photo)


def test_what_is_steady_already_is_not_changed() -> None:
    photos = pan(10, 0)
    smoother = FlowSmoother(0.6)
    for photo in photos:
        result = smoother(photo, photo)
    assert np.abs(result.astype(int) - photos[-1]).max() <= 1


def test_what_does_not_fit_is_taken_anew() -> None:
    """A square jumps in: there, and only there, the new painting stands."""
    photo = texture()[:, :160]
    later = photo.copy()
    later[40:80, 60:100] = np.where(photo[40:80, 60:100].mean(axis=2, keepdims=True) < 128, 255, 0)
    smoother = FlowSmoother(0.9)
    old, new = np.zeros_like(photo), np.full_like(photo, 200)
    smoother(photo, old)
    result = smoother(later, new)
    assert (result[50:70, 70:90] > 190).mean() > 0.9
    assert (result[100:, :40] < 60).mean() > 0.9


def test_reset() -> None:
    photo = texture()[:, :160]
    smoother = FlowSmoother(0.5)
    smoother(photo, np.zeros_like(photo))
    smoother.reset()
    new = np.full_like(photo, 200)
    assert np.array_equal(smoother(photo, new), new)


def test_another_size_and_tiny_pictures_pass() -> None:
    smoother = FlowSmoother(0.5)
    for size in ((40, 60), (41, 60), (3, 5), (3, 5), (1, 1), (600, 500), (600, 500)):
        picture = np.full((*size, 3), 90, np.uint8)
        assert np.array_equal(smoother(picture, picture), picture)


@pytest.mark.parametrize("weight", [-0.1, 0.95, float("nan")])
def test_weights(weight: float) -> None:
    with pytest.raises(InputError, match=r"0 \(off\) to 0.9"):
        FlowSmoother(weight)


def test_none_and_the_most_may_be_asked_for() -> None:
    assert [SteadyOptions(smooth=share).smooth for share in (0, 0.9)] == [0, 0.9]


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"opencv-python-headless: pip install 'stylenorm\[video\]'"):
        FlowSmoother()
