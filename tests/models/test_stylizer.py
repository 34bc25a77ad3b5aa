"""`Stylizer`: picture in, picture out."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from PIL import Image

from stylenorm import Style, Stylizer
from stylenorm.engines import FakeEngine
from stylenorm.errors import InputError, ShapeError, StyleMismatchError, UnknownNameError
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import needs, random_photo, tiny_network


@pytest.fixture(scope="module")
def network() -> NetworkFolder:
    return tiny_network()


@pytest.fixture
def fake(network: NetworkFolder) -> Stylizer:
    return Stylizer("scream", network=network, engine="fake")


@pytest.fixture(scope="module")
def real(network: NetworkFolder) -> Stylizer:
    needs("openvino")
    return Stylizer("scream", network=network)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [3, 4])
def test_arrays_keep_type_shape_and_alpha(fake: Stylizer, dtype: str, channels: int) -> None:
    image = random_photo(7, 5, dtype, channels)
    image[..., 3:] |= 1  # visible everywhere
    before = image.copy()
    painted = fake(image)
    assert painted.dtype == image.dtype
    assert np.array_equal(painted[..., :3], np.iinfo(dtype).max - image[..., :3])
    assert np.array_equal(painted[..., 3:], image[..., 3:])
    assert np.array_equal(image, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [3, 4])
def test_floats_in_0_to_1(fake: Stylizer, dtype: str, channels: int) -> None:
    image = (random_photo(7, 5, channels=channels) / 255).astype(dtype)
    image[..., 3:] = 0.5
    painted = fake(image)
    assert painted.dtype == image.dtype
    np.testing.assert_allclose(painted[..., :3], 1 - image[..., :3], rtol=0, atol=1e-6)
    assert np.array_equal(painted[..., 3:], image[..., 3:])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1", "I;16"])
def test_pillow_images(fake: Stylizer, mode: str) -> None:
    image = Image.new(mode, (6, 4))
    painted = fake(image)
    assert isinstance(painted, Image.Image)
    assert painted.size == image.size
    assert painted.mode == ("RGBA" if mode in ("RGBA", "LA") else "RGB")


def test_hidden_colours_do_not_matter(real: Stylizer) -> None:
    image = random_photo(32, 32, channels=4)
    image[..., 3] = 255
    image[:, :16, 3] = 0
    other = image.copy()
    other[:, :16, :3] = 255 - other[:, :16, :3]
    assert np.array_equal(real(image)[:, 16:], real(other)[:, 16:])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("keep_colors", [False, True])
def test_strength_0_is_the_photo_exactly(real: Stylizer, dtype: str, keep_colors: bool) -> None:
    image = random_photo(9, 11, channels=4)
    image = image.astype(dtype) / 255 if dtype.startswith("float") else image.astype(dtype)
    image = image.astype(dtype)
    painted = real(image, strength=0, keep_colors=keep_colors)
    assert np.array_equal(painted, image)
    assert painted is not image


def test_strength_grows_evenly(real: Stylizer) -> None:
    image = random_photo(48, 48)
    paintings = [real(image, strength=s).astype(float) for s in (0, 0.02, 0.3, 0.6, 1)]
    distances = [np.abs(p - image).mean() for p in paintings]
    assert distances == sorted(distances)
    assert distances[1] < 0.05 * distances[-1]
    assert np.array_equal(paintings[-1], real(image))


def test_the_ways_to_say_a_style(network: NetworkFolder) -> None:
    image = random_photo(16, 16)
    engine = Stylizer("scream", network=network).engine
    a, b = network.style("scream"), network.style("great-wave")
    expected = Stylizer(0.6 * a + 0.4 * b, network=network, engine=engine)(image)
    by_text = Stylizer("scream:0.6,great-wave:0.4", network=str(network.path), engine=engine)(image)
    assert np.abs(by_text.astype(int) - expected).max() <= 1
    by_path = Stylizer(network.path / "styles" / "scream.safetensors", network=network.path, engine=engine)
    assert np.array_equal(by_path(image), Stylizer(a, network=network, engine=engine)(image))


def test_with_style_shares_the_engine(fake: Stylizer) -> None:
    other = fake.with_style("great-wave")
    assert other.engine is fake.engine
    assert (other.style.name, fake.style.name) == ("great-wave", "scream")
    with pytest.raises(UnknownNameError):
        fake.with_style("scraem")


def test_context_manager_closes_the_engine(network: NetworkFolder) -> None:
    class Closing(FakeEngine):
        closed = False

        def close(self) -> None:
            self.closed = True

    engine = Closing()
    with Stylizer("scream", network=network, engine=engine) as stylizer:
        stylizer(random_photo(2, 2))
    assert engine.closed


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), ShapeError, r"got \(4, 4, 2\)"),
        (np.zeros((4,), np.uint8), ShapeError, r"got \(4,\)"),
        (np.zeros((0, 4), np.uint8), ShapeError, r"got \(0, 4, 3\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), ShapeError, r"got \(1, 4, 4, 3\); pass one image at a time"),
        (np.zeros((3, 9, 8), np.uint8), ShapeError, r"image.transpose\(1, 2, 0\)"),
        (np.zeros((0, 4, 3), np.uint8), ShapeError, r"got \(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.int32), ShapeError, "got int32"),
        (np.zeros((4, 4, 3), bool), ShapeError, "got bool"),
        (np.full((4, 4, 3), 200.0), InputError, "expected floats in 0..1, got 200 to 200; divide by 255"),
        (np.full((4, 4, 3), -0.1), InputError, r"got -0.1 to -0.1; clip it"),
        (np.full((4, 4, 3), np.nan), InputError, "got NaN or infinity among them"),
        (np.full((4, 4, 3), np.inf, np.float16), InputError, "got NaN or infinity among them"),
        ("photo.jpg", ShapeError, "expected an array or a Pillow image, got str"),
        (None, ShapeError, "got NoneType"),
    ],
)
def test_what_is_no_image(fake: Stylizer, image: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fake(image)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strength_is_checked(fake: Stylizer, strength: float) -> None:
    with pytest.raises(InputError, match=r"expected 0 \(the photo\) to 1 \(the painting\), got"):
        fake(random_photo(4, 4), strength=strength)


def test_styles_are_checked(network: NetworkFolder) -> None:
    style = network.style("scream")
    with pytest.raises(InputError, match="weights of a mixture must add up to 1"):
        Stylizer(0.5 * style, network=network, engine="fake")
    with pytest.raises(StyleMismatchError):
        Stylizer(Style(style.gammas, style.betas, network="other"), network=network, engine="fake")
    with pytest.raises(InputError, match="expected a name, a path or a Style, got int"):
        Stylizer(7, network=network, engine="fake")
    with pytest.raises(UnknownNameError, match="unknown engine"):
        Stylizer("scream", network=network, engine="tensorrt")


def test_unknown_way_of_keeping_colors(fake: Stylizer) -> None:
    with pytest.raises(UnknownNameError, match="'histogran': did you mean 'histogram'"):
        fake(random_photo(4, 4), keep_colors="histogran")
    assert np.array_equal(
        fake(random_photo(4, 4), keep_colors="luminance"), fake(random_photo(4, 4), keep_colors=True)
    )


@pytest.mark.parametrize(
    "strength", ["0.5", None, "x", [0.5], float("nan"), 1.5, -0.1], ids=lambda value: repr(value)
)
def test_what_is_no_strength(fake: Stylizer, strength: object) -> None:
    with pytest.raises(InputError, match="strength: expected 0"):
        fake(np.zeros((4, 4, 3), np.uint8), strength)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="strength: expected 0"):
        fake.measure([np.zeros((4, 4, 3), np.uint8)], strength)  # type: ignore[arg-type]


def test_what_is_no_stroke_size(fake: Stylizer) -> None:
    with pytest.raises(InputError, match="stroke size: expected 1"):
        fake(np.zeros((4, 4, 3), np.uint8), stroke_size="2")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f4", "<f8", ">f8", "float16"])
@pytest.mark.parametrize("channels", [3, 4])
def test_other_types_are_painted_as_the_plain_ones(fake: Stylizer, dtype: str, channels: int) -> None:
    image = random_photo(5, 6, "uint16", channels)
    image[..., 3:] |= 1  # visible everywhere
    plain = image if "u" in dtype else (image / 65535).astype(np.float32)
    given = plain.astype(dtype)
    painted = fake(given)
    assert painted.dtype == given.dtype
    assert painted.shape == image.shape
    expected = np.iinfo(np.uint16).max - image[..., :3] if "u" in dtype else 1 - given[..., :3].astype(float)
    tolerance = 0 if "u" in dtype else 2e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(painted[..., :3].astype(float), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1)])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_grey_arrays(fake: Stylizer, shape: tuple[int, ...], strength: float) -> None:
    grey = np.arange(30, dtype=np.uint8).reshape(shape)
    painted = fake(grey, strength)
    wanted = grey.reshape(5, 6, 1) if strength == 0 else 255 - grey.reshape(5, 6, 1)
    assert np.array_equal(painted, np.repeat(wanted, 3, axis=2))


def test_a_stylizer_is_pickled_and_copied(network: NetworkFolder) -> None:
    image = random_photo(20, 24)
    stylizer = Stylizer("scream", network=network.path, threads=1)
    with stylizer, pickle.loads(pickle.dumps(stylizer)) as other:  # noqa: S301 (its own)
        assert np.array_equal(other(image), stylizer(image))
        assert other.engine is not stylizer.engine
        frozen = stylizer.freeze(stylizer.measure([image]))
        with pickle.loads(pickle.dumps(frozen)) as other_frozen:  # noqa: S301
            assert np.array_equal(other_frozen(image), frozen(image))
        assert copy.copy(stylizer).engine is stylizer.engine  # a copy shares it, as with_style does
        with copy.deepcopy(stylizer) as deep:
            assert np.array_equal(deep(image), stylizer(image))
    assert repr(stylizer) == f"<Stylizer 'scream', network {network.identity}, {stylizer.engine.name}>"
