"""Keeping colours: against formulas in float64, against Pillow's, and on pictures without variance."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stylenorm import Stylizer
from stylenorm.colors import COLOR_METHODS, DEFAULT_COLOR_METHOD, keep_luminance
from stylenorm.errors import ShapeError
from tests.engines.tiny_network import random_photo, tiny_network

LUMA = np.array([0.2126, 0.7152, 0.0722])
MEASURING = ["covariance", "histogram"]


def picture(seed: int, height: int = 40, width: int = 60, low: float = 0.3, high: float = 0.7) -> np.ndarray:
    """Correlated colours, far enough from 0 and 1 for a mild affine map not to clip."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(3) + rng.uniform(0, 1, (3, 3))
    pixels = rng.uniform(0, 1, (height, width, 3)) @ (mixing / mixing.sum(axis=0))
    return (low + (high - low) * pixels).astype(np.float32)


def moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = pixels.reshape(-1, 3).astype(np.float64)
    return flat.mean(axis=0), np.cov(flat.T, bias=True)


def test_covariance_gives_the_photos_mean_and_covariance() -> None:
    painting, photo = picture(0), picture(1, 30, 50)
    result = COLOR_METHODS["covariance"](painting, photo)
    assert result.dtype == np.float32
    for mine, theirs in zip(moments(result), moments(photo), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_covariance_moves_colours_least() -> None:
    """Optimal transport: no other map with these moments is nearer; its cost is Bures' distance."""
    painting, photo = picture(0), picture(1)
    (mean, cov), (target, other) = moments(painting), moments(photo)
    result = COLOR_METHODS["covariance"](painting, photo).astype(np.float64)
    cost = ((result - painting) ** 2).sum(axis=2).mean()
    cross = np.sqrt(np.linalg.eigvals(cov @ other).real.clip(0)).sum()
    bures = ((mean - target) ** 2).sum() + np.trace(cov) + np.trace(other) - 2 * cross
    assert cost == pytest.approx(bures, rel=1e-4)


def test_histogram_gives_the_photos_histogram() -> None:
    rng = np.random.default_rng(0)  # every tone of 16 bits at most once: the k-th smallest becomes the k-th
    painting, photo = (
        np.stack([rng.permutation(65536)[:2400] for _ in range(3)], axis=1).reshape(40, 60, 3) / 65535
        for _ in range(2)
    )
    painting, photo = painting.astype(np.float32), photo.astype(np.float32)
    result = COLOR_METHODS["histogram"](painting, photo)
    np.testing.assert_allclose(
        np.sort(result.reshape(-1, 3), axis=0), np.sort(photo.reshape(-1, 3), axis=0), rtol=0, atol=2e-6
    )
    order = np.argsort(painting.reshape(-1, 3), axis=0)
    assert (np.diff(np.take_along_axis(result.reshape(-1, 3), order, axis=0), axis=0) > -1e-6).all()


def test_histogram_flattens_like_pillow() -> None:
    """A photo that has every tone equally often: then it is Pillow's equalization, but for its rounding."""
    rng = np.random.default_rng(0)
    painting = (rng.beta(2, 5, (64, 64, 3)) * 255).astype(np.uint8)
    photo = np.broadcast_to(np.arange(256).reshape(16, 16, 1), (16, 16, 3)).astype(np.uint8)
    result = COLOR_METHODS["histogram"](as_float(painting), as_float(photo)) * 255
    counts = np.stack([np.bincount(painting[..., c].ravel(), minlength=256) for c in range(3)])
    ranks = (np.cumsum(counts, axis=1) - counts / 2) / counts.sum(axis=1, keepdims=True)
    expected = np.stack([ranks[c][painting[..., c]] * 256 - 0.5 for c in range(3)], axis=2)
    np.testing.assert_allclose(result, expected.clip(0, 255), rtol=0, atol=0.01)
    from PIL import ImageOps

    pillow = np.asarray(ImageOps.equalize(Image.fromarray(painting))).astype(float)
    assert np.abs(pillow - result).mean() < 4


def as_float(pixels: np.ndarray) -> np.ndarray:
    return (pixels / np.iinfo(pixels.dtype).max).astype(np.float32)


@pytest.mark.parametrize("name", sorted(COLOR_METHODS))
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_photo_keeps_its_own_colours(name: str, dtype: str) -> None:
    photo = as_float(random_photo(24, 32, dtype))
    np.testing.assert_allclose(COLOR_METHODS[name](photo, photo), photo, rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", MEASURING)
def test_parts_add_up_to_the_whole(name: str) -> None:
    method, painting, photo = COLOR_METHODS[name], picture(0, 300, 20), picture(1, 300, 20)
    weights = np.random.default_rng(2).random((300, 20))
    whole = method.recolor(method.measure(painting, weights), method.measure(photo, weights))
    pieces = [slice(0, 7), slice(7, 260), slice(260, 300)]
    palettes = []
    for source in (painting, photo):
        palette = method.measure(source[pieces[0]], weights[pieces[0]])
        for piece in pieces[1:]:
            palette = palette + method.measure(source[piece], weights[piece])
        palettes.append(palette)
    joined = method.recolor(*palettes)
    np.testing.assert_allclose(joined(painting, photo), whole(painting, photo), rtol=0, atol=1e-6)
    np.testing.assert_allclose(method(painting, photo, weights), whole(painting, photo), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MEASURING)
def test_hidden_pixels_do_not_count(name: str) -> None:
    painting, photo = picture(0), picture(1)
    weights = np.ones((40, 60))
    weights[:, 30:] = 0
    other, another = painting.copy(), photo.copy()
    other[:, 30:] = another[:, 30:] = 0
    a, b = (COLOR_METHODS[name](*pair, weights) for pair in ((painting, photo), (other, another)))
    assert np.array_equal(a[:, :30], b[:, :30])
    nothing = COLOR_METHODS[name](painting, photo, np.zeros((40, 60)))
    assert np.array_equal(nothing, painting)


def test_covariance_of_flat_pictures() -> None:
    method, photo = COLOR_METHODS["covariance"], picture(1)
    flat = np.full((5, 7, 3), 0.25, np.float32)
    # one colour becomes the photo's mean; a photo of one colour makes everything that colour
    np.testing.assert_allclose(method(flat, photo), np.broadcast_to(moments(photo)[0], flat.shape), atol=1e-6)
    np.testing.assert_allclose(method(photo, flat), np.full_like(photo, 0.25), atol=1e-4)
    # a grey painting is stretched along grey alone: nothing is made of rounding errors
    grey = np.broadcast_to(np.linspace(0.3, 0.7, 50, dtype=np.float32)[:, None, None], (50, 4, 3))
    result = method(np.ascontiguousarray(grey), photo)
    assert np.isfinite(result).all()
    spread = result.reshape(-1, 3) - result.reshape(-1, 3).mean(axis=0)
    assert np.linalg.svd(spread, compute_uv=False)[1] < 1e-4


def test_histogram_of_flat_pictures() -> None:
    method, photo = COLOR_METHODS["histogram"], picture(1)
    flat = np.full((5, 7, 3), 0.25, np.float32)
    median = np.median(photo.reshape(-1, 3), axis=0)
    np.testing.assert_allclose(method(flat, photo), np.broadcast_to(median, flat.shape), atol=1e-3)
    np.testing.assert_allclose(method(photo, flat), np.full_like(photo, 0.25), atol=1 / 65535)


@pytest.mark.parametrize("name", MEASURING)
def test_extremes_stay_inside(name: str) -> None:
    rng = np.random.default_rng(0)
    painting, photo = rng.integers(0, 2, (2, 16, 16, 3)).astype(np.float32)
    result = COLOR_METHODS[name](painting, photo)
    assert 0 <= result.min() <= result.max() <= 1


def test_shapes() -> None:
    for name in MEASURING:
        with pytest.raises(ShapeError, match=r"expected \(H, W, 3\)"):
            COLOR_METHODS[name].measure(np.zeros((3, 4), np.float32))
        with pytest.raises(ShapeError, match="weights"):
            COLOR_METHODS[name].measure(picture(0), np.zeros((3, 4)))


def test_keep_luminance_keeps_luma_and_hue_without_clipping() -> None:
    rng = np.random.default_rng(0)
    painting, photo = rng.random((2, 300, 7, 3), np.float32)  # more rows than one strip
    result = keep_luminance(painting, photo)
    assert result.min() >= 0
    assert result.max() <= 1
    luma = painting.astype(np.float64) @ LUMA
    np.testing.assert_allclose(result @ LUMA, luma, rtol=0, atol=2e-6)
    chroma = photo - (photo.astype(np.float64) @ LUMA)[..., None]
    kept = result - luma[..., None]
    share = (kept * chroma).sum(-1) / (chroma**2).sum(-1)
    assert share.min() > -1e-5
    assert share.max() < 1 + 1e-5
    np.testing.assert_allclose(kept, share[..., None] * chroma, rtol=0, atol=3e-6)  # the same direction
    # only what would leave the gamut gives way
    fits = ((luma[..., None] + chroma > 1e-4) & (luma[..., None] + chroma < 1 - 1e-4)).all(-1)
    np.testing.assert_allclose(share[fits], 1, rtol=0, atol=1e-4)


def test_keep_luminance_of_extremes() -> None:
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T.astype(np.float32)
    painting, photo = np.repeat(corners, 8, axis=0)[None], np.tile(corners, (8, 1))[None]
    result = keep_luminance(painting, photo)
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result @ LUMA, painting @ LUMA, rtol=0, atol=2e-6)
    grey = photo.max(-1) == photo.min(-1)
    assert np.ptp(result[grey], axis=-1).max() < 1e-6, "a grey photo stays grey"
    np.testing.assert_allclose(keep_luminance(photo, photo), photo, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("name", sorted(COLOR_METHODS))
def test_through_the_stylizer(name: str, dtype: str) -> None:
    """The fake engine paints the negative; a third of the photo is hidden, and must not count."""
    image = random_photo(12, 18, channels=4)
    image[..., 3] = 255
    image[:, 12:, 3] = 0
    image = (image / 255).astype(dtype) if dtype.startswith("float") else image.astype(dtype)
    if dtype == "uint16":
        image *= 257
    top = 1.0 if dtype.startswith("float") else np.iinfo(dtype).max
    with Stylizer("scream", network=tiny_network(), engine="fake") as stylizer:
        result = stylizer(image, keep_colors=name)
        if name == DEFAULT_COLOR_METHOD:
            assert np.array_equal(result, stylizer(image, keep_colors=True))
    assert result.dtype == image.dtype
    assert np.array_equal(result[..., 3], image[..., 3])
    photo = (image[:, :12, :3] / top).astype(np.float32)
    expected = COLOR_METHODS[name](1 - photo, photo)
    np.testing.assert_allclose(result[:, :12, :3] / top, expected, rtol=0, atol=max(0.51 / top, 1e-5))


def test_one_pixel_that_is_hardly_visible_counts() -> None:
    painting, photo = (np.full((1, 1, 3), level, np.float32) for level in (0.2, 0.7))
    for name in MEASURING:
        recolored = COLOR_METHODS[name](painting, photo, np.full((1, 1), 0.1))
        np.testing.assert_allclose(recolored, photo, atol=1e-4)
