"""Cuts and samples of shots."""

from __future__ import annotations

import numpy as np
import pytest

from stylenorm.films.shots import Shot, ShotFinder, is_cut
from stylenorm.films.steadiness import thumbnail_of


def scene(seed: int, shift: int = 0) -> np.ndarray:
    """A thumbnail of blobs in the colours of the scene; ``shift`` moves the camera."""
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, 256, (9, 40, 3))
    large = np.repeat(np.repeat(colors, 3, axis=0), 3, axis=1)
    return np.roll(large, shift, axis=1)[:, :48].astype(np.uint8)


def found(thumbnails: list[np.ndarray], num_samples: int = 3) -> list[Shot[int]]:
    finder = ShotFinder[int](num_samples)
    shots = [finder.add(i, thumbnail) for i, thumbnail in enumerate(thumbnails)]
    return [shot for shot in (*shots, finder.finish()) if shot is not None]


def graded(thumbnail: np.ndarray, gain: float) -> np.ndarray:
    return (thumbnail * gain).clip(0, 255).astype(np.uint8)


def test_cuts() -> None:
    """Three scenes of other brightness, each with a moving camera."""
    film = [graded(scene(s, i), g) for s, g in ((0, 0.3), (1, 1.0), (2, 0.5)) for i in range(10)]
    assert [shot.start for shot in found(film)] == [0, 10, 20]


def test_no_cut_in_a_moving_camera_a_fade_or_a_flash() -> None:
    pan = [scene(0, 2 * i) for i in range(30)]
    fade = [graded(scene(0), 1 - i / 20) for i in range(20)]
    flash = [scene(0)] * 5 + [np.full((27, 48, 3), 255, np.uint8)] + [scene(0)] * 5
    for film in (pan, fade, flash):
        assert [shot.start for shot in found(film)] == [0]


def test_a_cut_before_the_last_frame_needs_no_later_one() -> None:
    dark, light = np.zeros((27, 48, 3), np.uint8), np.full((27, 48, 3), 255, np.uint8)
    assert is_cut(dark, light, None)
    assert is_cut(dark, light, light)
    assert not is_cut(dark, light, dark)
    assert not is_cut(dark, dark, None)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 100, 1001])
def test_samples_are_spread_evenly(length: int) -> None:
    (shot,) = found([scene(0)] * length, num_samples=4)
    assert len(shot.samples) == min(length, 4)
    assert list(shot.samples) == sorted(set(shot.samples))
    if length >= 100:
        gaps = np.diff([0, *shot.samples, length - 1])
        assert gaps.max() <= 2.1 * length / 4


def test_few_frames_are_held() -> None:
    finder = ShotFinder[int](4)
    for i in range(5000):
        finder.add(i, scene(0))
        assert len(finder._samples) <= 8


def test_no_frames() -> None:
    assert found([]) == []


@pytest.mark.parametrize("size", [(720, 1280), (33, 47), (27, 48), (5, 3), (1, 1), (2000, 10)])
def test_thumbnails(size: tuple[int, int]) -> None:
    ramp = np.linspace(0, 200, size[1]).astype(np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (*size, 3))
    small = thumbnail_of(np.ascontiguousarray(picture))
    assert small.dtype == np.uint8
    assert small.ndim == 3
    assert abs(float(small.mean()) - float(picture.mean())) <= max(8, 200 / size[1])
    if size[0] >= 27 and size[1] >= 48:
        assert 27 <= small.shape[0] <= 60
        assert 48 <= small.shape[1] <= 100
