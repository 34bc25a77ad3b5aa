"""Fades, flashes and flat frames: the films are made of known scenes and gains, which are the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from stylenorm import Stylizer
from stylenorm.films import RunningPainter, SteadyOptions, paint_animation
from stylenorm.films.light import Light, LightFinder, LightFollower
from stylenorm.films.steadiness import thumbnail_of
from stylenorm.media import Animation, Frame
from tests.engines.tiny_network import needs, random_photo, tiny_network

STEADY = ("shot", "running", "off")


def scene(seed: int = 0, side: int = 12) -> np.ndarray:
    """(108, 192, 3): coloured squares."""
    colors = np.random.default_rng(seed).integers(30, 226, (108 // side, 192 // side, 3), dtype=np.uint8)
    return np.repeat(np.repeat(colors, side, axis=0), side, axis=1)


def faded(picture: np.ndarray, gain: float, color: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    return np.rint(gain * picture + (1 - gain) * np.array(color)).astype(np.uint8)


def lights(frames: list[np.ndarray], rate: float = 24.0) -> list[Light | None]:
    finder = LightFinder()
    for i, frame in enumerate(frames):
        finder.add(thumbnail_of(frame), i / rate)
    return finder.finish(len(frames) / rate)


def gains(frames: list[np.ndarray], rate: float = 24.0) -> list[float]:
    return [1.0 if light is None else float(light.gain) for light in lights(frames, rate)]


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (120, 20, 60)])
@pytest.mark.parametrize("backwards", [False, True])
def test_fades(color: tuple[int, int, int], backwards: bool) -> None:
    """To a colour, which stays; the other way round, from one."""
    true = [1.0] * 12 + [1 - i / 24 for i in range(24)] + [0.0] * 30
    true = true[::-1] if backwards else true
    frames = [faded(scene(), gain, color) for gain in true]
    found = lights(frames)
    for gain, light, frame in zip(true, found, frames, strict=True):
        assert light is None or not light.alone
        if gain <= 0.75:
            assert light is not None
            assert abs(light.gain - gain) < 0.02
            np.testing.assert_allclose(light.offset, (1 - gain) * np.array(color), atol=3)
            if light.shows:
                assert np.abs(light.lifted(frame).astype(int) - scene()).max() <= 1 + 2 / gain
            again = light.lowered(scene(), frame)  # a painting that is the scene fades as the film does
            assert np.abs(again.astype(int) - frame).max() <= 4
        elif gain >= 0.9:
            assert light is None


def test_a_flash_keeps_its_light_and_a_card_is_a_picture_of_its_own() -> None:
    white = np.full((108, 192, 3), 255, np.uint8)
    for length, alone in ((1, False), (5, False), (24, True)):
        found = lights([scene()] * 20 + [white] * length + [scene()] * 20)
        assert found[:20] == found[-20:] == [None] * 20
        for light in found[20:-20]:
            assert light is not None
            assert light.alone == alone
            if not alone:
                assert np.array_equal(light.lowered(white, white), white)
    slides = lights([scene(), white, scene(1)], rate=1.0)  # one frame, shown for a second
    assert slides[1] is not None
    assert slides[1].alone


def test_half_a_flash() -> None:
    found = gains([scene()] * 20 + [faded(scene(), 0.4, (255, 255, 255))] + [scene()] * 20)
    assert abs(found[20] - 0.4) < 0.02
    assert found[:20] == found[21:] == [1.0] * 20


def test_what_is_no_fade() -> None:
    """A pan into an even sky, a cut to a picture of little contrast, and motion."""
    sky = np.linspace(150, 170, 108)[:, None, None] * np.array([0.6, 0.8, 1.0]) * np.ones((108, 192, 1))
    wide = np.concatenate([scene(), np.rint(sky).astype(np.uint8)], axis=1)
    pan = [wide[:, 8 * i : 8 * i + 192] for i in range(24)]
    assert min(gains(pan)) > 0.8
    pale = faded(scene(3), 0.15, (128, 128, 128))
    assert gains([scene()] * 10 + [pale] * 10) == [1.0] * 20
    assert gains([np.roll(scene(), 5 * i, axis=1) for i in range(40)]) == [1.0] * 40


def test_long_films_are_found_alike_in_bounded_memory() -> None:
    true = ([1.0] * 700 + [max(1 - i / 40, 0.0) for i in range(60)]) * 3
    small = scene()[::4, ::4]
    finder = LightFinder()
    for i, gain in enumerate(true):
        finder.add(faded(small, gain), i / 24)
        assert len(finder._grids) <= 3 * 512
    found = [1.0 if light is None else light.gain for light in finder.finish()]
    assert len(found) == len(true)
    near = [abs(f - t) for f, t in zip(found, true, strict=True) if t < 0.7 or t == 1]
    assert max(near) < 0.03


def test_following_without_looking_ahead() -> None:
    follow = LightFollower()
    true = [1.0] * 5 + [1 - i / 20 for i in range(20)] + [0.0] * 5
    for gain in true:
        light = follow(thumbnail_of(faded(scene(), gain)))
        if gain < 0.7:
            assert light is not None
            assert abs(light.gain - gain) < 0.03
    follow.reset()
    light = follow(thumbnail_of(faded(scene(), 0)))
    assert light is not None
    assert light.alone


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    needs("openvino")
    return Stylizer("scream", network=tiny_network(), threads=1)


def painted(frames: list[np.ndarray], steady: str, stylizer: Stylizer, ms: float = 40.0) -> list[np.ndarray]:
    height, width = frames[0].shape[:2]
    film = Animation(lambda: iter([Frame(f, None, ms) for f in frames]), width, height, len(frames))
    return [frame.pixels for frame in paint_animation(film, stylizer, SteadyOptions(steady, smooth=0))]


@pytest.mark.parametrize("steady", STEADY)
@pytest.mark.parametrize("level", [0, 255])
def test_flat_shots_are_painted_as_the_same_picture_alone(
    steady: str, level: int, stylizer: Stylizer
) -> None:
    """White, or black, with and without the last bit's noise; between cuts to a photo."""
    rng = np.random.default_rng(1)
    flat = [np.full((32, 64, 3), level, np.uint8) for _ in range(10)]
    noisy = [np.abs(frame - (rng.random(frame.shape) < 0.1).astype(int)).astype(np.uint8) for frame in flat]
    photo = random_photo(4, 8).repeat(8, axis=0).repeat(8, axis=1)
    for card in (flat, noisy):
        frames = [*card, *[photo] * 10, *card]
        results = painted(frames, steady, stylizer)
        for i in (0, 5, 9, 20, 25, 29):
            assert np.array_equal(results[i], stylizer(frames[i]))


