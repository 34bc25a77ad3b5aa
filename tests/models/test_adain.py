"""Painting with an AdaIN network: mixtures, regions, strength and colours, against PyTorch and by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylenorm.colors import COLOR_METHODS
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.models.adain import AdainPainter, StylePicture
from tests.engines.tiny_network import random_photo
from tests.tiny_adain import tiny_adain, tiny_adain_folder

PHOTO = random_photo(32, 48)
A, B = random_photo(24, 40), (random_photo(40, 24) // 3).astype(np.uint8)
HALF_A_LEVEL = 0.51  # of 8 bits, and engines' rounding


@pytest.fixture(scope="module")
def painter() -> AdainPainter:
    return AdainPainter(tiny_adain_folder())


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.tensor(pixels).permute(2, 0, 1)[None].double() / 255


def features(pixels: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return tiny_adain().double().encode(tensor(pixels))[0].numpy()  # (C, h, w)


def moments(x: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    values = x.reshape(len(x), -1) if mask is None else x[:, mask]
    deviation = np.sqrt(values.var(axis=1) + 1e-5)
    return values.mean(axis=1)[:, None, None], deviation[:, None, None]


def adapted(content: np.ndarray, style: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    (mean, deviation), (wanted, spread) = moments(content, mask), moments(style)
    return (content - mean) / deviation * spread + wanted


def decoded(x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        painted = tiny_adain().double().decoder(torch.from_numpy(x)[None])[0]
    return painted.clamp(0, 1).permute(1, 2, 0).numpy() * 255


def test_alpha_mixes_the_features(painter: AdainPainter) -> None:
    content, style = features(PHOTO), features(A)
    for alpha in (0.0, 0.4, 1.0):
        expected = decoded((1 - alpha) * content + alpha * adapted(content, style))
        painted = painter(PHOTO, [StylePicture(A)], strength=alpha)
        assert painted.dtype == np.uint8
        assert np.abs(painted - expected).max() <= HALF_A_LEVEL


def test_four_styles_are_interpolated_by_their_weights(painter: AdainPainter) -> None:
    pictures = [A, B, A[:, ::-1] // 2, 255 - B]
    weights = [4.0, 3.0, 2.0, 1.0]
    content = features(PHOTO)
    mixed = sum(w / 10 * adapted(content, features(p)) for w, p in zip(weights, pictures, strict=True))
    styles = [StylePicture(p, w) for w, p in zip(weights, pictures, strict=True)]
    assert np.abs(painter(PHOTO, styles) - decoded(mixed)).max() <= HALF_A_LEVEL
    doubled = [StylePicture(style.pixels, 2 * style.weight) for style in styles]
    np.testing.assert_array_equal(painter(PHOTO, styles), painter(PHOTO, doubled))


def test_regions_have_their_own_styles_and_statistics(painter: AdainPainter) -> None:
    left = np.zeros((32, 48), np.float32)
    left[:, :24] = 1
    on_grid = left[::8, ::8] > 0
    content = features(PHOTO)
    expected = np.where(
        on_grid, adapted(content, features(A), on_grid), adapted(content, features(B), ~on_grid)
    )
    painted = painter(PHOTO, [StylePicture(A, region=left), StylePicture(B, region=1 - left)])
    assert np.abs(painted - decoded(expected)).max() <= HALF_A_LEVEL
    # where no region reaches, the photo's own features stay
    alone = painter(PHOTO, [StylePicture(A, region=left)])
    expected = np.where(on_grid, adapted(content, features(A), on_grid), content)
    assert np.abs(alone - decoded(expected)).max() <= HALF_A_LEVEL
    nowhere = painter(PHOTO, [StylePicture(A, region=np.zeros_like(left))])
    np.testing.assert_array_equal(nowhere, painter(PHOTO, [StylePicture(A)], strength=0.0))


def test_regions_may_be_soft_and_overlap(painter: AdainPainter) -> None:
    quarter = np.full((32, 48), 0.25, np.float32)
    content = features(PHOTO)
    a, b = adapted(content, features(A)), adapted(content, features(B))
    # shares 0.25 * 2 and 1 * 1: a third and two thirds; together they cover all
    painted = painter(PHOTO, [StylePicture(A, 2.0, quarter), StylePicture(B)])
    assert np.abs(painted - decoded(a / 3 + 2 * b / 3)).max() <= HALF_A_LEVEL
    faint = painter(PHOTO, [StylePicture(A, 2.0, quarter)])
    assert np.abs(faint - decoded(0.25 * a + 0.75 * content)).max() <= HALF_A_LEVEL


@pytest.mark.parametrize("colors", ["covariance", "histogram"])
def test_paintings_can_be_given_the_photos_palette_before(painter: AdainPainter, colors: str) -> None:
    photo, painting = (x.astype(np.float32) / 255 for x in (PHOTO, B))
    method = COLOR_METHODS[colors]
    recolored = method.recolor(method.measure(painting), method.measure(photo))(painting, painting)
    with torch.no_grad():
        style = tiny_adain().double().encode(tensor(recolored * 255))[0].numpy()
    expected = decoded(adapted(features(PHOTO), style))
    assert np.abs(painter(PHOTO, [StylePicture(B)], colors=colors) - expected).max() <= HALF_A_LEVEL


def test_every_objects_colour_can_be_kept(painter: AdainPainter) -> None:
    free = painter(PHOTO, [StylePicture(B)]).astype(np.float64)
    kept = painter(PHOTO, [StylePicture(B)], colors="luminance").astype(np.float64)
    luma = np.array([0.2126, 0.7152, 0.0722])
    assert np.abs(kept @ luma - free @ luma).max() <= 1.1  # two roundings
    chroma = [x - (x @ luma)[..., None] for x in (kept, PHOTO.astype(np.float64))]
    assert (chroma[0] * chroma[1]).sum() > 0.9 * np.linalg.norm(chroma[0]) * np.linalg.norm(chroma[1])


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 18)], ids=str)
def test_any_size_in_the_same_size_out(painter: AdainPainter, size: tuple[int, int]) -> None:
    photo = random_photo(*size)
    assert painter(photo, [StylePicture(random_photo(3, 70))]).shape == photo.shape
    whole = np.pad(photo, ((0, max(16, -(-size[0] // 8) * 8) - size[0]),
                           (0, max(16, -(-size[1] // 8) * 8) - size[1]), (0, 0)), mode="edge")  # fmt: skip
    painted = painter(photo, [StylePicture(A)])
    np.testing.assert_array_equal(painted, painter(whole, [StylePicture(A)])[: size[0], : size[1]])


def test_bad_input_is_one_error(painter: AdainPainter, tmp_path: Path) -> None:
    style = StylePicture(A)
    with pytest.raises(InputError, match="one painting or more"):
        painter(PHOTO, [])
    with pytest.raises(InputError, match=r"strength: expected 0 .* got 1\.5"):
        painter(PHOTO, [style], strength=1.5)
    with pytest.raises(UnknownNameError, match="did you mean 'luminance'"):
        painter(PHOTO, [style], colors="luminence")
    with pytest.raises(InputError, match="weight: expected more than 0, got -1"):
        painter(PHOTO, [StylePicture(A, -1.0)])
    with pytest.raises(ShapeError, match=r"photo: expected uint8 \(H, W, 3\), got uint8 \(32, 48\)"):
        painter(PHOTO[..., 0], [style])
    with pytest.raises(ShapeError, match=r"style: expected uint8"):
        painter(PHOTO, [StylePicture(A.astype(np.float32))])
    with pytest.raises(ShapeError, match=r"region: expected \(32, 48\), got \(2, 2\)"):
        painter(PHOTO, [StylePicture(A, region=np.ones((2, 2), np.float32))])
    with pytest.raises(InputError, match=r"values of 0\.\.1"):
        painter(PHOTO, [StylePicture(A, region=np.full((32, 48), np.nan, np.float32))])
    with pytest.raises(InputError, match="that 'stylenorm train adain' wrote"):
        AdainPainter(tmp_path)
    other = Path(shutil.copytree(tiny_adain_folder(), tmp_path / "other"))
    description = json.loads((other / "adain.json").read_text())
    (other / "adain.json").write_text(json.dumps({**description, "format": "stylenorm-adain-9"}))
    with pytest.raises(InputError, match="of format stylenorm-adain-1, got 'stylenorm-adain-9'"):
        AdainPainter(other)
