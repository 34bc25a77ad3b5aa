"""Photos and masks made ready, and results made pictures again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.media import Metadata, Picture, finished_picture, read_mask, scaled_image
from tests.engines.tiny_network import random_photo


@pytest.mark.parametrize(
    ("longer", "enlarge", "size"),
    [(None, False, (32, 24)), (16, False, (16, 12)), (64, False, (32, 24)), (64, True, (64, 48))],
)
def test_scaled(longer: int | None, enlarge: bool, size: tuple[int, int]) -> None:
    pixels = random_photo(24, 32)
    image = scaled_image(Picture(pixels), longer, enlarge=enlarge)
    assert image.size == size
    expected = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(image), np.asarray(expected))


def test_hidden_colours_come_from_near_and_16_bits_become_8() -> None:
    pixels = np.full((4, 6, 3), 40 * 257, np.uint16)
    alpha = np.full((4, 6), 65535, np.uint16)
    pixels[:, 3:], alpha[:, 3:] = 65535, 0
    assert np.asarray(scaled_image(Picture(pixels, alpha))).max() == 40


def test_a_mask_is_how_bright_a_picture_is(tmp_path: Path) -> None:
    grey = np.array([[0, 255], [51, 102]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png", (2, 2))
    assert mask.dtype == np.float32
    np.testing.assert_allclose(mask, grey / 255, atol=1e-6)
    np.testing.assert_allclose(
        read_mask(tmp_path / "mask.png", (1, 1)), [[0.4]], atol=1 / 255
    )  # rounded to 8 bits


def test_alpha_goes_along_and_metadata_where_the_size_is_the_same() -> None:
    alpha = np.zeros((8, 8), np.uint16)
    alpha[:, 4:] = 65535
    photo = Picture(random_photo(8, 8, "uint16"), alpha, Metadata(dpi=(300, 300)))
    same = finished_picture(photo, np.zeros((8, 8, 3), np.uint8))
    assert same.alpha is not None
    assert np.array_equal(same.alpha, np.where(alpha > 0, 255, 0))
    assert same.metadata.dpi == (300, 300)
    small = finished_picture(photo, np.zeros((4, 4, 3), np.uint8))
    assert small.alpha is not None
    assert (small.alpha[0, 0], small.alpha[0, 3]) == (0, 255)
    assert small.metadata == Metadata()
