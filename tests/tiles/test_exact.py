"""A picture painted in tiles is the picture painted whole, whatever its size and the tiles'."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stylenorm.engines import ENGINES, Engine, open_engine
from stylenorm.graphs import Plan, cut_graph
from stylenorm.style import Statistics, Style
from stylenorm.tiles import DiskWorkspace, MemoryWorkspace, TileGrid, array_checksum, paint_exact
from stylenorm.tiles.boxes import Box
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import needs, needs_winograd, random_photo, tiny_network
from tests.requirements_met import need

LEVEL = 1 / 255


class FloatSink:
    """Keeps the tiles as they come, in float32, and how often each pixel came."""

    def __init__(self, height: int, width: int) -> None:
        self.painting = np.full((height, width, 3), np.nan, np.float32)
        self.times = np.zeros((height, width), int)

    def write(self, box: Box, painting: np.ndarray) -> None:
        box = box.clipped(*self.times.shape)
        self.painting[box.top : box.bottom, box.left : box.right] = painting[: box.height, : box.width]
        self.times[box.top : box.bottom, box.left : box.right] += 1

    def checksum(self, box: Box) -> int:
        return array_checksum(self.painting[box.top : box.bottom, box.left : box.right])


@functools.cache
def engine_of(name: str = "openvino") -> Engine:
    if name == "winograd":
        needs_winograd()
    else:
        needs(ENGINES[name].package)
    network = tiny_network()

    def load_module() -> object:
        from stylenorm.export import load_network

        return load_network(network.path)

    return open_engine(name, network.graph, load_module=load_module)


@functools.cache
def plan() -> Plan:
    return cut_graph(tiny_network().graph.read_bytes())


@pytest.fixture(scope="module")
def network() -> NetworkFolder:
    return tiny_network()


def whole(image: np.ndarray, style: Style) -> np.ndarray:
    """The untiled float32 result, by ONNX Runtime alone."""
    session = session_of()
    photo = (image / np.iinfo(image.dtype).max).astype(np.float32).transpose(2, 0, 1)[None]
    (painting,) = session.run(["painting"], {"photo": photo, "style": style.vector()})
    return np.asarray(painting[0].transpose(1, 2, 0))


@functools.cache
def session_of() -> object:
    onnxruntime = need("onnxruntime")
    return onnxruntime.InferenceSession(str(tiny_network().graph), providers=["CPUExecutionProvider"])


def tiled(
    image: np.ndarray, style: Style, tile: int, engine: str = "openvino", folder: Path | None = None
) -> tuple[np.ndarray, Statistics]:
    sink = FloatSink(*image.shape[:2])
    workspace = MemoryWorkspace() if folder is None else DiskWorkspace(folder, {"tile": tile})
    statistics = paint_exact(engine_of(engine), plan(), image, style, sink, tile=tile, workspace=workspace)
    assert (sink.times == 1).all()
    return sink.painting, statistics


@settings(max_examples=25, deadline=None, derandomize=True)
@given(height=st.integers(1, 150), width=st.integers(1, 150), num_tiles=st.integers(1, 6))
def test_any_size_and_any_tile(height: int, width: int, num_tiles: int) -> None:
    tile = -(-max(height, width) // num_tiles)
    image, style = random_photo(height, width), tiny_network().style("scream")
    expected = whole(image, style)
    # planes of a few pixels: instance norm amplifies rounding, engines agree to 2e-2 there (tests of engines)
    atol = LEVEL if height * width > 64 else 2e-2
    painting, _ = tiled(image, style, tile, "onnxruntime")  # which compiles nothing for each size
    np.testing.assert_allclose(painting, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch", "winograd"])
@pytest.mark.parametrize(("size", "tile"), [((97, 203), 32), ((3, 300), 64), ((300, 2), 64), ((64, 64), 64)])
def test_every_engine(network: NetworkFolder, engine: str, size: tuple[int, int], tile: int) -> None:
    image, style = random_photo(*size), network.style("great-wave")
    painting, _ = tiled(image, style, tile, engine)
    np.testing.assert_allclose(
        painting, whole(image, style), rtol=0, atol=0.02 * LEVEL if min(size) > 3 else LEVEL
    )


def test_half_black_half_white(network: NetworkFolder) -> None:
    """A merge that forgets the variance between tiles paints this several levels too strong."""
    image, style = np.zeros((64, 128, 3), np.uint8), network.style("scream")
    image[:, 64:] = 255
    expected = whole(image, style)
    painting, statistics = tiled(image, style, 32)
    np.testing.assert_allclose(painting, expected, rtol=0, atol=0.1 * LEVEL)
    between = statistics.variances()[0]
    left, right = (tiled(half, style, 32)[1].variances()[0] for half in (image[:, :64], image[:, 64:]))
    assert (between > 2 * (left + right)).any(), "the picture does not test what it is for"


@pytest.mark.parametrize("level", [0, 128, 255])
def test_constant_picture(network: NetworkFolder, level: int) -> None:
    image, style = np.full((70, 90, 3), level, np.uint8), network.style("scream")
    np.testing.assert_allclose(tiled(image, style, 32)[0], whole(image, style), rtol=0, atol=LEVEL)


def test_mixture_and_strength(network: NetworkFolder) -> None:
    image = random_photo(70, 90, "uint16")
    mixture = 0.6 * network.style("scream") + 0.4 * network.style("great-wave")
    style = mixture.weaken(0.6, network.style("identity"))
    np.testing.assert_allclose(tiled(image, style, 32)[0], whole(image, style), rtol=0, atol=0.02 * LEVEL)


def test_statistics_are_those_of_the_picture(network: NetworkFolder) -> None:
    image, style = random_photo(66, 130), network.style("scream")
    _, statistics = tiled(image, style, 32)
    photo = (image / 255).astype(np.float32).transpose(2, 0, 1)[None]
    expected = engine_of().measure(photo, style.vector())
    assert statistics.counts == expected.counts
    for mean, other in zip(statistics.means, expected.means, strict=True):
        np.testing.assert_allclose(mean, other, rtol=0, atol=1e-5)
    for m2, other in zip(statistics.m2s, expected.m2s, strict=True):
        np.testing.assert_allclose(m2, other, rtol=1e-4)


def test_in_files_as_in_memory(network: NetworkFolder, tmp_path: Path) -> None:
    image, style = random_photo(66, 130), network.style("scream")
    in_files, _ = tiled(image, style, 32, folder=tmp_path / "work")
    np.testing.assert_array_equal(in_files, tiled(image, style, 32)[0])


@pytest.mark.parametrize(("height", "width", "tile"), [(1, 1, 4), (9, 5, 4), (64, 63, 32), (100, 7, 1000)])
def test_tiles_cover_the_padded_picture_once(height: int, width: int, tile: int) -> None:
    grid = TileGrid(height, width, tile, 4)
    times = np.zeros(grid.padded, int)
    for box in grid.boxes():
        assert box.top % 4 == box.left % 4 == box.bottom % 4 == box.right % 4 == 0
        times[box.top : box.bottom, box.left : box.right] += 1
    assert (times == 1).all()
    assert len(grid) == sum(1 for _ in grid.boxes())


def test_the_johnson_network_tiles_too() -> None:
    needs("torch", "onnx")
    import torch

    from stylenorm.engines.openvino_engine import OpenVinoEngine
    from stylenorm.networks import NetworkConfig
    from tests.export.graphs import graph_of, network_of

    config = NetworkConfig("johnson", 4, 1)
    network, content = network_of(config), graph_of(config)
    vector = torch.randn(network.style_length, generator=torch.Generator().manual_seed(0))
    vector[-1] = 0.1
    style = Style.from_vector(vector.numpy(), network.norm_sizes)
    image, sink = random_photo(61, 90), FloatSink(61, 90)
    with OpenVinoEngine(content) as engine:
        paint_exact(engine, cut_graph(content), image, style, sink, tile=24, workspace=MemoryWorkspace())
    with torch.no_grad():
        expected = network(torch.from_numpy(image / 255).float().permute(2, 0, 1)[None], vector)
    np.testing.assert_allclose(sink.painting, expected[0].permute(1, 2, 0), rtol=0, atol=0.05 * LEVEL)
