"""The noise from which motifs begin: what it is, and that parts of it are those of the whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm import Stylizer, noise
from stylenorm.c_library import library
from stylenorm.cli import main
from stylenorm.errors import InputError
from stylenorm.films import Painter, SteadyOptions
from stylenorm.media import write_json
from stylenorm.noise import SPACINGS, smooth_noise, with_noise
from stylenorm.tiles import Tiling
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import random_photo, tiny_network


def by_definition(y: int, x: int) -> float:
    """One value, in Python's integers: a cubic B-spline through hashed numbers, octave by octave."""

    def hashed(i: int, j: int, octave: int) -> float:
        h = (i * 0x9E3779B1 + j * 0x85EBCA77 + octave * 0x27D4EB2F) % 2**32
        h = (h ^ h >> 16) * 0x85EBCA6B % 2**32
        h = (h ^ h >> 13) * 0xC2B2AE35 % 2**32
        return (h ^ h >> 16) / 2**31 - 1

    def spline(distance: float) -> float:
        d = abs(distance)
        return 2 / 3 - d * d + d**3 / 2 if d < 1 else (2 - d) ** 3 / 6 if d < 2 else 0.0

    total = 0.0
    for octave, spacing in enumerate(SPACINGS):
        # the grid's number 0 stands one spacing before the first pixel
        v, u = y / spacing + 1, x / spacing + 1
        total += sum(
            spline(v - i) * spline(u - j) * hashed(i, j, octave)
            for i in range(int(v // 1) - 1, int(v // 1) + 3)
            for j in range(int(u // 1) - 1, int(u // 1) + 3)
        )
    variance = len(SPACINGS) * (151 / 315) ** 2 / 3  # 151 / 315: the mean square of a cubic B-spline
    return float(total / variance**0.5)


def flatness(photo: np.ndarray) -> np.ndarray:
    """How flat each pixel is by definition (H, W): from the deviation of green, 0..1, in cells of 16."""
    height, width = photo.shape[:2]
    rows, columns = -(-height // 16), -(-width // 16)
    green = photo[..., 1].astype(float) / (1 if photo.dtype.kind == "f" else np.iinfo(photo.dtype).max)
    flat = np.empty((rows, columns))
    for i, j in np.ndindex(rows, columns):
        flat[i, j] = 1 / (1 + (green[16 * i : 16 * i + 16, 16 * j : 16 * j + 16].std() / 0.03) ** 2)
    found = np.zeros((height, width))
    for y, x in np.ndindex(height, width):
        for i, j in np.ndindex(rows + 2, columns + 2):  # with one row and column more on each side
            near = max(0, 1 - abs((y + 0.5) / 16 - (i - 0.5))) * max(0, 1 - abs((x + 0.5) / 16 - (j - 0.5)))
            found[y, x] += near * flat[min(max(i - 1, 0), rows - 1), min(max(j - 1, 0), columns - 1)]
    return found


def smooth_photo(height: int, width: int) -> np.ndarray:
    """A photo with light that changes and one edge, uint8 (H, W, 3)."""
    y, x = np.mgrid[:height, :width]
    photo = 90 + 0.5 * y[..., None] + x[..., None] * [0.2, 0.4, -0.3]
    photo[: height // 2, : width // 3] += 50
    return photo.astype(np.uint8)


def test_against_its_definition() -> None:
    noise = smooth_noise(70, 90)
    for y, x in [(0, 0), (0, 89), (69, 0), (7, 8), (8, 7), (31, 64), (69, 89)]:
        assert noise[y, x] == pytest.approx(by_definition(y, x), abs=1e-5)
    assert smooth_noise(1, 1, -13, -1000)[0, 0] == pytest.approx(by_definition(-13, -1000), abs=1e-5)


def test_mean_and_deviation() -> None:
    noise = smooth_noise(1024, 1024, top=512)
    assert abs(noise.mean()) < 0.15  # octaves of 64 pixels have few numbers in it
    assert noise.std() == pytest.approx(1, abs=0.1)
    differences = np.diff(noise, axis=1).std()
    assert 0.02 < differences < 0.2, "smooth, but not flat"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_parts_are_those_of_the_whole(dtype: str) -> None:
    whole = 1 if dtype == "float32" else np.iinfo(dtype).max
    photo = (smooth_photo(300, 40) / 255 * whole).astype(dtype)
    noisy = with_noise(photo, 0.05)
    assert noisy.dtype == photo.dtype
    assert not np.array_equal(noisy, photo)
    part = with_noise(photo, 0.05, (37, 11, 290, 40))
    rounding = 1 if whole > 1 else 1e-6
    np.testing.assert_allclose(part.astype(float), noisy[37:290, 11:].astype(float), atol=rounding)
    assert np.array_equal(with_noise(photo, 0, (37, 11, 290, 40)), photo[37:290, 11:])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_how_much(dtype: str) -> None:
    whole = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    photo = (smooth_photo(41, 60) / 255 * whole).astype(dtype)
    change = (with_noise(photo, 0.05).astype(float) - photo) / whole
    flat = flatness(photo)
    assert flat.max() > 0.9
    assert flat.min() < 0.3
    expected = 0.05 * flat * smooth_noise(41, 60)
    np.testing.assert_allclose(
        change, np.repeat(expected[..., None], 3, 2), atol=0.51 / whole if whole > 1 else 1e-6
    )


@pytest.mark.skipif(isinstance(library(), str), reason="no compiled library here")
@pytest.mark.parametrize("view", ["whole", "flipped", "with alpha", "blue first", "packed"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_c_and_numpy_agree(dtype: str, view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = (smooth_photo(201, 150) / 255 * np.iinfo(dtype).max).astype(dtype)
    if view == "with alpha":
        photo = np.concatenate([photo, photo[..., :1]], axis=2)[..., :3]
    if view == "packed":  # a byte behind each pixel
        pixels = np.zeros(photo.shape[:2], [("color", dtype, 3), ("rest", "uint8")])
        pixels["color"] = photo
        photo = pixels["color"]
    photo = {"flipped": photo[::-1], "blue first": photo[..., ::-1]}.get(view, photo)
    options = (0.2, (3, 18, 200, 131), (-700, 65))
    by_c = with_noise(photo, *options)
    monkeypatch.setattr(noise, "library", lambda: "none")
    by_numpy = with_noise(photo, *options)
    assert by_c.dtype == by_numpy.dtype
    differences = np.abs(by_c.astype(int) - by_numpy)
    assert differences.max() <= 1, "halves may be rounded up or down"
    assert differences.mean() < 0.02


def test_none_is_the_photo_itself() -> None:
    photo = random_photo(8, 8)
    assert with_noise(photo, 0) is photo


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> NetworkFolder:
    """The tiny network as if it had been trained with noise."""
    folder = tmp_path_factory.mktemp("noisy") / "network"
    shutil.copytree(tiny_network().path, folder)
    told = json.loads((folder / "network.json").read_text())
    write_json(folder / "network.json", {**told, "noise": 0.1})
    return NetworkFolder.open(folder)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_photo_is_painted_with_its_networks_noise(network: NetworkFolder, dtype: str) -> None:
    photo = smooth_photo(40, 60)
    whole = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    image = (photo / 255 * whole).astype(dtype)
    stylizer = Stylizer("scream", network=network, engine="fake")  # paints the negative
    assert stylizer.noise == 0.1
    found = whole - stylizer(image).astype(np.float64) - image
    expected = np.repeat(0.1 * whole * (flatness(image) * smooth_noise(40, 60))[..., None], 3, axis=2)
    inside = (image + expected > 0) & (image + expected < whole)
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.51 if whole > 1 else 1e-6)
    assert np.array_equal(stylizer.with_noise(0)(photo), 255 - photo)
    assert np.array_equal(stylizer(photo, strength=0), photo)


def test_tiles_are_painted_as_the_whole(network: NetworkFolder) -> None:
    photo = smooth_photo(150, 170)
    whole = Stylizer("scream", network=network)
    tiled = Stylizer("scream", network=network, engine=whole.engine, tiling=Tiling(tile=64))
    for image, atol in ((photo, 1), ((photo / 255).astype(np.float32), 1e-3)):
        np.testing.assert_allclose(tiled(image).astype(float), whole(image), atol=atol)
    without = whole.with_noise(0)(photo)
    assert np.abs(without.astype(int) - whole(photo)).max() > 3, "the noise is to be seen in the painting"


def test_measured_and_frozen_with_the_same_noise(network: NetworkFolder) -> None:
    photo = smooth_photo(64, 64)
    stylizer = Stylizer("scream", network=network)
    frozen = stylizer.freeze(stylizer.measure([photo]))
    assert np.abs(frozen(photo).astype(int) - stylizer(photo)).max() <= 1


@pytest.mark.parametrize("amount", [-0.1, 1.5, float("nan"), "much", True, None])
def test_what_is_no_amount(network: NetworkFolder, amount: object) -> None:
    with pytest.raises(InputError, match=r"noise: expected a standard deviation in 0\.\.1, got"):
        Stylizer("scream", network=network, engine="fake").with_noise(amount)  # type: ignore[arg-type]


def test_a_folder_with_another_noise_than_there_is(network: NetworkFolder) -> None:
    file = network.path / "network.json"
    text = file.read_text()
    file.write_text(text.replace('"noise": 0.1', '"noise": 7'))
    try:
        with pytest.raises(InputError, match="noise"):
            NetworkFolder.open(network.path)
    finally:
        file.write_text(text)


def test_films_are_painted_without(network: NetworkFolder) -> None:
    frame = smooth_photo(40, 60)
    stylizer = Stylizer("scream", network=network, engine="fake")
    painter = Painter(stylizer, SteadyOptions(steady="off", smooth=0))
    assert np.array_equal(painter(frame), 255 - frame)


@pytest.mark.parametrize(
    ("asked", "amount"), [((), 0.1), (("--noise", "0"), 0.0), (("--noise", "0.05"), 0.05)]
)
def test_the_command(network: NetworkFolder, tmp_path: Path, asked: tuple[str, ...], amount: float) -> None:
    photo = smooth_photo(40, 60)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    words = ["stylize", str(tmp_path / "photo.png"), "--style", "scream", "--network", str(network.path)]
    assert main([*words, "--engine", "fake", "-o", str(tmp_path / "out.png"), "--quiet", *asked]) == 0
    painted = np.asarray(Image.open(tmp_path / "out.png"))
    change = (255 - painted.astype(float) - photo).mean(axis=2)
    if amount:
        expected = flatness(photo) * smooth_noise(40, 60)
        factor = np.polyfit(expected.ravel(), change.ravel(), 1)[0] / 255
        assert factor == pytest.approx(amount, rel=0.2)  # what is clipped is lost
    else:
        assert not change.any()
