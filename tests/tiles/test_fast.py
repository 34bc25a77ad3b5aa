"""The fast mode, and when pictures are painted in tiles at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stylenorm import Stylizer
from stylenorm.errors import InputError
from stylenorm.graphs import Plan, cut_graph
from stylenorm.tiles import Layout, Tiling, sampled_boxes
from stylenorm.zoo import NetworkFolder, shipped_network
from tests.engines.tiny_network import needs, random_photo, tiny_network


@pytest.fixture(scope="module")
def network() -> NetworkFolder:
    return tiny_network()


@pytest.fixture(scope="module")
def whole(network: NetworkFolder) -> Stylizer:
    needs("openvino")
    return Stylizer("scream", network=network, tiling=Tiling("off"))


def in_tiles(whole: Stylizer, **options: object) -> Stylizer:
    return Stylizer("scream", network=whole.network, engine=whole.engine, tiling=Tiling(**options))


def levels(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("keep_colors", [False, "luminance", "covariance", "histogram"])
def test_arrays_in_tiles(whole: Stylizer, dtype: str, channels: int, keep_colors: bool | str) -> None:
    image = random_photo(90, 110, dtype, channels)
    image[:20, :20, 3:] = 0
    painted = in_tiles(whole, tile=48)(image, 0.7, keep_colors)
    assert painted.dtype == image.dtype
    allowed = 1 if dtype == "uint8" else 40  # of 65535: a sixth of a grey level of 8 bits
    assert levels(painted, whole(image, 0.7, keep_colors)) <= allowed
    assert np.array_equal(painted[..., 3:], image[..., 3:])


def test_floats_in_tiles(whole: Stylizer) -> None:
    image = random_photo(50, 70) / 255
    painted = in_tiles(whole, tile=32)(image)
    assert painted.dtype == np.float64
    np.testing.assert_allclose(painted, whole(image), rtol=0, atol=1e-4)


def test_little_memory_is_enough(whole: Stylizer) -> None:
    image = random_photo(96, 128)
    stylizer = in_tiles(whole, memory_bytes=1_000_000)
    assert stylizer.layout(96, 128) == Layout(512, on_disk=True)
    assert levels(stylizer(image), whole(image)) <= 1


def test_a_frozen_stylizer_paints_tiles_as_the_whole(whole: Stylizer) -> None:
    image, other = random_photo(150, 170), random_photo(40, 40)
    frozen = whole.freeze(whole.measure([other]))
    tiled = in_tiles(whole, tile=64)
    tiled = tiled.freeze(tiled.measure([other]))
    assert levels(tiled(image), frozen(image)) <= 1


def test_fast_is_exact_where_all_is_sampled_and_near_elsewhere(whole: Stylizer) -> None:
    small = random_photo(100, 120)
    assert levels(in_tiles(whole, tile=48, fast=True)(small), whole(small)) <= 1
    rng = np.random.default_rng(0)  # of one texture: samples are like the rest
    large = (rng.random((1100, 1200, 3)) * 255).astype(np.uint8)
    difference = in_tiles(whole, tile=512, fast=True)(large).astype(float) - whole(large)
    assert np.sqrt((difference**2).mean()) < 1.0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(height=st.integers(1, 9000), width=st.integers(1, 9000))
def test_samples_lie_in_the_picture(height: int, width: int) -> None:
    boxes = sampled_boxes(height, width)
    assert len({(box.height, box.width) for box in boxes}) == 1
    for box in boxes:
        assert box.top >= 0
        assert box.left >= 0
        assert box.bottom <= height
        assert box.right <= width
    if height * width > 16 * 256 * 256:
        assert len(boxes) == 16
        if min(height, width) > 2048:  # every quarter is seen
            assert len({(b.top > height / 2, b.left > width / 2) for b in boxes}) == 4


@pytest.fixture(scope="module")
def shipped_plan() -> Plan:
    return cut_graph(shipped_network().graph.read_bytes())


def test_what_is_painted_in_tiles(shipped_plan: Plan) -> None:
    two_gb = Tiling(memory_bytes=2_000_000_000)
    assert two_gb.layout(shipped_plan, 3000, 4000) == Layout(0, on_disk=False)
    assert two_gb.layout(shipped_plan, 4200, 5200) == Layout(512, on_disk=False)
    assert two_gb.layout(shipped_plan, 10_000, 10_000) == Layout(512, on_disk=True)
    assert Tiling("off", memory_bytes=1).layout(shipped_plan, 10_000, 10_000) == Layout(0, on_disk=False)
    assert Tiling(64).layout(shipped_plan, 10, 10) == Layout(64, on_disk=False)
    fast = Tiling(memory_bytes=2_000_000_000, fast=True)
    assert fast.layout(shipped_plan, 10_000, 10_000) == Layout(1024, on_disk=False)


@pytest.mark.parametrize("options", [{"tile": "big"}, {"tile": 4}, {"tile": True}, {"memory_bytes": 0}])
def test_options_that_are_none(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        Tiling(**options)