@pytest.mark.parametrize("steady", STEADY)
@pytest.mark.parametrize("level", [0, 255])
def test_the_painting_fades_with_the_film(steady: str, level: int, stylizer: Stylizer) -> None:
    photo = random_photo(4, 8).repeat(8, axis=0).repeat(8, axis=1)
    true = [1.0] * 6 + [1 - i / 12 for i in range(12)] + [0.0] * 12
    frames = [faded(photo, gain, (level,) * 3) for gain in true]
    for film, steps in ((frames, true), (frames[::-1], true[::-1])):
        full = stylizer(photo).astype(float)
        for gain, result in zip(steps, painted(film, steady, stylizer), strict=True):
            if gain == 0:
                assert np.array_equal(result, np.full_like(result, level))
            elif 0.2 < gain < 0.7:
                expected = gain * full + (1 - gain) * level
                assert np.abs(result - expected).mean() < 12


def test_live_pictures_that_begin_in_the_dark(stylizer: Stylizer) -> None:
    """Nobody can say then that it is a fade: each frame looks as it does alone, without blotches."""
    photo = random_photo(4, 8).repeat(8, axis=0).repeat(8, axis=1)
    painter = RunningPainter(stylizer, SteadyOptions("running", smooth=0))
    for i in range(24):
        frame = faded(photo, i / 23)
        assert np.abs(painter(frame).astype(float) - stylizer(frame)).mean() < 20


def test_strength_0_is_the_film(stylizer: Stylizer) -> None:
    frames = [faded(scene()[:32, :64], 1 - i / 8) for i in range(9)]
    film = Animation(lambda: iter([Frame(f, None, 40.0) for f in frames]), 64, 32, 9)
    for steady in STEADY:
        options = SteadyOptions(steady, smooth=0.6, strength=0)
        results = [frame.pixels for frame in paint_animation(film, stylizer, options)]
        assert all(np.array_equal(a, b) for a, b in zip(results, frames, strict=True))
