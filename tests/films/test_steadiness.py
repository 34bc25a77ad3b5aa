"""Painters: whose statistics a frame is painted with. The network is real, tiny and of random weights."""

from __future__ import annotations

import numpy as np
import pytest

from stylenorm import Statistics, Stylizer
from stylenorm.errors import InputError, UnknownNameError
from stylenorm.films import (
    Painter,
    RunningPainter,
    ShotPainter,
    SteadyOptions,
    ema_statistics,
    measure_shots,
    paint_animation,
)
from stylenorm.films.steadiness import thumbnail_of
from stylenorm.media import Animation, Frame
from tests.engines.tiny_network import needs, random_photo, tiny_network

PLAIN = SteadyOptions(smooth=0)


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    needs("openvino")
    return Stylizer("scream", network=tiny_network(), threads=1)


def entering(count: int = 6) -> list[np.ndarray]:
    """A still scene, (32, 64, 3), whose right third turns white bit by bit: the left must not change."""
    scene = (random_photo(32, 64) // 2 + 40).astype(np.uint8)
    frames = []
    for i in range(count):
        frame = scene.copy()
        frame[:, 64 - 4 * i :] = 255
        frames.append(frame)
    return frames


def flicker(paintings: list[np.ndarray]) -> float:
    """Mean absolute change of the left quarter, which no white comes near, in grey levels."""
    stack = np.stack([painting[:, :16].astype(np.float64) for painting in paintings])
    return float(np.abs(np.diff(stack, axis=0)).mean())


def shots_of(frames: list[np.ndarray], stylizer: Stylizer) -> list[tuple[int, Statistics]]:
    pairs = ((frame, thumbnail_of(frame)) for frame in frames)
    return list(measure_shots(pairs, lambda frame: frame, stylizer))


def test_a_shot_does_not_flicker(stylizer: Stylizer) -> None:
    frames = entering()
    each = Painter(stylizer, PLAIN)
    steady = ShotPainter(stylizer, PLAIN, shots_of(frames, stylizer))
    paintings = [steady(frame) for frame in frames]
    assert flicker([each(frame) for frame in frames]) > 0.5
    assert flicker(paintings) == 0
    assert np.abs(np.diff(paintings[0].astype(int), axis=0)).mean() > 0.5  # and it is a picture


def test_statistics_of_a_shot_are_joint(stylizer: Stylizer) -> None:
    """The oracle: the frames as one batch in PyTorch, instance norms pooling over the batch."""
    needs("torch")
    import torch

    from stylenorm.export import load_network

    frames = entering(4)
    ((start, statistics),) = shots_of(frames, stylizer)
    assert start == 0
    module = load_network(tiny_network().path)
    x = torch.from_numpy(np.stack(frames).transpose(0, 3, 1, 2).astype(np.float32) / 255)
    first = torch.nn.functional.conv2d(
        torch.nn.functional.pad(x, (4, 4, 4, 4), mode="replicate"), module.stem.weight, stride=4
    )
    expected = first.permute(1, 0, 2, 3).flatten(1).double()
    np.testing.assert_allclose(statistics.means[0], expected.mean(1).detach(), rtol=1e-4, atol=1e-5)
    variance = expected.var(1, unbiased=False).detach()
    np.testing.assert_allclose(statistics.variances()[0], variance, rtol=1e-4, atol=1e-5)


def test_of_large_frames_one_is_measured(stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylenorm.films.steadiness._SAMPLED_PIXELS", 1)
    frames = entering(3)
    ((_, statistics),) = shots_of(frames, stylizer)
    assert statistics is not None
    one = stylizer.measure([frames[1]])
    np.testing.assert_allclose(statistics.means[0], one.means[0], rtol=1e-6)


def test_each_shot_has_its_own(stylizer: Stylizer) -> None:
    dark = [(random_photo(27, 48) // 6).astype(np.uint8)] * 4
    light = [(255 - random_photo(48, 27).reshape(27, 48, 3) // 6).astype(np.uint8)] * 4
    shots = shots_of(dark + light, stylizer)
    assert [start for start, _ in shots] == [0, 4]
    painter = ShotPainter(stylizer, PLAIN, shots)
    paintings = [painter(frame) for frame in dark + light]
    for painting, frames in ((paintings[0], dark), (paintings[7], light)):
        alone = stylizer.freeze(stylizer.measure(frames))(frames[0])
        assert np.abs(painting.astype(int) - alone).max() <= 1


def test_running_statistics_follow(stylizer: Stylizer) -> None:
    frames = entering()
    running = RunningPainter(stylizer, PLAIN, every=1, share=0.15)
    each = Painter(stylizer, PLAIN)
    assert flicker([running(frame) for frame in frames]) < 0.6 * flicker([each(frame) for frame in frames])
    start, end = frames[0], frames[-1]
    follower = RunningPainter(stylizer, PLAIN, every=1, share=0.5)
    follower(start)
    for _ in range(20):
        followed = follower(end)
    alone = stylizer.freeze(stylizer.measure([end]))(end)
    assert np.abs(followed.astype(int) - alone).max() <= 2


def test_running_statistics_take_a_fifth_of_what_is_new(stylizer: Stylizer) -> None:
    start = random_photo(32, 64)
    end = (start * 0.8 + 20).astype(np.uint8)
    painter = RunningPainter(stylizer, PLAIN, every=1, follow_light=False)
    painter(start)
    mixture = ema_statistics(stylizer.measure([start]), stylizer.measure([end]), 0.2)
    assert np.abs(painter(end).astype(int) - stylizer.freeze(mixture)(end)).max() <= 1


def test_running_statistics_are_measured_on_every_twelfth_frame(stylizer: Stylizer) -> None:
    start = random_photo(32, 64)
    end = (start * 0.8 + 20).astype(np.uint8)
    painter = RunningPainter(stylizer, PLAIN, follow_light=False)
    painter(start)
    at_first = stylizer.freeze(stylizer.measure([start]))(end)
    for _ in range(11):
        assert np.array_equal(painter(end), at_first)
    assert not np.array_equal(painter(end), at_first)


def test_a_cut_begins_running_statistics_anew(stylizer: Stylizer) -> None:
    dark = (random_photo(27, 48) // 6).astype(np.uint8)
    light = (255 - dark[::-1]).astype(np.uint8)
    painter = RunningPainter(stylizer, PLAIN)
    painter(dark)
    alone = stylizer.freeze(stylizer.measure([light]))(light)
    assert np.array_equal(painter(light), alone)


def test_ema_statistics_are_those_of_the_mixture() -> None:
    """Three parts of one sample and one of another: repeat the samples to get the same mixture."""
    rng = np.random.default_rng(0)
    old, new = rng.normal(2, 3, (5, 400)), rng.normal(-1, 0.5, (5, 400))
    faded = ema_statistics(Statistics.measure([old]), Statistics.measure([new]), 0.25)
    mixture = np.concatenate([old, old, old, new], axis=1)
    np.testing.assert_allclose(faded.means[0], mixture.mean(1), rtol=1e-12)
    np.testing.assert_allclose(faded.variances()[0], mixture.var(1), rtol=1e-12)
    assert ema_statistics(None, Statistics.measure([new]), 0.25).counts == (400,)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares(share: float) -> None:
    statistics = Statistics.measure([np.ones((2, 3))])
    with pytest.raises(InputError, match="share"):
        ema_statistics(statistics, statistics, share)


@pytest.mark.parametrize(("share", "which"), [(0.0, 0), (1.0, 1)])
def test_the_ends_of_fading(share: float, which: int) -> None:
    pair = [Statistics.measure([np.arange(6.0).reshape(2, 3) * s]) for s in (1, 2)]
    faded = ema_statistics(pair[0], pair[1], share)
    np.testing.assert_allclose(faded.means[0], pair[which].means[0])
    np.testing.assert_allclose(faded.variances()[0], pair[which].variances()[0])


def test_bad_options() -> None:
    with pytest.raises(UnknownNameError, match=r"shoot.*shot"):
        SteadyOptions(steady="shoot")
    with pytest.raises(InputError, match=r"0 \(off\) to 0.9"):
        SteadyOptions(smooth=0.95)


def animation(frames: list[np.ndarray], alpha: np.ndarray | None = None) -> Animation:
    height, width = frames[0].shape[:2]
    return Animation(lambda: iter([Frame(f, alpha, 40.0) for f in frames]), width, height, len(frames))


def test_animations_do_not_flicker(stylizer: Stylizer) -> None:
    frames, count = entering(), []
    painted = paint_animation(animation(frames), stylizer, PLAIN, on_frame=lambda: count.append(1))
    paintings = [frame.pixels for frame in painted]
    assert flicker(paintings) == 0
    assert len(count) == len(frames)
    assert [frame.duration_ms for frame in painted] == [40.0] * 6  # and it can be painted again


def test_hidden_colours_of_animations_do_not_matter(stylizer: Stylizer) -> None:
    frames = entering(3)
    alpha = np.full((32, 64), 255, np.uint8)
    alpha[:, 32:] = 0
    other = [frame.copy() for frame in frames]
    for frame in other:
        frame[:, 32:] = 255 - frame[:, 32:]
    results = [
        [frame.pixels[:, :32] for frame in paint_animation(animation(each, alpha), stylizer, PLAIN)]
        for each in (frames, other)
    ]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
