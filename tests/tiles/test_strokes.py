"""Strokes that grow with the print."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stylenorm import Stylizer
from stylenorm.errors import InputError
from stylenorm.tiles import Tiling, carry_detail, shrunk
from tests.engines.tiny_network import needs, random_photo, tiny_network


@pytest.mark.parametrize("size", [2, 3.7, 8])
def test_shrinking_by_strips_is_shrinking(size: float) -> None:
    """Against Pillow, at once; the picture is higher than several strips."""
    photo = random_photo(1200, 40)
    expected = [
        np.asarray(
            Image.fromarray((photo[..., c] / 255).astype(np.float32)).resize(
                (round(40 / size), round(1200 / size)), Image.Resampling.LANCZOS
            )
        )
        for c in range(3)
    ]
    np.testing.assert_allclose(shrunk(photo, size), np.dstack(expected).clip(0, 1), rtol=0, atol=2e-3)


def test_a_painting_that_is_the_photo_is_the_photo_again() -> None:
    """All detail comes back, where the photo has some: slope 1, but for what is too flat to tell."""
    y, x = np.mgrid[0:600, 0:500]
    waves = 0.5 + 0.3 * np.sin(x / 9.0) * np.cos(y / 13.0) + 0.1 * np.sin(x * 1.3 + y)
    photo = (np.repeat(waves[..., None], 3, axis=2) * 255).astype(np.uint8)
    small, out = shrunk(photo, 4), np.zeros_like(photo)
    carry_detail(photo, small, small, out)
    enlarged = np.asarray(
        Image.fromarray((small * 255).astype(np.uint8)).resize((500, 600), Image.Resampling.LANCZOS)
    )
    lost = np.abs(enlarged.astype(float) - photo).mean()
    assert np.abs(out.astype(float) - photo).mean() < 0.2 * lost
    assert lost > 5, "the photo has no detail to carry"


def test_detail_is_not_carried_into_its_negative() -> None:
    photo = random_photo(64, 64)
    small, out = shrunk(photo, 4), np.zeros_like(photo)
    carry_detail(photo, small, 1 - small, out)
    soft = np.zeros_like(photo)
    carry_detail(np.full_like(photo, 128), np.full_like(small, 0.5), 1 - small, soft)
    assert np.abs(out.astype(int) - soft).max() <= 1


def test_detail_is_carried_by_its_luma_of_rec_709() -> None:
    """Colours of one luma in a pattern finer than the strokes are as no pattern at all."""
    y, x = np.mgrid[0:120, 0:160]
    light = 0.6 + 0.3 * np.sin(x / 20) * np.cos(y / 25)  # what the painting has, too
    red, green = np.array([0.8, 0.2, 0.2]), np.array([0.2, 0.6 * 0.2126 / 0.7152 + 0.2, 0.2])
    luma = red @ [0.2126, 0.7152, 0.0722]
    checkered = np.where(((x + y) % 2)[..., None] == 0, red, green) * light[..., None]
    grey = np.repeat(luma * light[..., None], 3, axis=2)
    found = []
    for photo in (checkered.astype(np.float32), grey.astype(np.float32)):
        found.append(np.zeros_like(photo))
        small = shrunk(photo, 4)
        carry_detail(
            photo, small, np.repeat((small @ [0.2126, 0.7152, 0.0722])[..., None], 3, axis=2), found[-1]
        )
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=0.01)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_stylizers_paint_larger_strokes(dtype: str) -> None:
    needs("openvino")
    photo = random_photo(120, 90, dtype, 4)
    photo[:9, :9, 3] = 0
    stylizer = Stylizer("scream", network=tiny_network())
    painted = stylizer(photo, stroke_size=3)
    assert painted.shape == photo.shape
    assert painted.dtype == photo.dtype
    assert np.array_equal(painted[..., 3], photo[..., 3])
    tiled = Stylizer("scream", network=tiny_network(), engine=stylizer.engine, tiling=Tiling(32))
    allowed = 1 if dtype == "uint8" else 60
    assert np.abs(tiled(photo, stroke_size=3).astype(int) - painted).max() <= allowed
    assert np.array_equal(stylizer(photo, stroke_size=1), stylizer(photo))
    with pytest.raises(InputError, match="stroke size: expected 1"):
        stylizer(photo, stroke_size=0.5)
    with pytest.raises(InputError, match="stroke size"):
        stylizer(photo, stroke_size=float("nan"))
